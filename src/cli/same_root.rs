//! `nodelith same-root`: whether images, root images and disks have one and the same root.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::args::SameRoot;
use super::registry::{self, Needs};
use super::{Context, Outcome};
use crate::bundle::export::hex;
use crate::bundle::same::{of_image, of_path};
use crate::bundle::verity::Hash;
use crate::error::Result;
use crate::report::Table;

pub(super) fn run(context: &Context, arguments: &SameRoot) -> Result<Outcome> {
    let mut table = Table::new(&["ROOT HASH", "FORM", "NAME"]);
    let mut roots: Vec<Value> = Vec::new();
    let mut different: BTreeMap<String, usize> = BTreeMap::new();
    let mut add = |name: String, form: &str, partition: Option<&str>, hash: &Hash| {
        let hash = hex(hash);
        let place = match partition {
            Some(partition) => format!("{name}, {partition}"),
            None => name.clone(),
        };
        table.row([&*hash, form, &place]);
        let mut root = json!({"name": name, "form": form, "root-hash": hash});
        if let Some(partition) = partition {
            root["partition"] = partition.into();
        }
        roots.push(root);
        *different.entry(hash).or_default() += 1;
    };
    for name in &arguments.images {
        let Some(found) = of_path(Path::new(name))? else {
            let hash = image(context, name, arguments)?;
            add(name.clone(), "image", None, &hash);
            continue;
        };
        for root in found {
            let name = root.path.display().to_string();
            add(
                name,
                root.form.name(),
                root.partition.as_deref(),
                &root.hash,
            );
        }
    }
    let same = different.len() == 1;
    let json = json!({
        "schema": "nodelith.same-root", "version": 1, "same": same, "roots": roots,
    });
    let result = match (same, roots.len()) {
        (_, 1) => String::new(),
        (true, _) => "\n\nthe same root".to_owned(),
        (false, _) => format!("\n\n{} different roots", different.len()),
    };
    context.print(&json, &format!("{}{result}", table.render()))?;
    Ok(if same {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn image(context: &Context, name: &str, arguments: &SameRoot) -> Result<Hash> {
    let architecture = arguments.arch.as_deref();
    let image = registry::open(context, name, architecture, &arguments.registry, Needs::All)?;
    of_image(&image, &context.report)
}
