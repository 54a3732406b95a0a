//! Choosing packages as apt does.
//!
//! The choice equals what `apt-get install --no-install-recommends '?essential'
//! PACKAGES` would install into an empty root (apt 2.6, without its habit of
//! taking apt itself for essential, as mmdebstrap does). apt is greedy, and what
//! people expect of a Debian root is what apt would have given them, so this
//! follows its three steps rather than search for a best solution:
//!
//! 1. [`mark`]: every requested package is marked for installation, and then,
//!    one after the other, what each needs, depth first. Of alternatives the first
//!    that can be had is taken; of several providers the one that apt ranks first.
//!    What fails is unmarked, and its candidate forgotten.
//! 2. [`repair`]: packages that are still broken are scored; from the highest
//!    score downwards, something is dropped or added until nothing is broken.
//! 3. [`sweep`]: what was marked on the way and is needed by nothing is unmarked.
//!
//! The order in which things are looked at decides the outcome, so it is part of
//! the algorithm: names are numbered at first mention ([`super::index`]), and all
//! walks go by these numbers or by the order in the fields.

use super::explain;
use super::index::{Name, PackageId, Universe};
use super::package::Package;
use super::relation::compare;
use crate::error::{Error, Kind, Result};

mod mark;
mod plan;
mod repair;
mod sweep;
#[cfg(test)]
mod tests;

pub(super) use plan::{Alternative, Field, Group, Plan};

/// Room for the depth of recursion that apt allows itself (3000 packages deep).
const STACK: usize = 256 << 20;

/// What is asked of the solver.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The architecture to install for; that of the universe.
    pub architecture: String,
    /// Packages to install besides the essential ones: `NAME`, `NAME=VERSION`, `NAME:ARCHITECTURE`.
    pub install: Vec<String>,
    /// Names that must never be installed, whatever wants them.
    pub exclude: Vec<String>,
}

/// Chooses the packages to install, in the order of their names.
///
/// # Errors
/// [`Kind::Resolve`] if a package or version does not exist or if the packages do
/// not go together, saying which and why; [`Kind::Usage`] for a request that
/// contradicts itself.
pub fn choose<'u>(universe: &'u Universe, request: &Request) -> Result<Vec<&'u Package>> {
    if request.architecture != universe.architecture() {
        return Err(Error::new(
            Kind::Usage,
            format!(
                "packages for `{}` cannot be chosen from indices for `{}`",
                request.architecture,
                universe.architecture()
            ),
        ));
    }
    let chosen = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("solver".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || solve(universe, request))
            .map_err(|error| {
                Error::new(Kind::Io, format!("starting the solver's thread: {error}"))
            })?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let mut packages: Vec<&Package> = chosen
        .into_iter()
        .map(|id| universe.package_by_id(id))
        .collect();
    packages.sort_by_key(|package| package.name());
    Ok(packages)
}

fn solve(universe: &Universe, request: &Request) -> Result<Vec<PackageId>> {
    let mut plan = Plan::new(universe);
    for name in &request.exclude {
        let (name, _) = split_architecture(universe, name)?;
        if let Some(name) = universe.find(name) {
            plan.exclude(name);
        }
    }
    let mut wanted = Vec::new();
    for name in plan.names() {
        if universe.entry(name).essential && !plan.is_excluded(name) {
            wanted.extend(universe.candidate_id(name));
        }
    }
    for text in &request.install {
        let id = requested(universe, text)?;
        if plan.is_excluded(universe.owner(id)) {
            return Err(Error::new(
                Kind::Usage,
                format!(
                    "`{}` is both requested and excluded",
                    universe.package_by_id(id).name()
                ),
            ));
        }
        if !wanted.contains(&id) {
            wanted.push(id);
        }
    }
    for &id in &wanted {
        plan.request(id);
    }
    for &id in &wanted {
        plan.install_with_needs(universe.owner(id));
    }
    plan.repair();
    if plan.broken_count() == 0 {
        plan.sweep();
    }
    if plan.broken_count() != 0 {
        return Err(explain::failure(&plan));
    }
    Ok(plan.chosen())
}

/// The package that a request names.
fn requested(universe: &Universe, text: &str) -> Result<PackageId> {
    let (name, version) = match text.split_once('=') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let (name, _) = split_architecture(universe, name)?;
    let found = match universe.find(name) {
        Some(number) => match version {
            Some(version) => with_version(universe, number, version),
            None => universe
                .candidate_id(number)
                .or_else(|| only(universe, real_providers(universe, number))),
        },
        None => None,
    };
    found.ok_or_else(|| explain::not_found(universe, name, version))
}

/// A name without its architecture, which must be one that can be installed.
fn split_architecture<'t>(
    universe: &Universe,
    text: &'t str,
) -> Result<(&'t str, Option<&'t str>)> {
    let Some((name, architecture)) = text.split_once(':') else {
        return Ok((text, None));
    };
    if [universe.architecture(), "all", "any", "native"].contains(&architecture) {
        Ok((name, Some(architecture)))
    } else {
        Err(Error::new(
            Kind::Resolve,
            format!(
                "`{text}` cannot be installed: the architecture is `{}`",
                universe.architecture()
            ),
        )
        .hint("only packages of the image's own architecture and of `all` can be installed"))
    }
}

fn with_version(universe: &Universe, name: Name, version: &str) -> Option<PackageId> {
    let entry = universe.entry(name);
    let of = |id: PackageId| universe.package_by_id(id).version();
    let exact = entry.versions.iter().find(|id| of(**id) == version);
    let equal = || {
        entry
            .versions
            .iter()
            .find(|id| compare(of(**id), version).is_eq())
    };
    if let Some(&id) = exact.or_else(equal) {
        return Some(id);
    }
    let provided = entry.provides.iter().filter(|provide| {
        let provided = provide
            .version
            .map(|at| universe.package_by_id(provide.package).text_at(at));
        provided == Some(version)
    });
    only(universe, provided.map(|provide| provide.package))
}

/// Candidates that provide `name`.
pub(super) fn real_providers(universe: &Universe, name: Name) -> impl Iterator<Item = PackageId> {
    let provides = universe.entry(name).provides.iter();
    provides
        .map(|provide| provide.package)
        .filter(|&id| universe.candidate_id(universe.owner(id)) == Some(id))
}

/// The one package of those, if they all have the same name.
fn only(universe: &Universe, mut ids: impl Iterator<Item = PackageId>) -> Option<PackageId> {
    let first = ids.next()?;
    ids.all(|id| universe.owner(id) == universe.owner(first))
        .then_some(first)
}
