//! Images that a profile names: pinned by digest, brought into the store.
//!
//! An image comes from a registry, a layout or an archive. When the lock is made, its
//! name is followed to a digest, and down to the manifest of one architecture; both are
//! pinned. A build asks for these digests alone: from the store, the vendor folder, or
//! where the profile has it from. Whichever it was, everything is verified.
//!
//! Of an index its own bytes and the one image are kept, as on a node that pulled it.

mod provide;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::profile::value::ImageSource;

pub use provide::{Images, VENDORED};

/// An image as the lock pins it, for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PinnedImage {
    /// The reference as the profile wrote it.
    pub reference: String,
    /// Where it was taken from, if not from the registry that the reference names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Digest of what the reference led to: an index, or a manifest.
    pub digest: Digest,
    /// Digest of the architecture's manifest; the same, if there was no index.
    pub manifest: Digest,
    /// Size of manifest, configuration and layers together, in bytes.
    pub size: u64,
}

/// An image that a profile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedImage {
    /// The reference as the profile writes it; also which image is meant in an
    /// archive that has several.
    pub reference: String,
    /// Where it is.
    pub source: ImageSource,
    /// The digest that it must have, the index's or the manifest's.
    pub digest: Option<Digest>,
}

impl NamedImage {
    /// Whether a pinned image still is what the profile names: from there, and with the
    /// digest that it asks for.
    #[must_use]
    pub fn is(&self, pinned: &PinnedImage) -> bool {
        self.reference == pinned.reference
            && self.elsewhere() == pinned.source
            && self.digest.is_none_or(|digest| digest == pinned.digest)
    }

    /// Where it is, if the reference does not say so.
    fn elsewhere(&self) -> Option<String> {
        let source = self.source.to_string();
        (source != self.reference).then_some(source)
    }
}
