//! `nodelith versions`: what goes with what, and why, out of the version tables.
//!
//! No clock is read: support windows are printed as they are, and held against a
//! day only where one is given.

mod json;
mod text;

use jiff::civil::Date;

use super::args::Versions;
use super::{Context, Outcome};
use crate::compat::containerd::{self, Fault, Row};
use crate::compat::kubernetes::{self, Minor};
use crate::compat::pairs::Fit;
use crate::compat::{Known, Version};
use crate::error::{Error, Kind, Result};

/// What was asked for, as rows of the tables.
struct Asked {
    /// The minors, newest first.
    minors: Vec<&'static Minor>,
    /// The lines of containerd, newest first, each with the release that stands for it.
    lines: Vec<(&'static Row, Version)>,
    /// Whether one minor was named.
    one_minor: bool,
    /// Whether one containerd was named.
    one_line: bool,
    day: Option<Date>,
}

/// A minor with a line of containerd.
struct Pair {
    row: &'static Row,
    fit: Fit,
    /// The first published release of the line.
    from: Option<Version>,
    remarks: Vec<String>,
}

pub(super) fn run(context: &Context, arguments: &Versions) -> Result<Outcome> {
    let asked = asked(context, arguments)?;
    context.print(&json::document(&asked), &text::document(&asked))?;
    Ok(Outcome::Done)
}

fn asked(context: &Context, arguments: &Versions) -> Result<Asked> {
    let day = arguments.date.as_deref().map(day).transpose()?;
    let minor = match &arguments.kubernetes {
        Some(text) => Some(minor(context, text)?),
        None => None,
    };
    let line = match &arguments.containerd {
        Some(text) => Some(line(context, text)?),
        None => None,
    };
    Ok(Asked {
        one_minor: minor.is_some(),
        one_line: line.is_some(),
        minors: minor.map_or_else(
            || kubernetes::minors().iter().rev().collect(),
            |minor| vec![minor],
        ),
        lines: line.map_or_else(
            || {
                let rows = containerd::lines().iter().rev();
                rows.map(|row| (row, row.newest)).collect()
            },
            |line| vec![line],
        ),
        day,
    })
}

fn minor(context: &Context, text: &str) -> Result<&'static Minor> {
    let version = version(text, "1.34")?;
    if version.major != 1 {
        let message = format!("there is no Kubernetes {text}");
        return Err(Error::new(Kind::Usage, message).hint("write it like `1.34`"));
    }
    let Some(Known { row, newer }) = kubernetes::minor(version.minor) else {
        let message = format!("Kubernetes {text} is older than all that are known");
        let oldest = kubernetes::minors().first().map_or(0, |row| row.minor);
        return Err(Error::new(Kind::Usage, message).hint(format!("the oldest is 1.{oldest}")));
    };
    if newer {
        context.report.warning(&format!(
            "Kubernetes {text} is newer than all that are known: 1.{} stands for it",
            row.minor
        ));
    }
    Ok(row)
}

fn line(context: &Context, text: &str) -> Result<(&'static Row, Version)> {
    let version = version(text, "2.1` or `2.1.9")?;
    let Some(Known { row, newer }) = containerd::line(version) else {
        let message = format!("containerd {text} is older than all that are known");
        let oldest = containerd::lines().first();
        let oldest = oldest.map(|row| row.line.to_string()).unwrap_or_default();
        return Err(Error::new(Kind::Usage, message).hint(format!("the oldest line is {oldest}")));
    };
    if newer {
        context.report.warning(&format!(
            "containerd {text} is newer than all that are known: {} stands for it",
            row.line
        ));
    }
    // A line alone means its newest release.
    let line_only = text.trim_start_matches('v').split('.').count() < 3;
    Ok(match line_only && !newer {
        true => (row, row.newest),
        false => (row, version),
    })
}

fn version(text: &str, like: &str) -> Result<Version> {
    text.parse()
        .map_err(|why: String| Error::new(Kind::Usage, why).hint(format!("write it like `{like}`")))
}

fn day(text: &str) -> Result<Date> {
    text.parse().map_err(|_| {
        Error::new(Kind::Usage, format!("`{text}` is not a day")).hint("write it like `2026-11-25`")
    })
}

impl Asked {
    fn pairs<'a>(&'a self, minor: &'a Minor) -> impl Iterator<Item = Pair> + 'a {
        self.lines.iter().map(|&(row, version)| Pair {
            row,
            fit: minor.fit(row, version),
            from: minor.published(row),
            remarks: minor.remarks(row),
        })
    }

    /// The faults of a release: of the one that was named, else of none.
    fn faults(&self, version: Version) -> Vec<&'static Fault> {
        match self.one_line {
            true => containerd::faults(version).collect(),
            false => Vec::new(),
        }
    }
}
