//! Store paths of Nix as a source.
//!
//! A **store path** is a file or folder below a store (`/nix/store/HASH-NAME`). It
//! refers to others, and with all that these refer to it is a **closure**. Of each
//! path Nix keeps a **NAR hash**: the SHA-256 of its content in one canonical form
//! (Nix archive), in which nothing counts but names, contents, links, and whether a
//! file can be run.
//!
//! ```text
//! graph         what describes a closure, in any of Nix's shapes → paths with hashes
//! query         the same, asked of `nix-store`
//! closure       a graph that is whole, and its roots
//! nar           a path on disk → its NAR hash and its entries, in one reading
//! read          the locked paths → entries, each path verified first
//! place         entries in the node's root, the registration, copies at `/`
//! system        a NixOS system's init and kernels, linked to where they are looked for
//! groups        which paths share a layer (pure)
//! ```
//!
//! Store paths keep Nix's canonical metadata in an image: modes 0444, 0555, root's,
//! one second after the epoch. Files that a store's optimiser made one (hard links)
//! are files of their own in an image, so that its bytes never tell.

mod closure;
mod graph;
mod groups;
mod hash;
mod nar;
mod path;
mod place;
mod query;
mod read;
mod registration;
mod system;

pub use closure::Closure;
pub use graph::{Graph, PathInfo};
pub use groups::{Pool, grouping};
pub use path::StorePath;
pub use place::{Permission, Placed, Placing, paths, place};
pub use query::{query, target};
pub use read::{StoreRoot, read};
pub use registration::REGISTRATION;
