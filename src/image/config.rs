//! The image configuration (OCI image specification, "Image Configuration").

use std::collections::BTreeMap;

use canon_json::CanonJsonSerialize;
use serde_json::{Map, Value, json};

use super::Inherited;
use crate::error::{Error, Kind, Result};
use crate::layer::LayerBlob;

/// What an image says about itself besides its layers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageSpec {
    /// The architecture as Go and Debian name it (`amd64`, `arm64`).
    pub architecture: String,
    /// The image's time: `SOURCE_DATE_EPOCH`, in seconds since the epoch.
    pub created: i64,
    /// Labels in the configuration.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// What runs when it is a container.
    pub run: Run,
    /// What it takes over from its base, whose layers come first.
    pub base: Option<Inherited>,
}

/// What runs when an image is a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Run {
    /// The init system: a node's root, which is made to boot.
    #[default]
    Init,
    /// One program.
    Program {
        /// Its path and arguments.
        entrypoint: Vec<String>,
        /// Its user and group, as numbers.
        user: String,
    },
}

impl ImageSpec {
    /// The image's time as RFC 3339 has it.
    ///
    /// # Errors
    /// When it is outside of the years that can be written.
    pub fn created_text(&self) -> Result<String> {
        jiff::Timestamp::from_second(self.created)
            .map(|time| time.to_string())
            .map_err(|_| {
                let message = format!("{} seconds since the epoch is no date", self.created);
                Error::new(Kind::Usage, message)
            })
    }
}

/// The configuration's bytes, as canonical JSON.
///
/// # Errors
/// When the time cannot be written.
pub fn encode(spec: &ImageSpec, layers: &[LayerBlob]) -> Result<Vec<u8>> {
    let created = spec.created_text()?;
    let history: Vec<Value> = layers
        .iter()
        .map(|layer| json!({"created": created, "created_by": format!("nodelith {}", layer.id)}))
        .collect();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id).collect();
    let mut config = Map::new();
    config.insert(
        "Env".into(),
        json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]),
    );
    match &spec.run {
        Run::Init => {
            config.insert("Cmd".into(), json!(["/sbin/init"]));
            config.insert("StopSignal".into(), json!("SIGRTMIN+3")); // systemd(1): halt
        }
        Run::Program { entrypoint, user } => {
            config.insert("Entrypoint".into(), json!(entrypoint));
            config.insert("User".into(), json!(user));
        }
    }
    if !spec.labels.is_empty() {
        config.insert("Labels".into(), json!(spec.labels));
    }
    let mut document = Map::new();
    document.insert("architecture".into(), json!(spec.architecture));
    document.insert("os".into(), json!("linux"));
    document.insert("created".into(), json!(created));
    document.insert("config".into(), config.into());
    let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
    document.insert("rootfs".into(), rootfs);
    document.insert("history".into(), history.into());
    if let Some(base) = &spec.base {
        base.complete(&mut document);
    }
    canonical(&document.into())
}

/// Canonical JSON: sorted keys, no spaces; the same value is always the same bytes.
pub(crate) fn canonical(value: &Value) -> Result<Vec<u8>> {
    value
        .to_canon_json_vec()
        .map_err(|error| Error::new(Kind::Io, format!("writing JSON: {error}")))
}
