//! Runtime handlers: runc, and those that a profile adds.

use serde_json::{Map, Value, json};

use super::config::Config;
use super::known::{Known, known};
use crate::compat::companions;
use crate::compat::containerd::{self, Row};
use crate::error::Result;
use crate::profile::explain::nearest;

const RUNC: &str = "runc";
/// The type of handlers that are runc, or a program like it.
const RUNC_TYPE: &str = "io.containerd.runc.v2";
const KEYS: [&str; 2] = ["containerd", "runtimes"];

impl Config<'_, '_> {
    /// Places all handlers, those of runc's type upon the base specification if there is one.
    pub(super) fn runtimes(&mut self, row: &Row, base_spec: Option<&str>) -> Result<()> {
        let said = &self.draft.profile.containerd;
        let systemd = said.systemd_cgroup.unwrap_or(true);
        if !systemd {
            self.draft.warn(
                "systemd and containerd both manage cgroups: leave `systemd-cgroup` out of `[containerd]`",
            );
        }
        let mut runtimes = Map::new();
        runtimes.insert(RUNC.to_owned(), json!({}));
        for (name, table) in &said.runtimes {
            runtimes.insert(name.clone(), Value::Object(table.0.clone()));
        }
        for (name, runtime) in &mut runtimes {
            let Value::Object(runtime) = runtime else {
                continue;
            };
            let kind = runtime
                .entry("runtime_type")
                .or_insert_with(|| json!(RUNC_TYPE));
            if kind == RUNC_TYPE {
                let options = runtime.entry("options").or_insert_with(|| json!({}));
                if let Value::Object(options) = options {
                    options.entry("SystemdCgroup").or_insert(json!(systemd));
                }
                if let Some(path) = base_spec {
                    runtime
                        .entry("base_runtime_spec")
                        .or_insert_with(|| json!(path));
                }
            }
            self.handler(row, name, runtime, systemd)?;
            if name != RUNC || said.runtimes.contains_key(RUNC) {
                let text = Value::Object(runtime.clone()).to_string();
                self.draft.set(format!("containerd.runtimes.{name}"), text);
            }
        }
        let default = said.default_runtime.as_deref().unwrap_or(RUNC);
        if !runtimes.contains_key(default) {
            let names: Vec<_> = runtimes.keys().map(|name| format!("`{name}`")).collect();
            let message = format!("there is no runtime handler `{default}`");
            let keys = ["containerd", "default-runtime"];
            return Err(self.draft.refuse(message, &keys, default).hint(format!(
                "add a table `[containerd.runtimes.{default}]`, or choose from {}",
                names.join(", ")
            )));
        }
        self.draft
            .set("containerd.systemd-cgroup", systemd.to_string());
        self.put(
            "default-runtime",
            "containerd.default-runtime",
            json!(default),
        )?;
        self.place("runtimes", "containerd.runtimes", Value::Object(runtimes))
    }

    /// Whether this containerd reads what is said about a handler.
    fn handler(
        &mut self,
        row: &Row,
        name: &str,
        runtime: &Map<String, Value>,
        systemd: bool,
    ) -> Result<()> {
        if let Ok(place) = containerd::location("runtimes", self.version) {
            let mut path = place.path;
            path.push(name.to_owned());
            let known_by = Known {
                keys: &KEYS,
                version: self.version,
                row,
            };
            for (key, value) in runtime {
                path.push(key.clone());
                known(self.draft, &known_by, &mut path, value)?;
                path.pop();
            }
        }
        let kind = runtime.get("runtime_type").and_then(Value::as_str);
        let gone = kind.and_then(companions::runtime);
        if let Some(gone) = gone.filter(|kind| !kind.is_in(row.line)) {
            let message = format!(
                "containerd {} has no runtime of the type `{}`",
                row.line, gone.name
            );
            let instead = gone.instead.as_deref().unwrap_or("take it out");
            return Err(self.draft.refuse(message, &KEYS, &gone.name).hint(instead));
        }
        if let Some(snapshotter) = runtime.get("snapshotter").and_then(Value::as_str) {
            self.snapshotter(row, snapshotter, &KEYS)?;
        }
        match runtime.get("options") {
            Some(Value::Object(options)) if kind == Some(RUNC_TYPE) => {
                self.options(row, options, systemd)
            }
            _ => Ok(()),
        }
    }

    /// The options of a handler that is runc's.
    fn options(&self, row: &Row, options: &Map<String, Value>, systemd: bool) -> Result<()> {
        for (key, value) in options {
            let option = companions::option(key).filter(|option| option.is_in(row.line));
            let Some(option) = option else {
                let message = format!("containerd {} has no option `{key}` for runc", row.line);
                let error = self.draft.refuse(message, &KEYS, key);
                let there = companions::options().iter();
                let there = there.filter(|option| option.is_in(row.line));
                let names = there.map(|option| option.name.as_str());
                return Err(match nearest(key, names) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("take it out"),
                });
            };
            if let Some(kind) = option.kind.filter(|kind| !kind.fits(value)) {
                let message = format!("`{key}` must be {}", kind.name());
                return Err(self.draft.refuse(message, &KEYS, key));
            }
        }
        // kubelet has one cgroup driver, and containerd tells it the one of one handler.
        if options.get("SystemdCgroup") != Some(&json!(systemd)) {
            let message = "all runtime handlers must manage cgroups alike";
            return Err(self
                .draft
                .refuse(message, &KEYS, "SystemdCgroup")
                .hint("set `systemd-cgroup` in `[containerd]` for all of them"));
        }
        Ok(())
    }

    /// Whether this containerd has a snapshotter.
    pub(super) fn snapshotter(&mut self, row: &Row, name: &str, keys: &[&str]) -> Result<()> {
        match companions::snapshotter(name) {
            Some(snapshotter) if snapshotter.is_in(row.line) => Ok(()),
            Some(snapshotter) => {
                let message = format!("containerd {} has no snapshotter `{name}`", row.line);
                let error = self.draft.refuse(message, keys, name);
                Err(match (&snapshotter.instead, snapshotter.from) {
                    (Some(instead), _) => error.hint(instead.as_str()),
                    (None, Some(from)) => error.hint(format!("it came with {from}")),
                    (None, None) => error,
                })
            }
            None if self.proxied(name) => Ok(()),
            None => {
                let message = format!("containerd has no snapshotter `{name}` of its own");
                Err(self.draft.refuse(message, keys, name).hint(format!(
                    "name the program that serves it: `[containerd.extra.proxy_plugins.{name}]` with `type = \"snapshot\"` and `address`"
                )))
            }
        }
    }

    /// Whether another program serves that snapshotter.
    fn proxied(&self, name: &str) -> bool {
        let extra = &self.draft.profile.containerd.extra.0;
        let proxies = extra.get("proxy_plugins").and_then(Value::as_object);
        proxies.is_some_and(|proxies| proxies.contains_key(name))
    }
}
