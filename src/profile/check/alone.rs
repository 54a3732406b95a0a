//! One profile file by itself, and what it takes off the lists of others.

use std::collections::BTreeSet;

use crate::error::{Error, Kind, Result};
use crate::profile::document::Document;
use crate::profile::explain::nearest;
use crate::profile::file::{Debian, File, Kernel, Modules, NixClosure, ProfileFile, Units};
use crate::profile::value::{ModuleName, PackageChoice, UnitName};

/// Folders that are empty at boot: what an image puts there is never seen.
const VOLATILE: [&str; 5] = ["/run", "/proc", "/sys", "/tmp", "/dev"];

/// Checks one file by itself: nothing may be said twice or in two ways.
pub(in crate::profile) fn alone(file: &ProfileFile, document: &Document) -> Result<()> {
    let twice = |keys: &[&str], names: Vec<&str>| -> Result<()> {
        let mut seen = BTreeSet::new();
        match names.into_iter().find(|name| !seen.insert(*name)) {
            None => Ok(()),
            Some(name) => Err(last(
                Error::new(Kind::Usage, format!("`{name}` is given twice"))
                    .hint("keep one of them"),
                document,
                keys,
                name,
            )),
        }
    };
    let against = |names: Vec<&str>, keys: &[&str], others: Vec<&str>, what: &str| -> Result<()> {
        match names.into_iter().find(|name| others.contains(name)) {
            None => Ok(()),
            Some(name) => Err(last(
                Error::new(Kind::Usage, format!("`{name}` is {what}")).hint("keep one of them"),
                document,
                keys,
                name,
            )),
        }
    };

    twice(
        &["files", "path"],
        file.files.iter().map(|file| file.path.as_str()).collect(),
    )?;
    twice(
        &["users", "name"],
        file.users.iter().map(|user| user.name.as_str()).collect(),
    )?;
    twice(
        &["images", "reference"],
        file.images
            .iter()
            .map(|image| image.reference.as_str())
            .collect(),
    )?;
    twice(
        &["nix", "name"],
        file.nix.iter().map(|one| one.name.as_str()).collect(),
    )?;
    closures(&file.nix, document)?;
    if let Some(debian) = &file.debian {
        let packages = || debian.packages.iter().map(PackageChoice::package).collect();
        twice(&["debian", "packages"], packages())?;
        twice(
            &["debian", "repository", "name"],
            debian
                .repository
                .iter()
                .map(|one| one.name.as_str())
                .collect(),
        )?;
        let removed = debian.remove.iter().map(PackageChoice::package).collect();
        against(
            packages(),
            &["debian", "remove"],
            removed,
            "both added and removed",
        )?;
    }
    if let Some(units) = &file.units {
        let lists = unit_lists(units);
        for (key, names) in &lists {
            twice(&["units", key], names.clone())?;
        }
        for (at, (first, names)) in lists.iter().enumerate() {
            for (second, others) in &lists[at + 1..] {
                let what = format!("in both `{first}` and `{second}`");
                against(names.clone(), &["units", second], others.clone(), &what)?;
            }
        }
    }
    if let Some(modules) = &file.modules {
        twice(&["modules", "load"], module_names(&modules.load))?;
        against(
            module_names(&modules.load),
            &["modules", "blacklist"],
            module_names(&modules.blacklist),
            "both loaded and blacklisted",
        )?;
    }
    file.files
        .iter()
        .try_for_each(|file| one_file(file, document))
}

fn unit_lists(units: &Units) -> Vec<(&'static str, Vec<&str>)> {
    [
        ("enable", &units.enable),
        ("disable", &units.disable),
        ("mask", &units.mask),
        ("remove", &units.remove),
    ]
    .into_iter()
    .map(|(key, list)| (key, list.iter().map(UnitName::as_str).collect()))
    .collect()
}

fn module_names(list: &[ModuleName]) -> Vec<&str> {
    list.iter().map(ModuleName::as_str).collect()
}

/// The last place of `name` in a file: where it was said again.
fn last(error: Error, document: &Document, keys: &[&str], name: &str) -> Error {
    match document.find_last(keys, name) {
        Some(span) => error.at(document.place(span)),
        None => error,
    }
}

fn one_file(file: &File, document: &Document) -> Result<()> {
    let path = &file.path;
    let refuse = |message: String, hint: &str| {
        Err(last(
            Error::new(Kind::Usage, message).hint(hint),
            document,
            &["files", "path"],
            path,
        ))
    };
    let kinds = [
        file.text.is_some(),
        file.source.is_some(),
        file.link.is_some(),
        file.remove,
    ];
    match kinds.iter().filter(|given| **given).count() {
        1 => {}
        0 => {
            return refuse(
                format!("the file `{path}` has no content"),
                "give `text`, `source`, `link` or `remove = true`",
            );
        }
        _ => {
            return refuse(
                format!("the file `{path}` has more than one content"),
                "give just one of `text`, `source`, `link` and `remove = true`",
            );
        }
    }
    if (file.link.is_some() || file.remove) && file.mode.is_some() {
        return refuse(
            format!("a link or removal has no mode (`{path}`)"),
            "take `mode` out",
        );
    }
    if file
        .link
        .as_deref()
        .is_some_and(|link| link.is_empty() || link.contains('\0'))
    {
        return refuse(
            format!("the link `{path}` leads nowhere"),
            "give its target",
        );
    }
    if let Some(folder) = VOLATILE.iter().find(|folder| below(path, folder)) {
        return refuse(
            format!("`{path}` would never be seen: `{folder}` is empty at every boot"),
            "have systemd-tmpfiles make it: put a file under /usr/lib/tmpfiles.d",
        );
    }
    Ok(())
}

/// A closure is named by a path or described by a graph.
fn closures(closures: &[NixClosure], document: &Document) -> Result<()> {
    for one in closures {
        let refuse = |message: String, hint: &str| {
            let error = Error::new(Kind::Usage, message).hint(hint);
            Err(last(error, document, &["nix", "name"], &one.name))
        };
        if one.path.is_some() == one.graph.is_some() {
            return refuse(
                format!(
                    "the closure `{}` needs just one of `path` and `graph`",
                    one.name
                ),
                "`path` is a store path or a link to one (`result`), `graph` a file that describes the closure",
            );
        }
        if !one.perms.is_empty() && one.copy_to_root.is_nothing() {
            return refuse(
                format!(
                    "`perms` of the closure `{}` has nothing to act on",
                    one.name
                ),
                "what is in the store has Nix's own modes; set `copy-to-root`, or take `perms` out",
            );
        }
    }
    Ok(())
}

fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Checks that what `file` takes off the lists of extended profiles is on them.
pub(in crate::profile) fn removals(
    file: &ProfileFile,
    base: &ProfileFile,
    document: &Document,
) -> Result<()> {
    let empty = (
        Debian::default(),
        Kernel::default(),
        Modules::default(),
        Units::default(),
    );
    let debian = base.debian.as_ref().unwrap_or(&empty.0);
    let kernel = base.kernel.as_ref().unwrap_or(&empty.1);
    let modules = base.modules.as_ref().unwrap_or(&empty.2);
    let units = base.units.as_ref().unwrap_or(&empty.3);

    let gone = file
        .debian
        .iter()
        .flat_map(|debian| &debian.remove)
        .map(PackageChoice::package);
    let known = debian
        .packages
        .iter()
        .map(PackageChoice::package)
        .collect::<Vec<_>>();
    let hint = "a package that others need comes with them and cannot be taken off";
    idle(
        gone,
        &known,
        &["debian", "remove"],
        "package",
        hint,
        document,
    )?;

    let gone = file
        .kernel
        .iter()
        .flat_map(|one| &one.command_line_remove)
        .map(|one| &**one);
    let known = kernel
        .command_line
        .iter()
        .map(|one| &**one)
        .collect::<Vec<_>>();
    let hint = "write the whole argument as it was given";
    idle(
        gone,
        &known,
        &["kernel", "command-line-remove"],
        "kernel argument",
        hint,
        document,
    )?;

    let plain = |name: &str| name.replace('-', "_");
    let gone: Vec<_> = file
        .modules
        .iter()
        .flat_map(|one| &one.remove)
        .filter(|gone| {
            !modules
                .load
                .iter()
                .chain(&modules.blacklist)
                .any(|one| plain(one) == plain(gone))
        })
        .map(|one| &**one)
        .collect();
    let known: Vec<_> = modules
        .load
        .iter()
        .chain(&modules.blacklist)
        .map(|one| &**one)
        .collect();
    let hint = "it need not be taken off";
    idle(
        gone.into_iter(),
        &known,
        &["modules", "remove"],
        "module",
        hint,
        document,
    )?;

    let gone = file
        .units
        .iter()
        .flat_map(|units| &units.remove)
        .map(|one| &**one);
    let lists = unit_lists(units);
    let known: Vec<_> = lists
        .iter()
        .take(3)
        .flat_map(|(_, names)| names.iter().copied())
        .collect();
    let hint = "to stop a unit that a package enables, use `disable`";
    idle(gone, &known, &["units", "remove"], "unit", hint, document)
}

fn idle<'a>(
    mut gone: impl Iterator<Item = &'a str>,
    known: &[&str],
    keys: &[&str],
    what: &str,
    hint: &str,
    document: &Document,
) -> Result<()> {
    let Some(name) = gone.find(|name| !known.contains(name)) else {
        return Ok(());
    };
    let message = format!("no extended profile lists the {what} `{name}`");
    let hint = match nearest(name, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => hint.to_owned(),
    };
    Err(last(
        Error::new(Kind::Usage, message).hint(hint),
        document,
        keys,
        name,
    ))
}
