//! What reads strangers' files, given the fixtures, damaged forms of them, and noise.
//! `ci/fuzz` does the same with a fuzzer's inventions.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

type Reader = (&'static str, fn(&[u8]));

const READERS: [Reader; 6] = [
    ("boot", fuzz::boot::run),
    ("crictl", fuzz::crictl::run),
    ("image", fuzz::image::run),
    ("toml", fuzz::toml::run),
    ("units", fuzz::units::run),
    ("yaml", fuzz::yaml::run),
];

/// Choices that lead everywhere.
const CHOICES: [u8; 6] = [0, 1, 2, 3, 4, 0x1f];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() && !path.is_symlink() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// The files of nodes, and archives of whole ones.
fn seeds() -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/fixtures");
    let mut paths = Vec::new();
    files(&fixtures.join("kubeadm-1.20"), &mut paths);
    files(&fixtures.join("moved-by-hand"), &mut paths);
    let read = paths.iter().map(fs::read).filter_map(Result::ok);
    let mut seeds: Vec<Vec<u8>> = read.filter(|bytes| bytes.len() < 4096).collect();
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(fixtures.join("kubeadm-1.20"));
    seeds.push(tar.args(["-c", "."]).output().unwrap().stdout);
    assert!(seeds.len() > 10);
    seeds
}

#[test]
fn fixtures_and_damaged_ones() {
    for (number, seed) in seeds().iter().enumerate() {
        for choice in CHOICES {
            let mut input = vec![choice];
            input.extend(seed);
            for (_, run) in READERS {
                run(&input);
            }
            // Cut short, and with a byte that is another.
            let middle = 1 + (number * 7919) % seed.len().max(1);
            let mut damaged = input.clone();
            if let Some(byte) = damaged.get_mut(middle) {
                *byte ^= 0x20;
            }
            for (_, run) in READERS {
                run(&input[..middle.min(input.len())]);
                run(&damaged);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..600), text in ".{0,300}") {
        for (_, run) in READERS {
            run(&bytes);
            run(text.as_bytes());
        }
    }
}
