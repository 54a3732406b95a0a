//! The flags that kubelet is given.

use super::super::nearest;
use super::minor;
use crate::check::facts::Facts;
use crate::check::facts::kubelet::Flag;
use crate::check::rule::Found;
use crate::compat::kubelet;

/// Every flag once: the last of its name.
fn every<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = &'f Flag> {
    let flags = &facts.kubelet.flags;
    flags
        .iter()
        .enumerate()
        .filter(|(at, flag)| !flags[at + 1..].iter().any(|later| later.name == flag.name))
        .map(|(_, flag)| flag)
}

pub(super) fn flags(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some((number, row)) = minor(facts) else {
        return;
    };
    for flag in every(facts) {
        let name = &flag.name;
        let known = kubelet::flag(name);
        let why = match (kubelet::has_flag(name, number), known) {
            (Some(true), _) => continue,
            (Some(false), Some(known)) => match (known.from, known.until) {
                (_, Some(until)) if until <= number => format!("it was removed by 1.{until}"),
                (Some(from), _) => format!("it came with 1.{from}"),
                _ => continue,
            },
            // A minor beyond the tables may have flags that they do not have.
            _ if row.minor != number => continue,
            _ => {
                let near = nearest(name, kubelet::flags());
                near.map_or_else(
                    || "no kubelet has".to_owned(),
                    |near| format!("did you mean `--{near}`?"),
                )
            }
        };
        found.in_text(
            flag.text,
            flag.at,
            format!("kubelet 1.{number} has no flag `--{name}`: {why}"),
        );
    }
}

pub(super) fn overrides(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(number) = facts.minor().filter(|number| *number >= 27) else {
        return;
    };
    for flag in every(facts) {
        let path = &facts.subject.texts[flag.text].path.to_string();
        let own = ["etc/default/kubelet", "etc/sysconfig/kubelet"].contains(&path.as_str());
        if own && ["container-runtime-endpoint", "cgroup-driver"].contains(&flag.name.as_str()) {
            found.in_text(
                flag.text,
                flag.at,
                format!("`--{}` wins over what kubeadm 1.{number} writes", flag.name),
            );
        }
    }
}

pub(super) fn deprecated(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some((number, row)) = minor(facts) else {
        return;
    };
    if !row.config_drop_ins.are_usable() {
        return;
    }
    for flag in every(facts) {
        if let Some(field) = kubelet::field_of(&flag.name)
            .filter(|_| kubelet::has_flag(&flag.name, number) == Some(true))
            && kubelet::field(field).is_some_and(|field| field.from <= number)
        {
            found.in_text(
                flag.text,
                flag.at,
                format!("`--{}`: the field `{field}` means the same", flag.name),
            );
        }
    }
}
