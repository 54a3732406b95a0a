//! The check of what is about to become an image: errors stop the build, unless
//! they are accepted with a reason, which the image then carries.

use super::compose::Composed;
use super::programs;
use super::{Builder, Ground};
use crate::check::rule::{Finding, Severity};
use crate::check::subject::{Given, Subject};
use crate::check::{check as find, rules as all};
use crate::error::{Error, Kind, Result};
use crate::lock::Pinned;
use crate::node::Components;
use crate::profile::Profile;
use crate::report::counted;

/// Warnings that are told one by one.
const MOST_WARNINGS: usize = 5;

/// What is about to become an image.
pub(super) struct Made<'a> {
    pub(super) profile: &'a Profile,
    pub(super) pinned: &'a Pinned,
    pub(super) components: &'a Components,
    pub(super) ground: &'a Ground,
    pub(super) composed: &'a Composed,
}

/// The rules that an image was held against: others make it worth another look.
pub(super) fn rules() -> Vec<&'static str> {
    all::all().map(|rule| rule.id).collect()
}

/// Holds the image against the rules, and tells of warnings. What it gives back is
/// the reason for which errors were accepted, if there were any. No rule looks at
/// the clock here: support is for `nodelith check` to judge.
///
/// # Errors
/// [`Kind::Findings`] where there are errors that are not accepted.
pub(super) fn check(builder: &Builder<'_>, made: &Made<'_>) -> Result<Option<String>> {
    let findings = find(&subject(made));
    let of = |severity: Severity| {
        let found = findings.iter();
        found.filter(move |finding| finding.rule.severity == severity)
    };
    for warning in of(Severity::Warning).take(MOST_WARNINGS) {
        builder.report.warning(&told(warning));
    }
    let more = of(Severity::Warning).count().saturating_sub(MOST_WARNINGS);
    if more > 0 {
        let message = format!(
            "and {}; `nodelith check` shows all",
            counted(more, "more warning")
        );
        builder.report.warning(&message);
    }
    let Some(first) = of(Severity::Error).next() else {
        return Ok(None);
    };
    if let Some(reason) = builder.accept_findings {
        for error in of(Severity::Error) {
            builder
                .report
                .warning(&format!("accepted: {}", told(error)));
        }
        return Ok(Some(reason.to_owned()));
    }
    let number = of(Severity::Error).count();
    let message = match number {
        1 => told(first),
        _ => {
            let all: Vec<_> = of(Severity::Error).map(told).collect();
            format!(
                "{number} things keep this node from working:\n  {}",
                all.join("\n  ")
            )
        }
    };
    Err(Error::new(Kind::Findings, message)
        .hint(format!(
            "{}; `nodelith check --explain {}` says why",
            first.rule.fix, first.rule.id
        ))
        .hint("or build it all the same: `--accept-findings REASON`"))
}

/// One finding on a line.
fn told(finding: &Finding) -> String {
    let place = finding.place.as_ref();
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    format!(
        "{} {}: {}{place}",
        finding.rule.id, finding.rule.title, finding.message
    )
}

fn subject(made: &Made<'_>) -> Subject {
    let (composed, ground) = (made.composed, made.ground);
    let tree = composed.over(ground.tree().clone());
    let mut subject = Subject::of_tree(&made.profile.name, tree, ground.texts());
    let kubernetes = made.profile.kubernetes.version.as_deref();
    let kubernetes = kubernetes.and_then(|version| version.parse().ok());
    subject.known = Given {
        containerd: made.components.containerd,
        kubernetes: made.components.kubelet.or(kubernetes),
        crictl: made.components.crictl,
    };
    let packages = made.pinned.package.iter();
    subject.packages = packages
        .map(|package| (package.name.clone(), package.version.clone()))
        .collect();
    if let Some(base) = ground.base() {
        base.add_to(&mut subject, |path| composed.dropped.contains(path));
        subject.labels = base.inherited.labels();
    }
    subject.labels.extend(made.profile.image.labels.clone());
    let said = programs::annotations(made.profile, made.pinned);
    subject.labels.extend(said);
    subject.epoch = Some(made.pinned.source_date_epoch);
    subject
}
