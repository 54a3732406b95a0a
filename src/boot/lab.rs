//! A machine with an exported disk and a script of somebody else's: for tests of what no
//! proof of one image shows, as an update to another.

use std::path::{Path, PathBuf};

use super::accelerator::Engine;
use super::guest::Test;
use super::overlay;
use super::qemu::{End, Machine};
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
        let mut test = Test::make(subject.systemd, script, folder)?;
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

    /// Makes the machine's disk larger, by this many bytes.
    ///
    /// # Errors
    /// When the disk cannot be read, or writing fails.
    pub fn grow(&mut self, bytes: u64) -> Result<()> {
        let disks = self.machine.start.disks.iter_mut();
        for disk in disks.filter(|disk| disk.writable) {
            let larger = disk.path.with_extension("larger.qcow2");
            let size = overlay::virtual_size(&disk.path)? + bytes;
            overlay::write(&larger, &disk.path, size)?;
            disk.path = larger;
        }
        Ok(())
    }

    /// Boots until the machine powers off or starts again, emulated; files about it have
    /// this name.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub fn boot(&mut self, name: &str) -> Result<Said> {
        let path = self.folder.join(name);
        let outcome = self.machine.boot(&path, Engine::Tcg)?;
        self.machine.keep(&path);
        Ok(Said {
            text: outcome.results,
            console: outcome.console,
            ended: outcome.end == End::Off,
        })
    }
}
