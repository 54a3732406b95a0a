//! `nodelith matrix`: what there is to build, for CI systems that build it side by side.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};

use super::args::{Matrix, MatrixFormat};
use super::{Context, Outcome, print};
use crate::error::{Error, Kind, Result};
use crate::lock::{self, Lock};
use crate::profile::Profile;
use crate::report::Table;

/// The labels of GitHub's own machines, by architecture ("GitHub-hosted runners reference").
const GITHUB_RUNNERS: &[(&str, &str)] = &[("amd64", "ubuntu-24.04"), ("arm64", "ubuntu-24.04-arm")];

/// The end of a lock's name.
const LOCK: &str = ".lock.toml";

/// A machine for an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    architecture: String,
    label: String,
}

impl FromStr for Runner {
    type Err = String;

    /// Takes `ARCH=LABEL`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((architecture, label)) if !architecture.is_empty() && !label.is_empty() => {
                Ok(Self {
                    architecture: architecture.to_owned(),
                    label: label.to_owned(),
                })
            }
            _ => Err("a runner is given as ARCH=LABEL".to_owned()),
        }
    }
}

pub(super) fn run(context: &Context, arguments: &Matrix) -> Result<Outcome> {
    let rows = rows(arguments)?;
    match arguments.format {
        MatrixFormat::Table if context.global.json => print(&format!("{:#}", document(&rows)))?,
        MatrixFormat::Table => print(&table(&rows))?,
        MatrixFormat::Json => print(&format!("{:#}", document(&rows)))?,
        // On one line each, as CI systems take values.
        MatrixFormat::Github => print(&json!({"include": objects(&rows)}).to_string())?,
        MatrixFormat::Argo => print(&json!(objects(&rows)).to_string())?,
        MatrixFormat::Gitlab => print(&gitlab(&rows).to_string())?,
        MatrixFormat::Lines => print(&lines(&rows)?)?,
    }
    Ok(Outcome::Done)
}

/// One thing to build.
struct Row {
    profile: PathBuf,
    name: String,
    tag: String,
    kubernetes: Option<String>,
    /// One, or several with commas between.
    architecture: String,
    lock: PathBuf,
    locked: bool,
    runner: String,
}

/// What there is to build, by name and architecture, in whatever order profiles are named.
fn rows(arguments: &Matrix) -> Result<Vec<Row>> {
    let mut known: BTreeMap<String, &Path> = BTreeMap::new();
    let mut rows = Vec::new();
    for path in &arguments.profiles {
        // So that a shell's `*.toml` will do.
        if path.to_string_lossy().ends_with(LOCK) {
            continue;
        }
        let profile = Profile::load(path)?;
        if let Some(other) = known.insert(profile.name.clone(), path) {
            let message = format!(
                "`{}` and `{}` are both of the image `{}`",
                other.display(),
                path.display(),
                profile.name
            );
            return Err(Error::new(Kind::Usage, message)
                .hint("their tags and outputs would be one another's: give one another `name`"));
        }
        rows.extend(rows_of(arguments, path, &profile)?);
    }
    if rows.is_empty() {
        if known.is_empty() {
            return Err(Error::new(Kind::Usage, "there is no profile, only locks"));
        }
        let message = format!("no profile is made for {}", arguments.arch.join(" or "));
        return Err(Error::new(Kind::Usage, message)
            .hint("a profile says in `architecture` what it is made for"));
    }
    rows.sort_by(|one, other| {
        (&one.name, &one.architecture).cmp(&(&other.name, &other.architecture))
    });
    Ok(rows)
}

fn rows_of(arguments: &Matrix, path: &Path, profile: &Profile) -> Result<Vec<Row>> {
    let lock_path = lock::default_path(path);
    let lock = Lock::read(&lock_path)?;
    let architectures = profile.architectures.iter().map(|one| one.name());
    let mut architectures: Vec<&str> = architectures
        .filter(|name| arguments.arch.is_empty() || arguments.arch.iter().any(|one| one == name))
        .collect();
    architectures.sort_unstable();
    let groups: Vec<Vec<&str>> = match arguments.per_profile {
        true if architectures.is_empty() => Vec::new(),
        true => vec![architectures],
        false => architectures.into_iter().map(|one| vec![one]).collect(),
    };
    let row = |group: Vec<&str>| Row {
        profile: path.to_owned(),
        name: profile.name.clone(),
        tag: profile.version.clone(),
        kubernetes: profile.kubernetes.version.clone(),
        locked: group
            .iter()
            .all(|one| lock.as_ref().is_some_and(|lock| lock.fits(profile, one))),
        lock: lock_path.clone(),
        runner: runner(arguments, group[0]),
        architecture: group.join(","),
    };
    Ok(groups.into_iter().map(row).collect())
}

fn runner(arguments: &Matrix, architecture: &str) -> String {
    let mut given = arguments.runner.iter();
    if let Some(runner) = given.find(|runner| runner.architecture == architecture) {
        return runner.label.clone();
    }
    let mut hosted = GITHUB_RUNNERS.iter();
    match hosted.find(|(name, _)| *name == architecture) {
        Some((_, label)) if arguments.format == MatrixFormat::Github => (*label).to_owned(),
        _ => architecture.to_owned(),
    }
}

fn document(rows: &[Row]) -> Value {
    json!({"schema": "nodelith.matrix", "version": 1, "include": objects(rows)})
}

fn objects(rows: &[Row]) -> Vec<Value> {
    let object = |row: &Row| {
        json!({
            "profile": row.profile, "name": row.name, "tag": row.tag,
            "kubernetes": row.kubernetes, "architecture": row.architecture,
            "lock": row.lock, "locked": row.locked, "runner": row.runner,
        })
    };
    rows.iter().map(object).collect()
}

/// As `parallel:matrix` takes it: variables of a job, all of them text.
fn gitlab(rows: &[Row]) -> Value {
    let variables = |row: &Row| {
        json!({
            "PROFILE": row.profile, "NAME": row.name, "TAG": row.tag,
            "ARCHITECTURE": row.architecture, "RUNNER": row.runner,
        })
    };
    rows.iter().map(variables).collect()
}

/// For `while IFS=$'\t' read -r …` of a shell.
fn lines(rows: &[Row]) -> Result<String> {
    let line = |row: &Row| {
        let profile = row.profile.display().to_string();
        if profile.contains(['\t', '\n']) {
            let message = format!(
                "the name `{}` has a tab or a line end in it",
                profile.escape_debug()
            );
            return Err(Error::new(Kind::Usage, message).hint("choose another `--format`"));
        }
        Ok([&*profile, &row.name, &row.tag, &row.architecture].join("\t"))
    };
    let lines: Vec<String> = rows.iter().map(line).collect::<Result<_>>()?;
    Ok(lines.join("\n"))
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        "IMAGE",
        "TAG",
        "ARCHITECTURE",
        "KUBERNETES",
        "PROFILE",
        "LOCKED",
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.tag.clone(),
            row.architecture.clone(),
            row.kubernetes.clone().unwrap_or_else(|| "-".to_owned()),
            row.profile.display().to_string(),
            if row.locked { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table.render()
}
