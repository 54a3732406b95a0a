//! The root as squashfs. `mksquashfs` makes it, from our tar.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::write;
use rustix::process::{getegid, geteuid, getgid, getuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::error::{Context, Error, Kind, Result};
use crate::tree::{FIXED_TIME, Tree, TreePath};

const PROGRAM: &str = "mksquashfs";

/// Major and minor.
pub type Version = (u32, u32);

/// Makes sure that there is a `mksquashfs` that reads tars (4.5 and later).
///
/// # Errors
/// [`Kind::Usage`] when there is none.
pub fn check() -> Result<Version> {
    let output = Command::new(PROGRAM).arg("-version").output();
    let missing = |why: &str| {
        Error::new(Kind::Usage, format!("squashfs needs `{PROGRAM}`, {why}")).hint(
            "install squashfs-tools 4.5 or later; or take `erofs`, which needs no other program",
        )
    };
    let output = output.map_err(|_| missing("which is not there"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match version(&text) {
        Some(version) if version >= (4, 5) => Ok(version),
        Some((major, minor)) => Err(missing(&format!("and {major}.{minor} is too old"))),
        None => Err(missing("and this one does not say its version")),
    }
}

/// The version in `mksquashfs version 4.5.1 (…)`.
fn version(text: &str) -> Option<Version> {
    let number = text.split_once("version ")?.1;
    let mut parts = number.split(|letter: char| !letter.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Makes sure that a squashfs can hold the tree: its times have 32 bits and no sign.
///
/// # Errors
/// [`Kind::Usage`] when it cannot.
pub fn fits(tree: &Tree) -> Result<()> {
    let mut entries = tree.entries.iter();
    match entries.find(|(_, entry)| u32::try_from(entry.mtime).is_err()) {
        None => Ok(()),
        Some((path, _)) => {
            let message = format!("the time of `{path}` is before 1970 or after 2106");
            Err(Error::new(Kind::Usage, message).hint("a squashfs cannot say it; a tar can"))
        }
    }
}

/// Makes a squashfs of the tar `from`, whose tree is `tree`, in place of the file `to`.
///
/// # Errors
/// When `mksquashfs` fails.
pub fn make(tree: &Tree, from: &Path, to: &Path, threads: usize, version: Version) -> Result<()> {
    let tar = File::open(from).io("reading", from)?;
    let mut command = Command::new(PROGRAM);
    command.arg("-").arg(to);
    command.args(["-tar", "-noappend", "-no-progress", "-quiet"]);
    command.args(["-comp", "zstd", "-processors", &threads.to_string()]);
    let mut other = false;
    // What a tar says of the root itself, it does not take.
    if let Some(root) = tree.entries.get(&TreePath::default()) {
        command.args(["-root-mode", &format!("{:o}", root.mode)]);
        command.args(["-root-uid", &root.uid.to_string()]);
        command.args(["-root-gid", &root.gid.to_string()]);
        // Until 4.6 that is not looked at with a tar.
        other = version < (4, 6) && (root.uid, root.gid) != (getuid().as_raw(), getgid().as_raw());
        if other {
            run_as(&mut command, root.uid, root.gid);
        }
    }
    // The root's time is that at which it is made (4.5 has no way to set it) unless
    // that is later than this, which so is the time of the file system too.
    let newest = tree.entries.values().map(|entry| entry.mtime).max();
    let newest = newest.unwrap_or_default().max(FIXED_TIME);
    command.env("SOURCE_DATE_EPOCH", newest.to_string());
    let output = command
        .stdin(tar)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| {
            if !other {
                return Error::io("running", PROGRAM, error);
            }
            let message = format!("running `{PROGRAM}` as the owner of the root: {error}");
            Error::new(Kind::Usage, message).hint(
                "this takes squashfs-tools 4.6, or user namespaces, or to be that user; or take `erofs`",
            )
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    let message = format!("`{PROGRAM}` failed: {}", last.unwrap_or("it says nothing"));
    Err(Error::new(Kind::Io, message))
}

/// Has a command run by a user who has these numbers in a user namespace
/// (`user_namespaces(7)`), and elsewhere is who this one is.
fn run_as(command: &mut Command, uid: u32, gid: u32) {
    let maps = [
        (c"/proc/self/setgroups", "deny".to_owned()),
        (
            c"/proc/self/uid_map",
            format!("{uid} {} 1", geteuid().as_raw()),
        ),
        (
            c"/proc/self/gid_map",
            format!("{gid} {} 1", getegid().as_raw()),
        ),
    ];
    let enter = move || {
        // SAFETY: this process has one thread, and shares nothing with another.
        unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }?;
        for (path, text) in &maps {
            let file = open(*path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            write(&file, text.as_bytes())?;
        }
        Ok(())
    };
    // SAFETY: what is called between fork and exec takes no lock and no memory.
    unsafe { command.pre_exec(enter) };
}

/// How many entries have an attribute that a squashfs cannot hold.
pub fn losing(tree: &Tree) -> usize {
    let kept = ["user.", "trusted.", "security."];
    let lost = |name: &String| !kept.iter().any(|prefix| name.starts_with(prefix));
    let entries = tree.entries.values();
    entries
        .filter(|entry| entry.xattrs.keys().any(lost))
        .count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tree::{Entry, Node};

    #[test]
    fn times_that_a_squashfs_cannot_say() {
        for (mtime, fits) in [
            (-1, false),
            (0, true),
            ((1 << 32) - 1, true),
            (1 << 32, false),
        ] {
            let mut tree = Tree::default();
            let entry = Entry {
                node: Node::Directory,
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime,
                xattrs: BTreeMap::new(),
                component: "x".into(),
            };
            tree.entries.insert("a".into(), entry);
            assert_eq!(super::fits(&tree).is_ok(), fits, "{mtime}");
        }
    }

    #[test]
    fn versions_are_read() {
        let text = "mksquashfs version 4.5.1 (2022/03/17)\ncopyright (C) 2022\n";
        assert_eq!(version(text), Some((4, 5)));
        assert_eq!(version("mksquashfs version 4.4\n"), Some((4, 4)));
        assert_eq!(version("usage"), None);
    }
}
