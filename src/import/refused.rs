//! What the profile's own checks refuse is taken out again, with their words.

use std::path::PathBuf;

use super::draft::{Written, one_line};
use super::work::Work;
use super::{Imported, Part, Trial};
use crate::error::{Error, Kind, Result};
use crate::profile::Profile;

/// More settings than this are not taken out: something else is wrong.
const MOST: usize = 200;

/// Writes the profile until it loads and goes with its versions.
pub(super) fn settle(mut work: Work<'_>, trial: Trial<'_>) -> Result<Imported> {
    let heading = heading(&work);
    for _ in 0..MOST {
        let written = work.draft.write(&heading);
        let Err(error) = check(&work, &written, trial) else {
            work.items.sort();
            return Ok(Imported {
                profile: written.text,
                items: work.items,
                files: work.files,
            });
        };
        let path = error.place().and_then(|place| written.at(place.span.start));
        let path = path.map(<[String]>::to_vec).ok_or_else(|| error.clone())?;
        let why = error.message();
        let mut known = false;
        for item in work
            .items
            .iter_mut()
            .filter(|item| item.profile.starts_with(&path))
        {
            known = true;
            item.part = Part::Lost;
            item.profile.clear();
            item.why = Some(why.clone());
        }
        if !known || !work.draft.remove(&path) {
            return Err(error.context("making a profile of the node"));
        }
    }
    Err(Error::new(
        Kind::Usage,
        "no profile can be made of the node",
    ))
}

fn heading(work: &Work<'_>) -> String {
    format!(
        "# Made by `nodelith import` from {}.\n# Comments say where a value came from; what has none is what every node of ours has.\n\n",
        one_line(&work.subject.name)
    )
}

/// Loads the profile as a build would, with the versions that it will have.
fn check(work: &Work<'_>, written: &Written, trial: Trial<'_>) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|error| Error::io("making", std::env::temp_dir(), error))?;
    let write = |name: PathBuf, text: &str| {
        let path = folder.path().join(name);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&path, text))
            .map(|()| path.clone())
            .map_err(|error| Error::io("writing", &path, error))
    };
    for (name, text) in &work.files {
        write(name.into(), text)?;
    }
    let path = write(format!("{}.toml", work.name).into(), &written.text)?;
    let profile = Profile::load(&path)?;
    trial(&profile, work.suite.containerd)
}
