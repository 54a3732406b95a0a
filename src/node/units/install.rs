//! The [Install] section of a unit file, and unit names (systemd.unit(5)).

use super::super::draft::Draft;
use super::super::facts::UNIT_FOLDERS;

/// What a unit file asks for when it is enabled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Install {
    pub(super) alias: Vec<String>,
    /// `WantedBy=`, `RequiredBy=`, `UpheldBy=`.
    pub(super) pulls: [Vec<String>; 3],
    pub(super) also: Vec<String>,
    pub(super) default_instance: Option<String>,
}

impl Install {
    /// Reads the unit's file and its drop-ins.
    pub(super) fn read(draft: &Draft<'_>, path: &str, unit: &str) -> Self {
        let mut install = Self::default();
        install.add(&draft.read(path).unwrap_or_default());
        // By file name over all folders; one in an earlier folder hides the others.
        let mut drop_ins = std::collections::BTreeMap::new();
        let name = Name::parse(unit);
        for unit in [name.template(), Some(unit.to_owned())]
            .into_iter()
            .flatten()
        {
            for folder in UNIT_FOLDERS {
                for (file, _) in draft.below(&format!("{folder}/{unit}.d")) {
                    if file.ends_with(".conf") {
                        let path = format!("{folder}/{unit}.d/{file}");
                        drop_ins.entry(file).or_insert(path);
                    }
                }
            }
        }
        for path in drop_ins.values() {
            install.add(&draft.read(path).unwrap_or_default());
        }
        install
    }

    /// Whether there is nothing to do when the unit is enabled.
    pub(super) fn is_empty(&self) -> bool {
        self.alias.is_empty() && self.also.is_empty() && self.pulls.iter().all(Vec::is_empty)
    }

    fn add(&mut self, text: &str) {
        let mut within = false;
        let mut joined = String::new();
        for line in text.lines() {
            let line = line.trim();
            // Comments may stand between continued lines.
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(start) = line.strip_suffix('\\') {
                joined += start;
                joined.push(' ');
                continue;
            }
            joined += line;
            let line = std::mem::take(&mut joined);
            let line = line.trim();
            if line.starts_with('[') {
                within = line == "[Install]";
            } else if within && let Some((key, value)) = line.split_once('=') {
                self.set(key.trim(), value.trim());
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        let list = match key {
            "Alias" => &mut self.alias,
            "WantedBy" => &mut self.pulls[0],
            "RequiredBy" => &mut self.pulls[1],
            "UpheldBy" => &mut self.pulls[2],
            "Also" => &mut self.also,
            "DefaultInstance" => {
                self.default_instance = (!value.is_empty()).then(|| value.to_owned());
                return;
            }
            _ => return,
        };
        if value.is_empty() {
            list.clear();
        }
        list.extend(
            value
                .split_whitespace()
                .map(|name| name.trim_matches('"').to_owned()),
        );
    }

    /// Replaces the specifiers that follow from the unit's name.
    pub(super) fn expand(&self, text: &str, unit: &str) -> String {
        let name = Name::parse(unit);
        let mut result = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                result.push(character);
                continue;
            }
            match characters.next() {
                Some('i' | 'I') => result += name.instance.as_deref().unwrap_or_default(),
                Some('n') => result += unit,
                Some('N') => result += unit.rsplit_once('.').map_or(unit, |(start, _)| start),
                Some('p' | 'P') => result += name.prefix,
                Some('j' | 'J') => result += name.prefix.rsplit('-').next().unwrap_or_default(),
                Some('%') => result.push('%'),
                Some(other) => result.extend(['%', other]),
                None => result.push('%'),
            }
        }
        result
    }
}

/// A unit's name in its parts: `PREFIX@INSTANCE.TYPE`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) prefix: &'a str,
    /// What follows the `@`; empty for a template.
    pub(super) instance: Option<String>,
    kind: &'a str,
}

impl<'a> Name<'a> {
    pub(super) fn parse(unit: &'a str) -> Self {
        let (start, kind) = unit.rsplit_once('.').unwrap_or((unit, ""));
        match start.split_once('@') {
            Some((prefix, instance)) => Self {
                prefix,
                instance: Some(instance.to_owned()),
                kind,
            },
            None => Self {
                prefix: start,
                instance: None,
                kind,
            },
        }
    }

    pub(super) fn is_template(&self) -> bool {
        self.instance.as_deref() == Some("")
    }

    /// The template of an instance.
    pub(super) fn template(&self) -> Option<String> {
        let instance = self.instance.as_ref()?;
        (!instance.is_empty()).then(|| self.with_instance(""))
    }

    pub(super) fn with_instance(&self, instance: &str) -> String {
        format!("{}@{instance}.{}", self.prefix, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read_as_systemd_reads_them() {
        let mut install = Install::default();
        install.add(
            "[Unit]\nWantedBy=no.target\n[Install]\n# a comment\nWantedBy=a.target \\\n; in between\n  b.target\n\
             RequiredBy=x.target\nRequiredBy=\nRequiredBy=y.target\nAlias=other.service\nDefaultInstance=tty1\n",
        );
        assert_eq!(install.pulls[0], ["a.target", "b.target"]);
        assert_eq!(install.pulls[1], ["y.target"]);
        assert_eq!(install.alias, ["other.service"]);
        assert_eq!(install.default_instance.as_deref(), Some("tty1"));
    }

    #[test]
    fn specifiers_follow_from_the_name() {
        let install = Install::default();
        let expand = |text| install.expand(text, "a-b@c.service");
        assert_eq!(expand("%i.%p.%j.%%.%n"), "c.a-b.b.%.a-b@c.service");
        assert_eq!(
            Name::parse("a@b.service").template().as_deref(),
            Some("a@.service")
        );
        assert_eq!(Name::parse("a.service").template(), None);
    }
}
