//! What `nodelith export` made, as something to boot: its disk as it is.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bundle::export::{DESCRIPTION, Format};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::report::{Report, Unit};

/// The greatest description that is read, in bytes.
const LARGEST: u64 = 1 << 20;

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
        Ok(Self {
            reference: reference.to_owned(),
            image: about.image,
            disk,
        })
    }
}

fn description(path: &Path) -> Result<Description> {
    let mut text = String::new();
    let file = File::open(path).io("opening", path)?;
    let read = file.take(LARGEST).read_to_string(&mut text);
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
