//! `nodelith export`: files that machines boot, made from an image.

use super::args::{Export, ExportFormat, Machine};
use super::registry::{self, Needs};
use super::{Context, Outcome, print};
use crate::bundle::disk::layout::Wanted;
use crate::bundle::export::{Format, Options, export, hex};
use crate::bundle::sign::Signer;
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
        ExportFormat::Uki => Format::Uki,
        ExportFormat::Pxe => Format::Pxe,
        ExportFormat::Disk => Format::Disk,
        ExportFormat::Qcow2 => Format::Qcow2,
        ExportFormat::Vhd => Format::Vhd,
        ExportFormat::Vmdk => Format::Vmdk,
        ExportFormat::Gce => Format::Gce,
        ExportFormat::Sysupdate => Format::Sysupdate,
    });
    let machine = &arguments.machine;
    let second = machine.initrd_from.as_deref().map(|second| {
        let architecture = image.config.architecture().to_string();
        let arch = arguments.arch.as_deref().unwrap_or(&architecture);
        registry::open(context, second, Some(arch), &arguments.registry, Needs::All)
    });
    let second = second.transpose()?;
    let options = Options {
        formats: formats.collect(),
        sizes: Wanted {
            disk: machine.disk_size,
            esp: machine.esp_size,
            slot: machine.slot_size,
        },
        signer: signer(machine),
        command_line: machine.command_line.as_deref(),
        init: machine.init.as_deref(),
        initrd_from: second.as_ref(),
        threads: context.threads(),
    };
    let made = export(&image, &options, &arguments.output, &context.report)?;
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
            arguments.output.join(&file.name).display().to_string(),
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

fn signer(machine: &Machine) -> Option<Signer> {
    let command = machine.sign_command.clone().map(Signer::Command);
    command.or_else(|| {
        Some(Signer::Key {
            key: machine.sign_key.clone()?,
            certificate: machine.sign_certificate.clone()?,
        })
    })
}
