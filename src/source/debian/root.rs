//! A configured root, made once and kept as layers.
//!
//! The work is done by the sandbox's worker ([`make`]): unpack, configure,
//! clean, scan, plan, pack. What comes back is a [`Root`]: the tree, whose
//! contents stand in layers of the store, and the few small texts that node
//! configuration reads. A root depends on packages, architecture, excludes and
//! the layer limit, never on configuration, so that configuration is cheap to
//! change.

pub mod assemble;
mod assembly;
mod claims;
pub mod clean;
mod configure;
pub mod control;
mod database;
pub mod deb;
mod diversion;
mod exclude;
mod guard;
mod incoming;
pub mod ownership;
mod place;
mod received;
mod rootdir;
pub mod status;
mod tarball;
mod triggers;
mod unpack;
mod usrmerge;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::assemble::{Assemble, Assembled, Progress, Runner, assemble};

use self::ownership::Owner;
use crate::digest::Digest;
use crate::error::{Context, Result};
use crate::layer::{self, Compression, FORMAT, LayerBlob};
use crate::store::Store;
use crate::tree::scan::scan;
use crate::tree::{Content, FIXED_TIME, Node, Tree, TreePath};

/// The component of package files that administrators may change (dpkg's conffiles).
pub const CONFFILES: &str = "conffiles";
/// The component of dpkg's database.
pub const PACKAGE_DATABASE: &str = "package-database";
/// The component of what no package owns.
pub const GENERATED: &str = "generated";

/// The longest text that is kept aside for node configuration, in bytes.
const LONGEST_TEXT: u64 = 4 << 20;

/// What a root depends on, and where the worker finds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The store's folder.
    pub store: PathBuf,
    /// An empty folder to work in.
    pub scratch: PathBuf,
    /// Where the output of package scripts goes.
    pub log: PathBuf,
    /// The architecture, in Debian's words.
    pub architecture: String,
    /// Digests of the `.deb` files, all in the store.
    pub packages: Vec<Digest>,
    /// Patterns of paths that are not unpacked.
    pub excludes: Vec<String>,
    /// Times of package files later than this are clamped to it.
    pub source_date_epoch: i64,
    /// The greatest number of layers.
    pub layer_limit: usize,
    /// How many threads to use.
    pub threads: usize,
}

/// A root, kept as layers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Root {
    /// Every path; contents are in `layers`.
    pub tree: Tree,
    /// The layers, in the order of the image.
    pub layers: Vec<RootLayer>,
    /// Texts kept aside for node configuration.
    pub texts: BTreeMap<TreePath, String>,
    /// The newest time of a package file before clamping.
    pub newest: i64,
}

/// One layer of a root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RootLayer {
    /// The components in it.
    pub components: Vec<Arc<str>>,
    /// The layer as it was first made: canonical tar, zstd at its usual level.
    pub blob: LayerBlob,
}

impl Job {
    /// The folder that becomes the root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.scratch.join("root")
    }

    /// The key under which the root is recorded; with `clamped`, of one whose
    /// times were changed by the epoch.
    #[must_use]
    pub fn key(&self, clamped: bool) -> Digest {
        let mut packages = self.packages.clone();
        packages.sort();
        let parts = serde_json::json!({
            "format": FORMAT,
            "architecture": self.architecture,
            "packages": packages,
            "excludes": self.excludes,
            "layer-limit": self.layer_limit,
            "epoch": clamped.then_some(self.source_date_epoch),
        });
        Digest::of(parts.to_string().as_bytes())
    }

    /// Whether a root recorded under [`key`](Self::key) of `clamped` has the times that
    /// this job gives.
    #[must_use]
    pub fn fits(&self, clamped: bool, root: &Root) -> bool {
        let latest = self.source_date_epoch.max(FIXED_TIME);
        (root.newest > self.source_date_epoch) == clamped
            && root
                .tree
                .entries
                .values()
                .all(|entry| entry.mtime <= latest)
    }

    /// The recorded root, if there is one and all its layers are there.
    #[must_use]
    pub fn recorded(&self, store: &Store) -> Option<Root> {
        [false, true].into_iter().find_map(|clamped| {
            let root: Root = store.record("roots", &self.key(clamped))?;
            let whole = root
                .layers
                .iter()
                .all(|layer| store.has(&layer.blob.digest, Some(layer.blob.size)));
            (whole && self.fits(clamped, &root)).then_some(root)
        })
    }
}

/// Unpacks and configures the packages under the job's scratch folder. Runs
/// inside the sandbox.
///
/// # Errors
/// What unpacking or a package's script fails with.
pub fn unpack(
    job: &Job,
    runner: &mut dyn Runner,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Assembled> {
    let store = Store::open(&job.store)?;
    let packages = job.packages.iter();
    let request = Assemble {
        root: job.root(),
        architecture: job.architecture.clone(),
        foreign_architectures: Vec::new(),
        packages: packages.map(|digest| store.blob_path(digest)).collect(),
        excludes: job.excludes.clone(),
    };
    assemble(&request, runner, progress)
}

/// Cleans, reads and packs what was unpacked, and records it. Runs inside the
/// sandbox, when nothing is mounted in the root any more. `wanted` says of which
/// paths the text is kept aside.
///
/// # Errors
/// When the root cannot be read or the store cannot be written.
pub fn keep(
    job: &Job,
    assembled: &Assembled,
    wanted: fn(&[u8]) -> bool,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<()> {
    let store = Store::open(&job.store)?;
    let root = job.root();
    progress(Progress::Stage("cleaning"));
    clean::clean(&root)?;
    progress(Progress::Stage("scanning"));
    let mut tree = scan(
        &root,
        &|path| {
            let owner = assembled.owned.paths.get(path)?;
            Some((component(owner), owner.mtime))
        },
        job.source_date_epoch,
    )?;
    classify_unowned(&mut tree);
    let texts = texts(&tree, wanted)?;
    progress(Progress::Stage("packing"));
    let layers = pack(&store, &mut tree, assembled, job)?;
    let newest = assembled
        .owned
        .paths
        .values()
        .map(|owner| owner.mtime)
        .max()
        .unwrap_or(0);
    let made = Root {
        tree,
        layers,
        texts,
        newest,
    };
    store.put_record("roots", &job.key(newest > job.source_date_epoch), &made)
}

fn component(owner: &Owner) -> Arc<str> {
    if owner.conffile {
        CONFFILES.into()
    } else {
        format!("deb:{}", owner.package).into()
    }
}

/// Tells dpkg's database from the rest of what no package owns.
fn classify_unowned(tree: &mut Tree) {
    let database: Arc<str> = PACKAGE_DATABASE.into();
    for (path, entry) in &mut tree.entries {
        if &*entry.component == GENERATED && path.is_within(b"var/lib/dpkg") {
            entry.component = Arc::clone(&database);
        }
    }
}

/// Reads the texts that node configuration asks for.
fn texts(tree: &Tree, wanted: fn(&[u8]) -> bool) -> Result<BTreeMap<TreePath, String>> {
    let mut texts = BTreeMap::new();
    for (path, entry) in &tree.entries {
        if !wanted(path.as_bytes()) {
            continue;
        }
        let text = match &entry.node {
            Node::File {
                size,
                content: Content::Disk(file),
            } if *size <= LONGEST_TEXT => {
                let bytes = fs::read(file).io("reading", file)?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            _ => continue,
        };
        texts.insert(path.clone(), text);
    }
    Ok(texts)
}

/// Packs the tree into layers and makes every file's content refer to its layer.
fn pack(
    store: &Store,
    tree: &mut Tree,
    assembled: &Assembled,
    job: &Job,
) -> Result<Vec<RootLayer>> {
    let sources: BTreeMap<Arc<str>, Arc<str>> = assembled
        .packages
        .iter()
        .map(|package| {
            (
                format!("deb:{}", package.name).into(),
                package.source.as_str().into(),
            )
        })
        .collect();
    let plan = layer::plan(tree, &sources, job.layer_limit)?;
    let planned: Vec<_> = plan.layers.iter().collect();
    let blobs = layer::make_all(
        store,
        &planned,
        tree,
        Compression::ZSTD,
        job.threads,
        &|_| {},
    )?;
    let mut layers = Vec::with_capacity(blobs.len());
    for (planned, blob) in plan.layers.iter().zip(blobs) {
        for path in &planned.entries {
            if let Some(entry) = tree.entries.get_mut(path)
                && let Node::File { content, .. } = &mut entry.node
            {
                *content = Content::Layer(blob.digest);
            }
        }
        layers.push(RootLayer {
            components: planned.components.clone(),
            blob,
        });
    }
    Ok(layers)
}
