//! A plan as a run book in Markdown: for each node the commands that take it from one
//! image to the other. Each block stops at the first command that fails.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::span;
use crate::error::{Error, Kind, Result};
use crate::fleet::objects::{CONTAINERD_SOCKET, CRI_SOCKET, Cluster};
use crate::fleet::obstacles::Drain;
use crate::fleet::plan::{Plan, Planned, Wave};
use crate::fleet::rules::{Pool, Provider};
use crate::fleet::template::{Slot, quoted};
use crate::report::counted;

/// How long draining may take, and how long a node may take to come back.
const DRAIN: &str = "15m";
const READY: &str = "30m";

/// The run book; `rules` is the file of rules as commands name it.
///
/// # Errors
/// [`Kind::Usage`] where a pool has no provider, whose command would be missing.
pub fn runbook(plan: &Plan<'_>, cluster: &Cluster, rules: &str) -> Result<String> {
    let mut book = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut book, plan);
    for (at, wave) in plan.waves.iter().enumerate() {
        heading(&mut book, plan, at, wave);
        for &node in &wave.nodes {
            let planned = &plan.nodes[node];
            let commands = commands(plan, cluster, planned, rules)?;
            let _ = write!(
                book,
                "\n### {}\n\n{}{}",
                planned.node.name,
                about(planned),
                block(&commands)
            );
        }
        after(&mut book, plan, wave, at + 1 == plan.waves.len());
    }
    back(&mut book, plan)?;
    Ok(book)
}

fn write(book: &mut String, plan: &Plan<'_>) -> std::fmt::Result {
    let counts = plan.counts(None);
    match &plan.rules.name {
        Some(name) => writeln!(book, "# Rollout: {}\n", plain(name))?,
        None => writeln!(book, "# Rollout\n")?,
    }
    writeln!(
        book,
        "{}: {} on the image, {} to reimage in {}, {} blocked. It takes about {}.\n",
        counted(counts.all, "node"),
        counts.done,
        counts.reimage,
        counted(plan.waves.len(), "wave"),
        counts.blocked,
        span(plan.duration()),
    )?;
    writeln!(
        book,
        "Nodes of one wave may be done at the same time; a wave begins when the one before it\n\
         is over, its gates included. Each block stops at the first command that fails: find\n\
         out why before going on.\n\n| pool | nodes | image |\n|---|---|---|"
    )?;
    for (at, pool) in plan.pools() {
        let number = plan.counts(Some(at)).reimage;
        writeln!(
            book,
            "| {} | {number} | `{}` |",
            pool.name, pool.image.reference
        )?;
    }
    if counts.blocked > 0 {
        writeln!(book, "\n## Blocked\n\n| node | why |\n|---|---|")?;
    }
    for planned in &plan.nodes {
        for obstacle in &planned.obstacles {
            let why = plain(&obstacle.message);
            writeln!(
                book,
                "| {} | {why} (`{}`) |",
                planned.node.name, obstacle.id
            )?;
        }
    }
    Ok(())
}

fn heading(book: &mut String, plan: &Plan<'_>, at: usize, wave: &Wave) {
    let pools: Vec<_> = plan.pools_of(wave).map(|pool| pool.name.as_str()).collect();
    let canary = if wave.canary { ", canary" } else { "" };
    let _ = write!(
        book,
        "\n## Wave {}: {} of {}{canary}\n",
        at + 1,
        counted(wave.nodes.len(), "node"),
        pools.join(", "),
    );
}

/// What is to be known of a node before its commands.
fn about(planned: &Planned<'_>) -> String {
    let node = planned.node;
    match (node.is_available(), &node.since) {
        (true, _) => String::new(),
        (false, Some(since)) if node.ready != Some(true) => {
            format!("It is {} since {}.\n\n", node.status(), plain(since))
        }
        _ => format!("It is {}.\n\n", node.status()),
    }
}

fn commands(
    plan: &Plan<'_>,
    cluster: &Cluster,
    planned: &Planned<'_>,
    rules: &str,
) -> Result<Vec<String>> {
    let node = planned.node;
    let name = node.name.as_str();
    let pool = planned.pool.map(|at| &plan.rules.pools[at]);
    let Some(pool) = pool else {
        return Ok(Vec::new());
    };
    let provider = provider(pool)?;
    let mut lines = vec![format!("kubectl cordon {name}"), drain(planned)];
    lines.push(format!("boot=$({})", boot_id(name)));
    lines.extend(provider.reimage.iter().map(|template| {
        let image = &pool.image.reference;
        template.fill(|slot| match slot {
            Slot::Node => quoted(name),
            Slot::Image => Cow::Owned(image.to_string()),
            Slot::Digest => Cow::Owned(image.digest().to_string()),
            Slot::Pool => quoted(&pool.name),
            Slot::Zone => quoted(planned.zone),
            Slot::ProviderId => quoted(&node.provider_id),
        })
    }));
    // Until it has started anew, the cluster still calls it Ready.
    lines.push(format!(
        "until now=$({}) && [ \"$now\" != \"$boot\" ]; do sleep 10; done",
        boot_id(name)
    ));
    lines.push(format!(
        "kubectl wait --for=condition=Ready node/{name} --timeout={READY}"
    ));
    let socket = node.annotations.get(CRI_SOCKET);
    if socket.is_some_and(|socket| names_docker(socket)) {
        lines.push(format!(
            "kubectl annotate node {name} --overwrite {CRI_SOCKET}={CONTAINERD_SOCKET}"
        ));
    }
    if pool.is_control_plane() {
        let etcd = format!("etcd-{name}");
        if cluster
            .pods
            .contains_key(&("kube-system".to_owned(), etcd.clone()))
        {
            lines.push(format!(
                "kubectl -n kube-system wait --for=condition=Ready pod/{etcd} --timeout={READY}"
            ));
        }
        lines.push("kubectl get --raw='/readyz?verbose'".to_owned());
    }
    lines.push(format!(
        "kubectl get node {name} -o json | nodelith fleet status --rules {} --ignore-cordon -",
        quoted(rules)
    ));
    lines.push(format!("kubectl uncordon {name}"));
    Ok(lines)
}

fn drain(planned: &Planned<'_>) -> String {
    let node = planned.node;
    // No kubelet is there to say that pods have ended.
    let is_gone = node.ready != Some(true);
    drain_command(&node.name, planned.drain, is_gone)
}

fn drain_command(name: &str, drain: Drain, is_gone: bool) -> String {
    let flags = [
        (drain.empty_dir, " --delete-emptydir-data"),
        (drain.no_controller, " --force"),
        (drain.no_eviction, " --disable-eviction"),
        (is_gone, " --skip-wait-for-delete-timeout=10"),
    ];
    let flags = flags.into_iter().filter(|(is_needed, _)| *is_needed);
    let flags: String = flags.map(|(_, flag)| flag).collect();
    format!("kubectl drain {name} --ignore-daemonsets{flags} --timeout={DRAIN}")
}

fn boot_id(node: &str) -> String {
    format!("kubectl get node {node} -o jsonpath='{{.status.nodeInfo.bootID}}'")
}

/// Whether an address of a container runtime is one of Docker's.
pub(in crate::fleet) fn names_docker(socket: &str) -> bool {
    ["dockershim", "cri-dockerd", "docker.sock"]
        .iter()
        .any(|name| socket.contains(name))
}

fn provider(pool: &Pool) -> Result<&Provider> {
    pool.provider.as_ref().ok_or_else(|| {
        let message = format!(
            "a run book needs the command that reimages nodes of pool `{}`",
            pool.name
        );
        Error::new(Kind::Usage, message).hint(
            "describe it under `[providers.NAME]`, and name that as `provider` under `[rollout]` or in the pool",
        )
    })
}

fn block(lines: &[String]) -> String {
    let mut text = "```sh\n(\n  set -eu\n".to_owned();
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str(")\n```\n");
    text
}

fn after(book: &mut String, plan: &Plan<'_>, wave: &Wave, last: bool) {
    let gates = plan.gates(wave);
    let wait = (!wave.soak.is_zero()).then(|| format!("wait {}", span(wave.soak)));
    let run = (!gates.is_empty()).then(|| "run the gates".to_owned());
    let what: Vec<_> = [wait, run].into_iter().flatten().collect();
    if what.is_empty() {
        return;
    }
    let next = if last { "" } else { " before the next wave" };
    let _ = writeln!(book, "\nThen {}{next}.", what.join(" and "));
    if !gates.is_empty() {
        let lines: Vec<_> = gates.into_iter().map(ToOwned::to_owned).collect();
        let _ = write!(book, "\n{}", block(&lines));
    }
}

/// How a node gets the image that it is to have if the new one fails.
fn back(book: &mut String, plan: &Plan<'_>) -> Result<()> {
    let pools = plan
        .pools()
        .filter(|(at, _)| plan.counts(Some(*at)).reimage > 0);
    let pools: Vec<_> = pools
        .filter_map(|(_, pool)| Some((pool, pool.image.rollback.as_ref()?)))
        .collect();
    if pools.is_empty() {
        return Ok(());
    }
    book.push_str(
        "\n## Going back\n\nStop the rollout. For each node that has the new image, with its name in `node`:\n",
    );
    let field = |path: &str| format!("\"$(kubectl get node \"$node\" -o jsonpath='{{{path}}}')\"");
    let zone = plan.rules.zone_label.replace('.', "\\.");
    for (pool, image) in pools {
        let mut lines = vec![
            "kubectl cordon \"$node\"".to_owned(),
            drain_command("\"$node\"", Drain::allowed_by(pool), false),
            format!("boot=$({})", boot_id("\"$node\"")),
        ];
        lines.extend(provider(pool)?.reimage.iter().map(|template| {
            template.fill(|slot| match slot {
                Slot::Node => Cow::Borrowed("\"$node\""),
                Slot::Image => Cow::Owned(image.to_string()),
                Slot::Digest => Cow::Owned(image.digest().to_string()),
                Slot::Pool => quoted(&pool.name),
                Slot::Zone => Cow::Owned(field(&format!(".metadata.labels.{zone}"))),
                Slot::ProviderId => Cow::Owned(field(".spec.providerID")),
            })
        }));
        lines.push(format!(
            "until now=$({}) && [ \"$now\" != \"$boot\" ]; do sleep 10; done",
            boot_id("\"$node\"")
        ));
        lines.push(format!(
            "kubectl wait --for=condition=Ready \"node/$node\" --timeout={READY}"
        ));
        lines.push("kubectl uncordon \"$node\"".to_owned());
        let _ = write!(
            book,
            "\nPool {}, to `{image}`:\n\n{}",
            pool.name,
            block(&lines)
        );
    }
    Ok(())
}

/// Free text that Markdown takes as it is, on one line.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '|' | '<' | '>' | '*' | '[' | ']' | '\\' | '#' | '&') {
            safe.push('\\');
        }
        safe.push(if c.is_control() { ' ' } else { c });
    }
    safe
}
