//! What is wanted of a fleet: a TOML file.
//!
//! docs/fleet.md describes every key. Pools come in the order in which they are rolled
//! out; the first whose selector fits a node is the node's pool.

mod file;
mod value;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use globset::GlobMatcher;

use super::objects::Node;
use super::selector::Selector;
use super::template::Template;
use crate::compat::Version;
use crate::error::{Context as _, Result};

pub use value::{Amount, ImageReference, Pattern};

/// The pool of the nodes of the control plane.
pub const CONTROL_PLANE: &str = "control-plane";

/// All rules, every default filled in.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What the rollout is called.
    pub name: Option<String>,
    /// Label of a node's zone.
    pub zone_label: String,
    /// Budgets over all pools.
    pub max_unavailable: Option<Amount>,
    /// Budget of each zone over all pools.
    pub max_unavailable_per_zone: Option<Amount>,
    /// What one node takes, for the picture: draining, reimaging, joining.
    pub node_time: Duration,
    /// Taints that keep a node as it is.
    pub hold_taints: Vec<String>,
    /// What is special about the control plane.
    pub control_plane: ControlPlane,
    /// Pools in order; the last is the control plane's.
    pub pools: Vec<Pool>,
}

/// What is special about the control plane.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    /// Whether etcd's members are the nodes of the control plane.
    pub stacked_etcd: bool,
    /// The API server's version, where its pods do not tell.
    pub version: Option<Version>,
}

/// How one pool is rolled out.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Which nodes are in it.
    pub selector: Selector,
    /// Pools of the same order are rolled out together, lower ones first.
    pub order: i64,
    /// How many of its nodes may be unavailable.
    pub max_unavailable: Amount,
    /// The same in each zone.
    pub max_unavailable_per_zone: Option<Amount>,
    /// How many nodes come first, in a wave of their own.
    pub canary: Option<Amount>,
    /// Whether a wave stays within one zone.
    pub by_zone: bool,
    /// How long to wait after each wave.
    pub soak: Duration,
    /// Commands that must succeed before the next wave.
    pub gates: Vec<String>,
    /// Why nothing of it is reimaged.
    pub hold: Option<String>,
    /// Obstacles that are none, by their ids.
    pub allow: Vec<super::obstacles::Why>,
    /// The image that its nodes get.
    pub image: Image,
    /// The commands of whoever provides its machines.
    pub provider: Option<Provider>,
}

/// An image, and how one sees that a node has it.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name with its digest.
    pub reference: ImageReference,
    /// What nodes get if it fails.
    pub rollback: Option<ImageReference>,
    /// What must be true of a node that has it.
    pub looks: Looks,
}

/// What a node of an image looks like; what is left out may be anything.
#[derive(Debug, Clone, Default)]
pub struct Looks {
    /// OS-IMAGE.
    pub os_image: Option<Pattern>,
    /// VERSION: kubelet's.
    pub kubelet: Option<Pattern>,
    /// CONTAINER-RUNTIME.
    pub runtime: Option<Pattern>,
    /// KERNEL-VERSION.
    pub kernel: Option<Pattern>,
    /// Labels by key.
    pub labels: BTreeMap<String, Pattern>,
    /// Annotations by key.
    pub annotations: BTreeMap<String, Pattern>,
}

/// Commands that make a machine start another image.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Makes a node start an image.
    pub reimage: Vec<Template>,
}

impl Rules {
    /// Reads a file of rules.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage), with the place, for what cannot be.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).io("reading", path)?;
        Self::parse(&text, path)
    }

    /// Reads rules; `path` is what messages call them.
    ///
    /// # Errors
    /// As for [`Rules::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        file::parse(text, path)
    }

    /// The number of a node's pool, if it is in any.
    #[must_use]
    pub fn pool_of(&self, node: &Node) -> Option<usize> {
        if node.is_control_plane() {
            return self.pools.len().checked_sub(1);
        }
        let others = self.pools.split_last()?.1;
        others
            .iter()
            .position(|pool| pool.selector.fits(&node.labels))
    }
}

impl Pool {
    /// Whether it is the control plane's.
    #[must_use]
    pub fn is_control_plane(&self) -> bool {
        self.name == CONTROL_PLANE
    }
}

impl Looks {
    /// What of a node is not as the image makes it, in words; nothing if it has the image.
    #[must_use]
    pub fn differences(&self, node: &Node) -> Vec<String> {
        let fields = [
            ("OS image", &self.os_image, &node.os_image),
            ("kubelet", &self.kubelet, &node.kubelet),
            ("runtime", &self.runtime, &node.runtime),
            ("kernel", &self.kernel, &node.kernel),
        ];
        let fields = fields.into_iter().filter_map(|(name, pattern, found)| {
            let pattern = pattern.as_ref()?;
            (!pattern.fits(found)).then(|| format!("{name} `{found}` is not `{pattern}`"))
        });
        let texts =
            |what: &'static str, wanted: &BTreeMap<String, Pattern>, has: &BTreeMap<_, String>| {
                let wrong = wanted.iter().filter_map(|(key, pattern)| {
                    let found = has.get(key);
                    (!found.is_some_and(|value| pattern.fits(value)))
                        .then(|| format!("{what} `{key}` is not `{pattern}`"))
                });
                wrong.collect::<Vec<_>>()
            };
        let mut all: Vec<_> = fields.collect();
        all.extend(texts("label", &self.labels, &node.labels));
        all.extend(texts("annotation", &self.annotations, &node.annotations));
        all
    }

    /// Whether a node has the image.
    #[must_use]
    pub fn fit(&self, node: &Node) -> bool {
        self.differences(node).is_empty()
    }

    /// Whether nothing is said, so that any node would fit.
    #[must_use]
    pub fn are_empty(&self) -> bool {
        let patterns = [&self.os_image, &self.kubelet, &self.runtime, &self.kernel];
        patterns.iter().all(|pattern| pattern.is_none())
            && self.labels.is_empty()
            && self.annotations.is_empty()
    }

    /// The version of kubelet in the image, as far as the pattern names it.
    #[must_use]
    pub fn kubelet_version(&self) -> Option<Version> {
        let pattern = self.kubelet.as_ref()?.to_string();
        let known = match pattern.split_once(['*', '?', '[', '{']) {
            // The number before a wildcard may be only the beginning of one.
            Some((known, _)) => known.rsplit_once('.')?.0,
            None => pattern.as_str(),
        };
        super::objects::version(known)
    }
}

impl Pattern {
    /// Whether a text is as the pattern says.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let matcher: &GlobMatcher = self.matcher();
        matcher.is_match(text)
    }
}
