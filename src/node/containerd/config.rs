//! /etc/containerd/config.toml. Where each setting stands is in the table of
//! `compat::containerd`; what a profile sets is here.

use serde_json::{Map, Value, json};

use super::super::cni;
use super::super::draft::Draft;
use super::registries::FOLDER;
use super::{base_spec, extra};
use crate::compat::Version;
use crate::compat::containerd::{Merges, Row, cri_plugin, location};
use crate::error::{Error, Kind, Result};

const PATH: &str = "etc/containerd/config.toml";
/// containerd makes the folder, so it must be where it can.
const OPT: &str = "/var/lib/containerd/opt";
/// Settings that more than containerd follows: setting, the profile's key and section.
const ELSEWHERE: [(&str, &str, &str); 2] = [
    ("sandbox-image", "image", "pause"),
    ("snapshotter", "snapshotter", "containerd"),
];
/// The folder that containerd 2.2 and later name in their own configuration.
const DROP_INS: &str = "/etc/containerd/conf.d/*.toml";

pub(super) fn configure(
    draft: &mut Draft<'_>,
    version: Version,
    row: &Row,
    sandbox_image: &str,
) -> Result<()> {
    let base_spec = base_spec::configure(draft)?;
    let mut config = Config {
        draft,
        version,
        table: Map::new(),
    };
    config.table.insert("version".to_owned(), json!(row.config));
    // containerd exits when CRI cannot be loaded, rather than run without it.
    let required = json!([cri_plugin()]);
    config.table.insert("required_plugins".to_owned(), required);
    let setting = "containerd.sandbox-image";
    config.put("sandbox-image", setting, json!(sandbox_image))?;
    config.runtimes(row, base_spec)?;
    config.settings(row)?;
    config.streaming()?;
    // These are of no interest to anyone who compares images.
    config.place(
        "registry-directory",
        "containerd",
        json!(format!("/{FOLDER}")),
    )?;
    config.place("opt-directory", "containerd", json!(OPT))?;
    config.cni()?;
    config.drop_ins(row)?;
    let mut table = config.table;
    let before = table.clone();
    extra::merge(draft, version, row, &mut table)?;
    for (setting, key, section) in ELSEWHERE {
        let location = location(setting, version);
        let location = location.iter().find(|location| {
            let path = &location.path;
            value(&before, path) != value(&table, path)
        });
        if let Some(last) = location.and_then(|location| location.path.last()) {
            let message =
                format!("`{last}` cannot be set in `extra`: other parts of the node follow it");
            let error = draft.refuse(message, &["containerd", "extra"], last);
            return Err(error.hint(format!("set `{key}` in `[{section}]`")));
        }
    }
    let text = written(&table)?;
    let header = format!("# Made by Nodelith for containerd {}.\n", row.line);
    draft.text(PATH, &format!("{header}{text}"));
    Ok(())
}

/// The configuration while it is being made.
pub(super) struct Config<'a, 'b> {
    pub(super) draft: &'a mut Draft<'b>,
    pub(super) version: Version,
    table: Map<String, Value>,
}

impl Config<'_, '_> {
    /// What stands in [containerd] as it is.
    fn settings(&mut self, row: &Row) -> Result<()> {
        let snapshotter = super::snapshotter(self.draft);
        self.snapshotter(row, snapshotter, &["containerd", "snapshotter"])?;
        let said = &self.draft.profile.containerd;
        let values = [
            ("snapshotter", Some(json!(snapshotter))),
            ("log-line-size", said.log_line_size.map(Value::from)),
            (
                "concurrent-downloads",
                said.concurrent_downloads.map(Value::from),
            ),
            (
                "pull-progress-timeout",
                said.pull_progress_timeout.as_deref().map(Value::from),
            ),
            ("selinux", said.selinux.map(Value::from)),
            (
                "selinux-categories",
                said.selinux_categories.map(Value::from),
            ),
            ("device-ownership", said.device_ownership.map(Value::from)),
            ("cdi", said.cdi.map(Value::from)),
            (
                "cdi-directories",
                said.cdi_directories.as_ref().map(|list| json!(list)),
            ),
            (
                "unprivileged-ports",
                said.unprivileged_ports.map(Value::from),
            ),
            ("unprivileged-icmp", said.unprivileged_icmp.map(Value::from)),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                self.put(name, &format!("containerd.{name}"), value)?;
            }
        }
        if let Some(nri) = said.nri {
            self.place("nri-disabled", "containerd.nri", json!(!nri))?;
            self.draft.set("containerd.nri", nri.to_string());
        }
        Ok(())
    }

    /// The server for exec, attach and port-forward.
    fn streaming(&mut self) -> Result<()> {
        let said = self
            .draft
            .profile
            .containerd
            .streaming
            .clone()
            .unwrap_or_default();
        let pair = (&said.tls_certificate, &said.tls_key);
        if pair.0.is_some() != pair.1.is_some() {
            let message = "TLS of the streaming server needs a certificate and its key";
            let keys = ["containerd", "streaming"];
            let error = self.draft.refuse(message, &keys, "");
            return Err(error.hint("set both `tls-certificate` and `tls-key`, or neither"));
        }
        let address = said.address.as_deref().unwrap_or("127.0.0.1");
        let port = said.port.unwrap_or_default();
        let values = [
            ("address", Some(json!(address))),
            // A text in containerd's configuration.
            ("port", Some(json!(port.to_string()))),
            (
                "idle-timeout",
                said.idle_timeout.as_deref().map(Value::from),
            ),
            ("tls", pair.0.as_ref().map(|_| json!(true))),
            ("tls-certificate", pair.0.as_deref().map(Value::from)),
            ("tls-key", pair.1.as_deref().map(Value::from)),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                let name = format!("streaming.{name}");
                self.put(&name, &format!("containerd.{name}"), value)?;
            }
        }
        Ok(())
    }

    /// The network plug-ins.
    fn cni(&mut self) -> Result<()> {
        let said = &self.draft.profile.cni;
        let values = [
            ("cni.bin-dir", Some(json!(cni::bin_dir(self.draft)))),
            ("cni.conf-dir", Some(json!(cni::conf_dir(self.draft)))),
            ("cni.max-conf", said.max_conf.map(Value::from)),
            (
                "cni.ip-preference",
                said.ip_preference.map(|choice| json!(choice)),
            ),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                self.put(name, name, value)?;
            }
        }
        Ok(())
    }

    /// Files that a site adds, where they go over these ones key by key.
    fn drop_ins(&mut self, row: &Row) -> Result<()> {
        if self.draft.profile.containerd.drop_ins != Some(true) {
            return Ok(());
        }
        if row.merges == Merges::Replace {
            let message = format!(
                "a drop-in for containerd {} would take the place of all settings of CRI",
                row.line
            );
            let keys = ["containerd", "drop-ins"];
            return Err(self
                .draft
                .refuse(message, &keys, "")
                .hint("2.0 is the first that merges them key by key: use `extra`"));
        }
        self.draft.set("containerd.drop-ins", DROP_INS);
        self.table.insert("imports".to_owned(), json!([DROP_INS]));
        Ok(())
    }

    /// Places a setting, and notes it under the profile's name for it.
    pub(super) fn put(&mut self, setting: &str, key: &str, value: Value) -> Result<()> {
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.draft.set(key, text);
        self.place(setting, key, value)
    }

    /// Puts a value where this containerd reads it; `key` is the profile's for it.
    pub(super) fn place(&mut self, setting: &str, key: &str, value: Value) -> Result<()> {
        let location = location(setting, self.version).map_err(|from| {
            let keys: Vec<_> = key.split('.').collect();
            let message = format!("containerd {} has no setting for `{key}`", self.version);
            let error = self.draft.refuse(message, &keys, "");
            match from {
                Some(from) => error.hint(format!("it came with {from}: take it out, or use that")),
                None => error,
            }
        })?;
        let value = match location.list {
            true => json!([value]),
            false => value,
        };
        let mut table = &mut self.table;
        let (last, folders) = location
            .path
            .split_last()
            .unwrap_or((&location.path[0], &[]));
        for folder in folders {
            let next = table.entry(folder.clone()).or_insert_with(|| json!({}));
            let Value::Object(next) = next else {
                let message = format!("`{folder}` is no table");
                return Err(Error::new(Kind::Usage, message));
            };
            table = next;
        }
        table.insert(last.clone(), value);
        Ok(())
    }
}

fn value<'a>(table: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let mut value = table.get(first)?;
    for key in rest {
        value = value.get(key)?;
    }
    Some(value)
}

/// As TOML, tables and keys sorted.
fn written(table: &Map<String, Value>) -> Result<String> {
    toml::Table::try_from(table)
        .map_err(|error| error.to_string())
        .and_then(|table| toml::to_string(&table).map_err(|error| error.to_string()))
        .map_err(|error| {
            Error::new(
                Kind::Usage,
                format!("writing containerd's configuration: {error}"),
            )
        })
}
