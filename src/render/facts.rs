//! What an image, or an export of it, says of itself.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::bundle::export::{DESCRIPTION, LONGEST};
use crate::compat::kubernetes;
use crate::compat::version::Version;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Place, Result};
use crate::image::annotations;
use crate::image::read::Image;

/// What templates may name beside their values: `image` and `bundle`. What is not known
/// has no key.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// `digest`, `short` (its first twelve digits), `architecture`, `machine` (as `uname -m`
    /// says it), `os`, `components` (the versions of releases that it carries, by name), and
    /// where known `id`, `version`, `kubernetes`, `kubeadm_config`.
    pub image: Value,
    /// What [`DESCRIPTION`] says, `_` for `-` in names; `files` by name, with `sha256` too.
    pub bundle: Option<Value>,
}

/// Whether a folder has an export.
#[must_use]
pub fn is_bundle(folder: &Path) -> bool {
    folder.join(DESCRIPTION).is_file()
}

impl Facts {
    /// An image's own.
    #[must_use]
    pub fn of_image(image: &Image) -> Self {
        let said = |key: &str| image.annotations.get(key).map(String::as_str);
        let digest = image.manifest.digest;
        Self {
            image: facts(&digest, &image.config.architecture().to_string(), said),
            bundle: None,
        }
    }

    /// Those of the export in a folder.
    ///
    /// # Errors
    /// When its description cannot be read, or is not one.
    pub fn of_bundle(folder: &Path) -> Result<Self> {
        let path = folder.join(DESCRIPTION);
        let about = fs::metadata(&path).io("reading", &path)?;
        let invalid = |why: &str| {
            let message = format!("`{}` {why}", path.display());
            Error::new(Kind::Usage, message).hint("make it again with `nodelith export`")
        };
        if about.len() > LONGEST {
            return Err(invalid("is too long for the description of an export"));
        }
        let text = fs::read_to_string(&path).io("reading", &path)?;
        let value: Value = serde_json::from_str(&text).map_err(|error| {
            let before: usize = text
                .split_inclusive('\n')
                .take(error.line().saturating_sub(1))
                .map(str::len)
                .sum();
            let at = (before + error.column().saturating_sub(1)).min(text.len());
            invalid("is not JSON").at(Place {
                file: path.clone(),
                text: text.clone(),
                span: at..at,
            })
        })?;
        if value["schema"] != "nodelith.export" || value["version"] != 1 {
            return Err(invalid("is not the description of an export of version 1"));
        }
        let digest = value["image"].as_str().and_then(|text| text.parse().ok());
        let architecture = value["architecture"].as_str();
        let (Some(digest), Some(architecture)) = (digest, architecture) else {
            return Err(invalid("does not say which image it is of"));
        };
        let said = |key: &str| value["annotations"][key].as_str();
        let image = facts(&digest, architecture, said);
        let files = value["files"].as_array().into_iter().flatten();
        let files: Map<String, Value> = files.filter_map(file).collect();
        // The names of files stay as they are.
        let mut bundle = snake(value);
        bundle["files"] = Value::Object(files);
        Ok(Self {
            image,
            bundle: Some(bundle),
        })
    }
}

fn facts<'a>(digest: &Digest, architecture: &str, said: impl Fn(&str) -> Option<&'a str>) -> Value {
    let mut facts = json!({
        "digest": digest, "short": digest.hex()[..12], "os": "linux",
        "architecture": architecture, "machine": match architecture {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            other => other,
        },
    });
    let known = [
        ("id", annotations::TITLE),
        ("version", annotations::VERSION),
        ("kubernetes", annotations::KUBERNETES),
    ];
    for (name, key) in known {
        if let Some(text) = said(key) {
            facts[name] = text.into();
        }
    }
    let components = said(annotations::COMPONENTS).unwrap_or_default();
    let components = components.split(',').filter_map(|component| {
        let (name, rest) = component.split_once('=')?;
        let (version, _) = rest.split_once('@')?;
        Some((name.replace('-', "_"), Value::from(version)))
    });
    facts["components"] = Value::Object(components.collect());
    let minor = said(annotations::KUBERNETES)
        .and_then(|text| text.parse::<Version>().ok())
        .and_then(|version| kubernetes::minor(version.minor));
    if let Some(minor) = minor {
        facts["kubeadm_config"] = minor.row.kubeadm_config.as_str().into();
    }
    facts
}

fn file(file: &Value) -> Option<(String, Value)> {
    let name = file["name"].as_str()?;
    let mut about = file.clone();
    if let Some(hex) = file["digest"].as_str()?.strip_prefix("sha256:") {
        about["sha256"] = hex.into();
    }
    Some((name.to_owned(), about))
}

/// The names of objects as the templates' language can say them, without what is null.
fn snake(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.replace('-', "_"), snake(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(snake).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_annotations_say() {
        let said = |key: &str| match key {
            annotations::TITLE => Some("node"),
            annotations::KUBERNETES => Some("v1.30.4"),
            annotations::COMPONENTS => Some("containerd=2.1.4@sha256:0,cni-plugins=1.7.1@sha256:1"),
            _ => None,
        };
        let facts = facts(&Digest::of(b""), "arm64", said);
        assert_eq!(facts["machine"], "aarch64");
        assert_eq!(facts["short"], "e3b0c44298fc");
        assert_eq!(facts["kubeadm_config"], "v1beta3");
        assert_eq!(facts["components"]["containerd"], "2.1.4");
        assert_eq!(facts["components"]["cni_plugins"], "1.7.1");
        assert!(facts.get("version").is_none());
    }
}
