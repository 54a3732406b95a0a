//! OCI images: config, manifest, index, layout (OCI image specification 1.1).
//!
//! ```text
//! config       what the image is: architecture, time, diff IDs, history
//! inherit      what an image takes over from its base
//! manifest     config and layers by digest; several architectures make an index
//! layout       writes an image layout, complete or not at all
//! archive      the same in one file, which a node carries
//! read         opens a layout or archive, ours or another's
//! source       where blobs are, and reading them verified
//! chosen       one architecture's image out of a layout, an archive or the store
//! contents     all documents and blobs of an image, to hand it on whole
//! annotations  the names under which we say more
//! ```

pub mod annotations;
pub mod archive;
pub mod chosen;
pub mod config;
pub mod contents;
pub mod inherit;
pub mod layout;
pub mod manifest;
pub mod read;
pub mod source;

pub use config::{ImageSpec, Run};
pub use inherit::Inherited;
pub use manifest::{Built, assemble};
pub use read::Image;

/// A manifest's media type.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index's media type.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A config's media type.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Docker's names for the same documents (image manifest version 2, schema 2).
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Whether a media type is that of one image's manifest.
#[must_use]
pub fn is_manifest(media_type: &str) -> bool {
    [MANIFEST, DOCKER_MANIFEST].contains(&media_type)
}

/// Whether a media type is that of an index of manifests.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    [INDEX, DOCKER_INDEX].contains(&media_type)
}
