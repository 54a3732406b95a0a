//! kubelet's flags and configuration, and kubeadm's files.

use std::collections::BTreeMap;

use super::units::{Units, Word, assignments, split};
use super::{Parsed, crictl};
use crate::check::document::{Node, Value};
use crate::check::subject::Subject;
use crate::check::subject::loose::FLAGS;

const UNIT: &str = "kubelet.service";
/// Where kubeadm puts the configuration when the node joins.
const CONFIG: &str = "var/lib/kubelet/config.yaml";
/// Files of environment that packages' units read.
const DEFAULTS: [&str; 2] = ["etc/default/kubelet", "etc/sysconfig/kubelet"];

/// A flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Its name without dashes.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The number of the text.
    pub text: usize,
    /// Byte of its start.
    pub at: usize,
}

/// What kubelet is told.
#[derive(Debug, Default)]
pub struct Kubelet {
    /// Its minor, where it is known.
    pub minor: Option<u32>,
    /// Whether a kubelet is in the node, or anything is said to one.
    pub present: bool,
    /// Its flags, in order: of several of one name the last counts.
    pub flags: Vec<Flag>,
    /// Its configuration and drop-ins, in order.
    pub configs: Vec<Parsed>,
    /// The path of `--config`, where there is no such file and nothing that makes it.
    pub config: Option<String>,
    /// kubeadm's documents.
    pub kubeadm: Vec<Node>,
}

impl Kubelet {
    /// Reads it.
    #[must_use]
    pub fn read(subject: &Subject, units: &Units, minor: Option<u32>) -> Self {
        let mut words = units.command(subject, UNIT);
        // What a unit that is not here would read.
        let has_unit = units
            .units
            .get(UNIT)
            .is_some_and(|unit| unit.file.is_some());
        for path in DEFAULTS.iter().chain([&FLAGS]) {
            let Some(text) = subject.text_at(path) else {
                continue;
            };
            let known = words.iter().any(|word| word.text == text);
            if known || (has_unit && *path != FLAGS) {
                continue;
            }
            words.extend(environment(&subject.texts[text].text, text));
        }
        let mut kubelet = Self {
            minor,
            flags: flags(&words),
            ..Self::default()
        };
        kubelet.read_configs(subject);
        for text in subject.texts_below("etc/kubernetes/") {
            let documents = Node::yaml(&subject.texts[text].text, text).unwrap_or_default();
            kubelet.kubeadm.extend(documents.into_iter().filter(|node| {
                let version = node.get("apiVersion").and_then(Node::text);
                version.is_some_and(|version| version.starts_with("kubeadm.k8s.io/"))
            }));
        }
        kubelet.present = has_unit
            || !kubelet.flags.is_empty()
            || !kubelet.configs.is_empty()
            || subject
                .programs
                .keys()
                .any(|path| path.name() == b"kubelet");
        kubelet
    }

    fn read_configs(&mut self, subject: &Subject) {
        let config = self.flag("config").map(|flag| flag.value.clone());
        let config = config.unwrap_or_else(|| format!("/{CONFIG}"));
        match subject.text_at(&config) {
            Some(text) => self.configs.push(parse(subject, text)),
            None => self.config = Some(config),
        }
        if let Some(folder) = self.flag("config-dir") {
            let prefix = format!("{}/", folder.value.trim_matches('/'));
            for text in subject.texts_below(&prefix) {
                if subject.texts[text].path.as_bytes().ends_with(b".conf") {
                    self.configs.push(parse(subject, text));
                }
            }
        }
    }

    /// The flag of that name that counts.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().rev().find(|flag| flag.name == name)
    }

    /// The field of that name that counts.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Node> {
        let roots = self.configs.iter().rev().filter_map(Parsed::root);
        let mut found = roots.filter_map(|root| root.get(name));
        found.find(|node| node.value != Value::Null)
    }

    /// A setting by its flag and its field: value, text, byte. The flag counts more.
    #[must_use]
    pub fn said(&self, flag: &str, field: &str) -> Option<(String, usize, usize)> {
        if let Some(flag) = self.flag(flag) {
            return Some((flag.value.clone(), flag.text, flag.at));
        }
        let node = self.field(field)?;
        Some((node.shown(), node.text, node.span.start))
    }

    /// The same fields of all configurations, by name.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<&str, &Node> {
        let roots = self.configs.iter().filter_map(Parsed::root);
        roots.flat_map(Node::entries).collect()
    }
}

fn parse(subject: &Subject, text: usize) -> Parsed {
    let source = &subject.texts[text].text;
    let node = match Node::yaml(source, text) {
        Ok(documents) => {
            let is_kubelet =
                |node: &Node| node.get("kind").and_then(Node::text) == Some("KubeletConfiguration");
            match documents.iter().position(is_kubelet) {
                Some(at) => Ok(documents[at].clone()),
                None => crictl::first(source, text),
            }
        }
        Err(broken) => Err(broken),
    };
    Parsed { text, node }
}

/// The words of all variables of an environment file; of a file without
/// variables, its words.
fn environment(source: &str, text: usize) -> Vec<Word> {
    let variables = assignments(source, text);
    let kubelet = variables
        .iter()
        .filter(|(name, _)| name.starts_with("KUBELET_"));
    let words: Vec<Word> = kubelet.flat_map(|(_, value)| split(value)).collect();
    if !words.is_empty() || source.contains("KUBELET_") {
        return words;
    }
    split(&Word {
        word: source.to_owned(),
        text,
        at: 0,
    })
}

fn flags(words: &[Word]) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(rest) = word.word.strip_prefix('-') else {
            continue;
        };
        let rest = rest.strip_prefix('-').unwrap_or(rest);
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                let value = words.next_if(|next| !next.word.starts_with('-'));
                let value = value.map_or_else(|| "true".to_owned(), |word| word.word.clone());
                (rest, value)
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !name.is_empty() && name.chars().all(plain) {
            flags.push(Flag {
                // pflag takes either.
                name: name.replace('_', "-"),
                value,
                text: word.text,
                at: word.at,
            });
        }
    }
    flags
}
