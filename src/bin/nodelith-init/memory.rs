//! A root image in memory: its digest, and the block device that it becomes (loop(4)).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;

use sha2::{Digest as _, Sha256};

use crate::Result;
use crate::source::Digest;

/// `LOOP_CTL_GET_FREE` and `LOOP_SET_FD` (the kernel's `include/uapi/linux/loop.h`).
const GET_FREE: libc::Ioctl = 0x4c82;
const SET_FILE: libc::Ioctl = 0x4c00;

/// How much of memory is never filled with a root: what starts it needs some too.
pub const RESERVE: u64 = 64 << 20;

/// Says whether a root of so many bytes fits into memory, in words if not.
pub fn fits(size: u64) -> Result<()> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    match available(&text) {
        Some(free) if size.saturating_add(RESERVE) > free => Err(format!(
            "the root has {} MB, and only {} MB of memory are free: give the machine more",
            size >> 20,
            free >> 20
        )
        .into()),
        _ => Ok(()),
    }
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    number.checked_mul(1024)
}

/// Compares a file's digest with the one that was asked for.
pub fn check(file: &mut File, name: &str, wanted: &Digest) -> Result<()> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    file.seek(SeekFrom::Start(0))?;
    loop {
        let size = file.read(&mut buffer)?;
        if size == 0 {
            break;
        }
        hash.update(&buffer[..size]);
    }
    compare(&hash.finalize().into(), name, wanted)
}

/// An error if a digest is not what was asked for.
pub fn compare(found: &Digest, name: &str, wanted: &Digest) -> Result<()> {
    let text = |digest: &Digest| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let [found_text, wanted_text]: [String; 2] = [text(found), text(wanted)];
    match found == wanted {
        true => Ok(()),
        false => Err(format!(
            "`{name}` is not the root that was asked for: its SHA-256 is {found_text}, not {wanted_text}"
        )
        .into()),
    }
}

/// Makes a block device of a file, which need not keep its name; returns its path.
pub fn attach(file: &File) -> Result<String> {
    // What is opened for reading alone makes a device for reading alone.
    let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let control = File::options()
        .read(true)
        .write(true)
        .open("/dev/loop-control")
        .map_err(|error| format!("no loop devices: {error}"))?;
    // SAFETY: the call takes no argument.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE) };
    if number < 0 {
        return Err(failed(&std::io::Error::last_os_error()));
    }
    let path = format!("/dev/loop{number}");
    let device = File::open(&path).map_err(|error| failed(&error))?;
    // SAFETY: the argument is the number of an open file.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), SET_FILE, file.as_raw_fd()) };
    match done < 0 {
        true => Err(failed(&std::io::Error::last_os_error())),
        false => Ok(path),
    }
}

fn failed(error: &std::io::Error) -> crate::Error {
    format!("making a loop device: {error}").into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn memory_that_is_free() {
        let text = "MemTotal:  2030668 kB\nMemFree: 1 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(available(text), Some(1 << 20));
        for text in [
            "",
            "MemAvailable: x kB",
            "MemAvailable: 99999999999999999999 kB",
        ] {
            assert_eq!(available(text), None);
        }
        assert!(fits(1).is_ok());
        let said = fits(u64::MAX).unwrap_err().to_string();
        assert!(
            said.starts_with("the root has 17592186044415 MB, and only "),
            "{said}"
        );
    }

    #[test]
    fn digests() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"root").unwrap();
        let good: Digest = Sha256::digest(b"root").into();
        check(&mut file, "root.erofs", &good).unwrap();
        let said = check(&mut file, "root.erofs", &[0; 32])
            .unwrap_err()
            .to_string();
        let digest = "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2";
        let wanted = "0".repeat(64);
        let message = format!(
            "`root.erofs` is not the root that was asked for: its SHA-256 is {digest}, not {wanted}"
        );
        assert_eq!(said, message);
    }
}
