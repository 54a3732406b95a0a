//! Every known Kubernetes minor on every known line of containerd: what the
//! generators make of it, or why not.
//!
//! The grid is one snapshot. What is generated is one snapshot for each text that
//! differs: files of pairs that differ in nothing but the names of versions and of the
//! sandbox image are one; the table of pairs says which are whose.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use insta::assert_snapshot;

use super::configured;
use super::runtime::text;
use crate::compat::containerd::{self, Row};
use crate::compat::kubernetes::{self, Minor};
use crate::compat::pairs::Fit;
use crate::node::Configuration;

const CONFIG: &str = "etc/containerd/config.toml";

/// What the generators make of a pair: the newest release of a line.
fn made(minor: &Minor, row: &Row) -> Result<Configuration, String> {
    let rest = format!(
        "[kubernetes]\nversion = \"1.{}\"\n[containerd]\nsource = \"package\"\n",
        minor.minor
    );
    let package = format!("{}-1", row.newest);
    let made = configured(&rest, &[("package:containerd", &package)]);
    made.map_err(|error| error.message().to_owned())
}

/// Reasons by number, in the order in which they are met.
#[derive(Default)]
struct Reasons(Vec<String>);

impl Reasons {
    fn number(&mut self, reason: String) -> usize {
        let known = self.0.iter().position(|other| *other == reason);
        known.unwrap_or_else(|| {
            self.0.push(reason);
            self.0.len() - 1
        }) + 1
    }
}

fn header(first: &str, width: usize) -> String {
    let mut text = format!(
        "{first:<width$}",
        width = if first.is_empty() { 6 } else { 14 }
    );
    for row in containerd::lines() {
        write!(text, "{:<width$}", row.line.to_string()).unwrap();
    }
    format!("{}\n", text.trim_end())
}

#[test]
fn every_pair_is_allowed_warned_of_or_refused() {
    let mut reasons = Reasons::default();
    let mut grid = header("", 11);
    for minor in kubernetes::minors() {
        let mut line = format!("1.{:<4}", minor.minor);
        for row in containerd::lines() {
            let fit = minor.fit(row, row.newest);
            let cell = match made(minor, row) {
                Err(_) if fit == Fit::Impossible => {
                    format!("no ({})", reasons.number(minor.remarks(row).join("; ")))
                }
                // It would speak with kubelet, which says nothing of its age.
                Err(error) => {
                    let error = error.replace(&format!("containerd {}", row.newest), "containerd");
                    format!("old ({})", reasons.number(error))
                }
                Ok(made) if made.warnings.is_empty() => match fit {
                    Fit::Published => format!("{}+", minor.published(row).unwrap()),
                    _ => "later".to_owned(),
                },
                Ok(made) => {
                    assert_eq!(fit, Fit::Unlisted);
                    let warning = made.warnings.into_iter().collect::<Vec<_>>().join("; ");
                    let published = warning.split(": ").nth(1).unwrap_or_default().to_owned();
                    format!(
                        "warn ({})",
                        reasons.number(format!("published: {published}"))
                    )
                }
            };
            write!(line, "{cell:<11}").unwrap();
        }
        writeln!(grid, "{}", line.trim_end()).unwrap();
    }
    grid += "\n1.6.0+  published from that release on\n\
             later   a line after all that are published, and nothing speaks against it\n\
             warn    allowed with a warning: not published\n\
             old     would speak with kubelet, but is too old to be configured\n\
             no      refused\n\n";
    for (at, reason) in reasons.0.iter().enumerate() {
        writeln!(grid, "({}) {reason}", at + 1).unwrap();
    }
    assert_snapshot!("grid", grid);
}

/// A text without the names that follow from the pair.
fn plain(text: &str, minor: &Minor) -> String {
    text.replace(&minor.pause(), "PAUSE")
        .replace(&format!("kubelet 1.{}.", minor.minor), "kubelet 1.N.")
}

/// Texts that differ, each named for the first pair that has it.
#[derive(Default)]
struct Variants(BTreeMap<String, String>);

impl Variants {
    fn name(&mut self, text: String, name: impl Fn() -> String) -> String {
        self.0.entry(text).or_insert_with(name).clone()
    }
}

#[test]
fn what_every_pair_gets() {
    let (mut configs, mut kubelets) = (Variants::default(), Variants::default());
    let mut same = BTreeSet::new();
    let mut grid = header("      pause", 15);
    for minor in kubernetes::minors() {
        let mut line = format!("1.{:<4}{:<8}", minor.minor, minor.pause_tag());
        for row in containerd::lines() {
            let Ok(made) = made(minor, row) else {
                write!(line, "{:<15}", "-").unwrap();
                continue;
            };
            let config = plain(&text(&made, CONFIG), minor);
            let config = configs.name(config, || row.line.to_string());
            let of_kubelet = |path: &&crate::tree::TreePath| path.to_string().contains("kube");
            let files = made.entries.keys().filter(of_kubelet);
            let files: String = files
                .map(|path| {
                    let path = path.to_string();
                    format!("{path}\n{}\n", plain(&text(&made, &path), minor))
                })
                .collect();
            let kubelet = kubelets.name(files, || format!("1.{}", minor.minor));
            write!(line, "{:<15}", format!("c{config} k{kubelet}")).unwrap();
            // All else is the same for every pair.
            let rest = made.entries.keys().map(ToString::to_string);
            let rest = rest.filter(|path| path != CONFIG && !path.contains("kube"));
            same.insert(rest.collect::<Vec<_>>());
            assert_eq!(
                text(&made, "etc/crictl.yaml"),
                "image-endpoint: \"unix:///run/containerd/containerd.sock\"\n\
                 runtime-endpoint: \"unix:///run/containerd/containerd.sock\"\n"
            );
        }
        writeln!(grid, "{}", line.trim_end()).unwrap();
    }
    assert_eq!(same.len(), 1, "{same:?}");
    grid += "\ncX  config.toml of the snapshot config-X\nkY  kubelet's files of the snapshot kubelet-Y\n";
    assert_snapshot!("pairs", grid);
    for (text, name) in &configs.0 {
        assert_snapshot!(format!("config-{name}"), text);
    }
    for (text, name) in &kubelets.0 {
        assert_snapshot!(format!("kubelet-{name}"), text);
    }
}
