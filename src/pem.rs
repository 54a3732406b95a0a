//! PEM (RFC 7468): certificates and keys as text.

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
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0_u32, 0, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count % 4 == 0 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            bits = 0;
        }
    }
    match (count % 4, padding) {
        (0, 0) => {}
        (2, 2) => bytes.push((bits >> 4).to_be_bytes()[3]),
        (3, 1) => bytes.extend_from_slice(&(bits >> 2).to_be_bytes()[2..]),
        _ => return None,
    }
    Some(bytes)
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
