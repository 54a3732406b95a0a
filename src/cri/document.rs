//! Pod and container configurations: JSON or YAML, read as crictl reads them.
//!
//! crictl turns YAML into JSON and fills Go structures with that. So names are
//! snake case and their case does not matter, `null` leaves a field alone, a
//! number or a truth value may stand for a text, and unknown names are passed
//! over; here they are also warned of. [`Lenient`] gives serde that reading.

use std::path::Path;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor,
};
use serde_json::Value;

use super::proto::{ContainerConfig, PodSandboxConfig};
use super::say;
use super::settings::unread;
use crate::error::{Error, Kind, Result};

/// Reads a pod's configuration; one without `uid` is given one.
pub fn pod(path: &Path) -> Result<PodSandboxConfig> {
    let mut config: PodSandboxConfig = read(path)?;
    let refuse = |why: &str| Err(wrong(path, why));
    let Some(metadata) = &mut config.metadata else {
        return refuse("metadata is not set");
    };
    if metadata.name.is_empty() || metadata.namespace.is_empty() {
        return refuse("name or namespace is not in metadata");
    }
    if metadata.uid.is_empty() {
        metadata.uid = random_uid()?;
    }
    if config
        .linux
        .as_ref()
        .is_some_and(|linux| linux.cgroup_parent.is_empty())
    {
        say::debug(|| "cgroup_parent is not set".to_owned());
    }
    Ok(config)
}

/// Reads a container's configuration.
pub fn container(path: &Path) -> Result<ContainerConfig> {
    let mut config: ContainerConfig = read(path)?;
    let refuse = |why: &str| Err(wrong(path, why));
    match &config.metadata {
        None => return refuse("metadata is not set"),
        Some(metadata) if metadata.name.is_empty() => return refuse("name is not in metadata"),
        Some(_) => {}
    }
    match &mut config.image {
        None => return refuse("image is not set"),
        Some(image) if image.image.is_empty() => return refuse("image field is not set in image"),
        Some(image) => {
            if image.user_specified_image.is_empty() {
                image.user_specified_image.clone_from(&image.image);
            }
        }
    }
    Ok(config)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let message = format!("config at {} not found", path.display());
            Error::new(Kind::Io, message)
        }
        _ => unread(path, &error),
    })?;
    parse(&text).map_err(|error| error.context(path.display().to_string()))
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    let value: Value = yaml(text)?;
    let value = match value {
        Value::Null => Value::Object(serde_json::Map::new()),
        value => value,
    };
    T::deserialize(Lenient(value)).map_err(|error| Error::new(Kind::Usage, error.to_string()))
}

/// Reads YAML, of which JSON is a part.
pub fn yaml<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_saphyr::from_str(text).map_err(|error| {
        let error = error.to_string();
        // What follows shows the place again.
        let first = error.lines().next().unwrap_or_default();
        Error::new(Kind::Usage, format!("yaml: {first}"))
    })
}

fn wrong(path: &Path, why: &str) -> Error {
    Error::new(Kind::Usage, why).context(path.display().to_string())
}

/// Random, in the form of a version 4 UUID (RFC 9562).
fn random_uid() -> Result<String> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += rustix::rand::getrandom(&mut bytes[filled..], flags)
            .map_err(|error| Error::new(Kind::Io, format!("random bytes: {error}")))?;
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Ok(parts.join("-"))
}

/// A value read as Go's `encoding/json` and crictl's YAML library read it.
struct Lenient(Value);

impl<'de> Deserializer<'de> for Lenient {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        match self.0 {
            Value::Array(list) => {
                visitor.visit_seq(SeqDeserializer::new(list.into_iter().map(Lenient)))
            }
            Value::Object(map) => {
                let set = map.into_iter().filter(|(_, value)| !value.is_null());
                visitor.visit_map(MapDeserializer::new(
                    set.map(|(key, value)| (key, Lenient(value))),
                ))
            }
            value => value.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        match self.0 {
            value @ (Value::Number(_) | Value::Bool(_)) => visitor.visit_string(value.to_string()),
            value => value.deserialize_string(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> serde_json::Result<V::Value> {
        let map = match self.0 {
            Value::Object(map) => map,
            // Serde would take a list for the fields in their order.
            Value::Array(_) => {
                return Err(serde_json::Error::invalid_type(Unexpected::Seq, &visitor));
            }
            value => return value.deserialize_any(visitor),
        };
        let known = map.into_iter().filter_map(|(key, value)| {
            match fields.iter().find(|field| field.eq_ignore_ascii_case(&key)) {
                Some(field) => Some(((*field).to_owned(), value)),
                None => {
                    say::warning(&format!("{name} has no field {key:?}: ignored"));
                    None
                }
            }
        });
        Lenient(Value::Object(known.collect())).deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, serde_json::Error> for Lenient {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_read_as_crictl_reads_them() {
        let text = "metadata: {name: a, namespace: b, attempt: 1}\nlabels: {one: 1, yes: true}\n\
            log_directory:\nHostname: c\nlinux:\n  security_context:\n    namespace_options: {network: 2}\n    \
            run_as_user: {value: 7}\n  sysctls: {net.a: 1}\nlogDirectory: /x\n";
        let config: PodSandboxConfig = parse(text).unwrap();
        let metadata = config.metadata.unwrap();
        assert_eq!((metadata.name.as_str(), metadata.attempt), ("a", 1));
        assert_eq!(config.labels["one"], "1");
        assert_eq!(config.labels["yes"], "true");
        assert_eq!(config.hostname, "c");
        assert_eq!(config.log_directory, "");
        let linux = config.linux.unwrap();
        assert_eq!(linux.sysctls["net.a"], "1");
        let security = linux.security_context.unwrap();
        assert_eq!(security.namespace_options.unwrap().network, 2);
        assert_eq!(security.run_as_user.unwrap().value, 7);

        let text = r#"{"metadata": {"name": "a"}, "image": {"image": "b"}, "command": ["c"],
            "envs": [{"key": "K", "value": "v"}], "mounts": [{"container_path": "/m", "uidMappings": null}],
            "CDI_devices": [{"name": "d"}]}"#;
        let config: ContainerConfig = parse(text).unwrap();
        assert_eq!(config.envs[0].value, "v");
        assert_eq!(config.mounts[0].container_path, "/m");
        assert_eq!(config.cdi_devices[0].name, "d");
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for text in [
            "metadata: [",
            "metadata: {attempt: many}",
            "metadata: text",
            "[]",
            "labels: {a: {}}",
        ] {
            let error = parse::<PodSandboxConfig>(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}: {error}");
            assert!(!error.message().contains('\n'), "{error}");
        }
        assert_eq!(
            parse::<PodSandboxConfig>("").unwrap(),
            PodSandboxConfig::default()
        );
    }

    #[test]
    fn uids_have_their_form() {
        let (one, other) = (random_uid().unwrap(), random_uid().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(&one[14..15], "4");
    }
}
