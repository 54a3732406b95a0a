//! `nodelith lock`: makes, renews, and compares locks.

use serde_json::{Value, json};

use super::args::Lock as Arguments;
use super::sources::{Setting, architectures, existing_lock, lock_path};
use super::{Context, Outcome};
use crate::error::Result;
use crate::lock::{self, Change, Keep, Lock};
use crate::profile::Profile;
use crate::report::Table;

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Outcome> {
    let profile = Profile::load(&arguments.subject.profile)?;
    let architectures = architectures(&profile, &arguments.subject.arch)?;
    let store = context.store()?;
    let _use = store.in_use()?;
    let setting = Setting::new(
        context,
        &store,
        &profile,
        &arguments.sources,
        &architectures,
    )?;
    if arguments.outdated {
        return outdated(context, &setting, arguments, &architectures);
    }
    let path = lock_path(&arguments.subject);
    let before = Lock::read(&path)?;
    let after = match &arguments.update {
        None => setting.settle_lock(&arguments.subject, &architectures, false)?,
        Some(names) => {
            let mut lock = before.clone().unwrap_or_else(|| Lock::new(&profile.name));
            let keep = match &names[..] {
                [] => Keep::Nothing,
                names => Keep::AllBut(names.to_vec()),
            };
            for architecture in &architectures {
                let known = lock.architecture.get(*architecture);
                let pinned = setting.resolve(architecture, known, &keep)?;
                lock.architecture.insert((*architecture).to_owned(), pinned);
            }
            lock.write(&path)?;
            lock
        }
    };
    let mut table = Table::new(&["NAME", "BEFORE", "AFTER"]);
    let mut changed = Vec::new();
    for architecture in &architectures {
        let old = before
            .as_ref()
            .and_then(|lock| lock.architecture.get(*architecture));
        let changes = lock::changes(old, &after.architecture[*architecture]);
        changed.extend(changes.iter().map(|change| as_json(architecture, change)));
        for change in changes {
            let absent = || "-".to_owned();
            let name = match architectures.len() {
                1 => change.name,
                _ => format!("{} ({architecture})", change.name),
            };
            table.row([
                name,
                change.before.unwrap_or_else(absent),
                change.after.unwrap_or_else(absent),
            ]);
        }
    }
    let text = if changed.is_empty() {
        format!("{} is up to date", path.display())
    } else {
        format!("{}\n\n{}", table.render(), path.display())
    };
    let json = json!({
        "schema": "nodelith.lock-changes", "version": 1, "lock": path, "changes": changed,
    });
    context.print(&json, &text)?;
    Ok(Outcome::Done)
}

fn as_json(architecture: &str, change: &Change) -> Value {
    json!({
        "architecture": architecture, "name": change.name,
        "before": change.before, "after": change.after,
    })
}

fn outdated(
    context: &Context,
    setting: &Setting<'_>,
    arguments: &Arguments,
    architectures: &[&str],
) -> Result<Outcome> {
    let path = lock_path(&arguments.subject);
    let lock = existing_lock(&path)?;
    let (mirrors, provider) = (setting.mirrors()?, setting.provider()?);
    let images = setting.images()?;
    let mut table = Table::new(&["NAME", "LOCKED", "NEWEST", "SUITE"]);
    let mut found = Vec::new();
    for architecture in architectures {
        let Some(pinned) = lock.architecture.get(*architecture) else {
            continue;
        };
        let resolver = setting.resolver(&mirrors, &provider, &images);
        let packages = match setting.profile.debian {
            Some(_) => lock::outdated(pinned, &resolver.universe(setting.profile, architecture)?.0),
            // What there is beside packages, those who make it know.
            None => Vec::new(),
        };
        let releases = lock::outdated_releases(pinned, &setting.releases, &setting.builtin)?;
        let moved = lock::outdated_images(&images, setting.profile, architecture, pinned)?;
        for newer in packages.into_iter().chain(releases).chain(moved) {
            found.push(json!({
                "architecture": architecture, "name": newer.name, "locked": newer.locked,
                "newest": newer.newest, "suite": newer.suite, "security": !newer.ordinary,
            }));
            table.row([newer.name, newer.locked, newer.newest, newer.suite]);
        }
    }
    let json = json!({
        "schema": "nodelith.outdated", "version": 1, "lock": path, "outdated": found,
    });
    if found.is_empty() {
        context.print(
            &json,
            &format!("{} has the newest of everything", path.display()),
        )?;
        return Ok(Outcome::Done);
    }
    context.print(&json, &table.render())?;
    Ok(Outcome::Findings)
}
