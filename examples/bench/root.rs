//! Root images: of an image, and of a folder, beside `mkfs.erofs` and `veritysetup`.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use nodelith::bundle::contents::{Contents, Give, pour};
use nodelith::bundle::erofs::Plan;
use nodelith::bundle::output::Target;
use nodelith::bundle::root::RootWriter;
use nodelith::image::Image;
use nodelith::tree::scan::scan;
use nodelith::tree::{Content, FIXED_TIME, Node, Tree};
use rayon::iter::{ParallelBridge, ParallelIterator};

use crate::data::Data;
use crate::figures::{Aim, Measure, Tool};
use crate::{Result, run};

/// What is made of an image, beside unpacking the same layers and a script that makes it
/// of the folder.
pub struct OfImage {
    pub name: &'static str,
    pub format: &'static str,
    /// The file that both make.
    pub file: &'static str,
    pub peer: &'static str,
    /// Makes the file of the folder `$0/root`, in the folder `$0`.
    pub script: &'static str,
}

/// The root image with its hashes.
pub const ROOT_IMAGE: OfImage = OfImage {
    name: "root image of an image",
    format: "verity",
    file: "root.erofs",
    peer: "tar, mkfs.erofs, veritysetup",
    script: r#"
mkfs.erofs --quiet "$0/root.erofs" "$0/root"
veritysetup format "$0/root.erofs" "$0/root.verity"
"#,
};

impl OfImage {
    /// Measures it.
    pub fn measure(&self, data: &Data, runs: usize) -> Result<Measure> {
        let mut ours = Tool::new("nodelith");
        let mut theirs = Tool::new(self.peer);
        let layout = data.layout(&data.downloads);
        let layers = Image::open(&layout.display().to_string(), None)?.layers;
        let script = format!("{UNPACK}{}", self.script);
        for number in 1..=runs {
            eprintln!("{} {number}/{runs}", self.name);
            let folder = data.folder()?;
            let out = folder.path().join("out");
            let mut export = Command::new(&data.nodelith);
            export.arg("export").arg(&layout);
            export.args(["--to", self.format, "--output"]).arg(&out);
            ours.add(run::timed(&mut export)?);
            ours.bytes = Some(fs::metadata(out.join(self.file))?.len());
            drop(folder);

            let folder = data.folder()?;
            let mut unpack = Command::new("bash");
            unpack.arg("-c").arg(&script).arg(folder.path());
            for layer in &layers {
                let digest = layer.descriptor.digest.hex();
                unpack.arg(layout.join("blobs/sha256").join(digest));
            }
            theirs.add(run::timed(&mut unpack)?);
            theirs.bytes = Some(fs::metadata(folder.path().join(self.file))?.len());
        }
        Ok(beside(self.name, ours, theirs))
    }
}

/// Two tools' times; ours are to be the shorter ones.
pub fn beside(name: &'static str, ours: Tool, theirs: Tool) -> Measure {
    Measure {
        name,
        unit: "s",
        ours,
        peers: vec![theirs],
        aim: Aim::Ratio(1.0),
    }
}

/// Layers to the folder `$0/root`.
const UNPACK: &str = r#"
set -euo pipefail
mkdir "$0/root"
for layer; do
    zstd -qdc "$layer" | tar -xp --numeric-owner --xattrs '--xattrs-include=*' -C "$0/root"
done
"#;

/// A folder → root image with its hashes, by the library's own stages.
pub fn of_folder(data: &Data, runs: usize) -> Result<Measure> {
    let mut ours = Tool::new("nodelith");
    let mut theirs = Tool::new("mkfs.erofs, veritysetup");
    let this = std::env::current_exe()?;
    let root = data.root();
    for number in 1..=runs {
        eprintln!("root image of a folder {number}/{runs}");
        let folder = data.folder()?;
        let mut command = Command::new(&this);
        command.arg("--root-image").arg(&root).arg(folder.path());
        ours.add(run::timed(&mut command)?);
        ours.bytes = Some(fs::metadata(folder.path().join("root.erofs"))?.len());
        drop(folder);

        let folder = data.folder()?;
        let image = folder.path().join("root.erofs");
        let mut make = Command::new("mkfs.erofs");
        let seconds = run::timed(make.arg("--quiet").arg(&image).arg(&root))?;
        let mut format = Command::new("veritysetup");
        format.arg("format").arg(&image);
        theirs.add(seconds + run::timed(format.arg(folder.path().join("root.verity")))?);
        theirs.bytes = Some(fs::metadata(&image)?.len());
    }
    Ok(beside("root image of a folder", ours, theirs))
}

/// `bench --root-image ROOT FOLDER`, in a process of its own.
pub fn main(root: &Path, folder: &Path) -> Result<()> {
    let tree = scan(root, &|_| Some(("component".into(), FIXED_TIME)), i64::MAX)?;
    let plan = Plan::new(&tree)?;
    let path = folder.join("root.erofs");
    let mut options = File::options();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    let target = Target {
        file: &file,
        path: &path,
    };
    let writer = RootWriter::new(&plan, target)?;
    pour(&tree, &OnDisk(&tree), &[&writer], &|_| {})?;
    let image = writer.finish()?;
    let mut hashes = Vec::new();
    for piece in image.hashes.file(&image.verity_uuid) {
        hashes.extend_from_slice(&piece);
    }
    fs::write(folder.join("root.verity"), hashes)?;
    Ok(())
}

struct OnDisk<'a>(&'a Tree);

impl Contents for OnDisk<'_> {
    fn each(&self, give: &Give<'_>) -> nodelith::error::Result<()> {
        let entries = self.0.entries.iter().par_bridge();
        entries.try_for_each(|(path, entry)| match &entry.node {
            Node::File {
                content: Content::Disk(file),
                ..
            } => give(path, &mut Later(file, None)),
            _ => Ok(()),
        })
    }
}

/// A file that is opened when it is read.
struct Later<'a>(&'a Path, Option<File>);

impl Read for Later<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        if self.1.is_none() {
            self.1 = Some(File::open(self.0)?);
        }
        self.1.as_mut().map_or(Ok(0), |file| file.read(bytes))
    }
}
