//! NAR hashes in all the ways in which Nix writes them.

use serde_json::Value;

use crate::digest::Digest;

/// Nix's digits of base 32, which lack e, o, t and u.
const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Reads a SHA-256 as `sha256-BASE64` (as in Subresource Integrity), `sha256:` with
/// base 16, Nix's base 32 or base 64, or base 16 or 32 alone.
///
/// # Errors
/// Why it is not one.
pub fn parse(text: &str) -> Result<Digest, String> {
    let digits = match text.split_once(['-', ':']) {
        Some(("sha256", digits)) => digits,
        Some((other, _)) => return Err(format!("`{text}` is a hash of the sort `{other}`")),
        None => text,
    };
    let digest = match digits.len() {
        64 => Digest::from_hex(digits),
        52 => base_32(digits),
        43 | 44 => base_64(digits),
        _ => None,
    };
    digest.ok_or_else(|| format!("`{text}` is not a SHA-256"))
}

/// Reads a hash in JSON: a text, or an object of its algorithm, form and digits.
pub(super) fn of_json(value: &Value) -> Result<Digest, String> {
    match value {
        Value::String(text) => parse(text),
        Value::Object(parts) => match (parts.get("algorithm"), parts.get("hash")) {
            (Some(Value::String(algorithm)), Some(Value::String(digits))) => {
                parse(&format!("{algorithm}:{digits}"))
            }
            _ => Err(format!("`{value}` is not a hash")),
        },
        other => Err(format!("`{other}` is not a hash")),
    }
}

/// Nix's base 32: the last digit stands for the first five bits.
fn base_32(text: &str) -> Option<Digest> {
    let mut bytes = [0_u8; 32];
    for (at, digit) in text.bytes().rev().enumerate() {
        let value = u16::try_from(DIGITS.iter().position(|&known| known == digit)?).ok()?;
        let (byte, shift) = (at * 5 / 8, at * 5 % 8);
        let [low, high] = (value << shift).to_le_bytes();
        *bytes.get_mut(byte)? |= low;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= high,
            None if high == 0 => {}
            None => return None,
        }
    }
    from_bytes(&bytes)
}

fn base_64(text: &str) -> Option<Digest> {
    let mut bytes = Vec::with_capacity(33);
    let (mut gathered, mut bits) = (0_u32, 0);
    for digit in text.strip_suffix('=').unwrap_or(text).bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        gathered = gathered << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(gathered >> bits).ok()?);
            gathered &= (1 << bits) - 1;
        }
    }
    match gathered {
        0 => from_bytes(&bytes),
        _ => None,
    }
}

fn from_bytes(bytes: &[u8]) -> Option<Digest> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::from_hex(&hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One hash in every form, as `nix hash to-base…` prints it.
    const FORMS: [&str; 6] = [
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
        "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
        "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        "sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
    ];

    #[test]
    fn every_form_is_read() {
        for form in FORMS {
            assert_eq!(parse(form).unwrap(), Digest::of(b"abc"), "{form}");
        }
        let structured = serde_json::json!({
            "algorithm": "sha256", "format": "base64",
            "hash": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        });
        assert_eq!(of_json(&structured).unwrap(), Digest::of(b"abc"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "",
            "sha256:",
            "sha512-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
            "zb8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
            "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5e",
            "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(of_json(&Value::Null).is_err());
    }
}
