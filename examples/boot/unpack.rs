//! An image's root as a folder, with modes, owners and attributes.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nodelith::image::read::Image;
use nodelith::image::source::Verified;
use nodelith::layer::compress::decompress;

use crate::Result;

/// An unpacked image.
pub struct Unpacked {
    /// Its root.
    pub root: PathBuf,
    /// The digest of its manifest.
    pub digest: String,
}

/// Unpacks an image, layer over layer, each verified.
pub fn unpack(reference: &str, folder: &Path) -> Result<Unpacked> {
    let image = Image::open(reference, None)?;
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    fs::create_dir(&root)?;
    for layer in &image.layers {
        let plain = decompress(image.layer(layer)?)?;
        let mut plain = Verified::new(plain, layer.diff_id, None);
        let mut tar = Command::new("tar")
            .args(["--extract", "--preserve-permissions", "--numeric-owner"])
            .args(["--xattrs", "--xattrs-include=*", "--verbose", "--directory"])
            .arg(&root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (mut input, mut output) = match (tar.stdin.take(), tar.stdout.take()) {
            (Some(input), Some(output)) => (input, output),
            _ => return Err("tar has no pipes".into()),
        };
        let names = std::thread::spawn(move || {
            let mut names = String::new();
            output.read_to_string(&mut names).map(|_| names)
        });
        io::copy(&mut plain, &mut input)?;
        drop(input);
        let names = names.join().map_err(|_| "reading what tar says")??;
        if !tar.wait()?.success() {
            return Err(format!("tar cannot unpack layer {}", layer.descriptor.digest).into());
        }
        let whiteout = |name: &&str| {
            name.rsplit('/')
                .next()
                .is_some_and(|last| last.starts_with(".wh."))
        };
        if let Some(name) = names.lines().find(whiteout) {
            return Err(format!(
                "layer {} takes away what is below it (`{name}`): such images cannot be booted yet",
                layer.descriptor.digest
            )
            .into());
        }
    }
    let digest = image.manifest.digest.to_string();
    Ok(Unpacked { root, digest })
}

impl Unpacked {
    /// The major version of its systemd.
    pub fn systemd(&self) -> Result<u32> {
        for entry in fs::read_dir(self.root.join("usr/lib"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let folder = entry.path();
            let folders = [folder.clone(), folder.join("systemd")];
            for entry in folders
                .iter()
                .filter_map(|folder| fs::read_dir(folder).ok())
                .flatten()
                .flatten()
            {
                let name = entry.file_name().to_string_lossy().into_owned();
                let version = name.strip_prefix("libsystemd-shared-");
                let version =
                    version.and_then(|rest| rest.split(['.', '-', '~']).next()?.parse().ok());
                if let Some(version) = version {
                    return Ok(version);
                }
            }
        }
        Err("the image has no systemd".into())
    }

    /// What the image wants on the kernel's command line.
    pub fn command_line(&self) -> String {
        let text = fs::read_to_string(self.root.join("usr/lib/kernel/cmdline")).unwrap_or_default();
        text.trim().to_owned()
    }

    /// `PRETTY_NAME` of its os-release.
    pub fn name(&self) -> String {
        let text = fs::read_to_string(self.root.join("usr/lib/os-release")).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="));
        line.unwrap_or("?").trim_matches('"').to_owned()
    }
}
