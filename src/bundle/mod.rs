//! Bundles: what a machine boots or a person unpacks, made from an image, ours or
//! another's. Neither root nor mounts nor loop devices are needed.
//!
//! ```text
//! contents   the image's layers, read twice: for the tree, then for the contents of
//!            its files, which go to all that is made at once, each to its place
//! erofs      the plan of the root image: an EROFS file system
//! verity     hashes over its blocks
//! root       the root image and its root hash
//! tar        the root as one tar
//! squashfs   the root as squashfs, by mksquashfs
//! initrd     what finds the root on a machine and lays it out
//! parts      what a machine needs of an image: kernel, initrd, command line
//! uki        kernel and initrd as one program that firmware starts
//! update     what systemd-sysupdate is to find, and how it is told
//! sign       signatures for Secure Boot
//! disk       disk images in several forms
//! output     files written aside and renamed into place
//! export     all of that for one image
//! same       the root hash of an image or a file
//! ```
//!
//! The bytes of the root image, its hashes and the tar depend on the tree alone:
//! not on the manifest, the split into layers, their compression, the time, the
//! user, or the number of threads. Memory holds the tree and a hash of 32 bytes for
//! each block, and for what boots, kernel, initrd and the unified kernel image too;
//! contents are streamed.

pub mod contents;
pub mod disk;
pub mod erofs;
pub mod export;
pub mod initrd;
pub mod output;
pub mod parts;
pub mod root;
pub mod same;
pub mod sign;
mod squashfs;
pub mod tar;
pub mod uki;
pub mod update;
pub mod verity;
