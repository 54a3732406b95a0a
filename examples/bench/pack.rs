//! `bench --pack ROOT STORE`: a root folder as layers, by the library's own
//! stages, in a process of its own so that its time and memory are its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use nodelith::layer::{Compression, make_all, plan};
use nodelith::store::Store;
use nodelith::tree::scan::scan;
use nodelith::tree::{FIXED_TIME, TreePath};
use serde_json::json;

use crate::Result;

pub fn main(root: &Path, store: &Path) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let store = Store::open(store)?;
    let owners = owners(root)?;
    let owner = |path: &TreePath| Some((Arc::clone(owners.get(path)?), FIXED_TIME));
    let tree = scan(root, &owner, i64::MAX)?;
    let plan = plan(&tree, &BTreeMap::new(), 64)?;
    let layers: Vec<_> = plan.layers.iter().collect();
    let blobs = make_all(&store, &layers, &tree, Compression::ZSTD, threads, &|_| {})?;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let sum = |size: fn(&nodelith::layer::LayerBlob) -> u64| blobs.iter().map(size).sum::<u64>();
    println!(
        "{}",
        json!({
            "entries": tree.entries.len(), "layers": blobs.len(),
            "bytes": sum(|blob| blob.uncompressed_size), "compressed": sum(|blob| blob.size),
            "peak-memory": peak.map(str::trim),
        })
    );
    Ok(())
}

/// Which package each path belongs to, by dpkg's file lists.
fn owners(root: &Path) -> Result<BTreeMap<TreePath, Arc<str>>> {
    let mut owners = BTreeMap::new();
    for entry in fs::read_dir(root.join("var/lib/dpkg/info"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(package) = name.strip_suffix(".list") else {
            continue;
        };
        let package = package.split(':').next().unwrap_or_default();
        let component: Arc<str> = format!("deb:{package}").into();
        for line in fs::read_to_string(&path)?.lines() {
            // Lists may name what lies below /usr by its old place.
            let line = line.trim_start_matches('/');
            for path in [line.to_owned(), format!("usr/{line}")] {
                let owner = owners.entry(TreePath::from(path.as_str()));
                owner.or_insert_with(|| Arc::clone(&component));
            }
        }
    }
    Ok(owners)
}
