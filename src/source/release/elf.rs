//! Which architecture a program is for, and whether that is the one it is meant for.
//!
//! ELF header: the machine is a number of two bytes at 18, in the byte order that
//! the byte at 5 gives (System V ABI, "ELF Header"). What is no ELF file, such as
//! a script, is for any.

use std::io::Read;

const MAGIC: &[u8] = b"\x7fELF";
/// Debian's names and ELF's numbers (`EM_X86_64`, `EM_AARCH64`).
const MACHINES: [(&str, u16); 2] = [("amd64", 62), ("arm64", 183)];

/// What a program is for, by its first 20 bytes or more: Debian's name if there is one,
/// and ELF's number; none if it is no ELF file.
#[must_use]
pub fn machine(program: &[u8]) -> Option<(Option<&'static str>, u16)> {
    let header = program.get(..20).filter(|all| all.starts_with(MAGIC))?;
    let number = [header[18], header[19]];
    let number = match header[5] {
        2 => u16::from_be_bytes(number),
        _ => u16::from_le_bytes(number),
    };
    let known = MACHINES.iter().find(|(_, known)| *known == number);
    Some((known.map(|(name, _)| *name), number))
}

/// What a program is for, if that is not `architecture` (Debian's name).
pub(super) fn foreign(mut program: impl Read, architecture: &str) -> Option<String> {
    let mut header = [0; 20];
    program.read_exact(&mut header).ok()?;
    match machine(&header)? {
        (Some(name), _) if name == architecture => None,
        (Some(name), _) => Some(name.to_owned()),
        (None, number) => Some(format!("ELF machine {number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines() {
        let elf = |machine: u16| {
            let mut header = [0_u8; 20];
            header[..6].copy_from_slice(b"\x7fELF\x02\x01");
            header[18..].copy_from_slice(&machine.to_le_bytes());
            header
        };
        assert_eq!(foreign(&elf(62)[..], "amd64"), None);
        assert_eq!(foreign(&elf(183)[..], "amd64").as_deref(), Some("arm64"));
        assert_eq!(
            foreign(&elf(3)[..], "amd64").as_deref(),
            Some("ELF machine 3")
        );
        assert_eq!(foreign(&b"#!/bin/sh\nexec something\n"[..], "amd64"), None);
        assert_eq!(foreign(&b""[..], "amd64"), None);
    }
}
