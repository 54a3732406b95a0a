//! What describes a closure, in all the shapes that Nix writes.
//!
//! | made by | shape |
//! |---|---|
//! | `exportReferencesGraph` with structured attributes | `.attrs.json`, or the list in it |
//! | `closureInfo` of nixpkgs, `nix-store --dump-db` | registration text (a folder's `registration`) |
//! | `nix path-info --json --recursive` to 2.18 | a list of objects with `path` |
//! | the same from 2.19, `--json-format 1` | an object by whole path |
//! | `--json-format 2` (from 2.33) | `version`, `storeDir`, and `info` by the path's last part |
//!
//! With `--closure-size`, or whatever further keys a version has, all are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::path::StorePath;
use super::{hash, registration};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Place, Result};

/// Store paths by name, with what Nix knows of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// What is known of each path.
    pub paths: BTreeMap<StorePath, PathInfo>,
}

/// What Nix knows of a store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// SHA-256 of its Nix archive.
    pub nar_hash: Digest,
    /// Length of its Nix archive in bytes.
    pub nar_size: u64,
    /// The paths that it refers to; itself may be among them.
    pub references: BTreeSet<StorePath>,
}

/// What to do about a file that describes no closure.
const MAKE: &str = "make it with `nix path-info --json --recursive PATH`, or `nix-store --dump-db`";

impl Graph {
    /// Reads the file at `path`, or the `registration` in that folder.
    ///
    /// # Errors
    /// [`Kind::Resolve`] where it is not there; [`Kind::Usage`] where it
    /// describes no closure.
    pub fn read(path: &Path) -> Result<Self> {
        let file = match path.is_dir() {
            true => path.join(registration::IN_CLOSURE_INFO),
            false => path.to_owned(),
        };
        let text = fs::read_to_string(&file)
            .io("reading the graph", &file)
            .map_err(|error| error.with_kind(Kind::Resolve).hint(MAKE))?;
        Self::parse(&text, &file)
    }

    /// Reads a graph in any shape; `file` is where it was found.
    ///
    /// # Errors
    /// [`Kind::Usage`], with the place, where it is none.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let refused = |why: &str, at: usize| {
            let message = format!("`{}` describes no closure: {why}", file.display());
            Error::new(Kind::Usage, message)
                .at(Place {
                    file: file.to_owned(),
                    text: text.to_owned(),
                    span: at..at,
                })
                .hint(MAKE)
        };
        let start = text.find(|c: char| !c.is_whitespace()).unwrap_or(0);
        if text[start..].starts_with(['[', '{']) {
            let value: Value = serde_json::from_str(text).map_err(|error| {
                let before = text
                    .split_inclusive('\n')
                    .take(error.line().saturating_sub(1));
                let at = before.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
                refused(&error.to_string(), floor(text, at))
            })?;
            return of_json(&value).map_err(|why| refused(&why, mentioned(text, &why)));
        }
        registration::parse(text).map_err(|(why, line)| {
            let before = text.split_inclusive('\n').take(line);
            refused(&why, before.map(str::len).sum())
        })
    }

    fn add(&mut self, path: StorePath, info: PathInfo) -> Result<(), String> {
        match self.paths.get(&path) {
            Some(known) if *known != info => Err(format!("it says two things of `{path}`")),
            _ => {
                self.paths.insert(path, info);
                Ok(())
            }
        }
    }
}

/// The nearest character at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

/// Where the first thing between backticks stands.
fn mentioned(text: &str, why: &str) -> usize {
    let quoted = why.split('`').nth(1);
    quoted.and_then(|quoted| text.find(quoted)).unwrap_or(0)
}

fn of_json(value: &Value) -> Result<Graph, String> {
    let mut graph = Graph::default();
    match value {
        Value::Array(list) => add_list(&mut graph, list)?,
        Value::Object(object) => {
            if let Some(Value::Object(wanted)) = object.get("exportReferencesGraph") {
                for name in wanted.keys() {
                    match object.get(name) {
                        Some(Value::Array(list)) => add_list(&mut graph, list)?,
                        _ => return Err(format!("it has no graph `{name}`")),
                    }
                }
            } else if let Some(Value::Object(info)) = object.get("info") {
                let folder = object.get("storeDir").and_then(Value::as_str);
                let folder = folder.ok_or("it has `info` without `storeDir`")?;
                add_map(&mut graph, info, Some(folder))?;
            } else {
                add_map(&mut graph, object, None)?;
            }
        }
        _ => return Err("it is neither a list nor an object".into()),
    }
    match graph.paths.is_empty() {
        true => Err("it names no path".into()),
        false => Ok(graph),
    }
}

fn add_list(graph: &mut Graph, list: &[Value]) -> Result<(), String> {
    for item in list {
        let path = item.get("path").and_then(Value::as_str);
        let path = StorePath::parse(path.ok_or("an item of the list has no `path`")?)?;
        let info = path_info(&path, item, None)?;
        graph.add(path, info)?;
    }
    Ok(())
}

fn add_map(
    graph: &mut Graph,
    map: &Map<String, Value>,
    folder: Option<&str>,
) -> Result<(), String> {
    for (key, item) in map {
        if matches!(key.as_str(), "storeDir" | "version") && !item.is_object() {
            continue; // of the whole, not of a path
        }
        let path = store_path(key, folder)?;
        let info = path_info(&path, item, folder)?;
        graph.add(path, info)?;
    }
    Ok(())
}

fn store_path(text: &str, folder: Option<&str>) -> Result<StorePath, String> {
    match folder {
        Some(folder) if !text.starts_with('/') => StorePath::join(folder, text),
        _ => StorePath::parse(text),
    }
}

fn path_info(path: &StorePath, item: &Value, folder: Option<&str>) -> Result<PathInfo, String> {
    if item.is_null() || item.get("valid") == Some(&Value::Bool(false)) {
        return Err(format!("`{path}` is not in the store that was asked"));
    }
    let missing = |key: &str| format!("`{path}` has no `{key}`");
    let hash = item.get("narHash").ok_or_else(|| missing("narHash"))?;
    let references = item.get("references").and_then(Value::as_array);
    let references = references.ok_or_else(|| missing("references"))?;
    let reference = |item: &Value| {
        let text = item.as_str().ok_or_else(|| missing("references"))?;
        store_path(text, folder)
    };
    Ok(PathInfo {
        nar_hash: hash::of_json(hash).map_err(|why| format!("`{path}`: {why}"))?,
        nar_size: item
            .get("narSize")
            .and_then(Value::as_u64)
            .ok_or_else(|| missing("narSize"))?,
        references: references.iter().map(reference).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;
