//! One architecture's image by itself: from what a name leads to, down to the manifest.
//!
//! Indexes on the way are kept, since the digest that a registry knows an image by is
//! the index's; what else they name is left alone.

use super::annotations;
use super::contents::{Contents, Document, MOST_BYTES, MOST_NESTED, named};
use super::is_index;
use super::manifest::{Descriptor, Platform};
use super::read::{entries, invalid, json, locate, pick};
use crate::error::{Error, Kind, Result};

/// One architecture's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// From what the name leads to (an index or the manifest) to the manifest.
    pub documents: Vec<Document>,
    /// The configuration, then the layers in order.
    pub blobs: Vec<Descriptor>,
}

impl Chosen {
    /// Goes down from `top`; `get` gives a document's or configuration's bytes, verified.
    ///
    /// # Errors
    /// [`Kind::Resolve`] when there is no image for the architecture, [`Kind::Verify`]
    /// when what is found is not an image.
    pub fn descend(
        top: Descriptor,
        architecture: &str,
        get: &dyn Fn(&Descriptor) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        let mut documents = Vec::new();
        let mut next = top;
        let config_and_layers = loop {
            if next.size > MOST_BYTES {
                return Err(invalid("a manifest is larger than 4 MiB"));
            }
            let bytes = get(&next)?;
            let found = named(&next.media_type, &bytes)?;
            let below = match is_index(&next.media_type) {
                true => Some(pick(&found.documents, Some(architecture))?.clone()),
                false => None,
            };
            documents.push(Document {
                descriptor: next,
                bytes,
            });
            match below {
                None => break found.blobs,
                Some(_) if documents.len() > usize::from(MOST_NESTED) => {
                    return Err(invalid("its indexes are nested too deep"));
                }
                Some(below) => next = below,
            }
        };
        if let Some(config) = config_and_layers.first() {
            fits(&get(config)?, architecture)?;
        }
        Ok(Self {
            documents,
            blobs: config_and_layers,
        })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> Option<&Descriptor> {
        self.documents.last().map(|document| &document.descriptor)
    }

    /// What the name leads to.
    #[must_use]
    pub fn top(&self) -> Option<&Descriptor> {
        self.documents.first().map(|document| &document.descriptor)
    }

    /// All that it consists of, documents first.
    pub fn all(&self) -> impl Iterator<Item = &Descriptor> {
        let documents = self.documents.iter().map(|document| &document.descriptor);
        documents.chain(&self.blobs)
    }
}

/// Opens the image that is in a layout or archive for an architecture. Of several images
/// that are not told apart by a tag it is the one whose name is `name`.
///
/// # Errors
/// As for [`Chosen::descend`], and when the layout or archive cannot be read.
pub fn open(reference: &str, name: &str, architecture: &str) -> Result<(Chosen, Contents)> {
    let (source, tag) = locate(reference)?;
    let found = || {
        let mut found = entries(&source, tag)?;
        let is_named = |entry: &Descriptor| {
            [annotations::IMAGE_NAME, annotations::REF_NAME]
                .iter()
                .any(|key| entry.annotations.get(*key).is_some_and(|said| said == name))
        };
        if tag.is_none() && found.len() > 1 && found.iter().any(is_named) {
            found.retain(is_named);
        }
        let top = pick(&found, Some(architecture))?.clone();
        Chosen::descend(top, architecture, &|descriptor| source.blob(descriptor))
    };
    let chosen = found().map_err(|error| error.context(format!("opening image `{reference}`")))?;
    let contents = Contents {
        reference: reference.to_owned(),
        documents: chosen.documents.iter().rev().cloned().collect(),
        blobs: chosen.blobs.clone(),
        source,
    };
    Ok((chosen, contents))
}

/// The configuration must say the same as whoever named the image.
fn fits(config: &[u8], architecture: &str) -> Result<()> {
    let is: Platform = json(config, "the configuration")?;
    if is.os == "linux" && is.architecture == architecture {
        return Ok(());
    }
    let message = format!(
        "the image is for `{}/{}`, not for `linux/{architecture}`",
        is.os.escape_debug(),
        is.architecture.escape_debug()
    );
    Err(Error::new(Kind::Resolve, message))
}
