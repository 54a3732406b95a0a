//! What the user gives: files of values, and single ones on the command line.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

use super::template::{Template, nearest};
use crate::check::document::{Broken, Node};
use crate::error::{Context, Error, Kind, Place, Result};

/// The longest file of values, in bytes.
const LONGEST: u64 = 4 << 20;

/// One way in which a value is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `--set NAME=TEXT`.
    Set(String),
    /// `--set NAME.KEY=TEXT`.
    Entry(String, String),
    /// `--set-file NAME=FILE`: what the file says.
    FileText(String),
    /// In a file of values: the value, and where it stands.
    Whole(Value, Spot),
}

/// A place in a file of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot {
    source: Rc<Source>,
    span: Range<usize>,
}

/// A file of values.
#[derive(Debug, PartialEq)]
struct Source {
    path: PathBuf,
    text: String,
    /// Whether messages may show its text.
    shown: bool,
}

impl Spot {
    /// An error about it. Where the file may have secrets, which may stand on any line of it,
    /// only the line's number is said.
    pub(super) fn error(&self, message: &str) -> Error {
        let place = Place {
            file: self.source.path.clone(),
            text: self.source.text.clone(),
            span: self.span.clone(),
        };
        if self.source.shown {
            return Error::new(Kind::Usage, message).at(place);
        }
        let (line, _) = place.line_column();
        let file = place.file.display();
        Error::new(Kind::Usage, format!("{message} (line {line} of `{file}`)"))
    }
}

/// What the user gives, by value; the later go before the earlier.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    items: BTreeMap<String, Vec<Item>>,
    /// Whether messages may show what files of values say.
    shown: bool,
}

impl Given {
    /// Nothing yet, for these templates: if none takes a secret, messages may show lines.
    #[must_use]
    pub fn for_templates(templates: &[Template]) -> Self {
        let mut values = templates.iter().flat_map(|one| &one.values);
        Self {
            items: BTreeMap::new(),
            shown: !values.any(|value| value.secret),
        }
    }

    /// Adds what a file of values says: TOML, YAML or JSON by its name.
    ///
    /// # Errors
    /// When it cannot be read, or is not one table of values.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let source = Rc::new(Source {
            path: path.to_owned(),
            text: text_of(path)?,
            shown: self.shown,
        });
        let text = &source.text;
        let spot = |span| Spot {
            source: Rc::clone(&source),
            span,
        };
        let broken = |broken: Broken| {
            let message = format!("`{}` cannot be read: {}", path.display(), broken.why);
            spot(broken.span).error(&message)
        };
        let node = match path.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => Node::toml(text, 0).map_err(broken)?,
            Some("yaml" | "yml" | "json") => {
                let mut documents = Node::yaml(text, 0).map_err(broken)?;
                if documents.len() > 1 {
                    let message = format!("`{}` has several documents", path.display());
                    return Err(spot(documents.swap_remove(1).span)
                        .error(&message)
                        .hint("give several files: later ones go before earlier ones"));
                }
                match documents.pop() {
                    Some(document) => document,
                    None => return Ok(()),
                }
            }
            _ => {
                let message = format!("`{}` is not named as a file of values", path.display());
                return Err(Error::new(Kind::Usage, message)
                    .hint("its name must end in `.toml`, `.yaml`, `.yml` or `.json`"));
            }
        };
        if !matches!(node.value, crate::check::document::Value::Table(_)) {
            let message = format!("`{}` is not a table of values by name", path.display());
            return Err(spot(node.span).error(&message));
        }
        for (name, value) in node.entries() {
            let item = Item::Whole(value.json(), spot(value.span.clone()));
            self.add(name, item);
        }
        Ok(())
    }

    /// Adds `NAME=VALUE` or `NAME.KEY=VALUE`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let (name, value) = split("--set", "VALUE", text)?;
        match name.split_once('.') {
            Some((name, key)) => self.add(name, Item::Entry(key.to_owned(), value.to_owned())),
            None => self.add(name, Item::Set(value.to_owned())),
        }
        Ok(())
    }

    /// Adds `NAME=FILE`.
    ///
    /// # Errors
    /// When it is not that, or the file cannot be read.
    pub fn set_file(&mut self, text: &str) -> Result<()> {
        let (name, path) = split("--set-file", "FILE", text)?;
        let text = text_of(Path::new(path))?;
        self.add(name, Item::FileText(text));
        Ok(())
    }

    fn add(&mut self, name: &str, item: Item) {
        self.items.entry(name.to_owned()).or_default().push(item);
    }

    /// How a value is given.
    pub(super) fn of(&self, name: &str) -> &[Item] {
        self.items.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether each is a value of one of the templates at least.
    pub(super) fn check_names(&self, templates: &[Template]) -> Result<()> {
        for (name, items) in &self.items {
            if templates.iter().any(|one| one.value(name).is_some()) {
                continue;
            }
            let names: Vec<_> = templates
                .iter()
                .map(|one| format!("`{}`", one.name))
                .collect();
            let message = match names.as_slice() {
                [only] => format!("template {only} has no value `{name}`"),
                _ => format!(
                    "none of the templates {} has a value `{name}`",
                    names.join(", ")
                ),
            };
            let error = match items.last() {
                Some(Item::Whole(_, spot)) => spot.error(&message),
                _ => Error::new(Kind::Usage, message),
            };
            let known = templates.iter().flat_map(|one| &one.values);
            let known: Vec<_> = known.map(|value| value.name.as_str()).collect();
            return Err(match nearest(name, known.iter().copied()) {
                Some(alike) => error.hint(format!("did you mean `{alike}`?")),
                None if known.is_empty() => error.hint("it takes none"),
                None => error.hint(format!("there are `{}`", known.join("`, `"))),
            });
        }
        Ok(())
    }
}

fn split<'a>(option: &str, what: &str, text: &'a str) -> Result<(&'a str, &'a str)> {
    text.split_once('=').ok_or_else(|| {
        // Whoever forgot the sign may have given a secret.
        let message = format!("`{option}` takes `NAME={what}`, and there is no `=`");
        Error::new(Kind::Usage, message)
    })
}

fn text_of(path: &Path) -> Result<String> {
    let about = fs::metadata(path).io("reading", path)?;
    if about.len() > LONGEST {
        let message = format!("`{}` is too long to be values", path.display());
        return Err(Error::new(Kind::Usage, message));
    }
    fs::read_to_string(path).io("reading", path)
}
