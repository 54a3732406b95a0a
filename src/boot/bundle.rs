//! What `nodelith export` made, as something to boot: its disk as it is.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bundle::disk::qcow2::read::Qcow2;
use crate::bundle::export::{DESCRIPTION, Format, LONGEST};
use crate::bundle::same::{self, FileRoot, Form};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::image::Image;
use crate::report::{Report, Unit};

/// Disks that QEMU reads, in the order in which they are taken.
const DISKS: [Format; 3] = [Format::Disk, Format::Qcow2, Format::Vhd];

/// A folder of exported files.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// What it was named by.
    pub reference: String,
    /// The manifest's digest of the image that it was made from.
    pub image: Digest,
    /// The disk, which is what the description says.
    pub disk: PathBuf,
    format: Format,
}

#[derive(Deserialize)]
struct Description {
    schema: String,
    version: u32,
    image: Digest,
    architecture: String,
    files: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    format: String,
    size: u64,
    digest: Digest,
}

impl Bundle {
    /// Whether a path is one.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        path.join(DESCRIPTION).is_file()
    }

    /// Opens a folder, and verifies the disk that is booted of it.
    ///
    /// # Errors
    /// When it is no export, has no disk that QEMU reads, or a file is not what its
    /// digest says.
    pub fn open(reference: &str, report: &Report) -> Result<Self> {
        Self::read(reference, report)
            .map_err(|error| error.context(format!("opening bundle `{reference}`")))
    }

    fn read(reference: &str, report: &Report) -> Result<Self> {
        let folder = Path::new(reference);
        let about = description(&folder.join(DESCRIPTION))?;
        if about.architecture != "amd64" {
            let message = format!("it is for `{}`: only amd64 is booted", about.architecture);
            return Err(Error::new(Kind::Usage, message));
        }
        let of = |format: &Format| {
            let mut files = about.files.iter();
            files.find(|file| file.format == format.name())
        };
        let found = DISKS.iter().find_map(|format| Some((format, of(format)?)));
        let Some((format, file)) = found else {
            let message = "it has no disk that QEMU boots";
            return Err(Error::new(Kind::Usage, message)
                .hint("make one: `nodelith export IMAGE --to disk --output DIR`"));
        };
        let disk = folder.join(format.file());
        let task = report.task("verifying", Some(file.size), Unit::Bytes);
        let reader = BufReader::with_capacity(1 << 20, File::open(&disk).io("opening", &disk)?);
        let (digest, size) = Digest::of_reader(reader).io("reading", &disk)?;
        task.advance(size);
        if (digest, size) != (file.digest, file.size) {
            let message = format!(
                "`{}` is not what {DESCRIPTION} says: it has {digest}, not {}",
                disk.display(),
                file.digest
            );
            return Err(Error::new(Kind::Verify, message).hint("export it again"));
        }
        task.finish(format.file());
        if *format == Format::Qcow2 {
            // A stranger's may name files of this machine, which QEMU would open: this opens none.
            Qcow2::open(File::open(&disk).io("opening", &disk)?, &disk)?;
        }
        Ok(Self {
            reference: reference.to_owned(),
            image: about.image,
            disk,
            format: *format,
        })
    }

    /// Makes sure that this is of an image: its description, which anybody can write, and
    /// the root on its disk.
    ///
    /// # Errors
    /// [`Kind::Verify`] when it is not; or when one of them cannot be read, or the disk is in a
    /// form that cannot be compared.
    pub fn is_of(&self, image: &Image, report: &Report) -> Result<()> {
        if image.manifest.digest != self.image {
            let message = format!(
                "the bundle was made from {}, and `{}` is {}",
                self.image, image.reference, image.manifest.digest
            );
            return Err(Error::new(Kind::Verify, message));
        }
        // As what QEMU reads it, whatever it looks like.
        let form = match self.format {
            Format::Disk => Form::Disk,
            Format::Qcow2 => Form::Qcow2,
            // A VHD may keep its blocks elsewhere than a disk as it is has them.
            _ => {
                let message = format!(
                    "a disk as VHD, as `{}`, cannot be compared with an image",
                    self.disk.display()
                );
                return Err(Error::new(Kind::Usage, message).hint("export it as `disk` or `qcow2`"));
            }
        };
        let roots = same::of_path(&self.disk)?.unwrap_or_default();
        let wanted = same::of_image(image, report)?;
        let is_it = |root: &FileRoot| root.form == form && root.hash == wanted;
        match !roots.is_empty() && roots.iter().all(is_it) {
            true => Ok(()),
            false => {
                let message = format!(
                    "the root on `{}` is not that of `{}`",
                    self.disk.display(),
                    image.reference
                );
                Err(Error::new(Kind::Verify, message).hint("export it again"))
            }
        }
    }
}

fn description(path: &Path) -> Result<Description> {
    let mut text = String::new();
    let file = File::open(path).io("opening", path)?;
    let read = file.take(LONGEST).read_to_string(&mut text);
    read.io("reading", path)?;
    let about: Description =
        serde_json::from_str(&text).map_err(|error| Error::io("reading", path, error))?;
    match (&*about.schema, about.version) {
        ("nodelith.export", 1) => Ok(about),
        _ => Err(Error::io(
            "reading",
            path,
            "it is not a description of an export that is known",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::boot::overlay;
    use crate::report::Mode;

    #[test]
    fn a_disk_over_another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // A file of this machine that whoever boots it may read.
        fs::write(path("secret.raw"), [b'x'; 4096]).unwrap();
        overlay::write(&path("disk.qcow2"), &path("secret.raw"), 0).unwrap();
        let open = || {
            let bytes = fs::read(path("disk.qcow2")).unwrap();
            let digest = Digest::of(&bytes);
            let about = serde_json::json!({
                "schema": "nodelith.export", "version": 1, "image": digest, "architecture": "amd64",
                "files": [{"format": "qcow2", "size": bytes.len(), "digest": digest}],
            });
            fs::write(path(DESCRIPTION), about.to_string()).unwrap();
            Bundle::open(folder.path().to_str().unwrap(), &Report::new(Mode::Quiet))
        };
        let error = open().unwrap_err();
        assert_eq!(error.kind(), Kind::Verify);
        assert!(
            error.message().ends_with("it has a backing file"),
            "{error}"
        );

        // The same with no file below it; and with its data in another.
        let mut bytes = fs::read(path("disk.qcow2")).unwrap();
        bytes[8..20].fill(0);
        fs::write(path("disk.qcow2"), &bytes).unwrap();
        open().unwrap();
        bytes[79] |= 4;
        fs::write(path("disk.qcow2"), &bytes).unwrap();
        let error = open().unwrap_err();
        assert!(error.message().contains("it needs features 0x4"), "{error}");
    }
}
