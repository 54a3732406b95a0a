//! `nodelith import`: from a node as it is to a profile.

use std::fs;
use std::path::Path;

use super::args::Import;
use super::{Context, Outcome, print};
use crate::build::preview::preview;
use crate::check::subject::archive::{self, Kept};
use crate::check::subject::loose::Files;
use crate::check::subject::{Subject, folder};
use crate::error::{Error, Kind, Result};
use crate::import::{self, Part, SUITES, Suite, Target, report};
use crate::profile::file::Architecture;
use crate::profile::value::{Name, Refusal};
use crate::store::write_atomic;

pub(super) fn run(context: &Context, arguments: &Import) -> Result<Outcome> {
    if arguments.collect {
        print(import::COLLECT.trim_end())?;
        return Ok(Outcome::Done);
    }
    let subject = subject(arguments)?;
    let target = target(arguments)?;
    let store = context.store()?;
    let imported = import::import(&subject, &target, &|profile, containerd| {
        let architecture = target.architecture.name();
        preview(&store, profile, architecture, None, Some(containerd)).map(drop)
    })?;
    let path = &arguments.output;
    if path.exists() && !arguments.force {
        let message = format!("`{}` exists already", path.display());
        return Err(
            Error::new(Kind::Usage, message).hint("give another name, or `--force` to replace it")
        );
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    for (name, text) in &imported.files {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(|error| Error::io("making", parent, error))?;
        }
        write_atomic(&file, text.as_bytes())?;
    }
    write_atomic(path, imported.profile.as_bytes())?;
    context.print(&report::json(&imported), &report::text(&imported))?;
    let lost = imported
        .items
        .iter()
        .filter(|item| item.part == Part::Lost)
        .count();
    let next = format!("wrote `{0}`; next: nodelith check {0}", path.display());
    context.report.note(&next);
    if lost > 0 {
        context
            .report
            .note("note: read what cannot be carried before you build");
    }
    Ok(Outcome::Done)
}

/// The node: a folder, an archive, or single files.
fn subject(arguments: &Import) -> Result<Subject> {
    let files = Files {
        containerd: arguments.containerd_config.clone(),
        kubelet_flags: arguments.kubelet_flags.clone(),
        kubelet: arguments.kubelet_config.clone(),
        crictl: arguments.crictl_config.clone(),
        docker: arguments.docker_config.clone(),
        images: arguments.images.clone(),
        object: arguments.node_object.clone(),
    };
    let mut subject = match &arguments.node {
        Some(node) => read(node)?,
        None if files.is_empty() => {
            return Err(Error::new(Kind::Usage, "there is nothing to import")
                .hint("name a node's root directory or an archive of it; `nodelith import --collect` prints a script that makes one")
                .hint("or single files: --docker-config, --containerd-config, --kubelet-flags, --kubelet-config, --crictl-config, --images, --node-object"));
        }
        None => Subject::new("loose files", false),
    };
    files.add(&mut subject)?;
    Ok(subject)
}

fn read(node: &Path) -> Result<Subject> {
    if node.is_dir() {
        return folder::read(node);
    }
    if !node.exists() {
        let message = format!("there is no `{}`", node.display());
        return Err(Error::new(Kind::Usage, message)
            .hint("name a node's root directory, or an archive of it"));
    }
    match archive::kept(node)? {
        Kept::Root => archive::read(node),
        Kept::Layout | Kept::Saved => {
            let message = format!("`{}` is an image, not a node", node.display());
            Err(Error::new(Kind::Usage, message).hint("`nodelith check` looks at images"))
        }
    }
}

fn target(arguments: &Import) -> Result<Target> {
    let stem = arguments.output.file_stem().and_then(|stem| stem.to_str());
    let name = stem.unwrap_or("node");
    let name: Name = name.to_owned().try_into().map_err(|why: Refusal| {
        Error::new(
            Kind::Usage,
            format!("`{name}` cannot be an image's name: {}", why.message),
        )
        .hint("give the profile another file name")
    })?;
    let architecture = match arguments.arch.as_deref() {
        None | Some("amd64") => Architecture::Amd64,
        Some("arm64") => Architecture::Arm64,
        Some(other) => {
            let message = format!("`{other}` is no architecture that nodes are made for");
            return Err(Error::new(Kind::Usage, message).hint("there are amd64 and arm64"));
        }
    };
    let suite = arguments.suite.as_deref().map(|name| {
        Suite::named(name).ok_or_else(|| {
            let all: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
            Error::new(
                Kind::Usage,
                format!("`{name}` is no suite that profiles are made for"),
            )
            .hint(format!("there are {}", all.join(", ")))
        })
    });
    Ok(Target {
        name,
        architecture,
        suite: suite.transpose()?,
        kubernetes: arguments.kubernetes,
    })
}
