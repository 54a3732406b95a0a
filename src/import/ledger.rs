//! Every setting that was found, and what became of it.

use serde::Serialize;

use crate::check::rule::Place;

/// What became of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// It is so on the new node.
    Carried,
    /// It is there, but does not mean quite the same.
    Changed,
    /// Nothing takes its place.
    Lost,
}

impl Part {
    /// Every part, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Carried, Self::Changed, Self::Lost];

    /// As a heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Carried => "carried over",
            Self::Changed => "changed in meaning",
            Self::Lost => "cannot be carried",
        }
    }
}

/// A setting that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Item {
    /// What became of it.
    pub part: Part,
    /// Where it stands.
    pub place: Place,
    /// Whose it is and its name: `docker log-opts.max-size`.
    pub setting: String,
    /// Its value, where it is short and no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The profile's key that has it now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<String>,
    /// What is to be said of it: why it changed, what breaks, what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
