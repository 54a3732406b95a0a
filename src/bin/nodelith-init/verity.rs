//! A device that is checked as it is read: dm-verity, set up by the device mapper's own
//! calls (the kernel's `include/uapi/linux/dm-ioctl.h`, and the target's table in
//! `Documentation/admin-guide/device-mapper/verity.rst`).

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use crate::Result;

/// What the device is called.
const NAME: &[u8] = b"root";

/// `struct dm_ioctl` and what may follow it.
const HEADER: usize = 312;
const BUFFER: usize = 4096;

/// `_IOWR(0xfd, number, struct dm_ioctl)`.
const fn call(number: libc::c_ulong) -> libc::c_ulong {
    3 << 30 | (HEADER as libc::c_ulong) << 16 | 0xfd << 8 | number
}

const CREATE: libc::c_ulong = call(3);
const RESUME: libc::c_ulong = call(6);
const LOAD: libc::c_ulong = call(9);

/// `DM_READONLY_FLAG`.
const READ_ONLY: u32 = 1;

/// Makes the device of `data` and the hashes in `hashes`, checked against `root_hash`
/// (in hexadecimal digits). A block that is not what it was stops the machine.
pub fn open(data: &str, hashes: &str, root_hash: &str) -> Result<String> {
    let mut block = [0; 512];
    File::open(hashes)
        .and_then(|file| file.read_exact_at(&mut block, 0))
        .map_err(|error| format!("verity: reading `{hashes}`: {error}"))?;
    let table = Superblock::read(&block)
        .ok_or_else(|| format!("verity: `{hashes}` has no superblock"))?
        .table(data, hashes, root_hash);
    let control = File::options()
        .read(true)
        .write(true)
        .open("/dev/mapper/control")
        .map_err(|error| format!("verity: opening the device mapper: {error}"))?;
    let made = call_with(&control, CREATE, 0, None)?;
    call_with(&control, LOAD, READ_ONLY, Some(&table))?;
    // Resumed: what was loaded becomes what is read.
    call_with(&control, RESUME, 0, None)?;
    Ok(format!("/dev/dm-{}", minor(made)))
}

/// What the superblock says (the cryptsetup project's description of it).
#[derive(Debug, PartialEq, Eq)]
struct Superblock {
    data_block: u32,
    hash_block: u32,
    blocks: u64,
    /// The same in sectors.
    sectors: u64,
    algorithm: String,
    salt: String,
}

impl Superblock {
    fn read(block: &[u8; 512]) -> Option<Self> {
        let u32 = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap_or_default());
        let known = block.starts_with(b"verity\0\0") && u32(8) == 1 && u32(12) == 1;
        let algorithm = block[32..64].split(|byte| *byte == 0).next()?;
        let algorithm = String::from_utf8(algorithm.to_vec()).ok()?;
        // It is a word of the table.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let salt = usize::from(u16::from_le_bytes([block[80], block[81]]));
        let sizes = [u32(64), u32(68)];
        let good = sizes
            .iter()
            .all(|size| size.is_power_of_two() && (512..=4096).contains(size));
        if !known || !good || salt > 256 || algorithm.is_empty() || !algorithm.bytes().all(plain) {
            return None;
        }
        let blocks = u64::from_le_bytes(block[72..80].try_into().ok()?);
        Some(Self {
            data_block: sizes[0],
            hash_block: sizes[1],
            blocks,
            sectors: blocks.checked_mul(u64::from(sizes[0] / 512))?,
            algorithm,
            salt: block[88..88 + salt]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        })
    }

    /// The target's length in sectors, and its words.
    fn table(&self, data: &str, hashes: &str, root_hash: &str) -> (u64, String) {
        let salt = if self.salt.is_empty() {
            "-"
        } else {
            &self.salt
        };
        let words = format!(
            "1 {data} {hashes} {} {} {} 1 {} {root_hash} {salt} 1 panic_on_corruption",
            self.data_block, self.hash_block, self.blocks, self.algorithm
        );
        (self.sectors, words)
    }
}

/// Makes a call; returns the device's number.
fn call_with(
    control: &File,
    call: libc::c_ulong,
    flags: u32,
    table: Option<&(u64, String)>,
) -> Result<u64> {
    let mut buffer = request(flags, table);
    // SAFETY: the buffer is a `struct dm_ioctl` that says how long it is with what follows,
    // and lives until the call returns.
    let done = unsafe { libc::ioctl(control.as_raw_fd(), call as _, buffer.as_mut_ptr()) };
    if done < 0 {
        let error = std::io::Error::last_os_error();
        return Err(format!("verity: the device mapper refuses: {error}").into());
    }
    Ok(u64::from_le_bytes(buffer[40..48].try_into()?))
}

/// `struct dm_ioctl`, with a `struct dm_target_spec` and its words behind it.
fn request(flags: u32, table: Option<&(u64, String)>) -> Vec<u8> {
    let mut buffer = vec![0; BUFFER];
    let mut put = |at: usize, bytes: &[u8]| buffer[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &4_u32.to_ne_bytes()); // the interface's version, 4.0.0
    put(12, &(BUFFER as u32).to_ne_bytes());
    put(16, &(HEADER as u32).to_ne_bytes());
    put(20, &u32::from(table.is_some()).to_ne_bytes());
    put(28, &flags.to_ne_bytes());
    put(48, NAME);
    if let Some((sectors, words)) = table {
        put(HEADER + 8, &sectors.to_ne_bytes());
        put(HEADER + 24, b"verity");
        put(HEADER + 40, words.as_bytes());
    }
    buffer
}

/// The minor number in `huge_encode_dev` of the kernel's.
fn minor(device: u64) -> u64 {
    device & 0xff | device >> 12 & 0xf_ff00
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_superblock_makes_the_table() {
        let hashes = nodelith::bundle::verity::HashTree::new(&[[1; 32], [2; 32]]);
        let file: Vec<u8> = hashes
            .file(&[9; 16])
            .flat_map(std::borrow::Cow::into_owned)
            .collect();
        let block: [u8; 512] = file[..512].try_into().unwrap();
        let table = Superblock::read(&block).unwrap().table("A", "B", "cafe");
        let salt: String = b"nodelith.root.dm-verity.salt.v1."
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let words = format!("1 A B 4096 4096 2 1 sha256 cafe {salt} 1 panic_on_corruption");
        assert_eq!(table, (16, words));
        for at in [0, 8, 33, 64, 81] {
            let mut block = block;
            block[at] = 0x20;
            assert_eq!(Superblock::read(&block), None, "{at}");
        }
        let mut endless = block;
        endless[72..80].fill(0xff);
        assert_eq!(Superblock::read(&endless), None);
    }

    #[test]
    fn numbers_of_devices() {
        assert_eq!(
            (minor(0xfe00), minor(0xfe03), minor(0x10_fe03)),
            (0, 3, 0x103)
        );
        assert_eq!(CREATE, 0xc138_fd03);
    }
}
