//! `/var` grows when its disk was made larger: first its partition, by systemd-repart of
//! the image, then its file system, by the kernel.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsRawFd;

use nodelith::bundle::disk::gpt::Partition;

use crate::devices::Disk;
use crate::{Result, VAR_LABEL};

/// What stands behind the last partition, and what alignment leaves free, is less.
const ROOM: u64 = 16 << 20;

/// `EXT4_IOC_RESIZE_FS`, `_IOW('f', 16, __u64)` (the kernel's `fs/ext4/ext4.h`).
const RESIZE: libc::c_ulong = 1 << 30 | 8 << 16 | 0x66 << 8 | 16;

/// Whether there is room behind `/var` on a disk that has it.
pub fn has_room(disk: &Disk, size: u64) -> bool {
    let end = |partition: &Partition| partition.start.saturating_add(partition.size);
    let last = disk.partitions.iter().map(|(_, partition)| partition);
    let last = last.max_by_key(|partition| end(partition));
    last.is_some_and(|last| last.name == VAR_LABEL && size.saturating_sub(end(last)) > ROOM)
}

/// Has the ext4 file system that is mounted fill its device; one that does is left alone.
/// That it stays smaller is no reason not to start.
pub fn file_system(device: &str, at: &str) {
    if let Err(error) = resize(device, at) {
        eprintln!("nodelith: {at} stays smaller than `{device}`: {error}");
    }
}

fn resize(device: &str, at: &str) -> Result<()> {
    let size = File::open(device)?.seek(SeekFrom::End(0))?;
    let block = rustix::fs::statvfs(at)?.f_bsize;
    let blocks = size / block.max(1);
    let root = File::open(at)?;
    // SAFETY: the call reads one number of 64 bits, which lives until it returns.
    let done = unsafe { libc::ioctl(root.as_raw_fd(), RESIZE as _, &raw const blocks) };
    match done {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_behind_var() {
        let partition = |name: &str, start| {
            let partition = Partition {
                kind: [1; 16],
                uuid: [2; 16],
                name: name.into(),
                flags: 0,
                start,
                size: 1 << 20,
            };
            ("/dev/x".to_owned(), partition)
        };
        let disk = |names: [&str; 2]| Disk {
            name: "x".into(),
            partitions: [partition(names[0], 1 << 20), partition(names[1], 2 << 20)].into(),
        };
        let var = disk(["root", VAR_LABEL]);
        assert!(has_room(&var, 64 << 20));
        assert!(!has_room(&var, 4 << 20));
        assert!(!has_room(&var, 0));
        assert!(!has_room(&disk([VAR_LABEL, "other"]), 64 << 20));
        assert_eq!(RESIZE, 0x4008_6610);
    }
}
