//! What a machine needs to boot an image, as it is found in the image: kernel,
//! initrd, command line, and what firmware starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::initrd::modules::{Texts, choose, plain};
use super::initrd::{self, Init};
use super::uki;
use super::update::{BLESS, MKFS, Name, REPART, SYSUPDATE};
use crate::error::{Error, Kind, Result};
use crate::image::read::Image;
use crate::image::source::reading;
use crate::tree::image::{Outline, read_contents};
use crate::tree::{Node, TreePath};

/// Files larger than this are not taken for what their names say, in bytes.
const LARGEST: u64 = 256 << 20;

const MODULES: &str = "usr/lib/modules";
const OS_RELEASE: &str = "usr/lib/os-release";
const COMMAND_LINE: &str = "usr/lib/kernel/cmdline";
const EFI: &str = "usr/lib/systemd/boot/efi";

/// What an image says of itself, which so is no other's.
const OWN: [&str; 2] = [OS_RELEASE, COMMAND_LINE];

/// What a machine needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The kernel's release (`uname -r`).
    pub release: String,
    /// The kernel.
    pub kernel: Vec<u8>,
    /// The initrd.
    pub initrd: Vec<u8>,
    /// The initrd with drivers of network cards, if it was wanted.
    pub network_initrd: Option<Vec<u8>>,
    /// What the image, and whoever exports it, wants on the kernel's command line.
    pub command_line: String,
    /// Its os-release.
    pub os_release: Vec<u8>,
    /// Its id and version, which names are made of.
    pub name: Name,
    /// What it has beside that which boots.
    pub tools: Tools,
    /// systemd's stub and systemd-boot, if firmware is to start it.
    pub efi: Option<Efi>,
    /// Paths that were taken from a second image, as this one has them not.
    pub taken: Vec<String>,
}

/// Programs that an image may lack and boots nevertheless.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tools {
    /// What makes partitions.
    pub repart: bool,
    /// What makes the file system of `/var`.
    pub mkfs: bool,
    /// What marks a version as good.
    pub bless: bool,
    /// What fetches versions.
    pub sysupdate: bool,
}

/// Programs that firmware starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Efi {
    /// systemd's stub for kernels.
    pub stub: Vec<u8>,
    /// systemd-boot.
    pub loader: Vec<u8>,
    /// The architecture as firmware names it (`x64`).
    pub machine: &'static str,
}

/// How much something is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Need {
    /// Not at all.
    #[default]
    No,
    /// Only where the image has it.
    IfThere,
    /// An image without it is refused.
    Must,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// [`Parts::efi`].
    pub efi: Need,
    /// Whether [`Parts::network_initrd`] is.
    pub network: bool,
    /// The program of the initrd, if it is not the one beside the running program.
    pub init: Option<&'a Path>,
    /// What is added to the command line.
    pub command_line: Option<&'a str>,
    /// A second image, which the kernel, its initrd's modules and what firmware starts
    /// are taken from where the image itself lacks them.
    pub from: Option<(&'a Image, &'a Outline)>,
}

impl Parts {
    /// Reads an image's.
    ///
    /// # Errors
    /// When the image cannot be read or lacks something: the message names it, and the
    /// hint its package. When the second image is for other machines, or its kernel is
    /// not that of the image's modules.
    pub fn read(image: &Image, outline: &Outline, wanted: &Wanted<'_>) -> Result<Self> {
        let architecture = image.config.architecture().to_string();
        let init = Init::find(wanted.init, &architecture)?;
        let own = Source::new(image, outline);
        let second = wanted
            .from
            .map(|(image, outline)| Source::new(image, outline));
        let source = Source {
            second: second.as_ref(),
            ..own
        };
        source.fits()?;
        let release = source.release()?;
        let kernel = source.kernel(&release)?;
        let folder = format!("{MODULES}/{release}");
        let in_folder = |name: &str| format!("{folder}/modules.{name}");
        let lists = ["dep", "softdep", "alias", "builtin"].map(in_folder);
        let efi = source.efi(&architecture, wanted.efi)?;
        let mut paths: Vec<&str> = lists.iter().map(|path| &**path).collect();
        paths.push(&kernel);
        if let Some((stub, loader, _)) = &efi {
            paths.extend([&**stub, &**loader]);
        }
        source.must(&lists[0], "kmod, whose depmod makes it")?;
        let elsewhere = |path: &str| source.has(path) && !own.has(path);
        let from_second = paths.iter().filter(|path| elsewhere(path));
        let mut taken: Vec<String> = from_second.map(|path| format!("/{path}")).collect();
        paths.extend(OWN);
        let mut found = source.read(&paths)?;
        let mut take = |path: &str| found.remove(path).unwrap_or_default();
        let texts = lists.each_ref().map(|path| text(&take(path)));
        let texts = Texts {
            dependencies: &texts[0],
            soft: &texts[1],
            aliases: &texts[2],
            builtin: &texts[3],
        };
        let chosen = choose(&texts, false)?;
        let with_network = wanted.network.then(|| choose(&texts, true)).transpose()?;
        let os_release = take(OS_RELEASE);
        let about = text(&os_release);
        // With a network there are all that there are without, and more.
        let files = &with_network.as_ref().unwrap_or(&chosen).files;
        let modules = source.modules(&folder, files)?;
        let places = files.values().map(|file| format!("{folder}/{file}"));
        let from_second = places.filter(|path| elsewhere(path));
        taken.extend(from_second.map(|path| format!("/{path}")));
        let make = |chosen| initrd::make(&init, chosen, &modules, &about);
        let words = text(&take(COMMAND_LINE));
        let words = [words.trim(), wanted.command_line.unwrap_or_default().trim()];
        let words: Vec<&str> = words.into_iter().filter(|part| !part.is_empty()).collect();
        Ok(Self {
            kernel: take(&kernel),
            initrd: make(&chosen)?,
            network_initrd: with_network.as_ref().map(make).transpose()?,
            tools: Tools {
                repart: own.has(REPART),
                mkfs: MKFS.iter().any(|path| own.has(path)),
                bless: own.has(BLESS),
                sysupdate: own.has(SYSUPDATE),
            },
            command_line: words.join(" "),
            name: Name::of(&about),
            efi: efi.map(|(stub, loader, machine)| Efi {
                stub: take(&stub),
                loader: take(&loader),
                machine,
            }),
            os_release,
            release,
            taken,
        })
    }

    /// What firmware starts.
    ///
    /// # Errors
    /// When it was not wanted.
    pub fn efi(&self) -> Result<&Efi> {
        let missing = || Error::new(Kind::Usage, "the image has nothing that firmware starts");
        self.efi.as_ref().ok_or_else(missing)
    }

    /// The unified kernel image, with more words on its command line.
    ///
    /// # Errors
    /// When the image's stub is none, or [`Parts::efi`] was not wanted.
    pub fn uki(&self, more: &str) -> Result<Vec<u8>> {
        self.uki_of(&self.initrd, more)
    }

    /// The same with one of the initrds.
    ///
    /// # Errors
    /// As for [`Parts::uki`].
    pub fn uki_of(&self, initrd: &[u8], more: &str) -> Result<Vec<u8>> {
        let command_line = format!("{} {more}", self.command_line);
        let efi = self.efi()?;
        uki::make(&uki::Parts {
            stub: &efi.stub,
            kernel: &self.kernel,
            initrd,
            command_line: command_line.trim(),
            os_release: &self.os_release,
            release: &self.release,
        })
    }
}

/// Stub, loader, and the architecture as firmware names it.
type EfiNames = (String, String, &'static str);

fn efi_names(architecture: &str) -> Result<EfiNames> {
    let machine = match architecture {
        "amd64" => "x64",
        "arm64" => "aa64",
        other => {
            let message = format!("no firmware is known that starts `{other}`");
            return Err(Error::new(Kind::Usage, message));
        }
    };
    let stub = format!("{EFI}/linux{machine}.efi.stub");
    Ok((stub, format!("{EFI}/systemd-boot{machine}.efi"), machine))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads files of an image.
#[derive(Clone, Copy)]
struct Source<'a> {
    image: &'a Image,
    outline: &'a Outline,
    /// Where those are read that the image has not.
    second: Option<&'a Source<'a>>,
}

impl<'a> Source<'a> {
    fn new(image: &'a Image, outline: &'a Outline) -> Self {
        Self {
            image,
            outline,
            second: None,
        }
    }

    /// Whether both images are for the same machines.
    fn fits(&self) -> Result<()> {
        let Some(second) = self.second else {
            return Ok(());
        };
        let [one, other] = [self, second].map(|one| one.image.config.architecture().to_string());
        match one == other {
            true => Ok(()),
            false => {
                let message = format!(
                    "`{}` is for {other}, and the image for {one}",
                    second.name()
                );
                Err(Error::new(Kind::Usage, message)
                    .hint("name an image of that architecture with `--initrd-from`"))
            }
        }
    }

    fn name(&self) -> &str {
        &self.image.reference
    }

    /// The releases of the image's kernels.
    fn releases(&self) -> Vec<String> {
        let entries = self.outline.tree.entries.iter();
        let folders = entries.filter(|(path, entry)| {
            entry.node == Node::Directory
                && path
                    .parent()
                    .is_some_and(|folder| folder.as_bytes() == MODULES.as_bytes())
        });
        folders
            .map(|(path, _)| String::from_utf8_lossy(path.name()).into_owned())
            .collect()
    }

    /// The release of the image's only kernel.
    fn release(&self) -> Result<String> {
        let releases = self.releases();
        match (&releases[..], self.second) {
            ([one], _) => Ok(one.clone()),
            ([], Some(second)) => {
                let message = format!(
                    "the image has no kernel modules, so the kernel of `{}` cannot run it",
                    second.name()
                );
                Err(Error::new(Kind::Usage, message).hint(
                    "a node loads modules while it runs: containerd's overlays, bridges and \
                     netfilter; put the modules of that kernel into the image",
                ))
            }
            ([], None) => Err(lacks(
                "a kernel",
                "linux-image-amd64 or linux-image-cloud-amd64",
            )),
            (several, _) => {
                let message = format!("the image has several kernels: {}", several.join(", "));
                Err(Error::new(Kind::Usage, message).hint("leave one of them in the image"))
            }
        }
    }

    fn kernel(&self, release: &str) -> Result<String> {
        let places = [
            format!("{MODULES}/{release}/vmlinuz"),
            format!("boot/vmlinuz-{release}"),
        ];
        let found = places.into_iter().find(|path| self.has(path));
        found.ok_or_else(|| {
            if let Some(second) = self.second {
                let other = match &second.releases()[..] {
                    [] => "no kernel".to_owned(),
                    all => format!("the kernel {}", all.join(", ")),
                };
                let message = format!(
                    "the image has modules for the kernel {release} and not the kernel, and \
                     `{}` has {other}",
                    second.name()
                );
                return Error::new(Kind::Usage, message)
                    .hint("modules and kernel must be of the same release");
            }
            let what = format!("the kernel of its modules, {release},");
            lacks(&what, &format!("linux-image-{release}"))
        })
    }

    /// Where what firmware starts is.
    fn efi(&self, architecture: &str, need: Need) -> Result<Option<EfiNames>> {
        let names = match need {
            Need::No => return Ok(None),
            Need::Must => efi_names(architecture)?,
            Need::IfThere => {
                let names = efi_names(architecture).ok();
                let there = |(stub, loader, _): &EfiNames| {
                    [&**stub, &**loader].iter().all(|path| self.has(path))
                        && self.has_itself(OS_RELEASE)
                };
                return Ok(names.filter(there));
            }
        };
        // A program without one is not in systemd-boot's list.
        self.must_itself(OS_RELEASE, "base-files")?;
        for path in [&names.0, &names.1] {
            self.must(path, "systemd-boot-efi")?;
        }
        Ok(Some(names))
    }

    fn has(&self, path: &str) -> bool {
        self.has_itself(path) || self.second.is_some_and(|second| second.has(path))
    }

    /// Whether the first image has it.
    fn has_itself(&self, path: &str) -> bool {
        self.outline.tree.file(&TreePath::from(path)).is_some()
    }

    fn must_itself(&self, path: &str, package: &str) -> Result<()> {
        match self.has_itself(path) {
            true => Ok(()),
            false => Err(lacks(&format!("`/{path}`"), package)),
        }
    }

    fn must(&self, path: &str, package: &str) -> Result<()> {
        match self.has(path) {
            true => Ok(()),
            false => Err(lacks(&format!("`/{path}`"), package)),
        }
    }

    /// The modules' bytes by their names.
    fn modules(
        &self,
        folder: &str,
        files: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let paths: Vec<String> = files
            .values()
            .map(|file| format!("{folder}/{file}"))
            .collect();
        for path in &paths {
            self.must(
                path,
                "a kernel whose modules.dep tells of the modules that it has",
            )?;
        }
        let wanted: Vec<&str> = paths.iter().map(|path| &**path).collect();
        let mut found = self.read(&wanted)?;
        let modules = files.keys().zip(&paths);
        modules
            .map(|(name, path)| {
                let bytes = found.remove(path).unwrap_or_default();
                Ok((name.clone(), plain(path, bytes, LARGEST)?))
            })
            .collect()
    }

    /// Reads those of the files that are there, all in one pass over the layers that have
    /// them.
    fn read(&self, paths: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut names: BTreeMap<TreePath, Vec<&str>> = BTreeMap::new();
        let mut files = BTreeMap::new();
        let mut elsewhere = Vec::new();
        for &path in paths {
            let Some((file, entry)) = self.outline.tree.file(&TreePath::from(path)) else {
                if !OWN.contains(&path) {
                    elsewhere.push(path);
                }
                continue;
            };
            if !matches!(entry.node, Node::File { size, .. } if size <= LARGEST) {
                let message = format!("`/{path}` of the image is too large");
                return Err(Error::new(Kind::Verify, message));
            }
            if let Some(place) = self.outline.files.get(file) {
                files.insert(file.clone(), *place);
                names.entry(file.clone()).or_default().push(path);
            }
        }
        let found = Mutex::new(BTreeMap::new());
        read_contents(self.image, &files, &|file, content| {
            let mut bytes = Vec::new();
            content
                .read_to_end(&mut bytes)
                .map_err(|error| reading(&error))?;
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            for name in names.get(file).into_iter().flatten() {
                found.insert((*name).to_owned(), bytes.clone());
            }
            Ok(())
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(second) = self.second.filter(|_| !elsewhere.is_empty()) {
            found.extend(second.read(&elsewhere)?);
        }
        Ok(found)
    }
}

fn lacks(what: &str, package: &str) -> Error {
    let message = format!("the image cannot be booted: it lacks {what}");
    let message = message.trim_end_matches(',').to_owned();
    Error::new(Kind::Usage, message).hint(format!("in Debian it comes from {package}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_firmware_starts_is_not_made_of_nothing() {
        let parts = Parts {
            release: "6.1.0".into(),
            kernel: Vec::new(),
            initrd: Vec::new(),
            network_initrd: None,
            command_line: String::new(),
            os_release: Vec::new(),
            name: Name::of("IMAGE_ID=node"),
            tools: Tools::default(),
            efi: None,
            taken: Vec::new(),
        };
        let message = "the image has nothing that firmware starts";
        assert_eq!(parts.uki("").unwrap_err().message(), message);
        assert_eq!(parts.efi().unwrap_err().message(), message);
    }
}
