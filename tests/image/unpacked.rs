//! A root that another tool has unpacked, held against what we say is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nodelith::digest::Digest;
use serde_json::Value;

/// Every way in which `root` is not what `nodelith show --files` listed.
pub fn differences(root: &Path, files: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let mut listed = BTreeSet::new();
    for file in files {
        let path = PathBuf::from(file["path"].as_str().unwrap());
        let said = said(file);
        match fs::symlink_metadata(root.join(&path)) {
            Ok(_) => {
                let there = there(root, &path, file);
                if there != said {
                    found.push(format!("{}: {there:?}, not {said:?}", path.display()));
                }
            }
            Err(error) => found.push(format!("{}: {error}", path.display())),
        }
        listed.insert(path);
    }
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path.clone());
            }
            if !listed.contains(&path) {
                found.push(format!("{}: not listed", path.display()));
            }
        }
    }
    found
}

type Facts = BTreeMap<&'static str, String>;

fn said(file: &Value) -> Facts {
    let mut facts = Facts::new();
    let kind = file["type"].as_str().unwrap();
    facts.insert("type", kind.replace('h', "-"));
    facts.insert("owner", format!("{}:{}", file["uid"], file["gid"]));
    if kind != "l" {
        facts.insert("mode", format!("{:o}", file["mode"].as_u64().unwrap()));
    }
    if kind == "-" {
        facts.insert("size", file["size"].to_string());
        facts.insert("digest", file["digest"].as_str().unwrap().to_owned());
    }
    if let Some(target) = file["target"].as_str() {
        facts.insert("target", target.to_owned());
    }
    facts
}

fn there(root: &Path, path: &Path, file: &Value) -> Facts {
    let full = root.join(path);
    let metadata = fs::symlink_metadata(&full).unwrap();
    let kind = metadata.file_type();
    let letter = match () {
        () if kind.is_dir() => "d",
        () if kind.is_file() => "-",
        () if kind.is_symlink() => "l",
        () if kind.is_char_device() => "c",
        () if kind.is_block_device() => "b",
        () => "p",
    };
    let mut facts = Facts::new();
    facts.insert("type", letter.to_owned());
    facts.insert("owner", format!("{}:{}", metadata.uid(), metadata.gid()));
    if letter != "l" {
        facts.insert("mode", format!("{:o}", metadata.mode() & 0o7777));
    }
    if letter == "l" {
        let target = fs::read_link(&full).unwrap();
        facts.insert("target", target.to_str().unwrap().to_owned());
    } else if file["type"] == "h" {
        let target = file["target"].as_str().unwrap();
        let same = fs::symlink_metadata(root.join(target))
            .is_ok_and(|other| (other.dev(), other.ino()) == (metadata.dev(), metadata.ino()));
        facts.insert(
            "target",
            if same { target } else { "another file" }.to_owned(),
        );
    } else if letter == "-" {
        facts.insert("size", metadata.len().to_string());
        facts.insert("digest", Digest::of(&fs::read(&full).unwrap()).to_string());
    }
    facts
}
