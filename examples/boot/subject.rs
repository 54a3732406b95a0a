//! The image that is booted, and what the test must know of it.

use nodelith::bundle::parts::{Parts, Wanted};
use nodelith::bundle::same::outline;
use nodelith::image::read::Image;
use nodelith::report::{Mode, Report};
use nodelith::tree::TreePath;

use crate::{Result, init};

/// An image.
pub struct Subject {
    pub image: Image,
    /// What boots of it.
    pub parts: Parts,
    /// The major version of its systemd.
    pub systemd: u32,
}

impl Subject {
    /// Opens an image; all that is read of it is verified.
    pub fn open(reference: &str) -> Result<Self> {
        let image = Image::open(reference, None)?;
        let outline = outline(&image, &Report::new(Mode::Quiet))?;
        let init = init()?;
        let wanted = Wanted {
            init: Some(&init),
            ..Wanted::default()
        };
        let parts = Parts::read(&image, &outline, &wanted)?;
        let systemd = systemd(outline.tree.entries.keys()).ok_or("the image has no systemd")?;
        Ok(Self {
            image,
            parts,
            systemd,
        })
    }

    /// `PRETTY_NAME` of its os-release.
    pub fn name(&self) -> String {
        let text = String::from_utf8_lossy(&self.parts.os_release);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="));
        line.unwrap_or("?").trim_matches('"').to_owned()
    }
}

/// The major version of a root's systemd, by the name of its library.
fn systemd<'a>(mut paths: impl Iterator<Item = &'a TreePath>) -> Option<u32> {
    paths.find_map(|path| {
        let path = std::str::from_utf8(path.as_bytes()).ok()?;
        let (_, version) = path
            .strip_prefix("usr/lib/")?
            .split_once("libsystemd-shared-")?;
        version.split(['.', '-', '~']).next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_by_its_library() {
        for (path, version) in [
            (
                "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so",
                Some(257),
            ),
            (
                "usr/lib/systemd/libsystemd-shared-252.38-1~deb12u1.so",
                Some(252),
            ),
            ("usr/lib/systemd/libsystemd-shared-261~rc1.so", Some(261)),
            ("usr/share/doc/libsystemd-shared-257", None),
            ("usr/lib/libsystemd.so.0", None),
        ] {
            let paths = [TreePath::from("usr/lib/systemd"), TreePath::from(path)];
            assert_eq!(systemd(paths.iter()), version, "{path}");
        }
    }
}
