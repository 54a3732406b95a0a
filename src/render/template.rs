//! A template's folder, and where templates are found.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::builtin;
use super::escape::is_of_mark;
use super::values::{Definition, File as ValueFile};
use crate::error::{Context, Error, Kind, Place, Result};

/// The file that says what a template is.
pub const DESCRIPTION: &str = "template.toml";

/// The longest file of a template, in bytes.
const LONGEST: u64 = 1 << 20;

/// What a file is written in: it decides how values are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// JSON (RFC 8259).
    Json,
    /// YAML 1.2, one or several documents.
    Yaml,
    /// A script for the POSIX shell or bash.
    Shell,
    /// A script for iPXE.
    Ipxe,
    /// A script for GRUB.
    Grub,
    /// dnsmasq's configuration.
    Dnsmasq,
    /// Units and other files of systemd (systemd.syntax(7)).
    Systemd,
    /// Anything else: single lines of values are put in as they are.
    Text,
}

impl Format {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Shell => "shell",
            Self::Ipxe => "ipxe",
            Self::Grub => "grub",
            Self::Dnsmasq => "dnsmasq",
            Self::Systemd => "systemd",
            Self::Text => "text",
        }
    }
}

/// A file that a template makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, in the template's folder and where it is rendered to.
    pub name: String,
    /// What it is written in.
    pub format: Format,
    /// Its text, with places for values.
    pub text: String,
}

/// A template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Its name: the folder's.
    pub name: String,
    /// What it is for, in a line.
    pub description: String,
    /// The documents that its files follow.
    pub sources: Vec<String>,
    /// The files that it makes.
    pub files: Vec<File>,
    /// The values that it takes; a default may name those before it.
    pub values: Vec<Definition>,
    /// Where it is, as messages say it.
    folder: PathBuf,
    /// The text of [`DESCRIPTION`].
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    description: String,
    #[serde(default)]
    sources: Vec<String>,
    file: Vec<DocumentFile>,
    #[serde(default)]
    value: Vec<ValueFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentFile {
    name: toml::Spanned<String>,
    format: Format,
}

impl Template {
    /// Reads a template whose files `read` gives by name.
    fn parse(name: &str, folder: PathBuf, read: &dyn Fn(&str) -> Result<String>) -> Result<Self> {
        let text = read(DESCRIPTION)?;
        let mut template = Self {
            name: name.to_owned(),
            description: String::new(),
            sources: Vec::new(),
            files: Vec::new(),
            values: Vec::new(),
            folder,
            text,
        };
        let document: Document = toml::from_str(&template.text).map_err(|error| {
            let why = error
                .message()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            template.broken(&why, error.span().unwrap_or_default())
        })?;
        let mut names = BTreeSet::new();
        for file in document.file {
            let span = file.name.span();
            let name = file.name.into_inner();
            if name == DESCRIPTION || !is_file_name(&name) || !names.insert(name.clone()) {
                let why = format!("`{name}` cannot be the name of a file here");
                return Err(template.broken(&why, span));
            }
            let text = read(&name).map_err(|error| match error.place() {
                None => error.at(template.place(span)),
                Some(_) => error,
            })?;
            template.files.push(File {
                name,
                format: file.format,
                text,
            });
        }
        template.description = document.description;
        template.sources = document.sources;
        for value in document.value {
            let span = value.name.span();
            let value = Definition::read(value, &template.values)
                .map_err(|why| template.broken(&why, span))?;
            template.values.push(value);
        }
        Ok(template)
    }

    /// A value that it takes.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Definition> {
        self.values.iter().find(|value| value.name == name)
    }

    /// The text of [`DESCRIPTION`].
    pub(super) fn description_text(&self) -> &str {
        &self.text
    }

    /// A place in [`DESCRIPTION`].
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        Place {
            file: self.folder.join(DESCRIPTION),
            text: self.text.clone(),
            span,
        }
    }

    /// A line (from 1) of one of its files.
    pub(super) fn line(&self, file: &File, line: usize) -> Place {
        let before = file.text.split_inclusive('\n').take(line.saturating_sub(1));
        let start: usize = before.map(str::len).sum();
        let length = file.text[start..].lines().next().unwrap_or_default().len();
        Place {
            file: self.folder.join(&file.name),
            text: file.text.clone(),
            span: start..start + length,
        }
    }

    fn broken(&self, why: &str, span: Range<usize>) -> Error {
        let message = format!("template `{}`: {why}", self.name);
        Error::new(Kind::Usage, message)
            .at(self.place(span))
            .hint("docs/templates.md says what a template has")
    }
}

/// A name without folders, of characters that need no quoting.
fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Where templates are: the user's folders, and what comes with the program.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    folders: Vec<PathBuf>,
}

impl Templates {
    /// Templates of these folders, which go before the program's own.
    ///
    /// # Errors
    /// When one is no folder.
    pub fn new(folders: &[PathBuf]) -> Result<Self> {
        for folder in folders {
            if !folder.is_dir() {
                let message = format!("`{}` is not a folder of templates", folder.display());
                return Err(Error::new(Kind::Usage, message)
                    .hint("name the folder that has one folder for each template"));
            }
        }
        Ok(Self {
            folders: folders.to_vec(),
        })
    }

    /// The names of all templates.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn names(&self) -> Result<BTreeSet<String>> {
        let mut names: BTreeSet<String> = builtin::FOLDERS
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        for folder in &self.folders {
            for entry in fs::read_dir(folder).io("reading", folder)? {
                let entry = entry.io("reading", folder)?;
                if entry.path().join(DESCRIPTION).is_file() {
                    // Others are nobody's templates: copies, what a writer left aside.
                    let name = entry.file_name().into_string().ok();
                    names.extend(name.filter(|name| is_file_name(name)));
                }
            }
        }
        Ok(names)
    }

    /// All templates, by name.
    ///
    /// # Errors
    /// When one is broken.
    pub fn all(&self) -> Result<Vec<Template>> {
        let names = self.names()?;
        names.iter().map(|name| self.get(name)).collect()
    }

    /// The template of this name.
    ///
    /// # Errors
    /// When there is none, or it is broken.
    pub fn get(&self, name: &str) -> Result<Template> {
        let mut folders = self.folders.iter().map(|folder| folder.join(name));
        let folder =
            folders.find(|folder| is_file_name(name) && folder.join(DESCRIPTION).is_file());
        if let Some(folder) = folder {
            let read = |file: &str| read(&folder.join(file));
            return Template::parse(name, folder.clone(), &read);
        }
        let found = builtin::FOLDERS.iter().find(|(known, _)| *known == name);
        let Some((_, files)) = found else {
            return Err(unknown(name, &self.names()?));
        };
        let read = |file: &str| {
            let text = files.iter().find(|(known, _)| *known == file);
            text.map(|(_, text)| (*text).to_owned()).ok_or_else(|| {
                Error::new(
                    Kind::Usage,
                    format!("template `{name}` has no file `{file}`"),
                )
            })
        };
        Template::parse(name, Path::new("image-templates").join(name), &read)
    }
}

/// A file of a user's template.
fn read(path: &Path) -> Result<String> {
    let about = fs::metadata(path).io("reading", path)?;
    let message = match about.is_file() {
        true if about.len() <= LONGEST => None,
        true => Some("is too long for a template"),
        false => Some("is not a file"),
    };
    if let Some(message) = message {
        let message = format!("`{}` {message}", path.display());
        return Err(Error::new(Kind::Usage, message));
    }
    let text = fs::read_to_string(path).io("reading", path)?;
    if text.contains(is_of_mark) {
        let message = format!("`{}` has characters that Unicode reserves", path.display());
        return Err(Error::new(Kind::Usage, message));
    }
    Ok(text)
}

fn unknown(name: &str, known: &BTreeSet<String>) -> Error {
    let error = Error::new(Kind::Usage, format!("there is no template `{name}`"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(alike) => error.hint(format!("did you mean `{alike}`?")),
        None => {
            error.hint("`nodelith render --list` says which there are; `--templates` adds others")
        }
    }
}

/// The one of several names that is most like this one, if one is.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|other| (strsim::normalized_damerau_levenshtein(name, other), other));
    scored
        .filter(|(score, _)| *score > 0.6)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}
