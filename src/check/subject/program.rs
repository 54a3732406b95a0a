//! What Go's linker leaves in a program: the version of Go, the modules that it
//! was built from, and how (`debug/buildinfo` of Go's library, the form in which
//! the texts stand in line: Go 1.18 and later).

use std::collections::BTreeMap;
use std::io::{self, Read};

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use crate::compat::Version;

const MAGIC: &[u8] = b"\xff Go buildinf:";
const ELF: &[u8] = b"\x7fELF";
/// Magic, size of a pointer, flags, and two pointers that are not used any more.
const HEADER: usize = 32;
const INLINE: u8 = 2;
/// The sentinels around the text of modules.
const SENTINEL: usize = 16;
/// The longest build information that is read, in bytes.
const LONGEST: usize = 256 << 10;
/// Read at a time.
const PIECE: usize = 256 << 10;

/// What a program says of its build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildInfo {
    /// The version of Go.
    pub go: String,
    /// The main module's path.
    pub module: String,
    /// The main module's version, if it was built from a release.
    pub version: Option<String>,
    /// How it was built, by name.
    pub settings: BTreeMap<String, String>,
}

/// Reads a program's build information; none if it is not an ELF file with some.
///
/// # Errors
/// When reading fails.
pub fn read(reader: &mut dyn Read) -> io::Result<Option<BuildInfo>> {
    let finder = Finder::new(MAGIC);
    let mut window = Vec::with_capacity(PIECE + LONGEST + MAGIC.len());
    let mut first = true;
    loop {
        let ended = fill(reader, &mut window, PIECE)? == 0;
        if first && !window.starts_with(ELF) {
            return Ok(None);
        }
        first = false;
        let mut from = 0;
        while let Some(at) = finder.find(&window[from..]).map(|at| at + from) {
            let wanted = at + HEADER + LONGEST;
            if window.len() < wanted && !ended {
                let missing = wanted - window.len();
                fill(reader, &mut window, missing)?;
            }
            // The same bytes stand in programs that look for them.
            if let Some(info) = parse(&window[at..window.len().min(wanted)]) {
                return Ok(Some(info));
            }
            from = at + MAGIC.len();
        }
        if ended {
            return Ok(None);
        }
        // The magic may lie over the border.
        let kept = window.len().saturating_sub(MAGIC.len() - 1).max(from);
        window.drain(..kept);
    }
}

/// Reads up to `most` further bytes.
fn fill(reader: &mut dyn Read, window: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    reader.take(most as u64).read_to_end(window)
}

fn parse(bytes: &[u8]) -> Option<BuildInfo> {
    if bytes.get(15)? & INLINE == 0 {
        return None;
    }
    let (go, rest) = text(bytes.get(HEADER..)?)?;
    let go = std::str::from_utf8(go)
        .ok()
        .filter(|go| go.starts_with("go") || go.starts_with("devel"))?;
    let (modules, _) = text(rest)?;
    let modules = modules
        .get(SENTINEL..modules.len().checked_sub(SENTINEL)?)
        .unwrap_or_default();
    let mut info = BuildInfo {
        go: go.to_owned(),
        ..BuildInfo::default()
    };
    for line in String::from_utf8_lossy(modules).lines() {
        let mut fields = line.split('\t');
        match (fields.next(), fields.next()) {
            (Some("mod"), Some(path)) => {
                info.module = path.to_owned();
                let released = |version: &&str| version.starts_with('v') && *version != "v0.0.0";
                info.version = fields.next().filter(released).map(str::to_owned);
            }
            (Some("path"), Some(path)) if info.module.is_empty() => info.module = path.to_owned(),
            (Some("build"), Some(setting)) => {
                if let Some((name, value)) = setting.split_once('=') {
                    let value = value.trim_matches('"').to_owned();
                    info.settings.insert(name.to_owned(), value);
                }
            }
            _ => {}
        }
    }
    Some(info)
}

/// A text after its length, which is a number of groups of seven bits.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0usize;
    for (place, &byte) in bytes.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return bytes.get(place + 1..)?.split_at_checked(length);
        }
    }
    None
}

impl BuildInfo {
    /// The program's own version: what its build set (`-X …Version=`), else the
    /// main module's.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        const NAMES: [&str; 6] = [
            "/version.Version=",
            "/version.gitVersion=",
            "main.version=",
            "main.gitVersion=",
            ".Version=",
            "buildversion.BuildVersion=",
        ];
        let flags = self.settings.get("-ldflags").map_or("", String::as_str);
        let set = NAMES.iter().find_map(|name| {
            let (_, rest) = flags.split_once(name)?;
            let end = rest.find(|c: char| c.is_whitespace() || "\"'\\".contains(c));
            Version::of_package(rest[..end.unwrap_or(rest.len())].trim_start_matches('v'))
        });
        set.or_else(|| {
            let version = self.version.as_deref()?.split('+').next()?;
            version.parse().ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    fn program(before: usize, modules: &str) -> Vec<u8> {
        let mut bytes = ELF.to_vec();
        bytes.resize(before.max(4), 0);
        bytes.extend(MAGIC);
        bytes.extend([8, INLINE]);
        bytes.extend([0; 16]);
        bytes.extend(number(8));
        bytes.extend(b"go1.24.2");
        let modules = format!("{}{modules}{}", "s".repeat(SENTINEL), "e".repeat(SENTINEL));
        bytes.extend(number(modules.len()));
        bytes.extend(modules.as_bytes());
        bytes.extend([0; 1000]);
        bytes
    }

    #[test]
    fn modules_and_settings_are_read() {
        let modules = "path\tgithub.com/containerd/containerd/cmd/containerd\n\
            mod\tgithub.com/containerd/containerd/v2\tv2.1.4\th1:x=\n\
            dep\tgithub.com/moby/sys\tv0.1.0\n\
            build\t-ldflags=\"-X github.com/containerd/containerd/version.Version=1.7.24~ds1 -s\"\n";
        for before in [4, PIECE - 3, PIECE - 20, 3 * PIECE - 7] {
            let info = read(&mut &program(before, modules)[..]).unwrap().unwrap();
            assert_eq!(info.go, "go1.24.2");
            assert_eq!(info.module, "github.com/containerd/containerd/v2");
            assert_eq!(info.version().unwrap().to_string(), "1.7.24");
        }
        let plain = "mod\tk8s.io/kubernetes\tv1.34.1+dirty\t\n";
        let info = read(&mut &program(99, plain)[..]).unwrap().unwrap();
        assert_eq!(info.version().unwrap().to_string(), "1.34.1");
        let devel = read(&mut &program(99, "mod\tx\t(devel)\t\n")[..])
            .unwrap()
            .unwrap();
        assert_eq!(devel.version(), None);
    }

    #[test]
    fn whatever_else_is_no_program() {
        assert_eq!(read(&mut &b"#!/bin/sh\n"[..]).unwrap(), None);
        assert_eq!(read(&mut &b""[..]).unwrap(), None);
        let whole = program(64, "mod\tx\tv1.0.0\t\n");
        for end in 0..whole.len() - 1000 {
            let _ = read(&mut &whole[..end]).unwrap();
        }
        let mut huge = whole;
        huge[64 + HEADER..64 + HEADER + 4].copy_from_slice(&[0xff; 4]);
        assert_eq!(read(&mut &huge[..]).unwrap(), None);
    }
}
