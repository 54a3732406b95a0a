//! kubelet: its flags and configuration fields by Kubernetes minor.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::read;

static FLAGS: LazyLock<Flags> = LazyLock::new(|| read(include_str!("flags.toml")));
static FIELDS: LazyLock<Fields> = LazyLock::new(|| read(include_str!("fields.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flags {
    same: BTreeMap<String, String>,
    plain: Plain,
    flag: Vec<Flag>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    source: String,
    fields: Vec<Field>,
}

/// A flag whose minors matter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Flag {
    /// Its name without dashes.
    pub name: String,
    /// The first minor that has it; the oldest that is known of where not said.
    pub from: Option<u32>,
    /// The first minor that warns of it.
    pub deprecated: Option<u32>,
    /// The first minor that has it no more.
    pub until: Option<u32>,
    required: Option<String>,
    required_until: Option<u32>,
    /// What to do where the flag is not.
    pub instead: Option<String>,
    /// Where this was read.
    pub source: String,
}

impl Flag {
    /// Whether kubelet of this minor has it.
    #[must_use]
    pub fn is_in(&self, minor: u32) -> bool {
        self.from.is_none_or(|from| from <= minor) && self.until.is_none_or(|until| minor < until)
    }
}

/// A field of `KubeletConfiguration`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The first minor that has it.
    pub from: u32,
    /// What its value is.
    pub kind: Kind,
    #[serde(default)]
    default: Vec<(u32, Value)>,
}

/// What the value of a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A text.
    Text,
    /// A text like `1m30s`.
    Duration,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list of texts.
    Texts,
    /// A table.
    Table,
    /// A list of tables or numbers.
    List,
}

impl Kind {
    /// Whether a value is of this kind.
    #[must_use]
    pub fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text | Self::Duration => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Table => value.is_object(),
            Self::List => value.is_array(),
            Self::Texts => value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string)),
        }
    }

    /// As one speaks of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Duration => "a time span like \"1m30s\"",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Texts => "a list of texts",
            Self::Table => "a table",
            Self::List => "a list",
        }
    }
}

impl Field {
    /// What kubelet of a minor takes where nothing is said; none where that is empty
    /// or depends on other things.
    #[must_use]
    pub fn default(&self, minor: u32) -> Option<&Value> {
        let mut reached = self.default.iter().rev();
        reached
            .find(|(from, _)| *from <= minor)
            .map(|(_, value)| value)
    }
}

/// What is known of a flag; nothing of those that all minors have alike.
#[must_use]
pub fn flag(name: &str) -> Option<&'static Flag> {
    FLAGS.flag.iter().find(|flag| flag.name == name)
}

/// Every flag that some minor has.
pub fn flags() -> impl Iterator<Item = &'static str> {
    let named = FLAGS.flag.iter().map(|flag| &flag.name);
    let plain = FLAGS.plain.names.iter();
    let same = FLAGS.same.keys().filter(|name| flag(name).is_none());
    named.chain(plain).chain(same).map(String::as_str)
}

/// Whether kubelet of this minor has a flag; nothing where no table has it.
#[must_use]
pub fn has_flag(name: &str, minor: u32) -> Option<bool> {
    match flag(name) {
        Some(flag) => Some(flag.is_in(minor)),
        None => flags().any(|known| known == name).then_some(true),
    }
}

/// The configuration field that means the same as a flag.
#[must_use]
pub fn field_of(flag: &str) -> Option<&'static str> {
    FLAGS.same.get(flag).map(String::as_str)
}

/// The flag of this minor that means the same as a configuration field.
#[must_use]
pub fn flag_of(field: &str, minor: u32) -> Option<&'static str> {
    let mut same = FLAGS.same.iter();
    let (name, _) = same.find(|(_, same)| *same == field)?;
    (has_flag(name, minor) == Some(true)).then_some(name)
}

/// Flags without which kubelet of this minor does not use containerd, with their values.
pub fn required(minor: u32) -> impl Iterator<Item = (&'static str, &'static str)> {
    FLAGS.flag.iter().filter_map(move |flag| {
        let value = flag.required.as_deref()?;
        let wanted = flag.required_until.is_none_or(|until| minor < until);
        (wanted && flag.is_in(minor)).then_some((flag.name.as_str(), value))
    })
}

/// The configuration field of that name, if any minor has it.
#[must_use]
pub fn field(name: &str) -> Option<&'static Field> {
    FIELDS.fields.iter().find(|field| field.name == name)
}

/// Every known configuration field.
#[must_use]
pub fn fields() -> &'static [Field] {
    &FIELDS.fields
}

/// Where the fields were read.
#[must_use]
pub fn fields_source() -> &'static str {
    &FIELDS.source
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_tables_are_whole() {
        let names: BTreeSet<_> = fields().iter().map(|field| &field.name).collect();
        assert_eq!(names.len(), fields().len());
        assert!(fields().is_sorted_by_key(|field| field.from));
        for field in fields() {
            assert!(field.default.is_sorted_by_key(|(from, _)| *from));
            for (from, value) in &field.default {
                assert!(field.from <= *from && field.kind.fits(value), "{field:?}");
            }
        }
        let known: Vec<_> = flags().collect();
        let names: BTreeSet<_> = known.iter().collect();
        assert_eq!(names.len(), known.len());
        for flag in &FLAGS.flag {
            assert!(!flag.source.is_empty());
            let ends = [flag.from, flag.deprecated, flag.until];
            let ends: Vec<_> = ends.into_iter().flatten().collect();
            assert!(ends.is_sorted(), "{}", flag.name);
        }
        for name in FLAGS.same.values() {
            assert!(field(name).is_some(), "{name}");
        }
    }

    #[test]
    fn flags_come_and_go() {
        let has = |name, minor| has_flag(name, minor).unwrap();
        assert!(has("container-runtime", 26) && !has("container-runtime", 27));
        assert!(has("network-plugin", 23) && !has("network-plugin", 24));
        assert!(!has("config-dir", 27) && has("config-dir", 28));
        assert!(has("pod-infra-container-image", 34));
        assert!(!has("pod-infra-container-image", 35));
        assert!(has("v", 18) && has("max-pods", 37));
        assert_eq!(has_flag("nonsense", 30), None);
    }

    #[test]
    fn dockershim_had_to_be_turned_off() {
        let required = |minor| required(minor).collect::<Vec<_>>();
        assert_eq!(required(20), [("container-runtime", "remote")]);
        assert_eq!(required(24), []);
    }

    #[test]
    fn fields_are_born() {
        let from = |name| field(name).map(|field| field.from);
        assert_eq!(from("cgroupDriver"), Some(18));
        assert_eq!(from("containerRuntimeEndpoint"), Some(27));
        assert_eq!(from("maxpods"), None);
        assert_eq!(flag_of("staticPodPath", 20), Some("pod-manifest-path"));
        assert_eq!(flag_of("seccompDefault", 20), None);
        assert_eq!(field_of("registry-qps"), Some("registryPullQPS"));
    }

    #[test]
    fn defaults_change() {
        let default = |name, minor| field(name).unwrap().default(minor).cloned();
        assert_eq!(default("failCgroupV1", 34), Some(false.into()));
        assert_eq!(default("failCgroupV1", 35), Some(true.into()));
        assert_eq!(default("eventBurst", 26), Some(10.into()));
        assert_eq!(default("clusterDNS", 34), None);
    }
}
