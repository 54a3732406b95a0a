//! `nodelith store`: what is in the store, and making room in it.

use std::time::Duration;

use serde_json::json;

use super::args::{Prune, Store as Arguments};
use super::{Context, Outcome};
use crate::error::Result;
use crate::report::{Table, human_bytes};

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Outcome> {
    match arguments {
        Arguments::Show => show(context),
        Arguments::Prune(arguments) => prune(context, arguments),
    }
}

fn show(context: &Context) -> Result<Outcome> {
    let store = context.store()?;
    let mut table = Table::new(&["KIND", ">FILES", ">SIZE"]);
    let mut kinds = Vec::new();
    for (kind, amount) in store.amounts()? {
        table.row([
            kind.into(),
            amount.files.to_string(),
            human_bytes(amount.bytes),
        ]);
        kinds.push(json!({"kind": kind, "files": amount.files, "bytes": amount.bytes}));
    }
    let json = json!({
        "schema": "nodelith.store", "version": 1, "path": store.root(), "kinds": kinds,
    });
    let text = format!("{}\n\n{}", store.root().display(), table.render());
    context.print(&json, &text)?;
    Ok(Outcome::Done)
}

fn prune(context: &Context, arguments: &Prune) -> Result<Outcome> {
    let age = Duration::from_secs(u64::from(arguments.older_than) * 24 * 60 * 60);
    let pruned = context.store()?.prune(age, arguments.dry_run)?;
    let rows = [
        ("blobs", pruned.blobs),
        ("partial", pruned.partial),
        ("records", pruned.records),
    ];
    let mut table = Table::new(&["KIND", ">REMOVED", ">SIZE"]);
    let mut kinds = Vec::new();
    for (kind, amount) in rows {
        table.row([
            kind.into(),
            amount.files.to_string(),
            human_bytes(amount.bytes),
        ]);
        kinds.push(json!({"kind": kind, "files": amount.files, "bytes": amount.bytes}));
    }
    let json = json!({
        "schema": "nodelith.prune", "version": 1, "dry-run": arguments.dry_run, "removed": kinds,
    });
    context.print(&json, &table.render())?;
    Ok(Outcome::Done)
}
