//! The proof: boots an image in QEMU and says whether it is a node that runs pods,
//! with nothing but what the image carries. docs/boot.md tells how.
//!
//! ```text
//! tools        what this machine must have for it
//! subject      the image, and what the test must know of it
//! bundle       the same of what was exported
//! identity     what the machine is given, and whether it took it
//! guest        how the test gets into a guest whose image is as it is
//! ways         how a machine starts: what is made for it, and QEMU's arguments
//! overlay      disks that are written beside what they are made of
//! accelerator  who runs the guest's instructions
//! qemu         one boot, until the machine has powered off
//! interrupt    nothing is left when a signal ends all
//! sections     what the guest said
//! checks       what a node must be, judged from that (pure)
//! report       what came of it
//! statement    the same as an in-toto statement
//! lab          a machine for other tests
//! ```

mod accelerator;
mod bundle;
mod checks;
mod guest;
pub mod identity;
mod interrupt;
pub mod lab;
mod overlay;
mod qemu;
mod report;
mod sections;
mod statement;
mod subject;
mod tools;
mod ways;

use std::fs;
use std::path::Path;
use std::time::Duration;

pub use accelerator::Accelerator;
use accelerator::Engine;
pub use bundle::Bundle;
use checks::Boot;
use guest::{Test, UNITS_AS_CREDENTIALS};
use identity::Credentials;
pub use interrupt::clean_up_when_interrupted;
use qemu::{End, Machine};
pub use report::{Proof, json, junit};
pub use statement::{IN_TOTO, PREDICATE, statement};
use subject::Subject;
use tools::Tool;
pub use ways::Way;

use crate::error::{Context, Error, Kind, Result};
use crate::image::read::Image;
use crate::report::Report;

/// What is booted.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// An image, of which what boots is made first.
    Image(&'a Image),
    /// What was exported, as it is.
    Bundle(&'a Bundle),
}

/// How it is booted.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// How the machine starts.
    pub way: Way,
    /// How often, with the same `/var`; once or twice.
    pub boots: u8,
    /// Who runs the instructions.
    pub accelerator: Accelerator,
    /// How long one boot may take until it has powered off.
    pub deadline: Duration,
    /// Whether one byte of the root is changed first: it must not boot then.
    pub damage: bool,
    /// What the machine is given by its firmware, beside the test.
    pub credentials: Credentials,
    /// The initrd's program, if it is not the one beside the running program.
    pub init: Option<&'a Path>,
    /// How many threads other programs may use.
    pub threads: usize,
}

impl Options<'_> {
    /// Looks whether they go together, and whether this machine has what they need.
    ///
    /// # Errors
    /// When they do not, or it has not; the message names all that is missing.
    pub fn check(&self) -> Result<()> {
        if self.damage && self.way == Way::Kernel {
            let message =
                "`--damage` changes an exported root: it goes with `--way disk` and `--way ipxe`";
            return Err(Error::new(Kind::Usage, message));
        }
        self.accelerator.first()?;
        tools::check([Tool::Qemu].into_iter().chain(self.way.tools().to_vec()))
    }
}

/// Boots an image or a bundle and judges what it said. What the machine is made of,
/// disks and consoles, goes into `folder`.
///
/// # Errors
/// When what is booted cannot be read or lacks what a machine needs, a program that is
/// needed is not there, or writing fails. An image that boots badly is no error: the
/// proof says so.
pub fn prove(
    target: Target<'_>,
    options: &Options<'_>,
    folder: &Path,
    report: &Report,
) -> Result<Proof> {
    options.check()?;
    fs::create_dir_all(folder).io("making", folder)?;
    let (start, mut test, about) = match target {
        Target::Image(image) => {
            report.note(&format!("making what boots of `{}`", image.reference));
            let subject = Subject::read(image, options.init)?;
            let test = Test::make(subject.systemd, guest::SCRIPT, folder)?;
            let start = ways::start(&subject, &test, options, folder)?;
            (start, test, report::About::image(&subject, options.way))
        }
        Target::Bundle(bundle) => {
            // Its systemd is not known. One before 256 takes no unit so, and the test never begins.
            let test = Test::make(UNITS_AS_CREDENTIALS, guest::SCRIPT, folder)?;
            let start = ways::start_bundle(bundle, &test, options, folder)?;
            (start, test, report::About::bundle(bundle, options.way))
        }
    };
    test.give(&options.credentials, folder)?;
    let machine = Machine {
        start,
        test,
        deadline: options.deadline,
    };
    let (boots, engine) = boot(machine, options, folder, report)?;
    Ok(Proof::new(about, &boots, options.boots > 1, engine))
}

/// Boots as often as is wanted, as long as the boots are whole.
fn boot(
    mut machine: Machine,
    options: &Options<'_>,
    folder: &Path,
    report: &Report,
) -> Result<(Vec<Boot>, Engine)> {
    let (mut engine, why) = options.accelerator.first()?;
    if let Some(why) = why {
        report.note(&format!("no KVM, so QEMU emulates: {why}"));
    }
    let mut boots = Vec::new();
    for name in ["first", "second"].into_iter().take(options.boots.into()) {
        let path = folder.join(name);
        let way = options.way.name();
        report.note(&format!(
            "booting with `--way {way}`: {name} boot, by {}",
            engine.name()
        ));
        let mut outcome = machine.boot(&path, engine)?;
        if let End::Dead(why) = &outcome.end
            && options.accelerator == Accelerator::Auto
        {
            report.warning(&format!(
                "KVM takes a machine here and dies in it ({why}): booting again by TCG"
            ));
            engine = Engine::Tcg;
            outcome = machine.boot(&path, engine)?;
        }
        machine.keep(&path);
        let mut boot = Boot::read(outcome);
        boot.given.clone_from(&options.credentials);
        let whole = boot.is_whole();
        boots.push(boot);
        if !whole {
            break;
        }
    }
    Ok((boots, engine))
}
