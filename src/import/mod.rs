//! From a node as it is to the profile of the image that replaces it.
//!
//! ```text
//! subject  the node's files: a root, an archive, loose files (check's readers)
//! facts    what they come to: Docker's daemon.json, kubelet's flags, containerd's tables
//! draft    the profile being written, each key with where it came from
//! ledger   every setting that was found, in just one of three parts
//! ```
//!
//! A setting is **carried** where the profile, or what every node of ours does, comes
//! to the same; **changed** where it is there but does not mean quite the same; **lost**
//! where nothing takes its place, with what breaks and what to do. Secrets are never
//! copied: they are lost, by name.
//!
//! The version tables say what becomes of a key (`compat::docker`, `compat::kubelet`,
//! `compat::containerd`); what the profile's own checks then refuse is taken out again
//! and counts as lost, with their words.

mod containerd;
mod docker;
mod draft;
mod images;
mod kubelet;
mod ledger;
mod limits;
mod networks;
mod object;
mod proxy;
mod refused;
pub mod report;
mod system;
mod target;
mod work;

use crate::check::facts::Facts;
use crate::check::subject::Subject;
use crate::compat::Version;
use crate::error::Result;
use crate::profile::Profile;

pub use ledger::{Item, Part};
pub use target::{SUITES, Suite, Target};

/// What an import comes to.
#[derive(Debug)]
pub struct Imported {
    /// The profile, with comments that say where each value came from.
    pub profile: String,
    /// What was found, sorted by part and place.
    pub items: Vec<Item>,
    /// Files that the profile names, by their path beside it.
    pub files: Vec<(String, String)>,
}

/// The script that gathers a node's files into an archive, without secrets.
pub const COLLECT: &str = include_str!("collect.sh");

/// Tries a profile with a release of containerd.
pub type Trial<'t> = &'t dyn Fn(&Profile, Version) -> Result<()>;

/// Makes the profile of `target` out of what `subject` is. What `trial` refuses, with its
/// place in the profile, is taken out again.
///
/// # Errors
/// Of kind [`crate::error::Kind::Usage`] when no profile can be made of it at all.
pub fn import(subject: &Subject, target: &Target, trial: Trial<'_>) -> Result<Imported> {
    let facts = Facts::of(subject);
    let mut work = work::Work::new(subject, &facts, target)?;
    docker::import(&mut work);
    kubelet::import(&mut work);
    containerd::import(&mut work);
    proxy::import(&mut work);
    system::import(&mut work);
    limits::import(&mut work);
    networks::import(&mut work);
    object::import(&mut work);
    images::import(&mut work);
    refused::settle(work, trial)
}
