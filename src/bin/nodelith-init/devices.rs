//! Which disk and which partition is which.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nodelith::bundle::disk::SECTOR;
use nodelith::bundle::disk::gpt::{self, Partition, Uuid};

use crate::Result;
use crate::modules::Modules;

/// How long a disk may take to appear: controllers of servers start slowly.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long no disk may appear until those that are there are taken for all.
const STILL: Duration = Duration::from_secs(2);

/// A disk with a partition table.
pub struct Disk {
    /// Its name in `/sys/block`.
    pub name: String,
    /// Its partitions: their devices, and what the table says.
    pub partitions: Vec<(String, Partition)>,
}

impl Disk {
    /// The device of the partition that fits.
    pub fn find(&self, fits: impl Fn(&Partition) -> bool) -> Option<String> {
        let found = self
            .partitions
            .iter()
            .find(|(_, partition)| fits(partition));
        found.map(|(device, _)| device.clone())
    }

    /// How many bytes it has.
    pub fn size(&self) -> Result<u64> {
        let sectors = fs::read_to_string(format!("/sys/block/{}/size", self.name))?;
        Ok(sectors.trim().parse::<u64>()?.saturating_mul(SECTOR))
    }

    /// The same disk, looked at again.
    pub fn again(&self) -> Result<Self> {
        read(&self.name).ok_or_else(|| format!("`{}` lost its table", self.name).into())
    }
}

/// Looks for something until it is there; drivers are loaded meanwhile.
pub fn wait<T>(
    modules: &mut Modules,
    what: &str,
    look: impl Fn() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        modules.answer();
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begun.elapsed() > PATIENCE {
            let all = disks()?.join(", ");
            return Err(format!("there is no {what}; the disks are: {all}").into());
        }
        sleep(Duration::from_millis(50));
    }
}

/// Waits until no more disks appear, for where none is known to come.
pub fn settle(modules: &mut Modules) -> Result<()> {
    let begun = Instant::now();
    let (mut known, mut since) = (Vec::new(), begun);
    while since.elapsed() < STILL && begun.elapsed() < PATIENCE {
        modules.answer();
        let found = disks()?;
        if found != known {
            (known, since) = (found, Instant::now());
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The disk that has partitions with both UUIDs.
pub fn by_uuids(one: &Uuid, other: &Uuid) -> Result<Option<Disk>> {
    let found = disks()?.into_iter().filter_map(|name| read(&name));
    let has = |disk: &Disk, uuid: &Uuid| disk.find(|partition| partition.uuid == *uuid).is_some();
    let mut found = found.filter(|disk| has(disk, one) && has(disk, other));
    Ok(found.next())
}

/// The disk with this serial number.
pub fn by_serial(serial: &str) -> Result<Option<String>> {
    let found = disks()?.into_iter().find(|disk| {
        let file = format!("/sys/block/{disk}/serial");
        fs::read_to_string(file).is_ok_and(|found| found.trim() == serial)
    });
    Ok(found.map(|disk| format!("/dev/{disk}")))
}

/// The disk, without partitions, whose ext4 file system has this label. Disks are not
/// waited for: the root's is there, and so are all of its kind.
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

/// A disk's partitions, as far as the kernel has devices for them.
fn read(name: &str) -> Option<Disk> {
    let table = gpt::read(&File::open(format!("/dev/{name}")).ok()?)?;
    let mut partitions = Vec::new();
    for entry in fs::read_dir(format!("/sys/block/{name}")).ok()?.flatten() {
        let number = fs::read_to_string(entry.path().join("partition")).unwrap_or_default();
        if let Ok(number) = number.trim().parse()
            && let Some(partition) = table.get(&number)
        {
            let device = format!("/dev/{}", entry.file_name().to_string_lossy());
            partitions.push((device, partition.clone()));
        }
    }
    partitions.sort_by_key(|(_, partition)| partition.start);
    Some(Disk {
        name: name.to_owned(),
        partitions,
    })
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
