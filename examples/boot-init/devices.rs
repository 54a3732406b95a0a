//! Kernel modules, and which disk is which.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::system::finit_module;

use crate::Result;

/// How long a disk may take to appear.
const PATIENCE: Duration = Duration::from_secs(20);

/// Loads the modules that the file `order` names, in its order.
pub fn load_modules(folder: &Path) -> Result<()> {
    for name in fs::read_to_string(folder.join("order"))?.lines() {
        let file = File::open(folder.join(name))?;
        match finit_module(&file, c"", 0) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(format!("loading `{name}`: {error}").into()),
        }
    }
    Ok(())
}

/// The disk with this serial number, once it is there.
pub fn by_serial(serial: &str) -> Result<String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        for disk in disks()? {
            let file = format!("/sys/block/{disk}/serial");
            if fs::read_to_string(file).is_ok_and(|found| found.trim() == serial) {
                return Ok(format!("/dev/{disk}"));
            }
        }
        sleep(Duration::from_millis(50));
    }
    let all = disks()?.join(", ");
    Err(format!("there is no disk `{serial}`, but: {all}").into())
}

/// The disk whose ext4 file system has this label. Disks are not waited for: the
/// root's is there, and so are all of its kind.
pub fn by_label(label: &str) -> Result<Option<String>> {
    for disk in disks()? {
        let path = format!("/dev/{disk}");
        if let Ok(mut file) = File::open(&path)
            && ext4_label(&mut file).as_deref() == Some(label)
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The label in an ext4 superblock (`s_magic`, `s_volume_name`).
fn ext4_label(disk: &mut (impl Read + Seek)) -> Option<String> {
    let mut block = [0; 0x88];
    disk.seek(SeekFrom::Start(1024)).ok()?;
    disk.read_exact(&mut block).ok()?;
    if block[0x38..0x3a] != [0x53, 0xef] {
        return None;
    }
    let label = block[0x78..0x88].split(|&byte| byte == 0).next()?;
    String::from_utf8(label.to_vec()).ok()
}

fn disks() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn labels_as_mkfs_writes_them() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4 << 20).unwrap();
        assert_eq!(ext4_label(file.as_file_mut()), None);
        let made = Command::new("/sbin/mkfs.ext4")
            .args(["-q", "-F", "-L", "nodelith-var"])
            .arg(file.path())
            .status();
        assert!(made.unwrap().success());
        let label = ext4_label(file.as_file_mut());
        assert_eq!(label.as_deref(), Some("nodelith-var"));
        assert_eq!(ext4_label(&mut std::io::Cursor::new([0; 100])), None);
    }
}
