//! What a machine boots: the unified kernel image, and disks with it.

use serde_json::{Value, json};

use super::{ExportedFile, Format, Job, Options, hex, pxe, sysupdate};
use crate::bundle::disk::fat::{self, Files};
use crate::bundle::disk::layout::{self, Disk, Sizes};
use crate::bundle::disk::{gce, qcow2, raw, vhd, vmdk};
use crate::bundle::output::{Output, Target};
use crate::bundle::parts::{self, Need, Parts};
use crate::bundle::root::RootImage;
use crate::bundle::same;
use crate::bundle::sign::Signing;
use crate::bundle::update::{TRIES, UKIS};
use crate::bundle::verity::Hash;
use crate::error::{Error, Kind, Result};
use crate::image::read::Image;
use crate::report::{Report, Unit, human_bytes};
use crate::tree::image::Outline;

/// No menu unless a key is held, and no change of the command line at it.
const LOADER: &str = "timeout 0\neditor no\n";

/// Our initrd has the root's device made, which systemd so need not try again; a root that
/// is damaged panics, and then the next version has its turn.
const WORDS: &str = "systemd.verity=no panic=10";

/// An image that is to be booted.
pub(super) struct Machine<'a> {
    parts: Parts,
    architecture: String,
    options: &'a Options<'a>,
    signing: Option<Signing>,
}

impl<'a> Machine<'a> {
    /// Reads what is needed of the image.
    pub(super) fn read(
        image: &Image,
        outline: &Outline,
        options: &'a Options<'a>,
        signing: Option<Signing>,
        report: &Report,
    ) -> Result<Self> {
        let second = match options.initrd_from {
            Some(image) => Some((image, same::outline(image, report)?)),
            None => None,
        };
        let task = report.task("initrd", None, Unit::Bytes);
        let wanted = parts::Wanted {
            from: second.as_ref().map(|(image, outline)| (*image, outline)),
            efi: match is_efi(options) {
                true => Need::Must,
                false => Need::IfThere,
            },
            network: options.formats.contains(&Format::Pxe),
            init: options.init,
            command_line: options.command_line,
        };
        let parts = Parts::read(image, outline, &wanted)?;
        let size = human_bytes(parts.initrd.len() as u64);
        task.finish(&format!("{size} for kernel {}", parts.release));
        if let Some((image, _)) = &second {
            let taken = match &parts.taken[..] {
                [] => "nothing: the image has it all".to_owned(),
                paths => paths.join(", "),
            };
            report.note(&format!("taken from `{}`: {taken}", image.reference));
        }
        let architecture = image.config.architecture().to_string();
        let disk = options.formats.iter().any(|format| format.is_disk());
        let update = options.formats.contains(&Format::Sysupdate);
        sysupdate::check(&parts, disk, update, report)?;
        if signing.is_some() && parts.efi.is_none() {
            report.warning(
                "nothing is signed: the image has nothing that firmware starts (in Debian from systemd-boot-efi)",
            );
        }
        Ok(Self {
            parts,
            architecture,
            options,
            signing,
        })
    }

    /// Whether all will fit, as far as can be told before there is a root hash.
    pub(super) fn check(&self, root: u64) -> Result<()> {
        if self.options.formats.contains(&Format::Pxe) {
            pxe::check(&self.parts.command_line)?;
        }
        if !is_efi(self.options) {
            return Ok(());
        }
        let signed = |bytes| match &self.signing {
            Some(signing) => signing.rehearse(bytes),
            None => Ok(bytes),
        };
        let uki = signed(self.parts.uki(&command_line(&Hash::default()))?)?;
        if self.options.formats.iter().any(|format| format.is_disk()) {
            let sizes = self.sizes(root)?;
            let esp = self.esp(uki, signed(self.parts.efi()?.loader.clone())?)?;
            fat::pieces(sizes.esp, 0, [0; 4], &esp)?;
        }
        Ok(())
    }

    fn sizes(&self, root: u64) -> Result<Sizes> {
        let sizes = Sizes::of(self.options.sizes, root)?;
        let gce = self.options.formats.contains(&Format::Gce);
        if gce && !sizes.disk.is_multiple_of(gce::GIB) {
            let message = "Google Cloud takes disks of whole GiB alone";
            let least = sizes.disk.next_multiple_of(gce::GIB) >> 30;
            return Err(Error::new(Kind::Usage, message)
                .hint(format!("give `--disk-size {least}G`, or leave it out")));
        }
        Ok(sizes)
    }

    /// Writes what is wanted; `file` has the root image.
    pub(super) fn make(
        &self,
        job: &Job<'_>,
        file: &Output,
        root: &RootImage,
    ) -> Result<Vec<(Format, Output)>> {
        let mut outputs = Vec::new();
        if job.wanted(Format::Pxe) {
            let files = pxe::files(&self.parts, file.measure()?, &|bytes| self.sign(bytes))?;
            for (name, bytes) in files {
                let output = job.named(Format::Pxe, name)?;
                output.1.file().put(0, &bytes)?;
                outputs.push(output);
            }
        }
        if !is_efi(self.options) {
            return Ok(outputs);
        }
        let uki = self.sign(self.parts.uki(&command_line(&root.hashes.root()))?)?;
        if job.wanted(Format::Uki) {
            let output = job.file(Format::Uki)?;
            output.1.file().put(0, &uki)?;
            outputs.push(output);
        }
        if job.wanted(Format::Sysupdate) {
            outputs.extend(sysupdate::make(job, &self.parts.name, file, root, &uki)?);
        }
        if !job.formats.iter().any(|format| format.is_disk()) {
            return Ok(outputs);
        }
        let esp = self.esp(uki, self.sign(self.parts.efi()?.loader.clone())?)?;
        let size = file.file().size()?;
        let hashes: Vec<_> = root.hashes.file(&root.verity_uuid).collect();
        let disk = layout::disk(
            layout::Parts {
                architecture: &self.architecture,
                esp,
                root: (file.file(), size),
                verity: hashes.concat(),
                root_hash: root.hashes.root(),
                name: self.parts.name.versioned(),
            },
            &self.sizes(size)?,
        )?;
        for format in job.formats.iter().filter(|format| format.is_disk()) {
            let output = write(job, &disk, *format, &outputs)?;
            outputs.push(output);
        }
        Ok(outputs)
    }

    /// What the EFI system partition has.
    fn esp(&self, uki: Vec<u8>, loader: Vec<u8>) -> Result<Files> {
        let machine = self.parts.efi()?.machine.to_uppercase();
        // Where nothing marks a version as good, the good ones' tries would run out too.
        let tries = match self.parts.tools.bless {
            true => format!("+{TRIES}"),
            false => String::new(),
        };
        let uki_name = format!("{UKIS}/{}{tries}.efi", self.parts.name.versioned());
        Ok(Files::from([
            (format!("EFI/BOOT/BOOT{machine}.EFI"), loader),
            (uki_name, uki),
            ("loader/loader.conf".into(), LOADER.into()),
        ]))
    }

    fn sign(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        match &self.signing {
            Some(signing) => signing.sign(&bytes),
            None => Ok(bytes),
        }
    }

    /// What the description says of it.
    pub(super) fn describe(&self, root_hash: &Hash) -> Value {
        let own = &self.parts.command_line;
        let words = is_efi(self.options).then(|| format!("{own} {}", command_line(root_hash)));
        json!({
            "kernel": self.parts.release,
            "command-line": words.as_ref().map(|words| words.trim()),
            "signed": self.signing.is_some() && self.parts.efi.is_some(),
            "from": self.options.initrd_from.map(|image| {
                json!({"image": image.manifest.digest, "paths": self.parts.taken})
            }),
        })
    }

    /// What it says of what boots over a network.
    pub(super) fn describe_pxe(&self, files: &[ExportedFile]) -> Option<Value> {
        let root = files.iter().find(|file| file.format == Format::Erofs)?;
        let initrd = self.parts.network_initrd.as_ref()?;
        Some(pxe::describe(
            &self.parts.command_line,
            root,
            initrd.len() as u64,
        ))
    }
}

/// Whether there is something that firmware starts with the root on a disk.
fn is_efi(options: &Options<'_>) -> bool {
    let mut formats = options.formats.iter();
    formats.any(|format| format.boots() && *format != Format::Pxe)
}

/// What our initrd and the kernel are told beside the image's own words.
fn command_line(root_hash: &Hash) -> String {
    format!("roothash={} {WORDS}", hex(root_hash))
}

/// Writes the disk in one form; `made` is what was written before.
fn write(
    job: &Job<'_>,
    disk: &Disk<'_>,
    format: Format,
    made: &[(Format, Output)],
) -> Result<(Format, Output)> {
    let output = job.file(format)?;
    let task = job.report.task(format.name(), None, Unit::Bytes);
    let done = |bytes| task.advance(bytes);
    let (content, target): (_, Target<'_>) = (&disk.content, output.1.file());
    match format {
        Format::Qcow2 => qcow2::write(content, target, &done)?,
        Format::Vhd => vhd::write(content, &disk.uuid, target, &done)?,
        Format::Vmdk => match made.iter().find(|(one, _)| *one == Format::Disk) {
            Some((_, raw)) => vmdk::convert(raw.aside(), output.1.aside(), &disk.uuid)?,
            None => {
                let raw = job.folder.file(Format::Disk.file())?;
                raw::write(content, raw.file(), &done)?;
                vmdk::convert(raw.aside(), output.1.aside(), &disk.uuid)?;
            }
        },
        Format::Gce => gce::write(content, target, job.threads, &done)?,
        _ => raw::write(content, target, &done)?,
    }
    let size = human_bytes(target.size()?);
    task.finish(&format!(
        "{size} for a disk of {}",
        human_bytes(content.size)
    ));
    Ok(output)
}
