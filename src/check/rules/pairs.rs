//! Versions that go together, and how long they are supported.

use jiff::ToSpan;

use super::Rule;
use crate::check::facts::Facts;
use crate::check::rule::{Found, Severity};
use crate::check::subject::Said;
use crate::compat::containerd::Support;
use crate::compat::pairs::Fit;
use crate::compat::{Version, companions, containerd, kubernetes};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ND-PAIR-001",
        severity: Severity::Error,
        title: "kubelet and containerd have no version of CRI in common",
        why: "kubelet up to 1.22 speaks only CRI v1alpha2, which containerd 2 does not serve; kubelet \
              1.26 and later speak only v1, which containerd up to 1.5 does not serve. The node never \
              becomes ready.",
        fix: "take a containerd between 1.6 and 1.7, which serve both, or one that fits the kubelet",
        sources: &[
            "traps T18, T19",
            "KEP 2040",
            "containerd v1.5.18: pkg/cri (no runtime/v1)",
        ],
        check: cri,
    },
    Rule {
        id: "ND-PAIR-002",
        severity: Severity::Warning,
        title: "a pair of containerd and Kubernetes that is not published",
        why: "containerd's project names the releases that it tests with each Kubernetes minor; this \
              one is not among them.",
        fix: "take a release that is named",
        sources: &["containerd RELEASES.md (Kubernetes support)"],
        check: published,
    },
    Rule {
        id: "ND-PAIR-003",
        severity: Severity::Warning,
        title: "crictl and kubelet are far apart",
        why: "crictl is made for the Kubernetes minor of its own number. One before 1.26 has other \
              calls than later runtimes and kubelets.",
        fix: "take the crictl of the Kubernetes minor",
        sources: &["cri-tools: README.md (compatibility matrix)"],
        check: crictl,
    },
    Rule {
        id: "ND-PAIR-004",
        severity: Severity::Warning,
        title: "runc is older than containerd expects",
        why: "User namespaces need runc 1.2; containerd 2 is tested with 1.2 and later.",
        fix: "take runc 1.2 or later",
        sources: &["containerd: script/setup/runc-version, docs/containerd-2.0.md"],
        check: runc,
    },
    Rule {
        id: "ND-PAIR-005",
        severity: Severity::Warning,
        title: "support has ended",
        why: "There are no more patches, security fixes included. Distributions may support their \
              own packages longer.",
        fix: "move to a release that is supported",
        sources: &[
            "containerd RELEASES.md (support horizon)",
            "kubernetes/website: data/releases/eol.yaml",
            "KEP 1498",
        ],
        check: ended,
    },
    Rule {
        id: "ND-PAIR-006",
        severity: Severity::Note,
        title: "a version that is newer than all that are known",
        why: "It is judged like the newest known one.",
        fix: "take a newer Nodelith, if there is one",
        sources: &["src/compat"],
        check: newer,
    },
    Rule {
        id: "ND-PAIR-007",
        severity: Severity::Note,
        title: "a version is not known",
        why: "Rules that depend on it were left out.",
        fix: "give it by `--containerd-version` or `--kubernetes-version`",
        sources: &["docs/checks.md"],
        check: unknown,
    },
    Rule {
        id: "ND-PAIR-008",
        severity: Severity::Note,
        title: "containerd 1.x has no cgroup driver to tell kubelet",
        why: "kubelet 1.34 and later count how often they have to do without, and 1.38 is planned to \
              refuse a runtime that cannot tell.",
        fix: "plan the move to containerd 2",
        sources: &["KEP 4033", "kubernetes#139267"],
        check: runtime_config,
    },
];

fn place(said: &Said, message: String, found: &mut Found<'_>) {
    match said.from.strip_prefix('/') {
        Some(path) => found.at_path(path, message),
        None => found.nowhere(message),
    }
}

fn cri(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (Some(said), Some(number)) = (&facts.versions.containerd, facts.minor()) else {
        return;
    };
    let old = Version {
        major: 1,
        minor: 6,
        patch: 0,
    };
    let minor = kubernetes::minor(number);
    let theirs: Vec<&str> = match containerd::line(said.version) {
        Some(known) => known.row.cri.iter().map(String::as_str).collect(),
        None if said.version < old => vec!["v1alpha2"],
        None => return,
    };
    let Some(minor) = minor else { return };
    if !minor
        .row
        .cri
        .iter()
        .any(|api| theirs.contains(&api.as_str()))
    {
        let message = format!(
            "kubelet 1.{number} speaks CRI {}, containerd {} {}",
            minor.row.cri.join(" and "),
            said.version,
            theirs.join(" and "),
        );
        place(said, message, found);
    }
}

fn published(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (Some(said), Some(minor)) = (
        &facts.versions.containerd,
        facts.minor().and_then(kubernetes::minor),
    ) else {
        return;
    };
    let Some(line) = containerd::line(said.version) else {
        return;
    };
    if minor.row.fit(line.row, said.version) == Fit::Unlisted {
        let published = &minor.row.containerd;
        let list: Vec<_> = published.iter().map(ToString::to_string).collect();
        let message = format!(
            "containerd {} with Kubernetes 1.{}: published are {} and later of each line",
            said.version,
            minor.row.minor,
            list.join(", "),
        );
        place(said, message, found);
    }
}

fn crictl(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (Some(said), Some(number)) = (&facts.versions.crictl, facts.minor()) else {
        return;
    };
    let theirs = said.version.minor;
    // v1 alone is served or spoken on one side, and v1alpha2 alone on the other.
    let apart = (theirs < 24 && (number >= 26 || facts.containerd.from(2, 0)))
        || theirs.abs_diff(number) > 3;
    if apart {
        place(
            said,
            format!("crictl {} with Kubernetes 1.{number}", said.version),
            found,
        );
    }
}

fn runc(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (Some(said), Some(line)) = (&facts.versions.runc, facts.containerd.line()) else {
        return;
    };
    let need = companions::needs(line).find(|need| need.program == "runc");
    if let Some(need) = need.filter(|need| said.version < need.least) {
        let message = format!(
            "runc {}, and containerd {line} wants {}: {}",
            said.version, need.least, need.about
        );
        place(said, message, found);
    }
}

fn ended(facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(today) = facts.subject.date else {
        return;
    };
    if let Some(said) = &facts.versions.containerd {
        match containerd::line(said.version) {
            Some(known) if !known.newer && known.row.support(today) == Support::Over => {
                let until = known
                    .row
                    .extended
                    .as_ref()
                    .map_or(known.row.supported[1], |extended| extended.until);
                let message = format!("containerd {} was supported until {until}", known.row.line);
                place(said, message, found);
            }
            None => place(
                said,
                format!(
                    "containerd {} is not supported any more",
                    said.version.line()
                ),
                found,
            ),
            _ => {}
        }
    }
    if let (Some(said), Some(number)) = (&facts.versions.kubernetes, facts.minor())
        && let Some(known) = kubernetes::minor(number).filter(|known| !known.newer)
    {
        // Where no day is published: patches are made for fourteen months (KEP 1498).
        let derived = || known.row.released.checked_add(14.months()).ok();
        let Some(day) = known.row.ended.or_else(derived).filter(|day| *day < today) else {
            return;
        };
        place(
            said,
            format!("Kubernetes 1.{number} was supported until {day}"),
            found,
        );
    }
}

fn newer(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some(said) = &facts.versions.containerd
        && let Some(known) = containerd::line(said.version).filter(|known| known.newer)
    {
        found.nowhere(format!(
            "containerd {} is judged like {}",
            said.version, known.row.line
        ));
    }
    if let Some(known) = facts
        .minor()
        .and_then(kubernetes::minor)
        .filter(|known| known.newer)
    {
        let number = facts.minor().unwrap_or_default();
        found.nowhere(format!(
            "Kubernetes 1.{number} is judged like 1.{}",
            known.row.minor
        ));
    }
}

fn unknown(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.containerd.present && facts.versions.containerd.is_none() {
        found.nowhere("containerd's version is not known");
    }
    if facts.kubelet.present && facts.versions.kubernetes.is_none() {
        found.nowhere("kubelet's version is not known");
    }
    for what in &facts.subject.unread {
        found.nowhere(format!("not read: {what}"));
    }
}

fn runtime_config(facts: &Facts<'_>, found: &mut Found<'_>) {
    if let Some(said) = &facts.versions.containerd
        && facts.containerd.before(2, 0)
        && let Some(number) = facts.minor().filter(|number| *number >= 34)
    {
        place(
            said,
            format!("containerd {} with kubelet 1.{number}", said.version),
            found,
        );
    }
}
