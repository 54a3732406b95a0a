//! dockerd's flags, as keys of daemon.json.

use std::collections::BTreeMap;

use super::super::work::Work;
use crate::check::document::{Node, Value};
use crate::check::facts::units::{Word, assignments, split};

const UNIT: &str = "docker.service";
/// Files of environment, where no unit says so.
const DEFAULTS: [(&str, &str); 2] = [
    ("/etc/default/docker", "DOCKER_OPTS"),
    ("/etc/sysconfig/docker", "OPTIONS"),
];

/// Flags that may be given several times, and the key that has them all.
const PLURAL: [(&str, &str); 15] = [
    ("add-runtime", "runtimes"),
    ("authorization-plugin", "authorization-plugins"),
    ("cdi-spec-dir", "cdi-spec-dirs"),
    ("default-address-pool", "default-address-pools"),
    ("default-ulimit", "default-ulimits"),
    ("dns-opt", "dns-opts"),
    ("exec-opt", "exec-opts"),
    ("host", "hosts"),
    ("insecure-registry", "insecure-registries"),
    ("label", "labels"),
    ("log-opt", "log-opts"),
    ("node-generic-resource", "node-generic-resources"),
    ("registry-mirror", "registry-mirrors"),
    ("storage-opt", "storage-opts"),
    (
        "allow-nondistributable-artifact",
        "allow-nondistributable-artifacts",
    ),
];

/// Flags of one letter.
const SHORT: [(&str, &str); 7] = [
    ("D", "debug"),
    ("G", "group"),
    ("H", "host"),
    ("g", "data-root"),
    ("l", "log-level"),
    ("p", "pidfile"),
    ("s", "storage-driver"),
];

/// The flags that dockerd is started with.
pub(super) fn settings(work: &Work<'_>) -> Vec<(String, Node)> {
    let mut words = work.facts.units.command(work.subject, UNIT);
    for (path, name) in DEFAULTS {
        let Some(text) = work.subject.text_at(path) else {
            continue;
        };
        if words.iter().any(|word| word.text == text) {
            continue;
        }
        let variables = assignments(&work.subject.texts[text].text, text);
        let named = variables.iter().filter(|(variable, _)| variable == name);
        words.extend(named.flat_map(|(_, value)| split(value)));
    }
    let mut found: Vec<(String, Node)> = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(flag) = word.word.strip_prefix('-') else {
            continue;
        };
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                let next = words.next_if(|next| !next.word.starts_with('-'));
                (
                    flag,
                    next.map_or_else(|| "true".to_owned(), |word| word.word.clone()),
                )
            }
        };
        let long = SHORT.iter().find(|(short, _)| *short == name);
        let name = long.map_or(name, |(_, long)| long);
        // What dockerd's unit always says: its own socket, and containerd's.
        if matches!(
            (name, value.as_str()),
            ("host", "fd://") | ("containerd", _)
        ) {
            continue;
        }
        add(&mut found, name, &value, word);
    }
    found
}

/// Adds a flag; what may be given several times gathers in a list or table.
fn add(found: &mut Vec<(String, Node)>, flag: &str, value: &str, word: &Word) {
    let node = |value| Node {
        text: word.text,
        key: word.at..word.at,
        span: word.at..word.at,
        value,
    };
    let plural = PLURAL.iter().find(|(single, _)| *single == flag);
    let Some((_, key)) = plural else {
        let value = match value {
            "true" | "false" => Value::Boolean(value == "true"),
            _ => match value.parse() {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Text(value.to_owned()),
            },
        };
        found.push((flag.to_owned(), node(value)));
        return;
    };
    let item = match *key {
        "default-ulimits" => limit(value, &node),
        "runtimes" => value.split_once('=').map(|(name, path)| {
            let path = node(Value::Text(path.to_owned()));
            (
                name.to_owned(),
                node(Value::Table(BTreeMap::from([("path".to_owned(), path)]))),
            )
        }),
        _ => None,
    };
    let at = found.iter().position(|(known, _)| known == key);
    let known = at.map(|at| &mut found[at].1.value);
    match (item, known) {
        (Some((name, item)), Some(Value::Table(table))) => {
            table.insert(name, item);
        }
        (Some((name, item)), _) => {
            let table = Value::Table(BTreeMap::from([(name, item)]));
            found.push(((*key).to_owned(), node(table)));
        }
        (None, Some(Value::List(items))) => items.push(node(Value::Text(value.to_owned()))),
        (None, _) => {
            let list = Value::List(vec![node(Value::Text(value.to_owned()))]);
            found.push(((*key).to_owned(), node(list)));
        }
    }
}

/// `nofile=1024:65536` as daemon.json has it.
fn limit(value: &str, node: &impl Fn(Value) -> Node) -> Option<(String, Node)> {
    let (name, limits) = value.split_once('=')?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| Some(node(Value::Integer(text.parse().ok()?)));
    let table = BTreeMap::from([
        ("Soft".to_owned(), number(soft)?),
        ("Hard".to_owned(), number(hard)?),
    ]);
    Some((name.to_owned(), node(Value::Table(table))))
}
