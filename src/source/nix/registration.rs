//! The text that `nix-store --load-db` reads: what a store's database knows of paths.
//!
//! For each path: the path, its NAR hash (base 16), the NAR's length, the derivation
//! that made it (or nothing), the number of references, and these, a line each
//! (`decodeValidPathInfo` of Nix's libstore).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::graph::{Graph, PathInfo};
use super::hash;
use super::path::StorePath;

/// Where the registration stands in an image: where NixOS looks for it at boot.
pub const REGISTRATION: &str = "nix-path-registration";

/// Its name in a folder made by nixpkgs' `closureInfo`.
pub(super) const IN_CLOSURE_INFO: &str = "registration";

/// The registration of these paths: sorted, no derivations, so that it is the same
/// whatever the closure was described by.
#[must_use]
pub(super) fn text(paths: &BTreeMap<&StorePath, &PathInfo>) -> String {
    let mut text = String::new();
    for (path, info) in paths {
        let hash = info.nar_hash.hex();
        let count = info.references.len();
        let _ = writeln!(text, "{path}\n{hash}\n{}\n\n{count}", info.nar_size);
        for reference in &info.references {
            let _ = writeln!(text, "{reference}");
        }
    }
    text
}

/// Reads a registration; an error has its line, from 0.
pub(super) fn parse(text: &str) -> Result<Graph, (String, usize)> {
    let mut lines = text.lines().enumerate();
    let mut graph = Graph::default();
    let last = text.lines().count().saturating_sub(1);
    let cut = || ("it ends within a path's record".to_owned(), last);
    while let Some((at, line)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let path = StorePath::parse(line).map_err(|why| (why, at))?;
        let (at, line) = lines.next().ok_or_else(cut)?;
        // Without structured attributes, exportReferencesGraph has no hashes.
        let nar_hash = hash::parse(line).map_err(|why| (format!("`{path}`: {why}"), at))?;
        let number = |(at, line): (usize, &str)| {
            let number = line.parse::<u64>();
            number.map_err(|_| (format!("`{}` is not a number", line.escape_debug()), at))
        };
        let nar_size = number(lines.next().ok_or_else(cut)?)?;
        let _deriver = lines.next().ok_or_else(cut)?;
        let count = number(lines.next().ok_or_else(cut)?)?;
        let mut references = BTreeSet::new();
        for _ in 0..count {
            let (at, line) = lines.next().ok_or_else(cut)?;
            references.insert(StorePath::parse(line).map_err(|why| (why, at))?);
        }
        let info = PathInfo {
            nar_hash,
            nar_size,
            references,
        };
        if graph.paths.get(&path).is_some_and(|known| *known != info) {
            return Err((format!("it says two things of `{path}`"), at));
        }
        graph.paths.insert(path, info);
    }
    match graph.paths.is_empty() {
        true => Err(("it names no path".into(), 0)),
        false => Ok(graph),
    }
}
