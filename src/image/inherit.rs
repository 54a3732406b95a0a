//! What an image takes over from the one that it is made on, its *base*.
//!
//! The layers stand first, byte for byte as they are. Of the configuration come what
//! a build with a container engine would hand on too: environment, labels, volumes,
//! ports and the working directory; the history; and what the platform says beyond
//! operating system and architecture. What tells how *one program* of the base is run
//! (entry point, command, user, stop signal, health check) does not: a node boots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::annotations;
use super::read::{Image, invalid};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// Keys of a configuration's `config` that are handed on (OCI image specification,
/// "Image Configuration").
const KEPT: [&str; 5] = ["Env", "ExposedPorts", "Labels", "Volumes", "WorkingDir"];

/// Labels that tell of the base itself, by our annotation that says the same of this
/// image; those without one are left out.
const OF_THE_BASE: [(&str, Option<&str>); 5] = [
    (annotations::CREATED, Some(annotations::CREATED)),
    (annotations::REF_NAME, None),
    (annotations::TITLE, Some(annotations::TITLE)),
    (annotations::VERSION, Some(annotations::VERSION)),
    (annotations::DESCRIPTION, None),
];

/// What is taken over from a base, besides its layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inherited {
    /// The base's full name in its registry, if it has one.
    pub name: Option<String>,
    /// The digest of its manifest.
    pub digest: Option<Digest>,
    /// How many layers are its.
    pub layers: usize,
    /// Its time as it wrote it, in seconds since the epoch; none where it is unknown.
    pub created: Option<i64>,
    /// Of its configuration's `config` what is handed on.
    config: Map<String, Value>,
    /// Its history; one entry that is not of an empty layer for each layer.
    history: Vec<Value>,
    /// `variant`, `os.version` and `os.features`, where it has them.
    platform: Map<String, Value>,
}

impl Inherited {
    /// What is taken over from an opened image.
    ///
    /// # Errors
    /// When its configuration cannot be read, or is for another operating system.
    pub fn of(image: &Image) -> Result<Self> {
        let mut inherited = Self::read(&image.config_bytes()?, image.layers.len())?;
        inherited.digest = Some(image.manifest.digest);
        Ok(inherited)
    }

    /// Reads a base's configuration, which has this many layers.
    ///
    /// # Errors
    /// [`Kind::Verify`] when it cannot be read, [`Kind::Resolve`] when it is for another
    /// operating system than Linux.
    pub fn read(bytes: &[u8], layers: usize) -> Result<Self> {
        let document: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|error| invalid(&format!("the configuration cannot be read: {error}")))?;
        let os = document.get("os").and_then(Value::as_str);
        if os != Some("linux") {
            let os = os.unwrap_or_default().escape_debug();
            let message = format!("the image is for the operating system `{os}`, not for Linux");
            return Err(Error::new(Kind::Resolve, message));
        }
        let of = |map: Option<&Map<String, Value>>, keys: &[&str]| -> Map<String, Value> {
            let found = map.into_iter().flatten();
            found
                .filter(|(key, value)| keys.contains(&key.as_str()) && !value.is_null())
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        let created = document.get("created").and_then(Value::as_str);
        let created = created.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        Ok(Self {
            name: None,
            digest: None,
            layers,
            created: created.map(jiff::Timestamp::as_second),
            config: of(document.get("config").and_then(Value::as_object), &KEPT),
            history: history(document.get("history"), layers),
            platform: of(Some(&document), &["variant", "os.version", "os.features"]),
        })
    }

    /// The architecture's variant (`v8`), where the base names one.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.platform.get("variant")?.as_str()
    }

    /// The base's labels.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.config.get("Labels").and_then(Value::as_object);
        let texts = labels.into_iter().flatten();
        texts
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    /// The labels of an image on this base that says `own` itself, and `said` in annotations.
    #[must_use]
    pub fn labelled(
        &self,
        own: &BTreeMap<String, String>,
        said: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        for (key, ours) in OF_THE_BASE {
            if labels.remove(key).is_some()
                && let Some(value) = ours.and_then(|ours| said.get(ours))
            {
                labels.insert(key.to_owned(), value.clone());
            }
        }
        labels.extend(own.clone());
        labels
    }

    /// The annotations that name the base (OCI image specification, "Annotations").
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let named = [
            (annotations::BASE_NAME, self.name.clone()),
            (
                annotations::BASE_DIGEST,
                self.digest.map(|digest| digest.to_string()),
            ),
        ];
        let named = named.into_iter();
        named
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }

    /// Lays what is handed on under an image's configuration: what that says stays.
    pub(super) fn complete(&self, document: &mut Map<String, Value>) {
        for (key, value) in &self.platform {
            document.insert(key.clone(), value.clone());
        }
        let history = document.get_mut("history").and_then(Value::as_array_mut);
        if let Some(history) = history {
            // The entries of the base's layers are its own.
            history.splice(..self.layers.min(history.len()), self.history.clone());
        }
        let Some(config) = document.get_mut("config").and_then(Value::as_object_mut) else {
            return;
        };
        for (key, value) in &self.config {
            match config.get_mut(key) {
                Some(own) if key == "Env" => *own = environment(value, own),
                // They are a choice of the image's maker (`labelled`).
                _ if key == "Labels" => {}
                Some(_) => {}
                None => {
                    config.insert(key.clone(), value.clone());
                }
            }
        }
    }
}

/// The base's variables, and of ours those that it does not set.
fn environment(base: &Value, own: &Value) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &Value| -> Option<String> {
        let (name, _) = value.as_str()?.split_once('=')?;
        Some(name.to_owned())
    };
    let mut all = list(base);
    let known: Vec<_> = all.iter().filter_map(name).collect();
    let new = list(own).into_iter();
    all.extend(new.filter(|one| !name(one).is_some_and(|name| known.contains(&name))));
    json!(all)
}

/// The base's history; where it does not tell of each layer, one that names them.
fn history(found: Option<&Value>, layers: usize) -> Vec<Value> {
    let entries = found.and_then(Value::as_array).cloned().unwrap_or_default();
    let filled = entries
        .iter()
        .filter(|entry| entry["empty_layer"] != Value::Bool(true));
    if filled.count() == layers && entries.iter().all(Value::is_object) {
        return entries;
    }
    (0..layers)
        .map(|number| json!({"created_by": format!("base {number:02}")}))
        .collect()
}

/// The media type in an OCI manifest of a layer that has `media_type` in the base's:
/// docker's names for the same bytes are not for there.
///
/// # Errors
/// [`Kind::Resolve`] for layers that may not be handed on, or of a kind that is not known.
pub fn layer_type(media_type: &str) -> Result<&'static str> {
    const OCI: [(&str, &str); 3] = [
        ("", "application/vnd.oci.image.layer.v1.tar"),
        ("gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ];
    let compression = media_type
        .strip_prefix("application/vnd.oci.image.layer.v1.tar")
        .map(|rest| rest.strip_prefix('+').unwrap_or(rest))
        .or_else(|| {
            let rest = media_type.strip_prefix("application/vnd.docker.image.rootfs.diff.tar")?;
            Some(rest.strip_prefix('.').unwrap_or(rest))
        });
    let known = compression.and_then(|name| OCI.iter().find(|(known, _)| *known == name));
    known.map(|(_, media_type)| *media_type).ok_or_else(|| {
        let shown = media_type.escape_debug();
        let message = format!("a layer of the type `{shown}` cannot be part of another image");
        Error::new(Kind::Resolve, message).hint("choose a base of ordinary layers")
    })
}

/// The id of a base's layer that has none of ours.
#[must_use]
pub fn layer_id(number: usize) -> String {
    format!("base-{number:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &Value, layers: usize) -> Inherited {
        Inherited::read(document.to_string().as_bytes(), layers).unwrap()
    }

    #[test]
    fn what_runs_one_program_is_left_behind() {
        let base = read(
            &json!({
                "os": "linux", "architecture": "arm64", "variant": "v8",
                "created": "2026-01-02T03:04:05.678Z",
                "config": {
                    "Env": ["PATH=/opt/bin", "LANG=C"], "Entrypoint": ["/run.sh"], "User": "65534",
                    "Labels": {"a": "b", "org.opencontainers.image.version": "9.5"},
                    "Healthcheck": {"Test": ["NONE"]}, "Volumes": {"/data": {}}, "Shell": null,
                },
                "history": [{"created_by": "one"}, {"empty_layer": true}],
            }),
            1,
        );
        let mut document = json!({
            "config": {"Env": ["PATH=/usr/bin", "TERM=linux"], "Cmd": ["/sbin/init"]},
            "history": [{"created_by": "base-00"}, {"created_by": "ours"}],
        });
        let Value::Object(ours) = &mut document else {
            unreachable!()
        };
        base.complete(ours);
        assert_eq!(
            document,
            json!({
                "variant": "v8",
                "config": {
                    "Env": ["PATH=/opt/bin", "LANG=C", "TERM=linux"], "Cmd": ["/sbin/init"],
                    "Volumes": {"/data": {}},
                },
                "history": [{"created_by": "one"}, {"empty_layer": true}, {"created_by": "ours"}],
            })
        );
        assert_eq!(base.created, Some(1_767_323_045));
        let said = BTreeMap::from([(annotations::VERSION.to_owned(), "1".to_owned())]);
        let labels = base.labelled(&BTreeMap::new(), &said);
        assert_eq!(labels["a"], "b");
        assert_eq!(labels[annotations::VERSION], "1");
    }

    #[test]
    fn a_history_that_does_not_fit_is_replaced() {
        for history in [Value::Null, json!([{"created_by": "one"}]), json!([1, 2])] {
            let base = read(&json!({"os": "linux", "history": history}), 2);
            assert_eq!(base.history.len(), 2, "{history}");
            assert_eq!(base.history[1]["created_by"], "base 01");
        }
    }

    #[test]
    fn other_systems_are_refused() {
        let windows = json!({"os": "windows"}).to_string();
        let error = Inherited::read(windows.as_bytes(), 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Resolve);
    }

    #[test]
    fn media_types_are_those_of_oci() {
        let docker = "application/vnd.docker.image.rootfs.diff.tar";
        for (given, found) in [
            (format!("{docker}.gzip"), Some("tar+gzip")),
            (format!("{docker}.zstd"), Some("tar+zstd")),
            (docker.to_owned(), Some("v1.tar")),
            (
                "application/vnd.oci.image.layer.v1.tar+zstd".into(),
                Some("tar+zstd"),
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into(),
                None,
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+encrypted".into(),
                None,
            ),
        ] {
            let result = layer_type(&given).ok();
            assert_eq!(result.is_some(), found.is_some(), "{given}");
            if let (Some(result), Some(found)) = (result, found) {
                assert!(result.ends_with(found), "{result}");
            }
        }
    }
}
