//! The image that is booted, and what the test must know of it.

use std::path::Path;

use crate::bundle::parts::{Parts, Wanted};
use crate::bundle::same::outline;
use crate::error::{Error, Kind, Result};
use crate::image::read::Image;
use crate::report::{Mode, Report};
use crate::tree::TreePath;

/// An image.
pub struct Subject<'a> {
    pub image: &'a Image,
    /// What boots of it.
    pub parts: Parts,
    /// The major version of its systemd.
    pub systemd: u32,
}

impl<'a> Subject<'a> {
    /// Reads of an image what boots; all that is read is verified. `init` is the
    /// initrd's program, if it is not the one beside the running program.
    pub fn read(image: &'a Image, init: Option<&Path>) -> Result<Self> {
        let architecture = image.config.architecture().to_string();
        if architecture != "amd64" {
            let message = format!("the image is for `{architecture}`: only amd64 is booted");
            return Err(Error::new(Kind::Usage, message));
        }
        let outline = outline(image, &Report::new(Mode::Quiet))?;
        let wanted = Wanted {
            init,
            ..Wanted::default()
        };
        let parts = Parts::read(image, &outline, &wanted)?;
        let systemd = systemd(outline.tree.entries.keys())
            .ok_or_else(|| Error::new(Kind::Usage, "the image has no systemd"))?;
        Ok(Self {
            image,
            parts,
            systemd,
        })
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
