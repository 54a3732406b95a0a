//! What each rule is about, for people: a page of all, and one by one.

use super::rule::{Rule, Severity};
use super::rules::FAMILIES;

/// The head of docs/checks.md.
const HEAD: &str = "\
# What `nodelith check` looks for

<!-- Made by `nodelith check --list --format markdown`; a test keeps it current. -->

`nodelith check TARGET` finds what is wrong in anybody's node image without starting
it. A target is a profile, an OCI layout or archive, an image in a registry, a root
directory, a tar archive of one (plain, gzip, zstd or xz), or loose files:

```sh
nodelith check out/quickstart
nodelith check oci-archive:node.tar
nodelith check docker://registry.example/node:1
nodelith check /mnt/root --fail-on warning
nodelith check root.tar.xz --format sarif
nodelith check --containerd-config config.toml --containerd-version 2.2.1
nodelith check --kubelet-flags '--network-plugin=cni' --kubernetes-version 1.24
```

A profile is looked at with the root that it is built on, where that has been built
before, else as far as it goes by itself. A bare file is a profile if its name ends in
`.toml`, else an archive; a directory with an `index.json` is a layout, else a root.

Versions are read from the target: what Go's linker left in its programs, its
databases of packages (dpkg, apk, and rpm where that is an SQLite file), annotations. What
is given by an option wins. Where a version is not known, rules that depend on it
find nothing, and a note says so.

Support is judged for today, or for the day given by `--date`: what `check` prints is
no part of an image, so that it may look at the clock.

An **error** keeps the node, or part of it, from working. A **warning** works now and
fails sooner or later, or for some. A **note** is worth knowing. The exit status is 1
where there is an error; `--fail-on warning`, `note` or `never` moves the border.
`nodelith build` runs the same rules on what it has built, and refuses errors.

## Accepting findings

`--baseline FILE` names findings that are known and accepted, each with a reason:

```toml
[[accept]]
id = \"ND-HYG-010\"
place = \"/usr/bin/our-*\"
reason = \"needed by our agent, reviewed\"
```

`place` is a pattern over the file of a finding; without it, all of the rule's are
accepted. Accepted findings are counted, shown in JSON and SARIF (as suppressed), and
do not fail. Entries that accept nothing any more are named.
";

/// The page of all rules.
#[must_use]
pub fn page() -> String {
    let mut text = HEAD.to_owned();
    for (family, rules) in FAMILIES {
        text += &format!("\n## {family}\n");
        for rule in rules {
            text += &format!(
                "\n### {}: {}\n\n{}. {}\n\n",
                rule.id,
                rule.title,
                capital(rule.severity),
                rule.why
            );
            text += &format!(
                "To do: {}.\n\nSources: {}.\n",
                rule.fix,
                rule.sources.join("; ")
            );
        }
    }
    text
}

/// One rule, for people.
#[must_use]
pub fn explanation(rule: &Rule) -> String {
    let sources: Vec<_> = rule
        .sources
        .iter()
        .map(|source| format!("  {source}"))
        .collect();
    format!(
        "{} ({}): {}\n\n{}\n\nto do: {}\n\nsources:\n{}",
        rule.id,
        rule.severity.name(),
        rule.title,
        wrapped(rule.why),
        rule.fix,
        sources.join("\n"),
    )
}

fn capital(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
        Severity::Note => "Note",
    }
}

/// Lines of at most 80 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.len() + word.len() >= 80 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
