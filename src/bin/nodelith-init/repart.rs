//! Partitions: systemd-repart of the image makes those that the disk has not yet, a second
//! slot for the root and `/var`, and has `/var` grow with the disk.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nodelith::bundle::disk::gpt::{ESP, Partition};
use rustix::mount::{MountFlags, UnmountFlags, mount_bind_recursive, unmount};

use crate::devices::Disk;
use crate::lay::{in_root, mount};
use crate::{ROOT, Result, VAR_LABEL};

const PROGRAM: &str = "/usr/bin/systemd-repart";

/// Where the definitions are, seen from the root.
const DEFINITIONS: &str = "/run/nodelith-repart";

/// The least that `/var` needs.
const VAR: &str = "512M";

/// Makes what is missing, if the image has the program; says so if it has not, and what
/// comes of that.
pub fn run(disk: &Disk, otherwise: &str) -> Result<()> {
    if !in_root(PROGRAM).is_file() {
        eprintln!("nodelith: the image has no systemd-repart, so {otherwise}");
        return Ok(());
    }
    let _borrowed = Borrowed::new()?;
    let definitions = in_root(DEFINITIONS);
    fs::create_dir_all(&definitions)?;
    for (name, text) in definitions_for(disk) {
        fs::write(definitions.join(name), text)?;
    }
    let mut command = in_root_command(PROGRAM);
    command.args([
        "--dry-run=no",
        "--empty=refuse",
        "--no-pager",
        "--seed=random",
    ]);
    command.arg(format!("--definitions={DEFINITIONS}"));
    command.arg(format!("/dev/{}", disk.name));
    let status = command.status()?;
    if !status.success() {
        eprintln!("nodelith: systemd-repart failed with {status}, so perhaps {otherwise}");
    }
    Ok(())
}

/// Checks a file system of ext4 by the image's own program; one that a person has to
/// look at is an error.
pub fn check(device: &str) -> Result<()> {
    const FSCK: &str = "/usr/sbin/fsck.ext4";
    /// "File system errors left uncorrected" of e2fsck(8), and what is worse.
    const LEFT: i32 = 4;
    if !in_root(FSCK).is_file() {
        return Ok(());
    }
    let _borrowed = Borrowed::new()?;
    let mut command = in_root_command(FSCK);
    let status = command.args(["-p", device]).status()?;
    match status.code() {
        Some(code) if code < LEFT => Ok(()),
        _ => Err(format!("`{device}`, which is /var, is damaged ({status})").into()),
    }
}

/// What partitions there are to be: the ones of the image as they are, the others
/// of the same size.
fn definitions_for(disk: &Disk) -> Vec<(String, String)> {
    let fixed = |kind: &str, partition: &Partition, more: &str| {
        let size = partition.size;
        format!("[Partition]\nType={kind}\nSizeMinBytes={size}\nSizeMaxBytes={size}\n{more}")
    };
    // What has no room is left out, the second slot before /var.
    let second = "Label=_empty\nReadOnly=yes\nPriority=10\n";
    let mut definitions = Vec::new();
    let slots: Vec<&Partition> = disk
        .partitions
        .iter()
        .map(|(_, partition)| partition)
        .take(3)
        .collect();
    if let [esp, root, verity] = slots[..]
        && esp.kind == ESP
    {
        definitions = vec![
            ("10-esp.conf", fixed("esp", esp, "")),
            ("20-root.conf", fixed("root", root, "")),
            ("21-verity.conf", fixed("root-verity", verity, "")),
            ("30-root.conf", fixed("root", root, second)),
            ("31-verity.conf", fixed("root-verity", verity, second)),
        ];
    }
    let var = format!(
        "[Partition]\nType=linux-generic\nLabel={VAR_LABEL}\nFormat=ext4\nSizeMinBytes={VAR}\n"
    );
    definitions.push(("40-var.conf", var));
    let owned = definitions.into_iter();
    owned.map(|(name, text)| (name.to_owned(), text)).collect()
}

/// What programs of the image need of the system while they run in the root.
struct Borrowed;

/// What is lent: the initrd's own.
const LENT: [&str; 3] = ["/dev", "/proc", "/sys"];
/// What is in memory meanwhile.
const MEMORY: [&str; 3] = ["/run", "/tmp", "/var"];

impl Borrowed {
    fn new() -> Result<Self> {
        let borrowed = Self;
        for place in LENT {
            mount_bind_recursive(place, in_root(place))
                .map_err(|error| format!("lending `{place}` to the root: {error}"))?;
        }
        for place in MEMORY {
            let at = in_root(place);
            mount(
                "lent",
                &at.to_string_lossy(),
                "tmpfs",
                MountFlags::empty(),
                "mode=755",
            )?;
        }
        fs::create_dir_all(in_root("/var/tmp"))?;
        Ok(borrowed)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        for place in MEMORY.iter().chain(&LENT) {
            let _ = unmount(in_root(place), UnmountFlags::DETACH);
        }
    }
}

/// A command of the image's, in its root.
fn in_root_command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    // SAFETY: between fork and exec there are system calls alone.
    unsafe {
        command.pre_exec(|| {
            rustix::process::chroot(ROOT)?;
            rustix::process::chdir("/")?;
            Ok(())
        });
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_name_what_is_there_and_what_is_to_come() {
        let partition = |kind, size| Partition {
            kind,
            uuid: [0; 16],
            name: String::new(),
            flags: 0,
            start: 0,
            size,
        };
        let named = |partition| ("/dev/x".to_owned(), partition);
        let disk = Disk {
            name: "x".into(),
            partitions: [
                partition(ESP, 1),
                partition([1; 16], 2),
                partition([2; 16], 3),
            ]
            .map(named)
            .into(),
        };
        let definitions = definitions_for(&disk);
        assert_eq!(definitions.len(), 6);
        let size = "SizeMinBytes=2\nSizeMaxBytes=2\n";
        assert_eq!(definitions[1].1, format!("[Partition]\nType=root\n{size}"));
        assert!(definitions[3].1.ends_with("Priority=10\n"));
        let other = Disk {
            name: "x".into(),
            partitions: Vec::new(),
        };
        assert_eq!(definitions_for(&other)[0].0, "40-var.conf");
    }
}
