//! PE files as far as signatures go: what of them is hashed, and the table of attribute
//! certificates at their end ("PE Format", "The Attribute Certificate Table").

use std::io::{Write, sink};

use crate::bundle::uki::{MAGIC, at};
use crate::digest::{Digest, Hasher};

/// A PE file of 64 bits that can be signed.
pub(super) struct Pe {
    bytes: Vec<u8>,
    /// Where the optional header is.
    optional: usize,
    /// Where the headers end.
    headers: usize,
    /// What sections have in the file, in the order in which it is there.
    sections: Vec<(usize, usize)>,
    /// Where the certificates begin, or would: they are the end of the file.
    end: usize,
}

/// Entries of the table begin at multiples of this.
const ALIGNED: usize = 8;

/// A section's header in bytes.
const SECTION: usize = 40;

/// `WIN_CERT_REVISION_2_0` and `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const SIGNED_DATA: [u8; 4] = [0, 2, 2, 0];

impl Pe {
    /// None if it is none, or something in it is where it cannot be.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let start = number(bytes, 0x3c)?;
        if !bytes.starts_with(b"MZ") || bytes.get(start..)?.get(..4)? != b"PE\0\0" {
            return None;
        }
        let coff = start + 4;
        let optional = coff + at::OPTIONAL;
        let size = short(bytes, coff + at::OPTIONAL_SIZE)?;
        let directories = number(bytes, optional + at::DIRECTORIES)?;
        let known = directories > at::CERTIFICATES_NUMBER && size >= at::CERTIFICATES + 8;
        if short(bytes, optional)? != usize::from(MAGIC) || !known {
            return None;
        }
        let entry = optional + at::CERTIFICATES;
        let end = match (number(bytes, entry)?, number(bytes, entry + 4)?) {
            (0, 0) => bytes.len(),
            // What is behind them, no one would have hashed.
            (end, size) if end % ALIGNED == 0 && end.checked_add(size)? == bytes.len() => end,
            _ => return None,
        };
        let table = optional + size;
        let count = short(bytes, coff + at::SECTIONS)?;
        let headers = number(bytes, optional + at::HEADERS_SIZE)?;
        if headers < table + count * SECTION || headers > end {
            return None;
        }
        let mut sections = Vec::new();
        for header in (table..).step_by(SECTION).take(count) {
            let (size, place) = (number(bytes, header + 16)?, number(bytes, header + 20)?);
            if size > 0 {
                let fits = place >= headers && place.checked_add(size)? <= end;
                sections.push(fits.then_some((place, size))?);
            }
        }
        sections.sort_unstable();
        let sum: usize = sections.iter().map(|(_, size)| size).sum();
        if headers.checked_add(sum)? > end {
            return None;
        }
        let mut file = Self {
            bytes: bytes.to_vec(),
            optional,
            headers,
            sections,
            end,
        };
        if end == bytes.len() {
            // The filling is hashed too.
            file.end = end.next_multiple_of(ALIGNED);
            file.bytes.resize(file.end, 0);
        }
        Some(file)
    }

    /// The digest that is signed ("Calculating the PE Image Hash"): of all but the
    /// checksum, where the certificates are, and these.
    pub fn digest(&self) -> Digest {
        let checksum = self.optional + at::CHECKSUM;
        let entry = self.optional + at::CERTIFICATES;
        let mut writer = Hasher::new(sink());
        let mut put = |from: usize, to: usize| {
            // A sink takes everything.
            let _ = writer.write_all(&self.bytes[from..to]);
        };
        put(0, checksum);
        put(checksum + 4, entry);
        put(entry + 8, self.headers);
        let mut hashed = self.headers;
        for (place, size) in &self.sections {
            put(*place, place + size);
            hashed += size;
        }
        put(hashed, self.end);
        writer.finish().0
    }

    /// Puts a signature behind those that are there. None if it is too long.
    pub fn add(&mut self, signature: &[u8]) -> Option<()> {
        let aligned = self.bytes.len().next_multiple_of(ALIGNED);
        self.bytes.resize(aligned, 0);
        let length = u32::try_from(signature.len() + 8).ok()?;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&SIGNED_DATA);
        self.bytes.extend_from_slice(signature);
        let aligned = self.bytes.len().next_multiple_of(ALIGNED);
        self.bytes.resize(aligned, 0);
        let entry = self.optional + at::CERTIFICATES;
        self.put(entry, u32::try_from(self.end).ok()?);
        self.put(entry + 4, u32::try_from(aligned - self.end).ok()?);
        self.put(self.optional + at::CHECKSUM, 0);
        let sum = self.checksum()?;
        self.put(self.optional + at::CHECKSUM, sum);
        Some(())
    }

    /// The checksum of a file without one: its words added up, and its length.
    fn checksum(&self) -> Option<u32> {
        let words = self.bytes.chunks_exact(2);
        let sum: u64 = words
            .map(|word| u64::from(u16::from_le_bytes([word[0], word[1]])))
            .sum();
        // The carries are added where they would have come from.
        let mut sum = sum;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u32::try_from(sum + self.bytes.len() as u64).ok()
    }

    fn put(&mut self, at: usize, number: u32) {
        self.bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }

    /// The file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes(bytes.try_into().ok()?)))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small PE file with a section of 512 bytes, and something behind it.
    fn small() -> Vec<u8> {
        let mut bytes = vec![0; 1024 + 3];
        bytes[..2].copy_from_slice(b"MZ");
        let mut put = |at: usize, number: u32| {
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        };
        put(0x3c, 64);
        put(64, u32::from_le_bytes(*b"PE\0\0"));
        put(68 + at::SECTIONS, 1);
        put(68 + at::OPTIONAL_SIZE, 240);
        let optional = 68 + at::OPTIONAL;
        put(optional + at::MAGIC, MAGIC.into());
        put(optional + at::HEADERS_SIZE, 512);
        put(optional + at::DIRECTORIES, 16);
        put(optional + 240 + 16, 512);
        put(optional + 240 + 20, 512);
        bytes
    }

    #[test]
    fn signatures_change_no_digest() {
        let mut file = Pe::read(&small()).unwrap();
        let digest = file.digest();
        for length in [1, 8, 1000] {
            file.add(&vec![7; length]).unwrap();
            let bytes = file.into_bytes();
            assert_eq!(bytes.len() % ALIGNED, 0);
            file = Pe::read(&bytes).unwrap();
            assert_eq!(file.digest(), digest);
        }
        let mut other = small();
        other[600] = 1;
        assert_ne!(Pe::read(&other).unwrap().digest(), digest);
        // Bytes behind the signatures, which nobody would have signed.
        let mut bytes = file.into_bytes();
        bytes.extend([0; 8]);
        assert!(Pe::read(&bytes).is_none());
    }

    #[test]
    fn damaged_files_are_refused_or_read() {
        let good = small();
        for length in 0..good.len() {
            if let Some(file) = Pe::read(&good[..length]) {
                file.digest();
            }
        }
        for at in 0..512 {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                if let Some(mut file) = Pe::read(&bytes) {
                    file.digest();
                    file.add(b"x").unwrap();
                }
            }
        }
    }
}
