//! A plan as tables: pools, what their nodes run, waves, what is blocked.

use std::collections::BTreeMap;

use super::span;
use crate::fleet::obstacles::some;
use crate::fleet::plan::{Fate, Plan};
use crate::report::{Table, counted};

/// The tables, and one line that sums them up.
#[must_use]
pub fn table(plan: &Plan<'_>) -> String {
    let parts = [pools(plan), versions(plan), waves(plan), blocked(plan)];
    let mut text: Vec<_> = parts.into_iter().flatten().collect();
    text.push(summary(plan));
    text.join("\n\n")
}

fn pools(plan: &Plan<'_>) -> Option<String> {
    let mut table = Table::new(&[
        "POOL",
        ">NODES",
        ">DONE",
        ">REIMAGE",
        ">BLOCKED",
        ">UNAVAILABLE",
        "ALLOWED",
        "IMAGE",
    ]);
    let mut rows = 0;
    for (at, pool) in plan.pools() {
        let counts = plan.counts(Some(at));
        let mut most = pool.max_unavailable.to_string();
        if let Some(amount) = pool.max_unavailable_per_zone {
            most.push_str(&format!(", {amount} a zone"));
        }
        let digest = pool.image.reference.digest().hex();
        table.row([
            pool.name.clone(),
            counts.all.to_string(),
            counts.done.to_string(),
            counts.reimage.to_string(),
            counts.blocked.to_string(),
            counts.unavailable.to_string(),
            most,
            format!("sha256:{}…", &digest[..12]),
        ]);
        rows += 1;
    }
    (rows > 0).then(|| table.render())
}

/// What nodes run, by pool; the image's own row is marked.
fn versions(plan: &Plan<'_>) -> Option<String> {
    let mut sorts: BTreeMap<_, usize> = BTreeMap::new();
    for planned in &plan.nodes {
        let node = planned.node;
        let pool = planned.pool.unwrap_or(usize::MAX);
        let sort = (
            pool,
            planned.fate == Fate::Done,
            [&node.kubelet, &node.runtime, &node.os_image, &node.kernel],
        );
        *sorts.entry(sort).or_default() += 1;
    }
    let mut table = Table::new(&[
        "POOL", ">NODES", "IMAGE", "KUBELET", "RUNTIME", "OS-IMAGE", "KERNEL",
    ]);
    let any = !sorts.is_empty();
    for ((pool, done, facts), number) in sorts {
        let pool = plan.rules.pools.get(pool).map_or("-", |pool| &pool.name);
        let is = if done { "yes" } else { "no" };
        let start = [pool.to_owned(), number.to_string(), is.to_owned()];
        table.row(start.into_iter().chain(facts.map(|fact| or_dash(fact))));
    }
    any.then(|| table.render())
}

fn or_dash(text: &str) -> String {
    match text {
        "" => "-".to_owned(),
        text => text.to_owned(),
    }
}

fn waves(plan: &Plan<'_>) -> Option<String> {
    let mut table = Table::new(&[">WAVE", ">FROM", ">NODES", "UNAVAILABLE", "WHICH"]);
    for (at, wave) in plan.waves.iter().enumerate() {
        let pools = plan.pools_of(wave).zip(&wave.unavailable);
        let pools: Vec<_> = pools
            .map(|(pool, number)| format!("{number} in {}", pool.name))
            .collect();
        let names: Vec<_> = wave
            .nodes
            .iter()
            .map(|&at| &plan.nodes[at].node.name)
            .collect();
        let canary = if wave.canary { "canary: " } else { "" };
        table.row([
            (at + 1).to_string(),
            span(wave.start),
            wave.nodes.len().to_string(),
            pools.join(", "),
            format!("{canary}{}", some(&names).replace('`', "")),
        ]);
    }
    (!plan.waves.is_empty()).then(|| table.render())
}

fn blocked(plan: &Plan<'_>) -> Option<String> {
    let mut table = Table::new(&["BLOCKED", "ID", "WHY"]);
    let mut any = false;
    for planned in &plan.nodes {
        for obstacle in &planned.obstacles {
            any = true;
            table.row([
                planned.node.name.clone(),
                obstacle.id.to_string(),
                obstacle.message.clone(),
            ]);
        }
    }
    any.then(|| table.render())
}

fn summary(plan: &Plan<'_>) -> String {
    let counts = plan.counts(None);
    let mut text = format!(
        "{}: {} on the image, {} to reimage in {}, {} blocked",
        counted(counts.all, "node"),
        counts.done,
        counts.reimage,
        counted(plan.waves.len(), "wave"),
        counts.blocked,
    );
    if !plan.waves.is_empty() {
        text.push_str(&format!("; about {}", span(plan.duration())));
    }
    text
}
