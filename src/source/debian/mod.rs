//! The Debian source: from a signed archive to a configured root.
//!
//! ```text
//! archive   where archives are, what they sign, the lists that they hold
//! choice    which packages, as apt would choose them
//! root      the packages unpacked, configured, cleaned, and kept as layers
//! ```

pub mod archive;
pub mod choice;
pub mod root;
