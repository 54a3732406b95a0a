//! One line of a log file, and the times that it is compared with.

use jiff::Timestamp;

use crate::cri::args::Stream;
use crate::error::{Error, Kind, Result};

/// An entry of a log.
pub struct Entry<'a> {
    /// The time as it is written.
    pub written: &'a str,
    pub time: Timestamp,
    pub stream: Stream,
    /// Whether the line ends with it.
    pub whole: bool,
    pub text: &'a [u8],
}

impl<'a> Entry<'a> {
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let mut word = || std::str::from_utf8(parts.next()?).ok();
        let written = word()?;
        let stream = match word()? {
            "stdout" => Stream::Stdout,
            "stderr" => Stream::Stderr,
            _ => return None,
        };
        let tags = word()?;
        Some(Self {
            written,
            time: written.parse().ok()?,
            stream,
            whole: tags.split(':').next() != Some("P"),
            text: parts.next().unwrap_or_default(),
        })
    }
}

/// The time that `--since` names: a duration back from now, a date, a date with
/// a time (in UTC where it has no zone), or seconds since 1970.
pub fn since(text: &str) -> Result<Timestamp> {
    // Go's durations have a unit; a bare number is a time.
    if text.parse::<f64>().is_err()
        && let Ok(back) = text.parse::<jiff::SignedDuration>()
        && let Ok(time) = Timestamp::now().checked_sub(back)
    {
        return Ok(time);
    }
    let date_time = || text.parse::<jiff::civil::DateTime>().ok();
    let with_zone = text.parse::<Timestamp>().ok();
    let without = || date_time()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let seconds = || {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let nanoseconds = format!("{part:0<9}").get(..9)?.parse().ok()?;
        Timestamp::new(whole.parse().ok()?, nanoseconds).ok()
    };
    with_zone
        .or_else(|| without().map(|zoned| zoned.timestamp()))
        .or_else(seconds)
        .ok_or_else(|| {
            let message = format!("--since {text:?} is neither a time nor a duration");
            Error::new(Kind::Usage, message)
                .hint("they are written as `42m`, `2026-01-02T13:23:37Z` or `1767360217`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let entry = Entry::parse(b"2026-01-02T03:04:05.6Z stderr P half a \xff line").unwrap();
        assert_eq!(entry.written, "2026-01-02T03:04:05.6Z");
        assert_eq!(entry.time.to_string(), "2026-01-02T03:04:05.6Z");
        assert_eq!(entry.stream, Stream::Stderr);
        assert!(!entry.whole);
        assert_eq!(entry.text, b"half a \xff line");
        let entry = Entry::parse(b"2026-01-02T03:04:05+01:00 stdout F:x ").unwrap();
        assert!(entry.whole);
        assert_eq!(entry.text, b"");
        for line in [
            &b""[..],
            b"text",
            b"2026-01-02T03:04:05Z",
            b"2026-01-02T03:04:05Z stdin F a",
            b"yesterday stdout F a",
            b"\xff stdout F a",
        ] {
            assert!(Entry::parse(line).is_none());
        }
    }

    #[test]
    fn times_are_read() {
        for (text, time) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"),
            ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
            ("2026-01-02", "2026-01-02T00:00:00Z"),
            ("1500000000", "2017-07-14T02:40:00Z"),
            ("1500000000.25", "2017-07-14T02:40:00.25Z"),
        ] {
            assert_eq!(since(text).unwrap().to_string(), time);
        }
        let back = Timestamp::now().duration_since(since("1h30m").unwrap());
        assert!((5390..5410).contains(&back.as_secs()), "{back:?}");
        for text in ["", "yesterday", "1.2.3"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
