//! Every dependency is one that `deny.toml` allows: by licence, by name, by source.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::process::Command;
use std::vec::IntoIter;

use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// What is built for this machine, tests and build scripts included.
fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["metadata", "--locked", "--offline", "--format-version=1"])
        .args(["--filter-platform", "host-tuple"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
    assert!(metadata.packages.len() > 100);
    metadata.packages
}

fn deny() -> toml::Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml");
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn allowed() -> BTreeSet<String> {
    let list = deny()["licenses"]["allow"].clone();
    list.try_into().unwrap()
}

/// The `crate` keys of a list in `[bans]`.
fn named(list: &str) -> BTreeSet<String> {
    let deny = deny();
    let list = deny["bans"][list].as_array().unwrap();
    let names = list.iter().map(|one| one["crate"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

#[test]
fn every_licence_is_allowed_and_every_allowed_one_needed() {
    let allowed = allowed();
    let packages = packages();
    for package in &packages {
        let licence = package.license.as_deref().unwrap_or_default();
        assert!(
            satisfied(licence, &allowed),
            "{} {}: `{licence}` is not allowed by deny.toml",
            package.name,
            package.version
        );
    }
    for licence in &allowed {
        let mut others = allowed.clone();
        others.remove(licence);
        let needed = |package: &Package| {
            let expression = package.license.as_deref().unwrap_or_default();
            !satisfied(expression, &others)
        };
        assert!(
            packages.iter().any(needed),
            "nothing needs `{licence}`: take it out of deny.toml"
        );
    }
}

#[test]
fn nothing_banned_and_no_unknown_source() {
    let banned = named("deny");
    assert!(banned.contains("openssl-sys") && banned.contains("native-tls"));
    for package in packages() {
        assert!(!banned.contains(&package.name), "{}", package.name);
        let source = package.source.unwrap_or_else(|| "here".to_owned());
        assert!(
            source == "here" || source.starts_with("registry+"),
            "{}: {source}",
            package.name
        );
    }
}

#[test]
fn two_versions_only_where_deny_says_so() {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for package in packages() {
        if !seen.insert(package.name.clone()) {
            twice.insert(package.name);
        }
    }
    assert_eq!(twice, named("skip"));
}

#[test]
fn expressions_are_judged_as_spdx_means_them() {
    let allowed: BTreeSet<String> = ["MIT", "ISC"].map(str::to_owned).into();
    for (expression, good) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("MIT/GPL-3.0-only", true),
        ("MIT AND ISC OR GPL-3.0-only", true),
        ("GPL-3.0-only OR MIT AND BSD-3-Clause", false),
        ("(GPL-3.0-only OR MIT) AND ISC", true),
        ("MIT WITH LLVM-exception", false),
        ("MIT OR", false),
        ("(MIT", false),
        ("MIT ISC", false),
        ("", false),
    ] {
        assert_eq!(satisfied(expression, &allowed), good, "{expression}");
    }
}

/// Whether an SPDX expression can be met with these licences. `/` is how older
/// manifests write OR. What is no expression is never met.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let tokens: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    let mut tokens = tokens.into_iter().peekable();
    either(&mut tokens, allowed).is_some_and(|met| met && tokens.next().is_none())
}

type Tokens = Peekable<IntoIter<String>>;

fn either(tokens: &mut Tokens, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = both(tokens, allowed)?;
    while tokens.next_if(|token| token == "OR").is_some() {
        met |= both(tokens, allowed)?;
    }
    Some(met)
}

fn both(tokens: &mut Tokens, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = one(tokens, allowed)?;
    while tokens.next_if(|token| token == "AND").is_some() {
        met &= one(tokens, allowed)?;
    }
    Some(met)
}

fn one(tokens: &mut Tokens, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut name = tokens.next()?;
    if name == "(" {
        let met = either(tokens, allowed)?;
        return (tokens.next()? == ")").then_some(met);
    }
    if tokens.next_if(|token| token == "WITH").is_some() {
        name = format!("{name} WITH {}", tokens.next()?);
    }
    let is_name = !matches!(name.as_str(), ")" | "AND" | "OR" | "WITH");
    is_name.then(|| allowed.contains(&name))
}
