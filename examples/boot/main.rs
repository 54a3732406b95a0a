//! `ci/boot`: boots images in QEMU and says whether they are nodes that run pods,
//! with nothing but what the image carries. docs/boot.md tells how.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to people"
)]

mod checks;
mod firmware;
mod guest;
mod kernel;
mod qemu;
mod report;
mod sections;
mod subject;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use checks::Boot;
use guest::Test;
use report::Report;
use subject::Subject;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Boots image layouts in QEMU and says whether they are nodes that run pods.
#[derive(Parser)]
#[command(name = "ci/boot")]
struct Arguments {
    /// Images: `oci:DIR[:TAG]`, `oci-archive:FILE`, or a layout's folder
    #[arg(required = true)]
    images: Vec<String>,
    /// Seconds that one boot may take until it has powered off
    #[arg(long, default_value_t = 300)]
    deadline: u64,
    /// Boots of each image, with the same `/var`
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    boots: u8,
    /// How the machine starts
    #[arg(long, value_enum, default_value_t)]
    way: Way,
    /// Change one byte of the root on the disk first: it must not boot then
    #[arg(long)]
    damage: bool,
    /// Where the results go as JSON
    #[arg(long, default_value = "target/boot.json")]
    output: PathBuf,
    /// Keep root images, disks and consoles in this folder [default: away afterwards]
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// How a machine starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Kernel and initrd from QEMU, the root on a disk of its own
    #[default]
    Kernel,
    /// UEFI from the exported disk, the root checked by dm-verity; for systemd 256 and later
    Disk,
}

fn main() -> ExitCode {
    match all(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Boots each image, twice with the same `/var`.
fn all(arguments: &Arguments) -> Result<bool> {
    if arguments.damage && arguments.way != Way::Disk {
        return Err("`--damage` changes an exported disk: it goes with `--way disk`".into());
    }
    let mut reports = Vec::new();
    for (number, image) in arguments.images.iter().enumerate() {
        let temporary = tempfile::Builder::new()
            .prefix("boot-")
            .tempdir_in("target")?;
        let folder = match &arguments.keep {
            Some(folder) => folder.join(number.to_string()),
            None => temporary.path().to_owned(),
        };
        std::fs::create_dir_all(&folder)?;
        let report = prove(image, &folder, arguments)
            .map_err(|error| format!("booting `{image}`: {error}"))?;
        println!("{}", report.text());
        reports.push(report);
    }
    let json = format!("{:#}\n", report::json(&reports));
    std::fs::write(&arguments.output, json)?;
    println!("{}", arguments.output.display());
    Ok(reports.iter().all(Report::passed))
}

fn prove(image_name: &str, folder: &Path, arguments: &Arguments) -> Result<Report> {
    eprintln!("making what boots of {image_name}");
    let subject = Subject::open(image_name)?;
    let test = Test::make(&subject, folder)?;
    let start = match arguments.way {
        Way::Kernel => kernel::start(&subject, &test, folder)?,
        Way::Disk => firmware::start(&subject.image, &test, folder, arguments.damage)?,
    };
    let machine = qemu::Machine {
        start,
        test,
        deadline: Duration::from_secs(arguments.deadline),
    };
    let mut boots = Vec::new();
    for name in ["first", "second"].into_iter().take(arguments.boots.into()) {
        eprintln!("booting: {name}");
        let boot = Boot::read(machine.boot(&folder.join(name))?);
        let whole = boot.is_whole();
        boots.push(boot);
        if !whole {
            break;
        }
    }
    Ok(Report::new(
        image_name,
        &subject,
        &boots,
        arguments.boots > 1,
    ))
}

/// The initrd's program, which was built with this one.
fn init() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.ancestors().nth(2).unwrap_or(Path::new("."));
    let found = folder.join("nodelith-init");
    match found.exists() {
        true => Ok(found),
        false => Err("there is no `nodelith-init` beside this program: use `ci/boot`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_for_disks() {
        let said = |words: &[&str]| {
            let words = [&["ci/boot", "/nowhere"], words].concat();
            all(&Arguments::parse_from(words)).unwrap_err().to_string()
        };
        let refused = "`--damage` changes an exported disk: it goes with `--way disk`";
        for words in [&["--damage"][..], &["--damage", "--way", "kernel"]] {
            assert_eq!(said(words), refused);
        }
        let other = said(&["--damage", "--way", "disk"]);
        assert!(other.starts_with("booting `/nowhere`: "), "{other}");
    }
}
