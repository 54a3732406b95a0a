//! Files whose content is brought to a form that depends on nothing but the packages.

use super::rules::MACHINE_ID;

/// Nothing.
pub fn emptied(_: &[u8]) -> Vec<u8> {
    Vec::new()
}

/// machine-id(5): the first boot fills it in.
pub fn machine_id(_: &[u8]) -> Vec<u8> {
    MACHINE_ID.to_vec()
}

/// shadow(5) without the dates of the last password changes.
///
/// Tools write the day on which they ran there, or `SOURCE_DATE_EPOCH`'s: the
/// layer would change with the clock, or with every lock. An empty field means
/// that passwords do not age, which is also what shadow's tools write where there
/// is no clock; 0 would mean that the password must be changed at once, and is
/// left alone, because then somebody meant it.
pub fn shadow(old: &[u8]) -> Vec<u8> {
    let lines: Vec<Vec<u8>> = old
        .split(|byte| *byte == b'\n')
        .map(|line| {
            let mut fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
            if fields.len() == 9 && fields[2] != b"0" {
                fields[2] = b"";
            }
            fields.join(&b':')
        })
        .collect();
    lines.join(&b'\n')
}

/// Debian's open-iscsi makes the name at its first start when it finds this.
pub fn iscsi_initiator(old: &[u8]) -> Vec<u8> {
    let names_itself = old
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"InitiatorName="));
    if names_itself {
        b"GenerateName=yes\n".to_vec()
    } else {
        old.to_vec()
    }
}

/// How compiled Python knows whether it is current (PEP 552).
#[derive(Debug, PartialEq, Eq)]
pub enum Bytecode {
    /// By the modification time of its source.
    Timestamp(u32),
    /// By the hash of its source.
    Hash,
}

/// Reads the header of a `.pyc` file; none if it is none.
pub fn bytecode(header: &[u8]) -> Option<Bytecode> {
    let field = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?))
    };
    let magic_ends_well = header.get(2..4)? == b"\r\n";
    match (magic_ends_well, field(4)?, field(12)) {
        (true, 0, Some(_)) => Some(Bytecode::Timestamp(field(8)?)),
        (true, 1 | 3, Some(_)) => Some(Bytecode::Hash),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shadow_loses_dates_and_nothing_else() {
        let old =
            b"root:*:20780:0:99999:7:::\nsys:!*:20780::::::\nnew:x:0:0:99999:7:::\nodd:line\n";
        let new = shadow(old);
        assert_eq!(
            String::from_utf8_lossy(&new),
            "root:*::0:99999:7:::\nsys:!*:::::::\nnew:x:0:0:99999:7:::\nodd:line\n"
        );
        assert_eq!(shadow(&new), new);
        assert_eq!(shadow(b""), b"");
    }

    #[test]
    fn an_initiator_that_is_to_be_made_stays() {
        assert_eq!(
            iscsi_initiator(b"## x\nInitiatorName=iqn.1993-08.org.debian:01:abc\n"),
            b"GenerateName=yes\n"
        );
        let unmade = b"# comment\nGenerateName=yes\n";
        assert_eq!(iscsi_initiator(unmade), unmade);
    }

    #[test]
    fn bytecode_headers_are_told_apart() {
        let header = |flags: u8| {
            let mut bytes = b"\xf3\x0d\x0d\x0a\0\0\0\0\x01\x02\0\0\x09\0\0\0".to_vec();
            bytes[4] = flags;
            bytes
        };
        assert_eq!(bytecode(&header(0)), Some(Bytecode::Timestamp(513)));
        assert_eq!(bytecode(&header(1)), Some(Bytecode::Hash));
        assert_eq!(bytecode(&header(3)), Some(Bytecode::Hash));
        assert_eq!(bytecode(&header(2)), None);
        assert_eq!(bytecode(b"\xf3\x0d\x0d\x0a"), None);
        assert_eq!(bytecode(b""), None);
    }
}
