//! `nodelith same-root`: whether images and root images have one and the same root.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::args::SameRoot;
use super::registry::{self, Needs};
use super::{Context, Outcome};
use crate::bundle::export::hex;
use crate::bundle::same::{of_file, of_image};
use crate::bundle::verity::Hash;
use crate::error::Result;
use crate::report::Table;

pub(super) fn run(context: &Context, arguments: &SameRoot) -> Result<Outcome> {
    let mut table = Table::new(&["ROOT HASH", "FORM", "NAME"]);
    let mut roots: Vec<Value> = Vec::new();
    let mut different: BTreeMap<String, usize> = BTreeMap::new();
    for name in &arguments.images {
        let (form, hash) = match of_file(Path::new(name))? {
            Some(hash) => ("erofs", hash),
            None => ("image", image(context, name, arguments)?),
        };
        let hash = hex(&hash);
        table.row([&hash, form, name]);
        roots.push(json!({"name": name, "form": form, "root-hash": hash}));
        *different.entry(hash).or_default() += 1;
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
