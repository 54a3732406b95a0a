//! Which part of a file is asked for (RFC 9110, section 14).

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The bytes from the first to the last, both sent.
    Bytes(u64, u64),
    /// There are no such bytes.
    None,
}

/// Reads a `Range` header for a file of `size` bytes. What is not understood, and
/// several parts at once, may be answered with the whole (section 14.2).
pub fn part(header: &str, size: u64) -> Part {
    let asked = || -> Option<Part> {
        let (unit, range) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        let number = |text: &str| -> Option<u64> {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // More than there can be is as good as the most.
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        if first.is_empty() {
            let count = number(last)?.min(size);
            return Some(match count {
                0 => Part::None,
                _ => Part::Bytes(size - count, size - 1),
            });
        }
        let first = number(first)?;
        let last = match last {
            "" => u64::MAX,
            last => number(last)?,
        };
        if last < first {
            return None;
        }
        Some(match first < size {
            true => Part::Bytes(first, last.min(size - 1)),
            false => Part::None,
        })
    };
    asked().unwrap_or(Part::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        for (header, wanted) in [
            ("bytes=0-", Part::Bytes(0, 9)),
            ("bytes=0-0", Part::Bytes(0, 0)),
            ("Bytes=5-100", Part::Bytes(5, 9)),
            ("bytes=9-99999999999999999999999", Part::Bytes(9, 9)),
            ("bytes=-3", Part::Bytes(7, 9)),
            ("bytes=-100", Part::Bytes(0, 9)),
            ("bytes=10-", Part::None),
            ("bytes=99999999999999999999999-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(header, 10), wanted, "{header}");
        }
        assert_eq!(part("bytes=0-", 0), Part::None);
    }
}
