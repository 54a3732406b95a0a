//! Disk images: what a disk holds, as data, and the forms in which it is written.
//!
//! ```text
//! content   a disk of so many bytes, and the pieces that are on it
//! gpt       the partition table
//! fat       the EFI system partition
//! layout    which partitions a node's disk has, and how large they are
//! raw       the disk as it is, sparse
//! qcow2     with compressed clusters, for QEMU
//! vhd       fixed, for Azure
//! vmdk      for VMware, by qemu-img
//! gce       a tar, for Google Cloud
//! ```
//!
//! A form is written from the content alone: nothing is laid out on a real disk
//! first. The bytes depend on the parts and the sizes that were asked for;
//! docs/formats/disk.md says how. Changing that changes every disk.

pub mod content;
pub mod fat;
pub mod gce;
pub mod gpt;
pub mod layout;
pub mod qcow2;
pub mod raw;
pub mod vhd;
pub mod vmdk;

/// The size of a sector in bytes.
pub const SECTOR: u64 = 512;

/// Partitions begin and end at multiples of this many bytes.
pub const ALIGN: u64 = 1 << 20;

/// Fills the fields of a block in which all else is zero: where, and the bytes.
fn fields(size: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = vec![0; size];
    for (at, bytes) in fields {
        block[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    block
}
