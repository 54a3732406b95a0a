//! The profile being written: a value for each key, and where it came from.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Sections in the order of the file; others follow by name.
const ORDER: [&str; 16] = [
    "kubernetes",
    "debian",
    "kernel",
    "containerd",
    "runc",
    "cni",
    "crictl",
    "pause",
    "kubelet",
    "modules",
    "sysctl",
    "proxy",
    "certificates",
    "units",
    "files",
    "users",
];

/// Longer lists have an item on each line.
const LONGEST_LINE: usize = 88;

/// What stands above suggestions.
const SUGGESTED: &str = "
# Images that the node had. What is taken out of the comments here is in the image, so
# that nodes start pods with no registry at hand.
";

/// A profile being written.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    values: BTreeMap<Vec<String>, Said>,
    /// What may be taken into the profile, in lines of TOML, by what it is about.
    suggestions: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone)]
struct Said {
    value: Value,
    from: Vec<String>,
}

/// A key and what is said of it.
type Line<'d> = (&'d Vec<String>, &'d Said);

/// The text of a profile, and which key stands where.
pub struct Written {
    /// The text.
    pub text: String,
    /// Where the line of each key and section begins, in order.
    pub lines: Vec<(usize, Vec<String>)>,
}

impl Draft {
    /// Lays a profile's tables over what is there: lists grow, the rest is replaced.
    pub fn lay(&mut self, table: &Table) {
        self.lay_below(&mut Vec::new(), table);
    }

    fn lay_below(&mut self, path: &mut Vec<String>, table: &Table) {
        for (key, value) in table {
            path.push(key.clone());
            match value {
                Value::Table(table) => self.lay_below(path, table),
                Value::Array(items) => items.iter().for_each(|item| {
                    self.grow(path.clone(), item.clone(), None);
                }),
                value => self.put(path.clone(), value.clone(), None),
            }
            path.pop();
        }
    }

    /// Sets a key.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>, from: &str) {
        self.put(owned(path), value.into(), Some(from));
    }

    /// Adds to a list what is not in it.
    pub fn add(&mut self, path: &[&str], item: impl Into<Value>, from: &str) {
        self.grow(owned(path), item.into(), Some(from));
    }

    /// Suggests lines of TOML, which are written as comments at the end.
    pub fn suggest(&mut self, about: &str, lines: Vec<String>) {
        self.suggestions.entry(about.to_owned()).or_insert(lines);
    }

    /// Puts an item of a list into the place of another, or adds it.
    pub fn replace(&mut self, path: &[&str], old: &Value, new: Value, from: &str) {
        if let Some(Said { value, .. }) = self.values.get_mut(&owned(path))
            && let Value::Array(items) = value
        {
            items.retain(|item| item != old);
        }
        self.add(path, new, from);
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        self.values.get(&owned(path)).map(|said| &said.value)
    }

    /// Takes a key out, or all of a section; whether anything was there.
    pub fn remove(&mut self, path: &[String]) -> bool {
        let before = self.values.len();
        self.values.retain(|key, _| !key.starts_with(path));
        self.values.len() < before
    }

    /// Whether a key has a value.
    #[must_use]
    pub fn has(&self, path: &[&str]) -> bool {
        self.values.contains_key(&owned(path))
    }

    fn put(&mut self, path: Vec<String>, value: Value, from: Option<&str>) {
        let from = from.filter(|from| !from.is_empty());
        let from = from.map(str::to_owned).into_iter().collect();
        self.values.insert(path, Said { value, from });
    }

    fn grow(&mut self, path: Vec<String>, item: Value, from: Option<&str>) {
        let said = self.values.entry(path).or_insert_with(|| Said {
            value: Value::Array(Vec::new()),
            from: Vec::new(),
        });
        if let Value::Array(items) = &mut said.value
            && !items.contains(&item)
        {
            items.push(item);
            if let Some(from) = from.filter(|from| !said.from.iter().any(|one| one == from)) {
                said.from.push(from.to_owned());
            }
        }
    }

    /// The text of the profile, under a heading.
    #[must_use]
    pub fn write(&self, heading: &str) -> Written {
        let mut written = Written {
            text: heading.to_owned(),
            lines: Vec::new(),
        };
        let mut sections: BTreeMap<(usize, Vec<String>), Vec<Line<'_>>> = BTreeMap::new();
        for (path, said) in &self.values {
            let above = path[..path.len() - 1].to_vec();
            let tables = match &said.value {
                Value::Array(items) => items.iter().any(Value::is_table),
                _ => false,
            };
            // A list of tables is a section of its own.
            let section = if tables { path.clone() } else { above };
            let rank = section.first().map_or(0, |first| {
                let known = ORDER.iter().position(|known| known == first);
                known.map_or(ORDER.len() + 1, |at| at + 1)
            });
            sections
                .entry((rank, section))
                .or_default()
                .push((path, said));
        }
        for ((_, section), keys) in &sections {
            for (path, said) in keys {
                match &said.value {
                    Value::Array(items) if *path == section => {
                        written.tables(path, items);
                    }
                    _ => {
                        if Some(path) == keys.first().map(|(path, _)| path) && !section.is_empty() {
                            written.text.push('\n');
                            written.lines.push((written.text.len(), section.clone()));
                            written.text += &format!("[{}]\n", keys_text(section));
                        }
                        written.key(path, said);
                    }
                }
            }
        }
        if !self.suggestions.is_empty() {
            written.text += SUGGESTED;
        }
        for line in self.suggestions.values().flatten() {
            let comment = if line.starts_with('#') { "" } else { "#" };
            written.text += &format!("{comment}{}\n", one_line(line));
        }
        written
    }
}

impl Written {
    fn key(&mut self, path: &[String], said: &Said) {
        if !said.from.is_empty() {
            self.text += &format!("# {}\n", one_line(&said.from.join(", ")));
        }
        self.lines.push((self.text.len(), path.to_owned()));
        let key = path.last().map(|key| key_text(key)).unwrap_or_default();
        let line = format!("{key} = {}", said.value);
        match &said.value {
            Value::Array(items) if line.len() > LONGEST_LINE => {
                self.text += &format!("{key} = [\n");
                for item in items {
                    self.text += &format!("  {item},\n");
                }
                self.text += "]\n";
            }
            _ => self.text += &format!("{line}\n"),
        }
    }

    fn tables(&mut self, path: &[String], items: &[Value]) {
        for item in items {
            self.text.push('\n');
            self.lines.push((self.text.len(), path.to_owned()));
            self.text += &format!("[[{}]]\n", keys_text(path));
            for (key, value) in item.as_table().into_iter().flatten() {
                let key = key_text(key);
                match value {
                    Value::String(text) if text.contains('\n') && !text.contains("'''") => {
                        self.text += &format!("{key} = '''\n{text}'''\n");
                    }
                    value => self.text += &format!("{key} = {value}\n"),
                }
            }
        }
    }

    /// The key that stands at a byte, or the section.
    #[must_use]
    pub fn at(&self, byte: usize) -> Option<&[String]> {
        let after = self.lines.partition_point(|(start, _)| *start <= byte);
        let (_, path) = self.lines.get(after.checked_sub(1)?)?;
        Some(path)
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|key| (*key).to_owned()).collect()
}

/// Keys as TOML writes them, joined by dots.
pub fn keys_text(path: &[String]) -> String {
    let keys: Vec<String> = path.iter().map(|key| key_text(key)).collect();
    keys.join(".")
}

fn key_text(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        return key.to_owned();
    }
    // A basic string: keys cannot be of several lines, as values can.
    let mut text = String::from("\"");
    for c in key.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => text += &format!("\\u{:04X}", u32::from(c)),
            c => text.push(c),
        }
    }
    text + "\""
}

/// A text of the node without control characters, which would end a comment or reach the
/// terminal.
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
