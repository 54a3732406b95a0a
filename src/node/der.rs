//! As much of PEM and DER as it takes to find a certificate's subject hash.
//!
//! OpenSSL looks certificates up in a folder by a hash of their subject: the
//! first four bytes, taken as a little-endian number, of the SHA-1 digest of
//! the *canonical* name (`X509_NAME_hash`). Canonical means: every text becomes
//! UTF-8, ASCII letters become small, blanks are trimmed and folded, and the
//! outermost header is left off. SHA-1 is here a name, not a protection.

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::der::{INTEGER, OBJECT, SEQUENCE, SET, UTF8, element, encode, expect};
use crate::pem;

/// The certificates of a PEM text, as DER. An error says what is wrong.
pub(super) fn certificates(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut found = Vec::new();
    for (label, body) in pem::sections(text)? {
        match label {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                let der = pem::base64(body).ok_or("a certificate is not Base64")?;
                subject(&der).ok_or("a certificate is not well-formed")?;
                found.push(der);
            }
            label if label.contains("PRIVATE KEY") => {
                return Err("it holds a private key, which must not be in an image".to_owned());
            }
            label => return Err(format!("it holds a {}", label.to_lowercase())),
        }
    }
    if found.is_empty() {
        return Err("it holds no certificate in PEM form".to_owned());
    }
    Ok(found)
}

/// A certificate in PEM form, 64 characters to the line.
pub(super) fn to_pem(der: &[u8]) -> String {
    let body = to_base64(der);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = &body[..];
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text += line;
        text.push('\n');
        rest = after;
    }
    text + "-----END CERTIFICATE-----\n"
}

/// Bytes in Base64 (RFC 4648, section 4), on one line.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The content of a certificate's subject (RFC 5280, 4.1).
pub(super) fn subject(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut rest, _) = expect(certificate, SEQUENCE)?;
    // The version is left out for version 1.
    if let (0xa0, _, after) = element(rest)? {
        rest = after;
    }
    let (_, rest) = expect(rest, INTEGER)?;
    let (_, rest) = expect(rest, SEQUENCE)?; // signature algorithm
    let (_, rest) = expect(rest, SEQUENCE)?; // issuer
    let (_, rest) = expect(rest, SEQUENCE)?; // validity
    let (subject, _) = expect(rest, SEQUENCE)?;
    canonical(subject)?;
    Some(subject)
}

/// The hash by which OpenSSL finds a certificate, as eight digits.
pub(super) fn subject_hash(certificate: &[u8]) -> Option<String> {
    let digest = sha1(&canonical(subject(certificate)?)?);
    let number = u32::from_le_bytes(digest[..4].try_into().ok()?);
    Some(format!("{number:08x}"))
}

/// The canonical form of a name's content.
fn canonical(mut name: &[u8]) -> Option<Vec<u8>> {
    let mut result = Vec::new();
    while !name.is_empty() {
        let (mut attributes, after) = expect(name, SET)?;
        name = after;
        let mut members = Vec::new();
        while !attributes.is_empty() {
            let (attribute, after) = expect(attributes, SEQUENCE)?;
            attributes = after;
            let (object, rest) = expect(attribute, OBJECT)?;
            let (tag, value, _) = element(rest)?;
            let mut member = encode(OBJECT, object);
            member.extend(match text(tag, value) {
                Some(text) => encode(UTF8, fold(&text).as_bytes()),
                None => encode(tag, value),
            });
            members.push(encode(SEQUENCE, &member));
        }
        // The members of a SET OF stand in order (X.690, 11.6).
        members.sort();
        result.extend(encode(SET, &members.concat()));
    }
    Some(result)
}

/// A string's text, if the type is one that canonical names convert.
fn text(tag: u8, value: &[u8]) -> Option<String> {
    let wide = |size: usize| {
        value
            .chunks(size)
            .map(|chunk| {
                let number = chunk
                    .iter()
                    .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
                (chunk.len() == size)
                    .then(|| char::from_u32(number))
                    .flatten()
            })
            .collect::<Option<String>>()
    };
    match tag {
        UTF8 => std::str::from_utf8(value).ok().map(str::to_owned),
        // Printable, Teletex (read as Latin-1), IA5, Visible.
        0x13 | 0x14 | 0x16 | 0x1a => Some(value.iter().copied().map(char::from).collect()),
        0x1e => wide(2),
        0x1c => wide(4),
        _ => None,
    }
}

fn fold(text: &str) -> String {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r');
    let words: Vec<_> = text.split(blank).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}

/// SHA-1 (FIPS 180-4, 6.1).
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state = [
        0x6745_2301_u32,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - message.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = bytes
                .iter()
                .fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        for at in 16..80 {
            let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
            words[at] = mixed.rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (round, word) in words.into_iter().enumerate() {
            let (mix, constant) = match round / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mix)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, add) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(add);
        }
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha1_of_known_texts() {
        let hex = |text: &str| {
            sha1(text.as_bytes())
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<String>()
        };
        assert_eq!(hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        );
        for length in [55, 56, 63, 64, 65, 119, 120] {
            assert_eq!(sha1(&vec![b'a'; length]).len(), 20);
        }
    }

    #[test]
    fn base64_round_trips() {
        for length in 0..70 {
            let bytes: Vec<u8> = (0..length).collect();
            let text = to_pem(&bytes);
            let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            assert_eq!(pem::base64(&body).unwrap(), bytes);
        }
    }

    #[test]
    fn broken_certificates_are_refused() {
        for (text, message) in [
            ("", "it holds no certificate in PEM form"),
            ("-----BEGIN CERTIFICATE", "a PEM header is not closed"),
            (
                "-----BEGIN CERTIFICATE-----\nAA==\n",
                "`-----END CERTIFICATE-----` is missing",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
                "a certificate is not well-formed",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nAA==\n-----END RSA PRIVATE KEY-----",
                "it holds a private key, which must not be in an image",
            ),
        ] {
            assert_eq!(certificates(text).unwrap_err(), message);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = subject_hash(&bytes);
            let _ = certificates(&to_pem(&bytes));
        }
    }
}
