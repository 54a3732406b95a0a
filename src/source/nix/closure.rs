//! A closure: a graph in which nothing is missing.

use std::collections::BTreeSet;

use super::graph::Graph;
use super::path::StorePath;
use crate::error::{Error, Kind, Result};

/// Store paths with all that they refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// The paths that it is the closure of.
    pub roots: BTreeSet<StorePath>,
    /// All of it.
    pub graph: Graph,
}

impl Closure {
    /// A graph as the closure of `root`, or of those of its paths to which no other
    /// refers. What `root` does not lead to is left out.
    ///
    /// # Errors
    /// [`Kind::Resolve`] when a path is missing, or one is of another store.
    pub fn new(mut graph: Graph, root: Option<&StorePath>) -> Result<Self> {
        let roots = match root {
            Some(root) => BTreeSet::from([root.clone()]),
            None => unreferred(&graph),
        };
        let mut reached = BTreeSet::new();
        let mut waiting: Vec<(StorePath, Option<StorePath>)> =
            roots.iter().map(|root| (root.clone(), None)).collect();
        while let Some((path, from)) = waiting.pop() {
            let Some(info) = graph.paths.get(&path) else {
                let message = match from {
                    Some(from) => {
                        format!("`{from}` refers to `{path}`, which the graph does not have")
                    }
                    None => format!("the graph does not have `{path}`"),
                };
                return Err(Error::new(Kind::Resolve, message).hint(
                    "a graph has all that is referred to: with `nix path-info`, use `--recursive`",
                ));
            };
            if reached.insert(path.clone()) {
                let references = info.references.iter();
                waiting.extend(references.map(|to| (to.clone(), Some(path.clone()))));
            }
        }
        graph.paths.retain(|path, _| reached.contains(path));
        let folders: BTreeSet<&str> = graph.paths.keys().map(StorePath::folder).collect();
        if folders.len() > 1 {
            let folders: Vec<_> = folders.into_iter().collect();
            let message = format!("the closure is of several stores: {}", folders.join(", "));
            return Err(Error::new(Kind::Resolve, message)
                .hint("an image has one store; give each closure an image of its own"));
        }
        Ok(Self { roots, graph })
    }

    /// Whether the closure of `path` itself has at least `many` paths: the more, the
    /// oftener it changes, since a path changes with all that it refers to.
    #[must_use]
    pub(super) fn is_wide(&self, path: &StorePath, many: usize) -> bool {
        let mut reached = BTreeSet::from([path]);
        let mut waiting = vec![path];
        while let Some(path) = waiting.pop() {
            let info = self.graph.paths.get(path);
            for reference in info.iter().flat_map(|info| &info.references) {
                if reached.len() < many && reached.insert(reference) {
                    waiting.push(reference);
                }
            }
        }
        reached.len() >= many
    }
}

/// The paths to which no other path refers.
fn unreferred(graph: &Graph) -> BTreeSet<StorePath> {
    let mut roots: BTreeSet<StorePath> = graph.paths.keys().cloned().collect();
    for (path, info) in &graph.paths {
        for reference in info.references.iter().filter(|other| *other != path) {
            roots.remove(reference);
        }
    }
    roots
}
