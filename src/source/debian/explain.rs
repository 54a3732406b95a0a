//! Failures of the solver as a person would tell them.
use super::index::Universe;
use super::solve::Plan;
use crate::error::{Error, Kind};
pub(super) fn failure(plan: &Plan<'_>) -> Error {
    let names: Vec<&str> = plan
        .names()
        .filter(|&name| plan.is_broken(name))
        .map(|name| plan.universe.name(name))
        .collect();
    Error::new(Kind::Resolve, format!("broken: {names:?}"))
}
pub(super) fn not_found(_: &Universe, name: &str, version: Option<&str>) -> Error {
    Error::new(Kind::Resolve, format!("no package {name} {version:?}"))
}
