//! Who runs the guest's instructions: the processor, through KVM, or QEMU itself (TCG).
//!
//! A KVM may accept a machine and then die in it, without QEMU's ending: neither the
//! device nor the version of its interface tells. So it is tried, watched, and given up
//! when it dies or shows no sign of life.

use std::fs::File;
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// What was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Accelerator {
    /// KVM where it works, else TCG.
    #[default]
    Auto,
    /// KVM and nothing else.
    Kvm,
    /// TCG.
    Tcg,
}

/// What a machine runs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Kvm,
    Tcg,
}

const DEVICE: &str = "/dev/kvm";

impl Accelerator {
    /// What to begin with, and why not with KVM where that was not asked to be left out.
    ///
    /// # Errors
    /// [`Kind::Usage`] when KVM must be and cannot.
    pub fn first(self) -> Result<(Engine, Option<String>)> {
        self.choose(std::env::consts::ARCH, Path::new(DEVICE))
    }

    fn choose(self, architecture: &str, device: &Path) -> Result<(Engine, Option<String>)> {
        if self == Self::Tcg {
            return Ok((Engine::Tcg, None));
        }
        let opened = File::options().read(true).write(true).open(device);
        let why = match (architecture, opened) {
            ("x86_64", Ok(_)) => return Ok((Engine::Kvm, None)),
            ("x86_64", Err(error)) => {
                let why = crate::error::plain(&error);
                format!("`{}` cannot be opened: {why}", device.display())
            }
            _ => format!("this machine is {architecture}, the image's is x86_64"),
        };
        match self {
            Self::Kvm => Err(Error::new(Kind::Usage, format!("there is no KVM: {why}"))
                .hint("`--accel tcg` needs none, and takes longer")),
            _ => Ok((Engine::Tcg, Some(why))),
        }
    }
}

impl Engine {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        }
    }

    /// QEMU's arguments. Emulated, all that systems of today ask of a processor, but no
    /// machines within the machine: the guest would load KVM for them.
    pub fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max,svm=off"],
        }
    }
}

/// What QEMU says of a KVM that died; it may go on running with a machine that stands.
const DEAD: [&str; 5] = [
    "KVM internal error",
    "emulation failure",
    "kvm run failed",
    "KVM: entry failed",
    "failed to initialize kvm",
];

/// The line of QEMU's that says that its KVM died.
pub fn death(said: &str) -> Option<&str> {
    said.lines()
        .find(|line| DEAD.iter().any(|words| line.contains(words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_opens_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("kvm");
        let choose =
            |accelerator: Accelerator, architecture| accelerator.choose(architecture, &device);
        let (engine, why) = choose(Accelerator::Auto, "x86_64").unwrap();
        assert_eq!(engine, Engine::Tcg);
        assert!(why.unwrap().ends_with("No such file or directory"));
        let error = choose(Accelerator::Kvm, "x86_64").unwrap_err();
        assert!(error.message().starts_with("there is no KVM: "), "{error}");

        File::create(&device).unwrap();
        for accelerator in [Accelerator::Auto, Accelerator::Kvm] {
            assert_eq!(choose(accelerator, "x86_64").unwrap(), (Engine::Kvm, None));
        }
        let none = (Engine::Tcg, None);
        assert_eq!(choose(Accelerator::Tcg, "x86_64").unwrap(), none);
        let (engine, why) = choose(Accelerator::Auto, "aarch64").unwrap();
        assert_eq!(engine, Engine::Tcg);
        assert!(why.unwrap().contains("aarch64"));
    }

    #[test]
    fn an_emulated_processor_runs_no_machines() {
        let arguments = Engine::Tcg.arguments();
        let model = arguments.iter().skip_while(|word| **word != "-cpu").nth(1);
        assert!(model.unwrap().split(',').any(|word| word == "svm=off"));
    }

    #[test]
    fn death_is_seen_in_what_qemu_says() {
        let said = "qemu: warning: x\nKVM internal error. Suberror: 1\nemulation failure\n";
        assert_eq!(death(said), Some("KVM internal error. Suberror: 1"));
        assert_eq!(death("qemu: warning: host doesn't support x\n"), None);
    }
}
