//! `nodelith boot`: boots images in QEMU and says whether they are nodes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::args::{Boot, BootWay};
use super::registry::{self, Needs};
use super::{Context, Outcome, print};
use crate::boot::{Options, Proof, Way, json, prove};
use crate::error::{Context as _, Result};

pub(super) fn run(context: &Context, arguments: &Boot) -> Result<Outcome> {
    let options = Options {
        way: match arguments.way {
            BootWay::Kernel => Way::Kernel,
            BootWay::Disk => Way::Disk,
        },
        boots: arguments.boots,
        deadline: Duration::from_secs(arguments.deadline),
        damage: arguments.damage,
        init: arguments.init.as_deref(),
        threads: context.threads(),
    };
    options.check()?;
    let mut proofs = Vec::new();
    for (number, name) in arguments.images.iter().enumerate() {
        let temporary;
        let folder = match &arguments.keep {
            Some(folder) => folder.join(number.to_string()),
            None => {
                temporary = temporary_folder()?;
                temporary.path().to_owned()
            }
        };
        let proof = prove_one(context, arguments, name, &options, &folder)
            .map_err(|error| error.context(format!("booting `{name}`")))?;
        if !context.global.json {
            print(&format!("{}\n", proof.text()))?;
        }
        proofs.push(proof);
    }
    let document = json(&proofs);
    if context.global.json {
        print(&format!("{document:#}"))?;
    }
    if let Some(path) = &arguments.output {
        fs::write(path, format!("{document:#}\n")).io("writing", path)?;
    }
    Ok(match proofs.iter().all(Proof::passed) {
        true => Outcome::Done,
        false => Outcome::Findings,
    })
}

fn prove_one(
    context: &Context,
    arguments: &Boot,
    name: &str,
    options: &Options<'_>,
    folder: &Path,
) -> Result<Proof> {
    let image = registry::open(context, name, None, &arguments.registry, Needs::All)?;
    prove(&image, options, folder, &context.report)
}

/// A folder for disks, which are large: in `TMPDIR`, else in `/var/tmp`, which no memory
/// backs (file-hierarchy(7)).
fn temporary_folder() -> Result<tempfile::TempDir> {
    let large = Path::new("/var/tmp");
    let parent = match std::env::var_os("TMPDIR") {
        None if large.is_dir() => large.to_owned(),
        _ => std::env::temp_dir(),
    };
    tempfile::Builder::new()
        .prefix("nodelith-boot-")
        .tempdir_in(&parent)
        .io("making a folder in", &parent)
}
