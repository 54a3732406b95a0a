//! Hashes over root images, judged by `veritysetup`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nodelith::bundle::export::hex;
use nodelith::bundle::verity::{HashTree, leaves, root};

use crate::common::{output, run};
use crate::sample;

/// Data of this many blocks and hashes over them, as files; and the root hash.
fn made(folder: &Path, blocks: usize) -> String {
    let data = sample::noise(blocks * 4096);
    let leaves = leaves(&data);
    let hashes = HashTree::new(&leaves);
    assert_eq!(root(&leaves), hashes.root());
    fs::write(folder.join("data"), data).unwrap();
    let pieces: Vec<_> = hashes.file(&[7; 16]).collect();
    fs::write(folder.join("hashes"), pieces.concat()).unwrap();
    hex(&hashes.root())
}

fn verify(folder: &Path, root: &str) -> Output {
    output(
        Command::new("veritysetup")
            .arg("verify")
            .arg(folder.join("data"))
            .arg(folder.join("hashes"))
            .arg(root),
    )
}

/// One block to three levels.
#[test]
fn veritysetup_agrees() {
    let folder = tempfile::tempdir().unwrap();
    for blocks in [1, 2, 127, 128, 129, 1000, 128 * 128, 128 * 128 + 1] {
        let root = made(folder.path(), blocks);
        let done = verify(folder.path(), &root);
        assert!(done.status.success(), "{blocks}: {done:?}");
    }
}

/// Its own hashes of the same data are the same bytes.
#[test]
fn veritysetup_makes_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let root = made(folder.path(), 1000);
    let theirs = folder.path().join("theirs");
    let said = run(Command::new("veritysetup")
        .args(["format", "--hash=sha256"])
        .arg(format!("--salt={}", hex(nodelith::bundle::verity::SALT)))
        .arg("--uuid=07070707-0707-0707-0707-070707070707")
        .arg(folder.path().join("data"))
        .arg(&theirs));
    assert!(String::from_utf8_lossy(&said).contains(&root));
    let ours = fs::read(folder.path().join("hashes")).unwrap();
    assert!(fs::read(theirs).unwrap() == ours);
}

#[test]
fn a_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let root = made(folder.path(), 300);
    for (file, at) in [
        ("data", 299 * 4096 + 5),
        ("hashes", 4096 + 40),
        ("hashes", 3 * 4096),
    ] {
        let path = folder.path().join(file);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        assert!(
            !verify(folder.path(), &root).status.success(),
            "{file} {at}"
        );
        fs::write(&path, good).unwrap();
    }
    assert!(verify(folder.path(), &root).status.success());
}
