//! OCI images: config, manifest, index, layout (OCI image specification 1.1).
//!
//! ```text
//! config       what the image is: architecture, time, diff IDs, history
//! manifest     config and layers by digest; several architectures make an index
//! layout       writes an image layout, complete or not at all
//! archive      the same in one file, which a node carries
//! read         opens a layout or archive, ours or another's
//! source       where blobs are, and reading them verified
//! annotations  the names under which we say more
//! ```

pub mod annotations;
pub mod archive;
pub mod config;
pub mod layout;
pub mod manifest;
pub mod read;
pub mod source;

pub use config::{ImageSpec, Run};
pub use manifest::{Built, assemble};
pub use read::Image;

/// A manifest's media type.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index's media type.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A config's media type.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
