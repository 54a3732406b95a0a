//! As much of DER (X.690) as certificates and signatures take: elements with tags of one
//! byte and definite lengths.

/// `SEQUENCE`.
pub(crate) const SEQUENCE: u8 = 0x30;
/// `SET`.
pub(crate) const SET: u8 = 0x31;
/// `INTEGER`.
pub(crate) const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub(crate) const BITS: u8 = 0x03;
/// `OCTET STRING`.
pub(crate) const OCTETS: u8 = 0x04;
/// `NULL`.
pub(crate) const NULL: u8 = 0x05;
/// `OBJECT IDENTIFIER`.
pub(crate) const OBJECT: u8 = 0x06;
/// `UTF8String`.
pub(crate) const UTF8: u8 = 0x0c;

/// The first element: its tag, its content, and what follows it (X.690, 8.1).
pub(crate) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) || rest.len() < count {
            return None;
        }
        let (digits, after) = rest.split_at(count);
        rest = after;
        digits.iter().try_fold(0_usize, |length, digit| {
            length.checked_mul(256)?.checked_add(usize::from(*digit))
        })?
    };
    (length <= rest.len()).then(|| (tag, &rest[..length], &rest[length..]))
}

/// The same for an element of this tag: its content, and what follows it.
pub(crate) fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// An element with this content.
pub(crate) fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut result = vec![tag];
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|digit| **digit == 0).count()..];
    match digits {
        [] => result.push(0),
        [one] if *one < 0x80 => result.push(*one),
        digits => {
            result.push(0x80 | u8::try_from(digits.len()).unwrap_or(0x7f));
            result.extend_from_slice(digits);
        }
    }
    result.extend_from_slice(content);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_one_byte_and_more() {
        for (length, begin) in [
            (0, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (65_536, &[4, 0x83, 1, 0, 0]),
        ] {
            let content = vec![7; length];
            let encoded = encode(OCTETS, &content);
            assert!(encoded.starts_with(begin), "{length}");
            let rest = [&encoded[..], b"x"].concat();
            assert_eq!(element(&rest), Some((OCTETS, &content[..], &b"x"[..])));
            assert_eq!(element(&encoded[..encoded.len() - 1]), None, "{length}");
        }
        assert_eq!(expect(&encode(OCTETS, b"x"), SET), None);
    }
}
