//! Capacity and what pods may have of it: the difference is what was kept back.

use serde_json::{Value, json};

use super::super::docker::field;
use super::super::work::{Found, Work};
use super::found;
use crate::check::document::Node;

/// Amounts are counted in thousandths, as CPUs are.
const ONE: u128 = 1000;
/// What kubelet keeps back of memory by itself: `evictionHard` is `memory.available<100Mi`.
const EVICTION: u128 = (100 << 20) * ONE;
/// Huge pages are memory too, which kubelet takes off what pods may have of it by itself.
const HUGE_PAGES: &str = "hugepages-";
/// Pods of a node, where nobody says otherwise.
const PODS: u128 = 110 * ONE;
/// The pages that most machines have, in bytes.
const HUGE: u128 = 2 << 20;
/// Settings that say what is kept back, as flags and as fields; the last of memory alone.
const KEPT: [(&str, &str); 3] = [
    ("kube-reserved", "kubeReserved"),
    ("system-reserved", "systemReserved"),
    ("eviction-hard", "evictionHard"),
];

pub(super) fn import(work: &mut Work<'_>, node: &Node) {
    let capacity = node.at(&["status", "capacity"]);
    for (name, value) in capacity.into_iter().flat_map(Node::entries) {
        let found = found(work, &format!("capacity {name}"), value);
        let amount = quantity(value);
        match name {
            "pods" => match amount {
                Some(_) if work.facts.kubelet.said("max-pods", "maxPods").is_some() => {
                    work.same(&found, "kubelet's own settings say it");
                }
                Some(PODS) => work.same(&found, "it is kubelet's default"),
                Some(pods) => field(work, &found, "maxPods", count(pods), None),
                None => work.lost(&found, "it is no amount"),
            },
            "cpu" | "memory" | "ephemeral-storage" => work.same(&found, "it is the machine's"),
            _ if name.starts_with(HUGE_PAGES) => huge(work, &found, name, amount),
            _ if name.starts_with("attachable-volumes-") => {
                work.same(&found, "kubelet knows it of the cloud");
            }
            _ => work.otherwise(
                &found,
                "its device plug-in says it again, where the image has the device's driver",
            ),
        }
    }
    let allocatable = node.at(&["status", "allocatable"]);
    let pages = capacity.into_iter().flat_map(Node::entries);
    let pages = pages.filter(|(name, _)| name.starts_with(HUGE_PAGES));
    let pages = pages.filter_map(|(_, value)| quantity(value));
    let by_itself = pages.fold(EVICTION, u128::saturating_add);
    let mut kept = serde_json::Map::new();
    for (name, value) in allocatable.into_iter().flat_map(Node::entries) {
        let found = found(work, &format!("allocatable {name}"), value);
        let all = capacity.and_then(|all| quantity(all.get(name)?));
        let less = all.zip(quantity(value));
        let less = less.map_or(0, |(all, left)| all.saturating_sub(left));
        let amount = match name {
            "cpu" => less,
            "memory" => less.saturating_sub(by_itself) / ONE / 1024,
            _ => 0,
        };
        let kubelet = &work.facts.kubelet;
        let mut settings = KEPT[..if name == "memory" { 3 } else { 2 }].iter();
        let says = settings.any(|(flag, field)| kubelet.said(flag, field).is_some());
        if amount == 0 {
            work.same(&found, "it follows from the machine and kubelet's settings");
        } else if says {
            work.same(&found, "kubelet's own settings say what is kept back");
        } else {
            let unit = if name == "cpu" { "m" } else { "Ki" };
            kept.insert(name.to_owned(), json!(format!("{amount}{unit}")));
            field(
                work,
                &found,
                "systemReserved",
                json!(kept),
                Some("this much was kept back from pods, for what the Node object does not say"),
            );
        }
    }
}

/// Huge pages: the kernel sets aside those of the usual size while it runs.
fn huge(work: &mut Work<'_>, found: &Found, name: &str, amount: Option<u128>) {
    let path = ["sysctl", "vm", "nr_hugepages"];
    match (name, amount) {
        (_, Some(0)) => work.same(found, "there are none"),
        ("hugepages-2Mi", Some(bytes)) if !work.draft.has(&path) => {
            let pages = i64::try_from(bytes / ONE / HUGE).unwrap_or(i64::MAX);
            work.changed(
                found,
                &path,
                pages,
                "every machine of this image sets so much of its memory aside, large or small",
            );
        }
        ("hugepages-2Mi", Some(_)) => work.same(found, "the sysctl says it"),
        _ => work.lost(
            found,
            "the kernel sets them aside when it starts: add `hugepagesz=` and `hugepages=` to `[kernel] command-line`",
        ),
    }
}

fn count(thousandths: u128) -> Value {
    u64::try_from(thousandths / ONE).map_or(Value::Null, Value::from)
}

/// A quantity of Kubernetes (`resource.Quantity`), in thousandths; what is finer is cut.
fn quantity(node: &Node) -> Option<u128> {
    let text = node.shown();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let factor: u128 = match unit {
        "m" => 1,
        "" => ONE,
        "k" => ONE * 1000,
        "M" => ONE * 1_000_000,
        "G" => ONE * 1_000_000_000,
        "T" => ONE * 1_000_000_000_000,
        "Ki" => ONE << 10,
        "Mi" => ONE << 20,
        "Gi" => ONE << 30,
        "Ti" => ONE << 40,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.len() > 9 || whole.len() > 18 {
        return None;
    }
    let mut amount = whole.parse::<u128>().ok()?.checked_mul(factor)?;
    if !part.is_empty() {
        let scale = 10_u128.checked_pow(u32::try_from(part.len()).ok()?)?;
        amount += part.parse::<u128>().ok()?.checked_mul(factor)? / scale;
    }
    Some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_counted_in_thousandths() {
        for (text, wanted) in [
            ("4", Some(4000)),
            ("3920m", Some(3920)),
            ("1.5", Some(1500)),
            ("16Ki", Some(16_384_000)),
            ("1k", Some(1_000_000)),
            ("0", Some(0)),
            ("", None),
            ("many", None),
            ("-1", None),
            ("1e3", None),
            ("1.1.1", None),
            ("99999999999999999999", None),
        ] {
            let node = Node::yaml(&format!("\"{text}\""), 0).unwrap();
            assert_eq!(quantity(&node[0]), wanted, "{text}");
        }
    }
}
