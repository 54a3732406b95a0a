//! systemd's units, as far as rules ask for them: the values of a unit with its
//! drop-ins, the environment that it gives to its program, what is enabled
//! (systemd.unit(5), systemd.service(5), systemd.exec(5)).

use std::collections::{BTreeMap, BTreeSet};

use crate::check::subject::Subject;
use crate::tree::Node;

/// Folders of units, the one that wins first.
pub const FOLDERS: [&str; 4] = [
    "etc/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Units that a service's own unit may be named by.
const MOST_WORDS: usize = 4096;

/// A setting of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its section.
    pub section: String,
    /// Its name.
    pub name: String,
    /// Its value; lines that go on are joined.
    pub value: String,
    /// The number of the text that it is from.
    pub text: usize,
    /// Byte of the value's start.
    pub at: usize,
}

/// A word of a command line, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub word: String,
    /// The number of the text.
    pub text: usize,
    /// Byte of its start.
    pub at: usize,
}

/// A unit with its drop-ins, in the order in which they count.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    /// Every setting.
    pub settings: Vec<Setting>,
    /// The number of the unit file's own text, if it has one.
    pub file: Option<usize>,
}

impl Unit {
    /// All values of a setting; an empty one resets it.
    #[must_use]
    pub fn all(&self, section: &str, name: &str) -> Vec<&Setting> {
        let mut found = Vec::new();
        for setting in &self.settings {
            if setting.section == section && setting.name == name {
                match setting.value.is_empty() {
                    true => found.clear(),
                    false => found.push(setting),
                }
            }
        }
        found
    }

    /// The value that counts.
    #[must_use]
    pub fn last(&self, section: &str, name: &str) -> Option<&Setting> {
        self.all(section, name).pop()
    }
}

/// All units of a subject.
#[derive(Debug, Clone, Default)]
pub struct Units {
    /// By name, those that have a file or a drop-in.
    pub units: BTreeMap<String, Unit>,
    /// Names of units that something pulls in when the machine starts, with the link.
    pub enabled: BTreeMap<String, String>,
    /// Names of units that cannot be started.
    pub masked: BTreeSet<String>,
}

impl Units {
    /// Reads them.
    #[must_use]
    pub fn read(subject: &Subject) -> Self {
        let mut units = Self::default();
        // From the weakest folder on, so that the strongest comes last.
        for folder in FOLDERS.iter().rev() {
            let prefix = format!("{folder}/");
            for text in subject.texts_below(&prefix) {
                let path = subject.texts[text].path.to_string();
                let name = &path[prefix.len()..];
                if !name.contains('/') && is_unit(name) {
                    let mut settings = Vec::new();
                    read(&subject.texts[text].text, text, &mut settings);
                    let unit = Unit {
                        settings,
                        file: Some(text),
                    };
                    units.units.insert(name.to_owned(), unit);
                }
            }
        }
        units.drop_ins(subject);
        units.links(subject);
        units
    }

    /// Drop-ins of all folders count, sorted by name; of the same name the
    /// strongest folder's alone.
    fn drop_ins(&mut self, subject: &Subject) {
        let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
        for folder in FOLDERS.iter().rev() {
            let prefix = format!("{folder}/");
            for text in subject.texts_below(&prefix) {
                let path = subject.texts[text].path.to_string();
                if let Some((folder, name)) = path[prefix.len()..].split_once('/')
                    && let Some(unit) = folder.strip_suffix(".d")
                    && name.ends_with(".conf")
                    && !name.contains('/')
                {
                    found.insert((unit.to_owned(), name.to_owned()), text);
                }
            }
        }
        for ((unit, _), text) in found {
            let unit = self.units.entry(unit).or_default();
            read(&subject.texts[text].text, text, &mut unit.settings);
        }
    }

    fn links(&mut self, subject: &Subject) {
        for folder in FOLDERS {
            for (path, entry) in subject.below(folder) {
                let path = String::from_utf8_lossy(path);
                let Node::Symlink(target) = &entry.node else {
                    continue;
                };
                match path.split_once('/') {
                    Some((dependent, unit)) => {
                        let pulled =
                            dependent.ends_with(".wants") || dependent.ends_with(".requires");
                        if pulled && !unit.contains('/') {
                            let link = format!("{folder}/{path}");
                            self.enabled.entry(unit.to_owned()).or_insert(link);
                        }
                    }
                    None if target.as_bytes() == b"/dev/null" => {
                        self.masked.insert(path.into_owned());
                    }
                    None => {}
                }
            }
        }
    }

    /// Whether a unit starts with the machine.
    #[must_use]
    pub fn starts(&self, name: &str) -> bool {
        self.enabled.contains_key(name) && !self.masked.contains(name)
    }

    /// The words of a unit's command line, variables expanded.
    #[must_use]
    pub fn command(&self, subject: &Subject, name: &str) -> Vec<Word> {
        let Some(unit) = self.units.get(name) else {
            return Vec::new();
        };
        let environment = environment(subject, unit);
        let Some(line) = unit.last("Service", "ExecStart") else {
            // A drop-in for a unit that is not here: its variables are all there is.
            return environment
                .into_values()
                .flat_map(|word| split(&word))
                .collect();
        };
        let line = Word {
            word: line.value.clone(),
            text: line.text,
            at: line.at,
        };
        let mut words = Vec::new();
        for word in split(&line) {
            let name = word.word.strip_prefix('$');
            let name = name.map(|name| name.trim_start_matches('{').trim_end_matches('}'));
            match name {
                Some(name) => {
                    if let Some(value) = environment.get(name) {
                        words.extend(split(value));
                    }
                }
                None => words.push(word),
            }
            if words.len() > MOST_WORDS {
                break;
            }
        }
        words
    }
}

fn is_unit(name: &str) -> bool {
    let kinds = [
        ".service", ".socket", ".mount", ".swap", ".target", ".timer", ".path",
    ];
    kinds.iter().any(|kind| name.ends_with(kind))
}

/// The variables that a unit's program is given, in the order of their files.
fn environment(subject: &Subject, unit: &Unit) -> BTreeMap<String, Word> {
    let mut variables = BTreeMap::new();
    for setting in unit.all("Service", "Environment") {
        for word in split(&Word {
            word: setting.value.clone(),
            text: setting.text,
            at: setting.at,
        }) {
            if let Some((name, value)) = word.word.split_once('=') {
                let at = word.at + name.len() + 1;
                let value = Word {
                    word: value.to_owned(),
                    text: word.text,
                    at,
                };
                variables.insert(name.to_owned(), value);
            }
        }
    }
    for setting in unit.all("Service", "EnvironmentFile") {
        let path = setting.value.trim_start_matches('-');
        if let Some(text) = subject.text_at(path) {
            variables.extend(assignments(&subject.texts[text].text, text));
        }
    }
    variables
}

/// The assignments of an environment file.
pub fn assignments(source: &str, text: usize) -> Vec<(String, Word)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let at = start + line.len() - trimmed.len();
        start += line.len();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        let Some((name, value)) = trimmed.split_once('=') else {
            continue;
        };
        let value = value.trim_end();
        let inner = ['"', '\''].iter().find_map(|quote| {
            let inner = value.strip_prefix(*quote)?.strip_suffix(*quote)?;
            Some((inner, 1))
        });
        let (value, quote) = inner.unwrap_or((value, 0));
        let word = Word {
            word: value.to_owned(),
            text,
            at: at + name.len() + 1 + quote,
        };
        found.push((name.trim().to_owned(), word));
    }
    found
}

/// The words of a line: blanks part them, quotes hold them together.
#[must_use]
pub fn split(line: &Word) -> Vec<Word> {
    let mut words = Vec::new();
    let mut current: Option<(usize, String)> = None;
    let mut quote = None;
    for (at, character) in line.word.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                current.get_or_insert((at + 1, String::new()));
            }
            (None, blank) if blank.is_whitespace() => {
                if let Some((at, word)) = current.take() {
                    words.push(Word {
                        word,
                        text: line.text,
                        at: line.at + at,
                    });
                }
            }
            _ => current.get_or_insert((at, String::new())).1.push(character),
        }
        if words.len() > MOST_WORDS {
            return words;
        }
    }
    if let Some((at, word)) = current {
        words.push(Word {
            word,
            text: line.text,
            at: line.at + at,
        });
    }
    words
}

/// Reads a unit file's settings.
fn read(source: &str, text: usize, settings: &mut Vec<Setting>) {
    let mut section = String::new();
    let mut start = 0;
    let mut goes_on: Option<Setting> = None;
    for line in source.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let line = line.trim_end();
        if let Some(mut setting) = goes_on.take() {
            if line.trim_start().starts_with(['#', ';']) {
                goes_on = Some(setting);
                continue;
            }
            let more = line.strip_suffix('\\');
            // As many characters as the file has, so that places stay right enough.
            setting.value.push(' ');
            setting.value.push_str(more.unwrap_or(line));
            match more {
                Some(_) => goes_on = Some(setting),
                None => settings.push(setting),
            }
            continue;
        }
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            name.clone_into(&mut section);
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let blank = value.len() - value.trim_start().len();
        let more = value.trim().strip_suffix('\\');
        let setting = Setting {
            section: section.clone(),
            name: name.trim().to_owned(),
            value: more.unwrap_or(value.trim()).to_owned(),
            text,
            at: at + name.len() + 1 + blank,
        };
        match more {
            Some(_) => goes_on = Some(setting),
            None => settings.push(setting),
        }
    }
    settings.extend(goes_on);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_expanded() {
        let mut subject = Subject::new("test", true);
        let mut add = |path: &str, text: &str| {
            subject.add_text(path.into(), format!("/{path}"), text.to_owned());
        };
        add(
            "usr/lib/systemd/system/kubelet.service",
            "[Service]\nExecStart=/usr/bin/kubelet\n[Install]\nWantedBy=multi-user.target\n",
        );
        add(
            "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf",
            "[Service]\nEnvironment=\"ARGS=--config=/a --x 'b c'\"\nEnvironmentFile=-/etc/default/kubelet\n\
             ExecStart=\nExecStart=/usr/bin/kubelet \\\n  $ARGS ${MORE} $NONE\n",
        );
        add("etc/default/kubelet", "# c\nMORE=\"--v=2 --w\"\n");
        let units = Units::read(&subject);
        let words = units.command(&subject, "kubelet.service");
        let shown: Vec<_> = words.iter().map(|word| word.word.as_str()).collect();
        assert_eq!(
            shown,
            [
                "/usr/bin/kubelet",
                "--config=/a",
                "--x",
                "b c",
                "--v=2",
                "--w"
            ]
        );
        let w = words.last().unwrap();
        assert_eq!(&subject.texts[w.text].text[w.at..w.at + 3], "--w");
    }
}
