//! What disks are made of and found by: systemd's stub, the kernel's lists of modules,
//! partition tables, and qcow2.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{choose, file, text};
use nodelith::bundle::disk::gpt;
use nodelith::bundle::disk::qcow2::read::Qcow2;
use nodelith::bundle::initrd::modules::{self, Texts};
use nodelith::bundle::uki::{self, Parts};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let (choice, rest) = choose(bytes);
    match choice % 4 {
        0 => {
            let _ = uki::make(&Parts {
                stub: rest,
                kernel: b"kernel",
                initrd: b"initrd",
                command_line: "quiet",
                os_release: b"ID=node\n",
                release: "6.12.0",
            });
        }
        1 => {
            let Some(text) = text(rest) else { return };
            let mut parts = text.split("\n\n");
            let mut next = || parts.next().unwrap_or_default();
            let texts = Texts {
                dependencies: next(),
                soft: next(),
                aliases: next(),
                builtin: next(),
            };
            let network = rest.len().is_multiple_of(2);
            let _ = modules::choose(&texts, network);
        }
        2 => {
            let disk = File::open(file("disk.raw", rest)).unwrap();
            let _ = gpt::read(&disk);
        }
        _ => {
            let path = file("disk.qcow2", rest);
            if let Ok(disk) = Qcow2::open(File::open(&path).unwrap(), &path) {
                let mut bytes = vec![0; 1 << 17];
                for at in [0, disk.size() / 2, disk.size().saturating_sub(1)] {
                    let _ = disk.read_at(&mut bytes, at);
                }
            }
        }
    }
}
