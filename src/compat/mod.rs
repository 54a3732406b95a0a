//! What is known of the versions of other people's programs.
//!
//! The knowledge is data: a TOML table for each program, each row with its
//! source, read once. The questions that one asks of a table are functions
//! beside it. Generators and checks ask the same tables.
//!
//! A version that is newer than all known ones is taken for the newest known
//! ([`Known::newer`] says so, and a build warns); one that is older than all is
//! refused by whoever asks.
//!
//! - [`containerd`]: lines (config versions read and refused, CRI, support, unit,
//!   sandbox image), every key of its configuration ([`containerd::reading`] says what
//!   becomes of one, [`containerd::Setting::value`] what a file sets), known faults.
//! - [`kubernetes`]: minors (pause, CRI, published containerd, drop-ins, cgroups, dates).
//! - [`kubelet`]: flags and fields of its configuration, with defaults.
//! - [`crictl`], [`hosts`] (hosts.toml), [`companions`] (runc's options, types of
//!   runtime, snapshotters, network plug-ins), [`docker`] (daemon.json).
//! - [`pairs`]: which containerd goes with which Kubernetes, and why.

pub mod companions;
pub mod containerd;
pub mod crictl;
pub mod docker;
pub mod hosts;
pub mod kubelet;
pub mod kubernetes;
pub mod pairs;
pub mod version;

pub use version::Version;

/// A row of a table, and how well it fits the version that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<T> {
    /// The row.
    pub row: T,
    /// Whether the version is newer than the row's: the newest that is known stands in for it.
    pub newer: bool,
}

/// Of rows in rising order, the one of `key`; the last for what is beyond it.
fn pick<'a, T, K: Ord>(rows: &'a [T], key: &K, of: impl Fn(&T) -> K) -> Option<Known<&'a T>> {
    if let Some(row) = rows.iter().find(|row| of(row) == *key) {
        return Some(Known { row, newer: false });
    }
    let last = rows.last()?;
    (of(last) < *key).then_some(Known {
        row: last,
        newer: true,
    })
}

/// A table of this crate's source. Its test reads each of them.
#[expect(
    clippy::expect_used,
    reason = "the text is part of the program, and tests read it"
)]
fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    toml::from_str(text).expect("a table of versions can be read")
}
