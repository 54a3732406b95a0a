//! Foreign architectures: who runs their programs here.
//!
//! The kernel's `binfmt_misc` starts an emulator for programs whose first bytes
//! match. Inside a chroot that works only with flag `F`, which makes the kernel
//! open the emulator at registration (Documentation/admin-guide/binfmt-misc.rst).

use std::fs;
use std::path::Path;

/// What an architecture's programs look like.
struct Machine {
    /// Debian's name of the architecture.
    debian: &'static str,
    /// QEMU's name of it, as in `qemu-aarch64`.
    qemu: &'static str,
    /// ELF `e_machine`.
    machine: u16,
    wide: bool,
    big_endian: bool,
}

const MACHINES: &[Machine] = &[
    machine("amd64", "x86_64", 62, true, false),
    machine("arm64", "aarch64", 183, true, false),
    machine("armhf", "arm", 40, false, false),
    machine("i386", "i386", 3, false, false),
    machine("ppc64el", "ppc64le", 21, true, false),
    machine("riscv64", "riscv64", 243, true, false),
    machine("s390x", "s390x", 22, true, true),
];

const fn machine(
    debian: &'static str,
    qemu: &'static str,
    machine: u16,
    wide: bool,
    big_endian: bool,
) -> Machine {
    Machine {
        debian,
        qemu,
        machine,
        wide,
        big_endian,
    }
}

/// The architecture that this program was built for, by Debian's name.
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "armhf",
        "x86" => "i386",
        "powerpc64" => "ppc64el",
        other => other,
    }
}

/// QEMU's name of an architecture that Debian calls `architecture`.
pub fn qemu_name(architecture: &str) -> &str {
    find(architecture).map_or(architecture, |machine| machine.qemu)
}

fn find(architecture: &str) -> Option<&'static Machine> {
    MACHINES
        .iter()
        .find(|machine| machine.debian == architecture)
}

/// One registered format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Its name, such as `qemu-aarch64`.
    pub name: String,
    enabled: bool,
    flags: String,
    offset: usize,
    magic: Vec<u8>,
    mask: Vec<u8>,
}

/// What is known of the emulator of an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emulation {
    /// Its programs run, in a chroot too.
    Works,
    /// Registered under this name, but without flag `F`.
    NotInChroots(String),
    /// Not registered.
    Missing,
    /// `binfmt_misc` is not mounted here, so nothing is known.
    Unknown,
}

/// The formats registered in `folder` (`/proc/sys/fs/binfmt_misc`); none if it is not mounted.
pub fn registered(folder: &Path) -> Option<Vec<Format>> {
    if !folder.join("status").exists() {
        return None;
    }
    let mut formats: Vec<_> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            if name == "status" || name == "register" {
                return None;
            }
            parse(&name, &fs::read_to_string(entry.path()).ok()?)
        })
        .collect();
    formats.sort_by(|a, b| a.name.cmp(&b.name));
    Some(formats)
}

/// Reads one file of `binfmt_misc`.
fn parse(name: &str, text: &str) -> Option<Format> {
    let mut format = Format {
        name: name.to_owned(),
        enabled: text.lines().next()? == "enabled",
        flags: String::new(),
        offset: 0,
        magic: Vec::new(),
        mask: Vec::new(),
    };
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("flags:", flags)) => flags.trim().clone_into(&mut format.flags),
            Some(("offset", offset)) => format.offset = offset.trim().parse().ok()?,
            Some(("magic", bytes)) => format.magic = hex(bytes.trim())?,
            Some(("mask", bytes)) => format.mask = hex(bytes.trim())?,
            _ => {}
        }
    }
    Some(format)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Whether programs of `architecture` run here.
pub fn emulation(architecture: &str, formats: Option<&[Format]>) -> Emulation {
    let Some(formats) = formats else {
        return Emulation::Unknown;
    };
    let Some(machine) = find(architecture) else {
        return Emulation::Missing;
    };
    let header = elf_header(machine);
    let mut fitting = formats
        .iter()
        .filter(|format| format.enabled && matches(format, &header))
        .peekable();
    let Some(first) = fitting.peek() else {
        return Emulation::Missing;
    };
    let name = first.name.clone();
    if fitting.any(|format| format.flags.contains('F')) {
        Emulation::Works
    } else {
        Emulation::NotInChroots(name)
    }
}

/// The first bytes of an executable (ELF specification, `e_ident` to `e_machine`).
fn elf_header(machine: &Machine) -> [u8; 20] {
    let mut header = [0; 20];
    header[..4].copy_from_slice(b"\x7fELF");
    header[4] = if machine.wide { 2 } else { 1 };
    header[5] = if machine.big_endian { 2 } else { 1 };
    header[6] = 1;
    let executable: u16 = 2;
    for (at, number) in [(16, executable), (18, machine.machine)] {
        let bytes = if machine.big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        };
        header[at..at + 2].copy_from_slice(&bytes);
    }
    header
}

/// The kernel's own test: the masked bytes of the file equal the masked magic.
fn matches(format: &Format, header: &[u8]) -> bool {
    // A format that does not look at e_machine would match everything.
    if format.magic.is_empty() || format.offset + format.magic.len() < 20 {
        return false;
    }
    format.magic.iter().enumerate().all(|(at, magic)| {
        let mask = format.mask.get(at).copied().unwrap_or(0xff);
        match header.get(format.offset + at) {
            Some(byte) => byte & mask == magic & mask,
            None => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AARCH64: &str = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\noffset 0\nmagic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

    #[test]
    fn an_emulator_is_known_by_what_it_matches() {
        let format = parse("rosetta-like", AARCH64).unwrap();
        let formats = [format];
        assert_eq!(emulation("arm64", Some(&formats)), Emulation::Works);
        assert_eq!(emulation("riscv64", Some(&formats)), Emulation::Missing);
        assert_eq!(emulation("s390x", Some(&formats)), Emulation::Missing);
        assert_eq!(emulation("no-such", Some(&formats)), Emulation::Missing);
    }

    #[test]
    fn big_endian_headers_match_too() {
        let text = "enabled\ninterpreter /q\nflags: F\noffset 0\nmagic 7f454c4602020100000000000000000000020016\nmask ffffffffffffff00fffffffffffffffffffeffff\n";
        let formats = [parse("qemu-s390x", text).unwrap()];
        assert_eq!(emulation("s390x", Some(&formats)), Emulation::Works);
        assert_eq!(emulation("arm64", Some(&formats)), Emulation::Missing);
    }

    #[test]
    fn flag_f_is_needed_and_the_format_must_be_on() {
        let without = parse("qemu-aarch64", &AARCH64.replace("POCF", "OC")).unwrap();
        assert_eq!(
            emulation("arm64", Some(&[without])),
            Emulation::NotInChroots("qemu-aarch64".to_owned())
        );
        let off = parse("qemu-aarch64", &AARCH64.replace("enabled", "disabled")).unwrap();
        assert_eq!(emulation("arm64", Some(&[off])), Emulation::Missing);
        assert_eq!(emulation("arm64", Some(&[])), Emulation::Missing);
        assert_eq!(emulation("arm64", None), Emulation::Unknown);
    }

    #[test]
    fn rubbish_is_no_format() {
        assert!(parse("x", "").is_none());
        assert!(parse("x", "enabled\nmagic 7g\n").is_none());
        let extension = parse("py", "enabled\ninterpreter /p\nflags: F\nextension .py\n").unwrap();
        assert_eq!(emulation("arm64", Some(&[extension])), Emulation::Missing);
    }
}
