//! The same packages through mmdebstrap and through us give the same root.
//!
//! Needs root, mmdebstrap, and the mirror that this machine's apt uses. The node
//! packages of trixie are compared always, those of forky and the minimal roots of
//! three suites with `NODELITH_TEST_ALL`. `NODELITH_JUDGE=trixie-minbase` asks for
//! others: names are `SUITE-minbase` and `SUITE-node`, separated by commas. What
//! mmdebstrap made is kept in `NODELITH_JUDGE_CACHE` if that is set. What differs,
//! and why, is told in docs/mmdebstrap-differences.md; anything else fails.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

#[path = "assemble_against_mmdebstrap/compare.rs"]
mod compare;
#[path = "assemble_against_mmdebstrap/reference.rs"]
mod reference;
#[path = "assemble_against_mmdebstrap/runner.rs"]
mod runner;

use std::path::Path;
use std::time::Instant;

use nodelith::source::debian::root::assemble::{Assemble, Progress, assemble};

const USUAL: &str = "trixie-node";
const ALL: &str = "bookworm-minbase,trixie-minbase,forky-minbase,trixie-node,forky-node";

#[test]
fn the_same_packages_give_the_same_root() {
    let wanted = std::env::var("NODELITH_JUDGE").unwrap_or_else(|_| {
        match std::env::var_os("NODELITH_TEST_ALL") {
            Some(_) => ALL.to_owned(),
            None => USUAL.to_owned(),
        }
    });
    let failed: Vec<&str> = wanted.split(',').filter(|name| !judge(name)).collect();
    assert!(failed.is_empty(), "roots that differ: {failed:?}");
}

fn judge(name: &str) -> bool {
    let (suite, set) = name.split_once('-').expect("a name like trixie-minbase");
    let reference = reference::make(name, suite, set);
    let folder = tempfile::Builder::new()
        .prefix("unpack-judge-")
        .tempdir()
        .unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let mut packages: Vec<_> = std::fs::read_dir(reference.join("debs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    packages.sort();
    let request = Assemble {
        root: root.clone(),
        architecture: reference::architecture(),
        foreign_architectures: Vec::new(),
        packages,
        excludes: Vec::new(),
    };
    let mut runner = runner::ChrootRunner::new(&root);
    let before = processor_seconds();
    let begun = Instant::now();
    let progress = |progress: Progress<'_>| {
        if let Progress::Stage(stage) = progress {
            say(&format!("{name}: {stage}"));
        }
    };
    let done = assemble(&request, &mut runner, &progress);
    let timings = runner.finish();
    let done = done.unwrap_or_else(|error| panic!("{name}: {error}"));
    let elapsed = begun.elapsed();
    let after = processor_seconds();
    say(&format!(
        "{name}: {} packages in {elapsed:.2?}; processor: {:.2} s ours, {:.2} s of scripts",
        done.packages.len(),
        after.0 - before.0,
        after.1 - before.1,
    ));
    for (stage, elapsed) in &done.timings {
        say(&format!("    {elapsed:>10.2?}  {stage}"));
    }
    for (command, elapsed) in timings {
        say(&format!("    {elapsed:>10.2?}  $ {command}"));
    }
    compare::owners(&root, &done.owned);
    report(name, &compare::roots(&reference.join("root"), &root), &root)
}

/// Processor time of this process and of its children, from `proc_pid_stat(5)`.
fn processor_seconds() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks = fields.skip(11).take(4);
    let ticks: Vec<f64> = ticks.map(|field| field.parse().unwrap()).collect();
    // Linux counts in hundredths of a second here, whatever its own tick is.
    ((ticks[0] + ticks[1]) / 100.0, (ticks[2] + ticks[3]) / 100.0)
}

fn report(name: &str, differences: &[compare::Difference], root: &Path) -> bool {
    let mut unexpected = 0;
    for difference in differences {
        match difference.reason {
            Some(reason) => say(&format!("    ({reason}) {}", difference.text)),
            None => {
                unexpected += 1;
                say(&format!("    UNEXPECTED {}", difference.text));
            }
        }
    }
    say(&format!(
        "{name}: {} differences, {unexpected} of them unexpected",
        differences.len()
    ));
    if let Some(kept) = std::env::var_os("NODELITH_JUDGE_KEEP") {
        let to = Path::new(&kept).join(name);
        let _ = std::fs::remove_dir_all(&to);
        std::fs::rename(root, to).unwrap();
    }
    unexpected == 0
}

#[expect(clippy::print_stderr, reason = "a judge tells what it sees")]
fn say(text: &str) {
    eprintln!("{text}");
}
