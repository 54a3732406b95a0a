//! What systemd-sysupdate updates a disk with: the root and its hashes, compressed, and
//! the unified kernel image, each named so that the definitions of `bundle::update` find
//! it and its partition's UUID.

use std::io::{self, BufWriter, Write};

use super::{Format, Job, hex};
use crate::bundle::output::{AtEnd, Output, Target};
use crate::bundle::parts::Parts;
use crate::bundle::root::RootImage;
use crate::bundle::update::{File, Name};
use crate::error::{Context, Result};
use crate::layer::compress::{Compression, Compressor};
use crate::report::{Report, Unit, human_bytes};

/// gzip is the best that systemd-pull of every version decompresses and that takes no
/// minutes to make; zstd needs systemd 258.
const COMPRESSION: Compression = Compression::GZIP;

/// Read so many bytes at a time.
const PIECE: u64 = 1 << 20;

/// Says what the image lacks to be updated, or to be a disk that is.
pub(super) fn check(parts: &Parts, disk: bool, update: bool, report: &Report) -> Result<()> {
    let lacks = |program: &str, package: &str, so: &str| {
        report.warning(&format!(
            "the image has no `{program}` (in Debian from {package}): {so}"
        ));
    };
    if disk && !parts.tools.repart {
        let so = "its disk gets no second slot and no `/var`";
        lacks("systemd-repart", "systemd-repart", so);
    }
    if disk && parts.tools.repart && !parts.tools.mkfs {
        let so = "its disk gets no second slot, and its `/var` is in memory";
        lacks("mkfs.ext4", "e2fsprogs", so);
    }
    if (disk || update) && !parts.tools.bless {
        let so = "no version is marked as good, so one that does not come up is tried for ever";
        lacks("systemd-bless-boot", "systemd-boot", so);
    }
    if update && !parts.tools.sysupdate {
        let so = "a node that runs this version takes no newer one";
        lacks("systemd-sysupdate", "systemd-container", so);
    }
    match parts.name.check() {
        Err(error) if update => Err(error),
        Err(error) if disk && parts.tools.sysupdate => {
            report.warning(&format!(
                "this disk will not be updated: {}",
                error.message()
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Writes the files aside.
pub(super) fn make(
    job: &Job<'_>,
    name: &Name,
    file: &Output,
    root: &RootImage,
    uki: &[u8],
) -> Result<Vec<(Format, Output)>> {
    let task = job.report.task(Format::Sysupdate.name(), None, Unit::Bytes);
    let hash = root.hashes.root();
    let (first, second) = hash.split_at(hash.len() / 2);
    let output =
        |file: File, half: &[u8]| job.named(Format::Sysupdate, &name.file(file, &hex(half)));
    let (verity, image) = (output(File::Verity, second)?, output(File::Root, first)?);
    let kernel = output(File::Uki, &[])?;

    let mut pieces = root.hashes.file(&root.verity_uuid);
    compress(verity.1.file(), job.threads, |to| {
        pieces.try_for_each(|piece| to.write_all(&piece))
    })?;
    let source = file.file();
    let size = source.size()?;
    let mut failed = Ok(());
    let packed = compress(image.1.file(), job.threads, |to| {
        let mut bytes = vec![0; PIECE.min(size) as usize];
        for at in (0..size).step_by(PIECE as usize) {
            let piece = &mut bytes[..(size - at).min(PIECE) as usize];
            if let Err(error) = source.get(at, piece) {
                failed = Err(error);
                return Err(io::ErrorKind::Other.into());
            }
            task.advance(piece.len() as u64);
            to.write_all(piece)?;
        }
        Ok(())
    });
    failed.and(packed)?;
    kernel.1.file().put(0, uki)?;
    let size = human_bytes(image.1.file().size()?);
    task.finish(&format!(
        "{size} for a root of {}",
        human_bytes(source.size()?)
    ));
    Ok(vec![verity, image, kernel])
}

/// Compresses what is written.
fn compress(
    target: Target<'_>,
    threads: usize,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let all = || {
        let mut gzip = Compressor::new(BufWriter::new(AtEnd::new(target)), COMPRESSION, threads)?;
        write(&mut gzip)?;
        gzip.finish()?
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        Ok(())
    };
    let done: io::Result<()> = all();
    done.io("writing", target.path)
}
