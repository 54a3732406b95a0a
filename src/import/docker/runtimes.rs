//! Runtimes that Docker was told of.

use toml::{Table, Value};

use super::super::work::Work;
use super::WHOSE;
use crate::check::document::Node;
use crate::compat::companions;

/// Programs that Debian packages have, and their packages.
const PACKAGED: [(&str, &str); 2] = [("crun", "crun"), ("runc", "runc")];
const TYPE: &str = "io.containerd.runc.v2";

/// `runtimes`: each becomes a handler, if its program can be in the node.
pub(super) fn handlers(work: &mut Work<'_>, node: &Node) {
    for (name, runtime) in node.entries() {
        for (key, value) in runtime.entries() {
            if !matches!(key, "path" | "runtimeType") {
                let found =
                    work.found(WHOSE, &format!("runtimes.{name}.{key}"), value, Some(value));
                work.lost(
                    &found,
                    "arguments have no like: wrap the program in a script, and name that",
                );
            }
        }
        let path = runtime.get("path").and_then(Node::text);
        let kind = runtime.get("runtimeType").and_then(Node::text);
        let mut found = work.found(WHOSE, &format!("runtimes.{name}"), runtime, None);
        found.value = path.or(kind).map(str::to_owned);
        let program = path
            .and_then(|path| path.rsplit('/').next())
            .unwrap_or_default();
        let package = PACKAGED.iter().find(|(known, _)| *known == program);
        let handler = ["containerd", "runtimes", name];
        match package {
            Some((_, package)) => {
                work.draft
                    .add(&["debian", "packages"], *package, &found.from());
                let options = Table::from_iter([
                    (
                        "BinaryName".to_owned(),
                        Value::from(format!("/usr/bin/{program}")),
                    ),
                    ("SystemdCgroup".to_owned(), Value::from(true)),
                ]);
                work.draft.set(
                    &["containerd", "runtimes", name, "runtime_type"],
                    TYPE,
                    &found.from(),
                );
                work.changed(
                    &found,
                    &["containerd", "runtimes", name, "options"],
                    options,
                    "a handler of containerd: pods choose it by a RuntimeClass of that handler",
                );
            }
            None => {
                let known = companions::runtime(name).is_some();
                let known = if known {
                    " (docs/versions.md knows it)"
                } else {
                    ""
                };
                let shown = super::super::draft::keys_text(&handler.map(str::to_owned));
                work.lost(
                    &found,
                    &format!("Debian has no such program: bring it by `[[files]]` or a package of your own, then set `[{shown}]`{known}"),
                );
            }
        }
    }
}

/// `default-runtime`: a handler that the profile has.
pub(super) fn default(work: &mut Work<'_>, node: &Node) {
    let found = work.found(WHOSE, "default-runtime", node, Some(node));
    let name = node.text().unwrap_or_default();
    let handler = ["containerd", "runtimes", name, "runtime_type"];
    if name == "runc" || name == "io.containerd.runc.v2" {
        work.same(&found, "it is containerd's default");
    } else if work.draft.has(&handler) {
        work.carried(&found, &["containerd", "default-runtime"], name);
    } else {
        work.lost(
            &found,
            "the profile has no such handler: pods run with runc until `[containerd] default-runtime` names one",
        );
    }
}
