//! `nodelith vendor`: all that a lock names, in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::Vendor;
use super::sources::{
    Setting, architectures, existing_lock, lock_path, vendored, vendored_component, vendored_file,
    vendored_image,
};
use super::{Context, Outcome};
use crate::build::Builder;
use crate::digest::Digest;
use crate::error::{Context as _, Error, Kind, Result};
use crate::lock::{self, LOCAL, Pinned};
use crate::profile::Profile;
use crate::report::{Unit, counted, human_bytes};
use crate::sandbox::Mode;
use crate::store::Store;

pub(super) fn run(context: &Context, arguments: &Vendor) -> Result<Outcome> {
    let profile = Profile::load(&arguments.subject.profile)?;
    let architectures = architectures(&profile, &arguments.subject.arch)?;
    let store = context.store()?;
    let _use = store.in_use()?;
    let setting = Setting::new(
        context,
        &store,
        &profile,
        &arguments.sources,
        &architectures,
    )?;
    let lock = existing_lock(&lock_path(&arguments.subject))?;
    let mirrors = || setting.mirrors();
    let releases = setting.provider()?;
    let images = setting.images()?;
    let builder = Builder {
        store: &store,
        report: &context.report,
        fetcher: &setting.fetcher,
        mirrors: &mirrors,
        releases: &releases,
        nix_root: &setting.nix_root,
        images: &images,
        sandbox: Mode::Auto,
        threads: context.threads(),
        cache: None,
        accept_findings: None,
    };
    let mut wanted = BTreeMap::new();
    for architecture in &architectures {
        let pinned = lock.architecture.get(*architecture).ok_or_else(|| {
            Error::new(Kind::Resolve, format!("the lock has no `{architecture}`"))
                .hint("renew it with `nodelith lock`")
        })?;
        lock::verify_files(&store, pinned, &profile.local_files())?;
        if !pinned.nix.is_empty() {
            context.report.warning(
                "the closures of Nix are not in the folder: `nix copy --to DIR PATH` keeps one, \
                 and `--nix-root DIR` reads it there",
            );
        }
        builder.fetch(pinned)?;
        releases.fetch(&pinned.component, architecture)?;
        name_all(&store, pinned, &mut wanted)?;
        let base = lock::pinned_base(&profile, pinned)?;
        let base = base.map(|(image, base)| (image, &base.image));
        for (image, pinned) in lock::pinned_images(&profile, pinned)?
            .into_iter()
            .chain(base)
        {
            let chosen = images.fetch(&image, pinned, architecture)?;
            wanted.extend(chosen.all().map(|blob| {
                let place = vendored_image(&blob.digest);
                (place, (blob.digest, blob.size))
            }));
        }
    }
    let (files, bytes) = copy_all(context, &store, &arguments.output, &wanted)?;
    let output = arguments.output.display();
    let json = json!({
        "schema": "nodelith.vendor", "version": 1, "output": arguments.output,
        "files": files, "bytes": bytes,
    });
    let text = format!(
        "{}, {}\n{output}",
        counted(files, "file"),
        human_bytes(bytes)
    );
    context.print(&json, &text)?;
    Ok(Outcome::Done)
}

/// Where each pinned input stands in the folder.
fn name_all(
    store: &Store,
    pinned: &Pinned,
    wanted: &mut BTreeMap<PathBuf, (Digest, u64)>,
) -> Result<()> {
    for package in &pinned.package {
        if package.archive != LOCAL {
            let place = vendored(&package.archive, &package.path);
            wanted.insert(place, (package.digest, package.size));
        }
    }
    for component in &pinned.component {
        let path = store.blob_path(&component.digest);
        let size = fs::metadata(&path).io("looking at", &path)?.len();
        wanted.insert(
            vendored_component(&component.digest),
            (component.digest, size),
        );
    }
    for file in &pinned.file {
        wanted.insert(vendored_file(&file.digest), (file.digest, file.size));
    }
    Ok(())
}

fn copy_all(
    context: &Context,
    store: &Store,
    folder: &Path,
    wanted: &BTreeMap<PathBuf, (Digest, u64)>,
) -> Result<(usize, u64)> {
    let total = wanted.values().map(|(_, size)| size).sum();
    let task = context.report.task("copying", Some(total), Unit::Bytes);
    for (place, (digest, size)) in wanted {
        let target = folder.join(place);
        let there = fs::metadata(&target).is_ok_and(|file| file.len() == *size);
        if !there {
            let parent = target.parent().unwrap_or(folder);
            fs::create_dir_all(parent).io("making", parent)?;
            let mut aside =
                tempfile::NamedTempFile::new_in(parent).io("making a file in", parent)?;
            std::io::copy(&mut store.open_blob(digest)?, &mut aside).io("writing", &target)?;
            let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            aside
                .as_file()
                .set_permissions(readable)
                .io("writing", &target)?;
            let persisted = aside.persist(&target).map_err(|error| error.error);
            persisted.io("renaming to", &target)?;
        }
        task.advance(*size);
    }
    task.finish(&counted(wanted.len(), "file"));
    Ok((wanted.len(), total))
}
