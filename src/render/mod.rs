//! What provisions machines, rendered from an image: PXE menus, cloud node pools, join
//! configurations.
//!
//! A *template* is a folder: `template.toml` says which files it makes, in which *format*
//! each is, and which *values* it takes; beside it are the files themselves, in the language
//! of Jinja. A value has a type, and a default that may come from the *facts*: what an image
//! or an export of it says of itself. What is put into a file is quoted for the file's format
//! where it lands, and refused where it cannot be ([`escape`]); templates never quote.
//!
//! The stages: [`template`] reads the folder, [`facts`] the image, [`given`] what the user
//! gives, [`values`] brings the three together, `engine` renders, and `output` writes.

mod builtin;
mod engine;
mod escape;
pub mod facts;
pub mod given;
mod output;
mod schema;
pub mod template;
pub mod values;

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use facts::Facts;
use given::Given;
pub use output::{eject, write};
pub use schema::of as schema;
pub use template::{Format, Template, Templates};

/// A file that was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The template that it is of.
    pub template: String,
    /// Its name, without folders.
    pub name: String,
    /// What it is written in.
    pub format: Format,
    /// What it says.
    pub text: String,
    /// Whether a secret went into it.
    pub secret: bool,
}

/// Renders all files of some templates.
///
/// # Errors
/// When a value is missing, unknown to all of them or wrong, two templates make a file of
/// one name, or a template itself is broken.
pub fn render(templates: &[Template], facts: &Facts, given: &Given) -> Result<Vec<Rendered>> {
    given.check_names(templates)?;
    let mut makers: BTreeMap<&str, &str> = BTreeMap::new();
    let mut rendered = Vec::new();
    for template in templates {
        let values = values::settle(template, facts, given)?;
        for file in &template.files {
            if let Some(other) = makers.insert(&file.name, &template.name) {
                let message = format!(
                    "templates `{other}` and `{}` both make `{}`",
                    template.name, file.name
                );
                return Err(Error::new(Kind::Usage, message)
                    .hint("render them one by one, into different folders"));
            }
            let text = engine::render(template, file, facts, &values)?;
            rendered.push(Rendered {
                template: template.name.clone(),
                name: file.name.clone(),
                format: file.format,
                text,
                secret: values.secret,
            });
        }
    }
    Ok(rendered)
}
