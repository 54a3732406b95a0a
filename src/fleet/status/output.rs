//! The state of a fleet as tables and as JSON.

use serde_json::{Value, json};

use super::{Row, Status};
use crate::report::{Table, counted};

/// The nodes, the pools, and one line that sums them up.
#[must_use]
pub fn table(status: &Status<'_>) -> String {
    let mut nodes = Table::new(&[
        "NAME",
        "STATUS",
        "ROLES",
        "VERSION",
        "OS-IMAGE",
        "KERNEL-VERSION",
        "CONTAINER-RUNTIME",
        "WRONG",
    ]);
    for row in &status.nodes {
        nodes.row(cells(row));
    }
    let mut text = Vec::new();
    if !status.nodes.is_empty() {
        text.push(nodes.render());
    }
    if !status.pools.is_empty() {
        let mut pools = Table::new(&["POOL", ">DONE", ">NODES", "", "HELD"]);
        for pool in &status.pools {
            pools.row([
                pool.name.to_owned(),
                pool.done.to_string(),
                pool.nodes.to_string(),
                bar(pool.done, pool.nodes),
                pool.held.unwrap_or_default().to_owned(),
            ]);
        }
        text.push(pools.render());
    }
    text.push(summary(status));
    text.join("\n\n")
}

/// A node's cells, as kubectl writes them.
pub(super) fn cells(row: &Row<'_>) -> [String; 8] {
    let node = row.node;
    let roles = node.roles().join(",");
    let or_none = |text: &str, none: &str| match text {
        "" => none.to_owned(),
        text => text.to_owned(),
    };
    let problems: Vec<_> = row
        .problems
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    [
        node.name.clone(),
        node.status(),
        or_none(&roles, "<none>"),
        or_none(&node.kubelet, "<unknown>"),
        or_none(&node.os_image, "<unknown>"),
        or_none(&node.kernel, "<unknown>"),
        or_none(&node.runtime, "<unknown>"),
        problems.join("; "),
    ]
}

/// Twenty characters that show a share.
fn bar(done: usize, all: usize) -> String {
    const WIDTH: usize = 20;
    let full = (done * WIDTH).checked_div(all).unwrap_or_default();
    format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full))
}

/// `3 of 5 nodes are done`.
pub(super) fn summary(status: &Status<'_>) -> String {
    let all = counted(status.nodes.len(), "node");
    match status.nodes.iter().filter(|row| row.held).count() {
        0 => format!("{} of {all} done", status.done()),
        held => format!("{} of {all} done, {held} held", status.done()),
    }
}

/// Everything as JSON.
#[must_use]
pub fn json(status: &Status<'_>) -> Value {
    let pools = status.pools.iter().map(|pool| {
        json!({"name": pool.name, "nodes": pool.nodes, "done": pool.done, "held": pool.held})
    });
    let nodes = status.nodes.iter().map(|row| {
        let node = row.node;
        json!({
            "name": node.name, "pool": row.pool, "status": node.status(),
            "roles": node.roles(), "kubelet": node.kubelet, "os-image": node.os_image,
            "kernel": node.kernel, "runtime": node.runtime, "since": node.since,
            "held": row.held, "problems": row.problems,
        })
    });
    json!({
        "schema": "nodelith.fleet-status", "version": 1, "done": status.is_done(),
        "counts": {"nodes": status.nodes.len(), "done": status.done()},
        "pools": pools.collect::<Vec<_>>(), "nodes": nodes.collect::<Vec<_>>(),
    })
}
