//! Tables, times and sizes as crictl prints them.

use std::fmt::Write as _;

use jiff::Timestamp;

/// The least width of a column but the last.
const WIDTH: usize = 20;
/// Spaces after the longest cell of a column.
const GAP: usize = 3;

/// Rows whose columns are brought into line.
#[derive(Default)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self(vec![head.map(str::to_owned).into()])
    }

    pub fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.0.push(cells.into());
    }

    pub fn text(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            WIDTH.max(longest + GAP)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.0 {
            for (column, cell) in row.iter().enumerate() {
                let width = match column + 1 == row.len() {
                    true => 0,
                    false => widths[column],
                };
                let _ = write!(text, "{cell:width$}");
            }
            text.push('\n');
        }
        text
    }
}

/// How long ago a time (nanoseconds since 1970) was, as in "2 minutes ago".
pub fn ago(nanoseconds: i64) -> String {
    let now = Timestamp::now().as_nanosecond();
    let seconds = (now - i128::from(nanoseconds)) / 1_000_000_000;
    format!("{} ago", lasting(seconds))
}

fn lasting(seconds: i128) -> String {
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (..1, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, ..336) => format!("{} days", hours / 24),
        (_, _, ..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// A time in words, in UTC.
pub fn time(nanoseconds: i64) -> String {
    let text = json_time(nanoseconds);
    let text = text.trim_end_matches('Z').replace('T', " ");
    format!("{text} +0000 UTC")
}

/// A time as in JSON (RFC 3339, UTC).
pub fn json_time(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanoseconds))
        .unwrap_or_default()
        .to_string()
}

/// A size with three digits and a decimal unit, as in 4.75MB.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut scaled = to_float(bytes);
    let mut unit = 0;
    while scaled >= 1000.0 && unit + 1 < UNITS.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    let places = match scaled {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let mut number = format!("{scaled:.places$}");
    if number.contains('.') {
        number.truncate(number.trim_end_matches('0').trim_end_matches('.').len());
    }
    number + UNITS[unit]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "three digits are shown, floats have fifteen"
)]
fn to_float(bytes: u64) -> f64 {
    bytes as f64
}

/// The first 13 characters of an id.
pub fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..13).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_in_line() {
        let mut table = Table::new(["POD ID", "NAME"]);
        table.row(["x".repeat(30), "y".to_owned()]);
        table.row(["z".to_owned(), String::new()]);
        let pad = " ".repeat(27);
        let expected = format!(
            "POD ID{pad}NAME\n{}   y\nz{}\n",
            "x".repeat(30),
            " ".repeat(32)
        );
        assert_eq!(table.text(), expected);
    }

    #[test]
    fn sizes_and_times() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (298_400, "298kB"),
            (4_751_000, "4.75MB"),
            (12_500_000, "12.5MB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (seconds, text) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (48 * 3600, "2 days"),
            (15 * 86400, "2 weeks"),
            (61 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ] {
            assert_eq!(lasting(seconds), text);
        }
        assert_eq!(json_time(1_500_000_000), "1970-01-01T00:00:01.5Z");
        assert_eq!(time(0), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(short("sha256:0123456789abcdef"), "0123456789abc");
        assert_eq!(short("abc"), "abc");
    }
}
