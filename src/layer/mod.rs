//! Layers: which entries go together, and their bytes.
//!
//! ```text
//! plan        tree → groups of entries, one for each layer (pure)
//! tar         entries → canonical tar
//! compress    tar → zstd, gzip (parallel) or nothing
//! make        a planned layer → a blob of the store, with both digests in one pass
//! untar       tar → entries (ours and others')
//! received    a layer of another machine → is it what is said of it
//! ```
//!
//! The bytes of a layer depend on nothing but its entries, their contents, the
//! compression and [`FORMAT`]: not on the time, the user, or the number of threads.

pub mod compress;
mod content;
mod gzip;
pub mod make;
pub mod plan;
mod received;
pub mod tar;
pub mod untar;

pub use compress::Compression;
pub use content::read_file;
pub use make::{
    LayerBlob, Uncompressed, key, make, make_all, make_whiteouts, refilter, refiltered,
    uncompressed,
};
pub use plan::{Grouping, Plan, PlannedLayer, plan, plan_grouped};
pub use received::{Look, read_through, received};

/// The number that stands in every lock and cache key. It is raised when a
/// change of ours (the plan, tar, a compression library) changes the bytes of
/// an image; the golden-digest test in `tests/layers/golden.rs` tells when.
pub const FORMAT: u32 = 1;
