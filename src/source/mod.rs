//! Where bytes come from: each source resolves, fetches, and adds to the tree.

pub mod base;
pub mod debian;
pub mod fetch;
pub mod nix;
pub mod oci;
pub mod release;
