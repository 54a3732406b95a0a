//! What containerd calls: runc and its options, snapshotters, network plug-ins.

use std::sync::LazyLock;

use serde::Deserialize;

use super::kubelet::Kind;
use super::read;
use super::version::{Line, Version};

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("companions.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    option: Vec<Choice>,
    runtime: Vec<Choice>,
    snapshotter: Vec<Choice>,
    need: Vec<Need>,
}

/// Something that can be chosen: an option of runc, a type of runtime, a snapshotter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Its name.
    #[serde(alias = "type")]
    pub name: String,
    /// What its value is, for an option.
    pub kind: Option<Kind>,
    /// What holds where nothing is said, for an option.
    pub default: Option<serde_json::Value>,
    /// The first line of containerd that has it; the oldest that is known of where not said.
    pub from: Option<Line>,
    /// The first line that has it no more.
    pub until: Option<Line>,
    /// What to do where it is gone.
    pub instead: Option<String>,
    /// What one should know.
    pub about: Option<String>,
    /// Where this was read.
    pub source: String,
}

impl Choice {
    /// Whether a line of containerd has it.
    #[must_use]
    pub fn is_in(&self, line: Line) -> bool {
        self.from.is_none_or(|from| from <= line) && self.until.is_none_or(|until| line < until)
    }
}

/// A program that containerd needs, from some release on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// `runc`, or the name of a network plug-in.
    pub program: String,
    /// The first release that does.
    pub least: Version,
    /// The line of containerd from which on that holds.
    pub containerd: Line,
    /// What happens with an older one, or what it is needed for.
    pub about: String,
    /// Whether pods run without it.
    #[serde(default)]
    pub optional: bool,
    /// Where this was read.
    pub source: String,
}

/// The options of runtime handlers that are runc's.
#[must_use]
pub fn options() -> &'static [Choice] {
    &TABLE.option
}

/// The option of that name.
#[must_use]
pub fn option(name: &str) -> Option<&'static Choice> {
    TABLE.option.iter().find(|option| option.name == name)
}

/// A type of runtime, if it is one that comes with containerd.
#[must_use]
pub fn runtime(name: &str) -> Option<&'static Choice> {
    TABLE.runtime.iter().find(|runtime| runtime.name == name)
}

/// A snapshotter, if it is one that comes with containerd.
#[must_use]
pub fn snapshotter(name: &str) -> Option<&'static Choice> {
    TABLE.snapshotter.iter().find(|row| row.name == name)
}

/// What a line of containerd needs beside it.
pub fn needs(line: Line) -> impl Iterator<Item = &'static Need> {
    TABLE
        .need
        .iter()
        .filter(move |need| need.containerd <= line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let choices = [&TABLE.option, &TABLE.runtime, &TABLE.snapshotter];
        for choice in choices.into_iter().flatten() {
            assert!(!choice.source.is_empty());
            if let (Some(kind), Some(default)) = (choice.kind, &choice.default) {
                assert!(kind.fits(default), "{}", choice.name);
            }
        }
        assert!(TABLE.option.iter().all(|option| option.kind.is_some()));
    }

    #[test]
    fn things_come_and_go() {
        assert!(option("NoPivotRoot").unwrap().is_in(Line(1, 7)));
        assert!(!option("NoPivotRoot").unwrap().is_in(Line(2, 0)));
        assert!(!runtime("io.containerd.runc.v1").unwrap().is_in(Line(2, 0)));
        assert!(!snapshotter("erofs").unwrap().is_in(Line(2, 0)));
        assert!(runtime("io.containerd.kata.v2").is_none());
        let needs = |line| {
            needs(line)
                .map(|need| need.program.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(needs(Line(1, 5)), Vec::<&str>::new());
        assert_eq!(needs(Line(2, 1)), ["loopback", "runc"]);
    }
}
