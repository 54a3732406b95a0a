//! A plan as JSON (docs/formats/json.md).

use serde_json::{Value, json};

use crate::fleet::plan::{Fate, Plan, Planned, Wave};

/// The whole plan.
#[must_use]
pub fn json(plan: &Plan<'_>) -> Value {
    let counts = plan.counts(None);
    let pools: Vec<_> = plan
        .pools()
        .map(|(at, pool)| {
            let counts = plan.counts(Some(at));
            json!({
                "name": pool.name, "image": pool.image.reference.to_string(),
                "rollback": pool.image.rollback.as_ref().map(ToString::to_string),
                "nodes": counts.all, "done": counts.done, "reimage": counts.reimage,
                "blocked": counts.blocked, "unavailable": counts.unavailable,
            })
        })
        .collect();
    let waves = plan.waves.iter().enumerate();
    json!({
        "schema": "nodelith.fleet-plan", "version": 1, "name": plan.rules.name,
        "counts": {
            "nodes": counts.all, "done": counts.done, "reimage": counts.reimage,
            "blocked": counts.blocked, "unavailable": counts.unavailable,
        },
        "pods-known": plan.pods_known, "seconds": plan.duration().as_secs(), "pools": pools,
        "waves": waves.map(|(at, one)| wave(plan, at, one)).collect::<Vec<_>>(),
        "nodes": plan.nodes.iter().map(|one| node(plan, one)).collect::<Vec<_>>(),
    })
}

fn wave(plan: &Plan<'_>, at: usize, wave: &Wave) -> Value {
    let names = wave.nodes.iter().map(|&at| &plan.nodes[at].node.name);
    let pools = plan.pools_of(wave).zip(&wave.unavailable);
    let pools = pools.map(|(pool, number)| json!({"name": pool.name, "unavailable": number}));
    json!({
        "number": at + 1, "canary": wave.canary, "start": wave.start.as_secs(),
        "soak": wave.soak.as_secs(), "gates": plan.gates(wave),
        "pools": pools.collect::<Vec<_>>(), "nodes": names.collect::<Vec<_>>(),
    })
}

fn node(plan: &Plan<'_>, planned: &Planned<'_>) -> Value {
    let node = planned.node;
    let pool = planned.pool.map(|at| &plan.rules.pools[at]);
    let (state, wave) = match planned.fate {
        Fate::Done => ("done", None),
        Fate::Reimage(wave) => ("reimage", Some(wave + 1)),
        Fate::Blocked => ("blocked", None),
    };
    let differences = pool.map(|pool| pool.image.looks.differences(node));
    json!({
        "name": node.name, "pool": pool.map(|pool| &pool.name),
        "zone": (!planned.zone.is_empty()).then_some(planned.zone),
        "roles": node.roles(), "status": node.status(), "kubelet": node.kubelet,
        "os-image": node.os_image, "kernel": node.kernel, "runtime": node.runtime,
        "state": state, "wave": wave, "differences": differences.unwrap_or_default(),
        "obstacles": planned.obstacles,
    })
}
