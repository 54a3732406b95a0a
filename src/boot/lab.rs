//! A machine with an exported disk and a script of somebody else's: for tests of what no
//! proof of one image shows, as an update to another.

use std::path::{Path, PathBuf};

use super::guest::Test;
use super::qemu::Machine;
use super::subject::Subject;
use super::{Options, Way, ways};
use crate::error::Result;
use crate::image::read::Image;

/// A machine that keeps its disk from boot to boot.
pub struct Lab {
    machine: Machine,
    folder: PathBuf,
}

/// What came of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What the script said.
    pub text: String,
    /// What was on the console.
    pub console: String,
    /// Whether the machine stopped, or started again, in time.
    pub ended: bool,
}

impl Lab {
    /// Makes the machine in `folder`: with the image on its disk, the script in the guest
    /// ([`prove`](super::prove) has one of its own), `words` on the kernel's command line,
    /// and a network that reaches this machine as `10.0.2.2`.
    ///
    /// # Errors
    /// As for [`prove`](super::prove).
    pub fn new(
        image: &Image,
        options: &Options<'_>,
        script: &str,
        words: &str,
        folder: &Path,
    ) -> Result<Self> {
        let subject = Subject::read(image, options.init)?;
        let mut test = Test::make(&subject, script, folder)?;
        test.command_line = format!("{} {words}", test.command_line);
        let network = ["-nic", "user,model=virtio-net-pci"];
        test.qemu.extend(network.map(Into::into));
        let options = Options {
            way: Way::Disk,
            ..options.clone()
        };
        Ok(Self {
            machine: Machine {
                start: ways::start(&subject, &test, &options, folder)?,
                test,
                deadline: options.deadline,
            },
            folder: folder.to_owned(),
        })
    }

    /// The machine's disk.
    #[must_use]
    pub fn disk(&self) -> &Path {
        self.machine
            .start
            .disks
            .first()
            .map_or(&self.folder, |disk| &disk.path)
    }

    /// Boots until the machine powers off or starts again; files about it have this name.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub fn boot(&self, name: &str) -> Result<Said> {
        let outcome = self.machine.boot(&self.folder.join(name))?;
        Ok(Said {
            text: outcome.results,
            console: outcome.console,
            ended: outcome.ended,
        })
    }
}
