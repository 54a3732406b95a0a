//! Kernel modules: those that every boot needs, and those that the hardware asks for.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::system::finit_module;

use crate::Result;

/// Where they are in the initrd.
const FOLDER: &str = "/modules";

/// The modules of this initrd.
#[derive(Default)]
pub struct Modules {
    loaded: BTreeSet<String>,
    /// Patterns, and what is to be loaded for each.
    aliases: Vec<(String, Vec<String>)>,
    /// Devices that were answered.
    seen: BTreeSet<String>,
}

impl Modules {
    /// Loads what every boot needs, in its order.
    pub fn load() -> Result<Self> {
        let mut modules = Self::default();
        let order = fs::read_to_string(format!("{FOLDER}/order"))?;
        for name in order.lines() {
            // Not all of them fit every processor; what is missed is missed later.
            modules.insert(name);
        }
        let aliases = fs::read_to_string(format!("{FOLDER}/alias"))?;
        modules.aliases = parse(&aliases);
        Ok(modules)
    }

    /// Loads the drivers of the devices that there are by now.
    pub fn answer(&mut self) {
        let mut found = Vec::new();
        devices(Path::new("/sys/devices"), &mut found);
        for device in found {
            if !self.seen.insert(device.clone()) {
                continue;
            }
            let names: Vec<String> = self
                .aliases
                .iter()
                .filter(|(pattern, _)| matches(pattern.as_bytes(), device.as_bytes()))
                .flat_map(|(_, names)| names.clone())
                .collect();
            for name in names {
                self.insert(&name);
            }
        }
    }

    /// Loads one, and says so if it cannot be.
    fn insert(&mut self, name: &str) {
        if !self.loaded.insert(name.to_owned()) {
            return;
        }
        let path = format!("{FOLDER}/{name}.ko");
        let insert = || -> Result<()> {
            match finit_module(File::open(&path)?, c"", 0) {
                // There already; or for a machine of another kind.
                Ok(()) | Err(rustix::io::Errno::EXIST | rustix::io::Errno::NODEV) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        if let Err(error) = insert() {
            eprintln!("nodelith: module `{name}`: {error}");
        }
    }
}

fn parse(aliases: &str) -> Vec<(String, Vec<String>)> {
    let lines = aliases.lines().filter_map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some((words.next()?, words.collect()))
    });
    lines.collect()
}

/// What the devices below a folder say that they are (`modalias`).
fn devices(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path: PathBuf = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => devices(&path, found),
            Ok(kind) if kind.is_file() && entry.file_name() == "modalias" => {
                let text = fs::read_to_string(&path).unwrap_or_default();
                found.extend(text.lines().map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// Whether a name fits a pattern of fnmatch(3) with `*`, `?` and `[…]`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        ([b'?', rest @ ..], [_, tail @ ..]) => matches(rest, tail),
        ([b'[', rest @ ..], [first, tail @ ..]) => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            in_set(&rest[..end], *first) && matches(&rest[end + 1..], tail)
        }
        ([one, rest @ ..], [first, tail @ ..]) => one == first && matches(rest, tail),
        _ => false,
    }
}

/// Whether a set of letters and ranges has a letter.
fn in_set(mut set: &[u8], letter: u8) -> bool {
    while let Some((&from, rest)) = set.split_first() {
        let (to, rest) = match rest {
            [b'-', to, rest @ ..] => (*to, rest),
            _ => (from, rest),
        };
        if (from..=to).contains(&letter) {
            return true;
        }
        set = rest;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let fits = |pattern: &str, name: &str| matches(pattern.as_bytes(), name.as_bytes());
        let device = "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00";
        assert!(fits("pci:v00001AF4d*sv*sd*bc*sc*i*", device));
        assert!(!fits("pci:v00008086d*sv*sd*bc*sc*i*", device));
        assert!(fits("virtio:d00000002v*", "virtio:d00000002v00001AF4"));
        assert!(fits("usb:v*d[0-9]*ip[0a]5?", "usb:v1d7xip053"));
        assert!(!fits("usb:d[0-9]", "usb:da"));
        assert!(fits("a*", "a") && fits("*", "") && !fits("a", "ab") && !fits("a[b", "ab"));
    }

    #[test]
    fn aliases_are_read() {
        let wanted = ("a*".to_owned(), vec!["b".to_owned(), "c".to_owned()]);
        assert_eq!(parse("a* b c\n\n"), [wanted]);
    }
}
