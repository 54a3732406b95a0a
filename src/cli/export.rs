//! `nodelith export`: files that machines boot, made from an image.

use super::args::{Export, ExportFormat};
use super::registry::{self, Needs};
use super::{Context, Outcome, print};
use crate::bundle::export::{Format, export, hex};
use crate::error::Result;
use crate::report::{Table, human_bytes};

pub(super) fn run(context: &Context, arguments: &Export) -> Result<Outcome> {
    let image = registry::open(
        context,
        &arguments.image,
        arguments.arch.as_deref(),
        &arguments.registry,
        Needs::All,
    )?;
    let formats = arguments.to.iter().map(|format| match format {
        ExportFormat::Tar => Format::Tar,
        ExportFormat::Erofs => Format::Erofs,
        ExportFormat::Verity => Format::Verity,
        ExportFormat::Squashfs => Format::Squashfs,
    });
    let made = export(
        &image,
        &formats.collect(),
        &arguments.output,
        context.threads(),
        &context.report,
    )?;
    if context.global.json {
        print(&format!("{:#}", made.description))?;
        return Ok(Outcome::Done);
    }
    let root_hash = made.root_hash.map(|hash| hex(&hash));
    if context.global.quiet {
        if let Some(hash) = root_hash {
            print(&hash)?;
        }
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(&["FILE", ">SIZE", "DIGEST"]);
    for file in &made.files {
        table.row([
            arguments
                .output
                .join(file.format.file())
                .display()
                .to_string(),
            human_bytes(file.size),
            file.digest.to_string(),
        ]);
    }
    let mut text = table.render();
    if let Some(hash) = root_hash {
        text.push_str(&format!("\n\nroot hash {hash}"));
    }
    print(&text)?;
    Ok(Outcome::Done)
}
