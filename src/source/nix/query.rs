//! Asks Nix itself for a closure, by the commands that every version has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::graph::Graph;
use super::path::StorePath;
use super::read::StoreRoot;
use super::registration;
use crate::error::{Error, Kind, Result};

/// Paths given to one command, which the kernel limits in length.
const AT_ONCE: usize = 1000;

/// Links followed from a result to the store, as in Linux.
const MOST_LINKS: usize = 40;

/// The store path that `path` is, or leads to by its links (`result`).
///
/// # Errors
/// [`Kind::Resolve`] where it leads to none.
pub fn target(path: &Path) -> Result<StorePath> {
    let mut at: PathBuf = path.to_owned();
    for _ in 0..MOST_LINKS {
        if let Some(found) = at.to_str().and_then(StorePath::of) {
            return Ok(found);
        }
        let Ok(next) = fs::read_link(&at) else { break };
        at = at.parent().unwrap_or(Path::new("/")).join(next);
    }
    let message = match fs::symlink_metadata(path) {
        Ok(_) => format!("`{}` leads to no store path", path.display()),
        Err(_) => format!("there is no `{}`", path.display()),
    };
    Err(Error::new(Kind::Resolve, message)
        .hint("name what `nix-build` left (`result`), a path of the store, or a `graph`"))
}

/// What Nix knows of `path` and all that it refers to.
///
/// # Errors
/// [`Kind::Resolve`] when Nix is not at hand or does not know the path.
pub fn query(root: &StoreRoot, path: &StorePath) -> Result<Graph> {
    let text = run(root, &["--query", "--requisites"], &[path.as_str()])?;
    let closure: BTreeSet<&str> = text.lines().collect();
    let closure: Vec<&str> = closure.into_iter().collect();
    let mut dumped = String::new();
    for some in closure.chunks(AT_ONCE) {
        dumped += &run(root, &["--dump-db"], some)?;
    }
    registration::parse(&dumped).map_err(|(why, _)| {
        let message = format!("`nix-store --dump-db` answered with something else: {why}");
        Error::new(Kind::Resolve, message).hint("give a `graph` instead of a `path`")
    })
}

fn run(root: &StoreRoot, operation: &[&str], paths: &[&str]) -> Result<String> {
    let mut command = Command::new("nix-store");
    command.args(operation);
    if root.0 != Path::new("/") {
        command.arg("--store").arg(&root.0);
    }
    command.args(paths);
    let refused = |why: &str| {
        let message = format!("asking `nix-store {}`: {why}", operation.join(" "));
        Error::new(Kind::Resolve, message)
    };
    let output = command.output().map_err(|error| {
        refused(&crate::error::plain(&error))
            .hint("without Nix, give a `graph`: `nix path-info --json --recursive PATH`")
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().rfind(|line| !line.trim().is_empty());
        return Err(refused(said.unwrap_or("it failed").trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
