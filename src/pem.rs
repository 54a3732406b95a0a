//! PEM (RFC 7468): certificates and keys as text.

use base64::decoded_len_estimate;
use base64::prelude::{BASE64_STANDARD, Engine};
use zeroize::Zeroizing;

/// The sections of a text: their labels, and what stands between their lines. An error
/// says what is wrong.
pub(crate) fn sections(text: &str) -> Result<Vec<(&str, &str)>, String> {
    const BEGIN: &str = "-----BEGIN ";
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (label, body) = rest[at + BEGIN.len()..]
            .split_once("-----")
            .ok_or("a PEM header is not closed")?;
        let end = format!("-----END {label}-----");
        let (body, after) = body
            .split_once(&end)
            .ok_or_else(|| format!("`{end}` is missing"))?;
        found.push((label, body));
        rest = after;
    }
    Ok(found)
}

/// Bytes of a text in Base64 (RFC 4648, section 4), white space left out.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    // A vector that grows leaves copies behind, of what may be a key.
    let mut letters = Zeroizing::new(Vec::with_capacity(text.len()));
    letters.extend(bytes);
    let mut decoded = Zeroizing::new(vec![0; decoded_len_estimate(letters.len())]);
    let length = BASE64_STANDARD.decode_slice(&*letters, &mut decoded).ok()?;
    decoded.truncate(length);
    Some(std::mem::take(&mut *decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_a_text() {
        let text = "about it\n-----BEGIN A-----\nAA==\n-----END A-----\nthe next\n-----BEGIN B C-----\n-----END B C-----\n";
        let expected = vec![("A", "\nAA==\n"), ("B C", "\n")];
        assert_eq!(sections(text), Ok(expected));
        assert_eq!(sections("nothing"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_base64() {
        assert_eq!(base64("AA ==\n"), Some(vec![0]));
        for bad in ["A", "AA", "AA=", "AA==A", "A*==", "===="] {
            assert_eq!(base64(bad), None, "{bad}");
        }
    }
}
