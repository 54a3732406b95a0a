//! What the parts of an import share.

use toml::{Table, Value};

use super::draft::Draft;
use super::ledger::{Item, Part};
use super::target::{Suite, Target};
use crate::check::document::{self, Node};
use crate::check::facts::Facts;
use crate::check::rule::Place;
use crate::check::subject::{Said, Subject, secret};
use crate::compat::Version;
use crate::error::{Error, Kind, Result};
use crate::profile::value::credentials;

/// Longer values are not shown.
const LONGEST_VALUE: usize = 60;

/// Names of settings whose values are secrets.
const SECRET: [&str; 5] = ["password", "token", "auth", "secret", "credential"];

/// The profiles that ready ones extend, by file name.
const BASES: [(&str, &str); 4] = [
    (
        "kubernetes.toml",
        include_str!("../../profiles/base/kubernetes.toml"),
    ),
    ("pause.toml", include_str!("../../profiles/base/pause.toml")),
    (
        "settings.toml",
        include_str!("../../profiles/base/settings.toml"),
    ),
    (
        "system.toml",
        include_str!("../../profiles/base/system.toml"),
    ),
];

fn base_is_missing(name: Option<&str>) -> String {
    format!("nothing is known of `{}`", name.unwrap_or_default())
}

/// An import being made.
pub struct Work<'a> {
    /// The old node.
    pub subject: &'a Subject,
    /// What its files come to.
    pub facts: &'a Facts<'a>,
    /// The suite of the new one.
    pub suite: Suite,
    /// The new one's Kubernetes.
    pub kubernetes: Version,
    /// The profile.
    pub draft: Draft,
    /// What was found.
    pub items: Vec<Item>,
    /// Files that the profile names.
    pub files: Vec<(String, String)>,
    /// The profile's name.
    pub name: String,
}

/// Where a setting was found.
#[derive(Debug, Clone, Copy)]
pub struct Where {
    /// The number of the text.
    pub text: usize,
    /// Byte of its start.
    pub at: usize,
}

impl From<&Node> for Where {
    fn from(node: &Node) -> Self {
        Self {
            text: node.text,
            at: node.key.start,
        }
    }
}

/// A setting that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// Whose it is, and its name.
    pub setting: String,
    /// Its value.
    pub value: Option<String>,
}

impl<'a> Work<'a> {
    pub fn new(subject: &'a Subject, facts: &'a Facts<'a>, target: &Target) -> Result<Self> {
        let said = facts.versions.kubernetes.clone();
        let said = said.or_else(|| super::object::kubernetes(subject));
        let found = said.as_ref().map(|said| said.version);
        let kubernetes = target.kubernetes.or(found).ok_or_else(|| {
            Error::new(Kind::Usage, "the node does not say which Kubernetes it has")
                .hint("give the version of the new node with `--kubernetes`")
        })?;
        let suite = target.suite.or_else(|| Suite::for_minor(kubernetes.minor));
        let suite = suite.ok_or_else(|| {
            let message = format!("no Debian suite has a containerd for Kubernetes {kubernetes}");
            Error::new(Kind::Usage, message).hint("choose one with `--suite`")
        })?;
        let mut work = Self {
            subject,
            facts,
            suite,
            kubernetes,
            draft: Draft::default(),
            items: Vec::new(),
            files: Vec::new(),
            name: target.name.to_string(),
        };
        work.begin(target, said.as_ref())?;
        Ok(work)
    }

    /// What every node of ours has: the ready profile of the suite, in one file.
    fn begin(&mut self, target: &Target, said: Option<&Said>) -> Result<()> {
        self.lay(self.suite.ready)?;
        let architecture = target.architecture.name();
        self.draft.set(&["name"], self.name.clone(), "");
        self.draft.set(&["architecture"], architecture, "");
        let from = match (target.kubernetes, said) {
            (None, Some(said)) => format!("as {} says", said.from),
            _ => String::new(),
        };
        let minor = format!("{}.{}", self.kubernetes.major, self.kubernetes.minor);
        self.draft.set(&["kubernetes", "version"], minor, &from);
        Ok(())
    }

    /// Lays a ready profile, after those that it extends.
    fn lay(&mut self, text: &str) -> Result<()> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::new(Kind::Io, format!("reading a ready profile: {why}"))
        };
        let mut table: Table = toml::from_str(text).map_err(|error| wrong(&error))?;
        let extends = match table.remove("extends") {
            Some(Value::Array(all)) => all,
            one => one.into_iter().collect(),
        };
        for base in &extends {
            let name = base.as_str().and_then(|path| path.rsplit('/').next());
            let base = BASES.iter().find(|(known, _)| Some(*known) == name);
            let (_, text) = base.ok_or_else(|| wrong(&base_is_missing(name)))?;
            self.lay(text)?;
        }
        self.draft.lay(&table);
        Ok(())
    }

    /// A setting of `whose` at a place.
    pub fn found(
        &self,
        whose: &str,
        name: &str,
        at: impl Into<Where>,
        value: Option<&Node>,
    ) -> Found {
        let at = at.into();
        let value = value.and_then(|node| self.shown(name, node));
        Found {
            place: Place::in_text(self.subject, at.text, at.at),
            setting: format!("{whose} {name}"),
            value,
        }
    }

    /// A value that may be shown.
    fn shown(&self, name: &str, node: &Node) -> Option<String> {
        let shown = match &node.value {
            document::Value::Table(_) => return None,
            _ => node.shown(),
        };
        may_be_shown(name, &shown).then_some(shown)
    }

    /// It is so on the new node, by this key of the profile.
    pub fn carried(&mut self, found: &Found, path: &[&str], value: impl Into<Value>) {
        self.draft.set(path, value, &found.from());
        self.push(found, Part::Carried, path, None);
    }

    /// It is so anyway.
    pub fn same(&mut self, found: &Found, why: &str) {
        self.push(found, Part::Carried, &[], Some(why));
    }

    /// It is there, but does not mean quite the same.
    pub fn changed(&mut self, found: &Found, path: &[&str], value: impl Into<Value>, why: &str) {
        self.draft.set(path, value, &found.from());
        self.push(found, Part::Changed, path, Some(why));
    }

    /// Something else does it.
    pub fn otherwise(&mut self, found: &Found, why: &str) {
        self.push(found, Part::Changed, &[], Some(why));
    }

    /// Nothing takes its place.
    pub fn lost(&mut self, found: &Found, why: &str) {
        self.push(found, Part::Lost, &[], Some(why));
    }

    /// Writes down what became of a setting.
    pub fn push(&mut self, found: &Found, part: Part, path: &[&str], why: Option<&str>) {
        self.items.push(Item {
            part,
            place: found.place.clone(),
            setting: found.setting.clone(),
            value: found.value.clone(),
            profile: path.iter().map(|key| (*key).to_owned()).collect(),
            why: why.map(str::to_owned),
        });
    }
}

impl Found {
    /// As a comment of the profile says it.
    #[must_use]
    pub fn from(&self) -> String {
        let line = self.place.line.map(|line| format!(":{line}"));
        format!(
            "{} ({}{})",
            self.setting,
            self.place.file,
            line.unwrap_or_default()
        )
    }
}

/// Whether a value is short and no secret.
pub fn may_be_shown(name: &str, value: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    value.len() <= LONGEST_VALUE
        && !value.contains(['\n', '\r'])
        && !credentials(value)
        && secret::secret(value).is_none()
        && !SECRET.iter().any(|secret| last.contains(secret))
}
