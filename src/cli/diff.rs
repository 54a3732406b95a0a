//! `nodelith diff`: what differs between two images, and what a node must download.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::args::Diff;
use super::registry::{self, Needs};
use super::show::packages;
use super::{Context, Outcome};
use crate::build::SETTINGS_PATH;
use crate::error::Result;
use crate::image::read::Image;
use crate::report::{Table, human_bytes};
use crate::tree::TreePath;
use crate::tree::compare::{Difference, compare};
use crate::tree::image::{ImageTree, read, read_files};

/// The longest settings file that is read, in bytes.
const SETTINGS_LIMIT: u64 = 8 << 20;

pub(super) fn run(context: &Context, arguments: &Diff) -> Result<Outcome> {
    let before = Side::open(context, &arguments.before, arguments)?;
    let after = Side::open(context, &arguments.after, arguments)?;
    let packages = changed(&before.packages, &after.packages);
    let settings = changed(&before.settings, &after.settings);
    let files = compare(&before.tree, &after.tree);
    let known: BTreeSet<_> = before
        .image
        .layers
        .iter()
        .map(|layer| layer.descriptor.digest)
        .collect();
    let new = after
        .image
        .layers
        .iter()
        .filter(|layer| !known.contains(&layer.descriptor.digest));
    let (layers, bytes) = new.fold((0, 0), |(layers, bytes), layer| {
        (layers + 1, bytes + layer.descriptor.size)
    });
    let same = before.image.manifest.digest == after.image.manifest.digest;

    let json = json!({
        "schema": "nodelith.diff", "version": 1, "same": same,
        "before": before.image.manifest.digest, "after": after.image.manifest.digest,
        "packages": rows_json(&packages), "settings": rows_json(&settings),
        "files": files_json(&files),
        "download": {"layers": layers, "bytes": bytes},
    });
    let mut parts = Vec::new();
    if !packages.is_empty() {
        parts.push(rows_text("PACKAGE", &packages));
    }
    if !settings.is_empty() {
        parts.push(rows_text("SETTING", &settings));
    }
    if !files.is_empty() {
        parts.push(files_text(&files));
    }
    parts.push(format!(
        "download: {layers} of {} layers, {}",
        after.image.layers.len(),
        human_bytes(bytes)
    ));
    context.print(&json, &parts.join("\n\n"))?;
    Ok(if arguments.exit_code && !same {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

struct Side {
    image: Image,
    tree: ImageTree,
    packages: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
}

impl Side {
    fn open(context: &Context, reference: &str, arguments: &Diff) -> Result<Self> {
        let image = registry::open(
            context,
            reference,
            arguments.arch.as_deref(),
            &arguments.registry,
            Needs::All,
        )?;
        let tree = read(&image)?;
        let packages = packages(&image, &tree)?;
        let path = TreePath::from(SETTINGS_PATH);
        let found = read_files(&image, &tree, std::slice::from_ref(&path), SETTINGS_LIMIT)?;
        let settings = found
            .get(&path)
            .and_then(|bytes| serde_json::from_slice(bytes).ok());
        Ok(Self {
            image,
            tree,
            packages,
            settings: settings.unwrap_or_default(),
        })
    }
}

/// Name, value before, value after.
type Row = (String, Option<String>, Option<String>);

fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Row> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| {
            (
                name.clone(),
                before.get(name).cloned(),
                after.get(name).cloned(),
            )
        })
        .collect()
}

fn rows_text(heading: &str, rows: &[Row]) -> String {
    let mut table = Table::new(&[heading, "BEFORE", "AFTER"]);
    for (name, before, after) in rows {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        table.row([name.clone(), shown(before), shown(after)]);
    }
    table.render()
}

fn rows_json(rows: &[Row]) -> Value {
    let rows = rows.iter();
    rows.map(|(name, before, after)| json!({"name": name, "before": before, "after": after}))
        .collect()
}

fn files_text(files: &BTreeMap<TreePath, Difference>) -> String {
    let mut lines = vec![format!("FILES ({})", files.len())];
    for (path, difference) in files {
        let sign = match difference {
            Difference::Added => '+',
            Difference::Removed => '-',
            Difference::Content => '~',
            Difference::Metadata => 'm',
        };
        lines.push(format!("{sign} /{path}"));
    }
    lines.join("\n")
}

fn files_json(files: &BTreeMap<TreePath, Difference>) -> Value {
    let files = files.iter().map(|(path, difference)| {
        let difference = match difference {
            Difference::Added => "added",
            Difference::Removed => "removed",
            Difference::Content => "content",
            Difference::Metadata => "metadata",
        };
        json!({"path": path, "difference": difference})
    });
    files.collect()
}
