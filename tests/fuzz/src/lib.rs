//! Fuzz targets: each takes an input as the files of a stranger, and does with them all
//! that the program does. An input is one byte to choose by, then a file.
//!
//! `tests/hostile.rs` gives them the fixtures and damaged forms of these in every run;
//! `ci/fuzz` a minute of libFuzzer's inventions each.

pub mod boot;
pub mod crictl;
pub mod image;
pub mod toml;
pub mod units;
pub mod yaml;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nodelith::check::check;
use nodelith::check::output::{self, Report};
use nodelith::check::subject::{Given, Subject};
use nodelith::compat::Version;
use nodelith::import::{Target, import};
use nodelith::profile::file::Architecture;
use tempfile::TempDir;

/// Looks for everything that is wrong with a subject and shows it in every form.
///
/// # Panics
/// When a finding's place is not in its file, or a form is not what it should be.
pub fn judge(subject: &Subject) {
    let findings = check(subject);
    let report = Report {
        subject,
        findings: &findings,
        stale: &[],
    };
    let _ = output::table(&report);
    let _ = output::junit(&report);
    // It must be JSON that can be read again.
    for json in [report.json(), output::sarif(&report)] {
        let text = json.to_string();
        let again: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(again, json);
    }
}

/// Makes a profile of a node, which must load.
///
/// # Panics
/// When none comes of it.
pub fn imported(subject: &Subject) {
    let target = Target {
        name: "fuzz".to_owned().try_into().unwrap(),
        architecture: Architecture::Amd64,
        suite: None,
        kubernetes: "1.33.0".parse().ok(),
    };
    import(subject, &target, &|_, _| Ok(())).unwrap();
}

/// Text of the input, if it is any.
pub fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Takes the first byte off an input, to choose by; 0 where there is none.
pub fn choose(bytes: &[u8]) -> (usize, &[u8]) {
    bytes
        .split_first()
        .map_or((0, bytes), |(first, rest)| (usize::from(*first), rest))
}

/// Versions to judge by, none among them.
pub fn versions(choice: usize) -> Given {
    const CONTAINERD: [&str; 9] = [
        "", "1.3.10", "1.4.13", "1.5.18", "1.6.20", "1.7.24", "2.0.5", "2.1.9", "2.3.0",
    ];
    const KUBERNETES: [&str; 7] = [
        "", "1.18.20", "1.20.15", "1.24.17", "1.30.14", "1.34.2", "1.37.0",
    ];
    let version = |of: &[&str], at: usize| -> Option<Version> { of[at % of.len()].parse().ok() };
    Given {
        containerd: version(&CONTAINERD, choice),
        kubernetes: version(&KUBERNETES, choice / CONTAINERD.len()),
        crictl: version(&KUBERNETES, choice),
    }
}

/// A subject of these texts, a whole root or loose files.
pub fn subject(whole: bool, choice: usize, files: &[(&str, &str)]) -> Subject {
    let mut subject = Subject::new("input", whole);
    subject.given = versions(choice);
    for (path, text) in files {
        subject.add_text((*path).into(), format!("/{path}"), (*text).to_owned());
    }
    subject
}

/// A folder of this process, gone with it.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        }
        .unwrap()
    });
    folder.path()
}

/// A file in that folder.
pub fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, content).unwrap();
    path
}
