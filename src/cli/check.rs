//! `nodelith check`: what is wrong with a node image.

use std::path::Path;

use super::args::{Check, CheckFormat, FailOn};
use super::registry::{self, Needs};
use super::sources::architectures;
use super::{Context, Outcome, print};
use crate::build::preview::preview;
use crate::build::programs::annotations;
use crate::check::baseline::Baseline;
use crate::check::output::{self, Report};
use crate::check::rule::Severity;
use crate::check::subject::archive::{self, Kept};
use crate::check::subject::loose::Files;
use crate::check::subject::{Given, Subject, folder, image};
use crate::check::{catalogue, check, count, rules};
use crate::error::{Error, Kind, Result};
use crate::lock::Lock;
use crate::profile::Profile;

pub(super) fn run(context: &Context, arguments: &Check) -> Result<Outcome> {
    if let Some(id) = &arguments.explain {
        return explain(context, id);
    }
    let format = match context.global.json {
        true => CheckFormat::Json,
        false => arguments.format,
    };
    if arguments.list {
        print(&match format {
            CheckFormat::Json => format!("{:#}", output::list_json()),
            CheckFormat::Markdown => catalogue::page().trim_end().to_owned(),
            _ => output::list(),
        })?;
        return Ok(Outcome::Done);
    }
    let baseline = arguments
        .baseline
        .as_deref()
        .map(Baseline::read)
        .transpose()?;
    let subject = subject(context, arguments)?;
    let mut findings = check(&subject);
    let stale = baseline
        .map(|baseline| baseline.apply(&mut findings))
        .unwrap_or_default();
    for entry in &stale {
        context.report.note(&format!(
            "the baseline's entry {entry} accepts nothing any more"
        ));
    }
    let report = Report {
        subject: &subject,
        findings: &findings,
        stale: &stale,
    };
    print(&match format {
        CheckFormat::Table => output::table(&report),
        CheckFormat::Json => format!("{:#}", report.json()),
        CheckFormat::Sarif => format!("{:#}", output::sarif(&report)),
        CheckFormat::Junit => output::junit(&report),
        CheckFormat::Markdown => {
            return Err(Error::new(
                Kind::Usage,
                "`--format markdown` is for `--list`",
            ));
        }
    })?;
    let failing: &[Severity] = match arguments.fail_on {
        FailOn::Error => &Severity::ALL[..1],
        FailOn::Warning => &Severity::ALL[..2],
        FailOn::Note => &Severity::ALL,
        FailOn::Never => &[],
    };
    let failed = failing
        .iter()
        .any(|severity| count(&findings, *severity) > 0);
    Ok(if failed {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn explain(context: &Context, id: &str) -> Result<Outcome> {
    let rule = rules::by_id(id).ok_or_else(|| {
        Error::new(Kind::Usage, format!("there is no rule `{id}`"))
            .hint("`nodelith check --list` names them all")
    })?;
    let all = output::list_json();
    let json = all["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["id"] == rule.id);
    let json = serde_json::json!({"schema": "nodelith.rule", "version": 1, "rule": json});
    context.print(&json, &catalogue::explanation(rule))?;
    Ok(Outcome::Done)
}

/// What was asked to be looked at.
fn subject(context: &Context, arguments: &Check) -> Result<Subject> {
    let files = Files {
        containerd: arguments.files.containerd_config.clone(),
        kubelet_flags: arguments.files.kubelet_flags.clone(),
        kubelet: arguments.files.kubelet_config.clone(),
        crictl: arguments.files.crictl_config.clone(),
        ..Files::default()
    };
    let mut subject = match &arguments.target {
        Some(target) => open(context, target, arguments)?,
        None if files.is_empty() => {
            return Err(Error::new(Kind::Usage, "there is nothing to look at")
                .hint("name a profile, an image, a root directory or an archive of one")
                .hint("or single files: --containerd-config, --kubelet-flags, --kubelet-config, --crictl-config"));
        }
        None => Subject::new("loose files", false),
    };
    files.add(&mut subject)?;
    subject.given = Given {
        containerd: arguments.files.containerd_version,
        kubernetes: arguments.files.kubernetes_version,
        crictl: arguments.files.crictl_version,
    };
    let today = || {
        jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
    };
    subject.date = Some(arguments.date.unwrap_or_else(today));
    Ok(subject)
}

/// Opens a target by what it is.
fn open(context: &Context, target: &str, arguments: &Check) -> Result<Subject> {
    let path = Path::new(target);
    let named = ["oci:", "oci-archive:", "docker://"]
        .iter()
        .any(|kind| target.starts_with(kind));
    let open_image = || {
        image::read(&registry::open(
            context,
            target,
            arguments.arch.as_deref(),
            &arguments.registry,
            Needs::All,
        )?)
    };
    if named || !path.exists() {
        return open_image();
    }
    if path.is_dir() {
        return match path.join("index.json").is_file() {
            true => open_image(),
            false => folder::read(path),
        };
    }
    if path.extension().is_some_and(|ending| ending == "toml") {
        return profile(context, path, arguments);
    }
    match archive::kept(path)? {
        Kept::Layout => open_image(),
        Kept::Root => archive::read(path),
        Kept::Saved => Err(Error::new(
            Kind::Usage,
            format!("`{target}` is in the format of `docker save`, which is not read"),
        )
        .hint(format!(
            "convert it: skopeo copy docker-archive:{target} oci-archive:node.tar"
        ))),
    }
}

/// A profile: with the root that it is built on, where that has been made before.
fn profile(context: &Context, path: &Path, arguments: &Check) -> Result<Subject> {
    let profile = Profile::load(path)?;
    let asked: Vec<String> = arguments.arch.iter().cloned().collect();
    let architectures = architectures(&profile, &asked)?;
    let architecture = architectures.first().copied().unwrap_or_default();
    let lock = arguments
        .lock
        .clone()
        .unwrap_or_else(|| path.with_extension("lock.toml"));
    let lock = Lock::read(&lock)?;
    let pinned = lock
        .as_ref()
        .and_then(|lock| lock.architecture.get(architecture));
    let store = context.store()?;
    let _use = store.in_use()?;
    let preview = preview(
        &store,
        &profile,
        architecture,
        pinned,
        arguments.files.containerd_version,
    )?;
    let name = path.display().to_string();
    let mut subject = Subject::of_tree(&name, preview.tree, &preview.texts);
    for (path, seen) in preview.seen {
        subject.add(path, seen);
    }
    subject.labels = preview.labels;
    subject.labels.extend(profile.image.labels.clone());
    subject.whole = preview.whole;
    let kubernetes = profile.kubernetes.version.as_deref();
    let kubernetes = kubernetes.and_then(|version| version.parse().ok());
    subject.known = Given {
        containerd: preview.components.containerd,
        kubernetes: preview.components.kubelet.or(kubernetes),
        crictl: preview.components.crictl,
    };
    if let Some(pinned) = pinned {
        subject.labels.extend(annotations(&profile, pinned));
    }
    if !subject.whole {
        let what = match pinned {
            None => "there is no lock, so that packages and their versions are not known",
            Some(_) if !profile.nix.is_empty() => {
                "closures are seen in the built image alone, so that only what the profile itself makes was looked at"
            }
            Some(_) => {
                "its root has not been built yet, so that only what the profile itself makes was looked at"
            }
        };
        context.report.note(&format!("note: {what}"));
    }
    Ok(subject)
}
