//! Names of a FAT folder: eleven capitals, and in front of them the name as it is
//! (the specification's sections 6 and 7).

use super::{ENTRY, fields};
use crate::error::{Error, Kind, Result};

/// UTF-16 units in one entry of a long name.
const UNITS: usize = 13;

/// The longest name in UTF-16 units.
const LONGEST: usize = 255;

/// What short names may have beside letters and digits.
const SHORT: &str = "$%'-_@~`!(){}^#&";

/// The entries that name one file.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    /// The short name, 8 and 3 bytes.
    pub short: [u8; 11],
    /// The entries of the long name, as they stand in the folder; none if the short
    /// one says it all.
    pub long: Vec<Vec<u8>>,
}

impl Names {
    /// Names a file that is beside those with the short names `taken`.
    ///
    /// # Errors
    /// When the name has letters that FAT has not, or is too long.
    pub fn of(name: &str, taken: &[[u8; 11]]) -> Result<Self> {
        let strange = |letter: char| letter.is_control() || "\"*/:<>?\\|".contains(letter);
        let units: Vec<u16> = name.encode_utf16().collect();
        let ends = name.ends_with(['.', ' ']);
        if units.is_empty() || units.len() > LONGEST || name.contains(strange) || ends {
            let message = format!("`{name}` is no name for a file of the EFI system partition");
            return Err(Error::new(Kind::Usage, message));
        }
        if let Some(short) = exact(name) {
            let long = Vec::new();
            return Ok(Self { short, long });
        }
        let mut number = 1;
        let short = loop {
            let short = numbered(name, number);
            if !taken.contains(&short) {
                break short;
            }
            number += 1;
        };
        let long = long(units, checksum(&short));
        Ok(Self { short, long })
    }
}

/// The name as a short one, if it is one.
fn exact(name: &str) -> Option<[u8; 11]> {
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    let fits = |part: &str| {
        part.chars()
            .all(|one| one.is_ascii_uppercase() || one.is_ascii_digit() || SHORT.contains(one))
    };
    let is_short = (1..=8).contains(&stem.len()) && ending.len() <= 3;
    let said = name.contains('.') != ending.is_empty();
    (is_short && said && fits(stem) && fits(ending)).then(|| put(stem, ending))
}

/// A short name for a long one (section 7.3.2, "numeric tail").
fn numbered(name: &str, number: u32) -> [u8; 11] {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let plain = |part: &str| -> String {
        let letters = part.chars().filter(|one| !matches!(one, '.' | ' '));
        letters
            .map(|one| match one.to_ascii_uppercase() {
                one if one.is_ascii_alphanumeric() || SHORT.contains(one) => one,
                _ => '_',
            })
            .collect()
    };
    let tail = format!("~{number}");
    let stem: String = plain(stem).chars().take(8 - tail.len()).collect();
    let ending: String = plain(ending).chars().take(3).collect();
    put(&format!("{stem}{tail}"), &ending)
}

fn put(stem: &str, ending: &str) -> [u8; 11] {
    let mut short = [b' '; 11];
    short[..stem.len()].copy_from_slice(stem.as_bytes());
    short[8..8 + ending.len()].copy_from_slice(ending.as_bytes());
    short
}

/// Ties a long name to its short one (section 7.2).
fn checksum(short: &[u8; 11]) -> u8 {
    let add = |sum: u8, byte: &u8| sum.rotate_right(1).wrapping_add(*byte);
    short.iter().fold(0, add)
}

/// The entries of a long name, its last part first.
fn long(mut units: Vec<u16>, checksum: u8) -> Vec<Vec<u8>> {
    if !units.len().is_multiple_of(UNITS) {
        units.push(0);
        let whole = units.len().next_multiple_of(UNITS);
        units.resize(whole, 0xffff);
    }
    let parts = units.chunks(UNITS).zip(1_u8..);
    let count = units.len() / UNITS;
    let entries = parts.map(|(part, number)| {
        let bytes: Vec<u8> = part.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let last = if usize::from(number) == count {
            0x40
        } else {
            0
        };
        fields(
            ENTRY,
            &[
                (0, &[number | last]),
                (1, &bytes[..10]),
                (11, &[0x0f]),
                (13, &[checksum]),
                (14, &bytes[10..22]),
                (28, &bytes[22..]),
            ],
        )
    });
    let mut entries: Vec<_> = entries.collect();
    entries.reverse();
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names() {
        let short = |name: &str, taken: &[[u8; 11]]| {
            let names = Names::of(name, taken).unwrap();
            let short = String::from_utf8(names.short.to_vec()).unwrap();
            (short, names.long.len())
        };
        let cases = [
            ("EFI", "EFI        ", 0),
            ("BOOTX64.EFI", "BOOTX64 EFI", 0),
            ("Linux", "LINUX~1    ", 1),
            ("loader.conf", "LOADER~1CON", 1),
            ("a_1.2+3.efi", "A_12_3~1EFI", 1),
            ("thirteen.name", "THIRTE~1NAM", 1),
            ("fourteen.names", "FOURTE~1NAM", 2),
        ];
        for (name, wanted, entries) in cases {
            assert_eq!(short(name, &[]), (wanted.to_owned(), entries), "{name}");
        }
        let taken = [*b"LINUX~1    "];
        assert_eq!(short("Linux", &taken).0, "LINUX~2    ");
        for name in ["", "a/b", "a?", "a.", &"x".repeat(256)] {
            assert!(Names::of(name, &[]).is_err(), "{name}");
        }
    }
}
