//! kubelet: its flags and configuration fields by Kubernetes minor.

use std::sync::LazyLock;

use serde::Deserialize;

use super::read;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("kubelet.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    fields: Vec<Fields>,
    flag: Vec<Flag>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    from: u32,
    names: Vec<String>,
}

/// A flag whose minors matter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Flag {
    /// Its name without dashes.
    pub name: String,
    /// The first minor that has it; the oldest that is known of where not said.
    pub from: Option<u32>,
    /// The first minor that has it no more.
    pub until: Option<u32>,
    /// The configuration field that means the same.
    pub field: Option<String>,
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

/// What is known of a flag; nothing of most.
#[must_use]
pub fn flag(name: &str) -> Option<&'static Flag> {
    TABLE.flag.iter().find(|flag| flag.name == name)
}

/// The flag that means the same as a configuration field.
#[must_use]
pub fn flag_of(field: &str) -> Option<&'static Flag> {
    let mut flags = TABLE.flag.iter();
    flags.find(|flag| flag.field.as_deref() == Some(field))
}

/// Flags without which kubelet of this minor does not use containerd, with their values.
pub fn required(minor: u32) -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.flag.iter().filter_map(move |flag| {
        let value = flag.required.as_deref()?;
        let wanted = flag.required_until.is_none_or(|until| minor < until);
        (wanted && flag.is_in(minor)).then_some((flag.name.as_str(), value))
    })
}

/// The first minor whose configuration has this field; none if no known one has it.
#[must_use]
pub fn field(name: &str) -> Option<u32> {
    let mut groups = TABLE.fields.iter();
    let group = groups.find(|group| group.names.iter().any(|known| known == name))?;
    Some(group.from)
}

/// Every known configuration field.
pub fn fields() -> impl Iterator<Item = &'static str> {
    let groups = TABLE.fields.iter();
    groups.flat_map(|group| group.names.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_whole() {
        let names: BTreeSet<_> = fields().collect();
        assert_eq!(names.len(), fields().count());
        let flags: BTreeSet<_> = TABLE.flag.iter().map(|flag| &flag.name).collect();
        assert_eq!(flags.len(), TABLE.flag.len());
        for flag in &TABLE.flag {
            assert!(!flag.source.is_empty());
            assert!(
                flag.field
                    .as_deref()
                    .is_none_or(|name| field(name).is_some())
            );
        }
    }

    #[test]
    fn flags_come_and_go() {
        let is_in = |name, minor| flag(name).unwrap().is_in(minor);
        assert!(is_in("container-runtime", 26) && !is_in("container-runtime", 27));
        assert!(is_in("network-plugin", 23) && !is_in("network-plugin", 24));
        assert!(!is_in("config-dir", 27) && is_in("config-dir", 28));
        assert!(is_in("pod-infra-container-image", 34));
        assert!(!is_in("pod-infra-container-image", 35));
        assert!(flag("v").is_none());
    }

    #[test]
    fn dockershim_had_to_be_turned_off() {
        let required = |minor| required(minor).collect::<Vec<_>>();
        assert_eq!(required(20), [("container-runtime", "remote")]);
        assert_eq!(required(24), []);
    }

    #[test]
    fn fields_are_born() {
        assert_eq!(field("cgroupDriver"), Some(18));
        assert_eq!(field("containerRuntimeEndpoint"), Some(27));
        assert_eq!(field("maxpods"), None);
        assert_eq!(flag_of("staticPodPath").unwrap().name, "pod-manifest-path");
    }
}
