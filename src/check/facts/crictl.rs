//! crictl's configuration file.

use super::Parsed;
use crate::check::document::{Broken, Node};
use crate::check::subject::Subject;

const FILE: &str = "etc/crictl.yaml";

/// Reads it, if there is one.
#[must_use]
pub fn read(subject: &Subject) -> Option<Parsed> {
    let text = subject.text_at(FILE)?;
    Some(Parsed {
        text,
        node: first(&subject.texts[text].text, text),
    })
}

/// The first document of a YAML file.
pub(super) fn first(source: &str, text: usize) -> Result<Node, Broken> {
    let mut documents = Node::yaml(source, text)?.into_iter();
    documents.next().ok_or_else(|| Broken {
        why: "it is empty".into(),
        span: 0..0,
    })
}
