//! The proof: boots an image in QEMU and says whether it is a node that runs pods,
//! with nothing but what the image carries. docs/boot.md tells how.
//!
//! ```text
//! subject    the image, and what the test must know of it
//! guest      how the test gets into a guest whose image is as it is
//! ways       how a machine starts: what is made for it, and QEMU's arguments
//! qemu       one boot, until the machine has powered off
//! sections   what the guest said
//! checks     what a node must be, judged from that (pure)
//! report     what came of it
//! ```

mod checks;
mod guest;
mod qemu;
mod report;
mod sections;
mod subject;
mod ways;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::error::{Context, Error, Kind, Result};
use crate::image::read::Image;
use crate::report::Report;
use checks::Boot;
use guest::Test;
use qemu::Machine;
pub use report::{Proof, json};
use subject::Subject;
pub use ways::Way;

/// How images are booted.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// How the machine starts.
    pub way: Way,
    /// How often, with the same `/var`; once or twice.
    pub boots: u8,
    /// How long one boot may take until it has powered off.
    pub deadline: Duration,
    /// Whether one byte of the root is changed first: it must not boot then.
    pub damage: bool,
    /// The initrd's program, if it is not the one beside the running program.
    pub init: Option<&'a Path>,
    /// How many threads other programs may use.
    pub threads: usize,
}

impl Options<'_> {
    /// Looks whether they go together.
    ///
    /// # Errors
    /// When they do not.
    pub fn check(&self) -> Result<()> {
        match self.damage && self.way != Way::Disk {
            true => Err(Error::new(
                Kind::Usage,
                "`--damage` changes an exported disk: it goes with `--way disk`",
            )),
            false => Ok(()),
        }
    }
}

/// Boots an image and judges what it said. What the machine is made of, disks and
/// consoles, goes into `folder`, which must be there.
///
/// # Errors
/// When the image cannot be read or lacks what a machine needs, a program that is needed is
/// not there, or writing fails. An image that boots badly is no error: the proof says so.
pub fn prove(
    image: &Image,
    options: &Options<'_>,
    folder: &Path,
    report: &Report,
) -> Result<Proof> {
    options.check()?;
    fs::create_dir_all(folder).io("making", folder)?;
    report.note(&format!("making what boots of `{}`", image.reference));
    let subject = Subject::read(image, options.init)?;
    let test = Test::make(&subject, folder)?;
    let machine = Machine {
        start: ways::start(&subject, &test, options, folder)?,
        test,
        deadline: options.deadline,
    };
    let mut boots = Vec::new();
    for name in ["first", "second"].into_iter().take(options.boots.into()) {
        report.note(&format!("booting: {name}"));
        let boot = Boot::read(machine.boot(&folder.join(name))?);
        let whole = boot.is_whole();
        boots.push(boot);
        if !whole {
            break;
        }
    }
    Ok(Proof::new(&subject, &boots, options.boots > 1))
}
