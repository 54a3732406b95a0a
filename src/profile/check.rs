//! What no single value shows: things that contradict one another.

use std::collections::BTreeSet;

use super::document::Document;
use super::explain::nearest;
use super::file::{
    Compression, CrictlSource, Debian, File, Kernel, KubeletSource, Modules, ProfileFile,
    ReleaseSource, Role, Units,
};
use super::model::place;
use super::value::Release;
use crate::error::{Error, Kind, Result};

/// Folders that are empty at boot: what an image puts there is never seen.
const VOLATILE: [&str; 5] = ["/run", "/proc", "/sys", "/tmp", "/dev"];

/// Checks one file by itself: nothing may be said twice or in two ways.
pub(super) fn alone(file: &ProfileFile, document: &Document) -> Result<()> {
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
    if let Some(debian) = &file.debian {
        let packages = || {
            debian
                .packages
                .iter()
                .map(|choice| choice.package())
                .collect()
        };
        twice(&["debian", "packages"], packages())?;
        twice(
            &["debian", "repository", "name"],
            debian
                .repository
                .iter()
                .map(|one| one.name.as_str())
                .collect(),
        )?;
        let removed = debian
            .remove
            .iter()
            .map(|choice| choice.package())
            .collect();
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
    .map(|(key, list)| (key, list.iter().map(|unit| unit.as_str()).collect()))
    .collect()
}

fn module_names(list: &[super::value::ModuleName]) -> Vec<&str> {
    list.iter().map(|module| module.as_str()).collect()
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

fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Checks that what `file` takes off the lists of extended profiles is on them.
pub(super) fn removals(file: &ProfileFile, base: &ProfileFile, document: &Document) -> Result<()> {
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
        .map(|one| one.package());
    let known = debian
        .packages
        .iter()
        .map(|one| one.package())
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

/// Checks what all files together say.
pub(super) fn whole(file: &ProfileFile, documents: &[Document]) -> Result<()> {
    let refuse = |message: &str, hint: &str, keys: &[&str], item: Option<&str>| {
        let error = Error::new(Kind::Usage, message).hint(hint);
        Err(match place(documents, keys, item) {
            Some(place) => error.at(place),
            None => error,
        })
    };
    let base_image = file.base.as_ref().and_then(|base| base.image.as_ref());
    match (&file.debian, base_image) {
        (Some(_), Some(_)) => {
            return refuse(
                "`[debian]` and `[base.image]` exclude each other",
                "a root comes from a Debian archive or from an image: keep one",
                &["base", "image"],
                None,
            );
        }
        (None, None) => {
            return refuse(
                "the profile says of nothing that a root could come from",
                "add `[debian]` with a suite, or extend a profile that has one",
                &["name"],
                None,
            );
        }
        _ => {}
    }
    if let Some(image) = &file.image
        && let Some(level) = image.level
    {
        match image.compression {
            Some(Compression::Gzip) if level.get() > 9 => {
                return refuse(
                    "gzip has levels 1 to 9",
                    "6 is the default",
                    &["image", "level"],
                    None,
                );
            }
            Some(Compression::None) => {
                return refuse(
                    "a level without compression",
                    "take `level` out, or set `compression`",
                    &["image", "level"],
                    None,
                );
            }
            _ => {}
        }
    }
    kubernetes(file, &refuse)?;
    repositories(file, &refuse)?;
    accounts(file, &refuse)?;
    if let Some(proxy) = &file.proxy {
        for (key, url) in [("http", &proxy.http), ("https", &proxy.https)] {
            let Some(url) = url else { continue };
            if super::value::credentials(url) {
                return refuse(
                    "the proxy's address holds a password, which everyone who has the image could read",
                    "give it to the node at boot, as a systemd credential or drop-in",
                    &["proxy", key],
                    None,
                );
            }
            if url.starts_with("file:") {
                return refuse(
                    "a proxy cannot be a file",
                    "write it like `http://proxy.example:3128`",
                    &["proxy", key],
                    None,
                );
            }
        }
        if let Some(bad) = proxy.no_proxy.iter().find(|host| !no_proxy(host)) {
            let message = format!("`{}` is not a host, domain or network", bad.escape_debug());
            return refuse(
                &message,
                "write each as an item of its own, like `.svc` or `10.0.0.0/8`",
                &["proxy", "no-proxy"],
                Some(bad),
            );
        }
    }
    Ok(())
}

fn no_proxy(host: &str) -> bool {
    !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_:/*[]".contains(c))
}

type Refuse<'a> = dyn Fn(&str, &str, &[&str], Option<&str>) -> Result<()> + 'a;

/// Components' versions and the Kubernetes version must be known where needed.
fn kubernetes(file: &ProfileFile, refuse: &Refuse<'_>) -> Result<()> {
    let version = file
        .kubernetes
        .as_ref()
        .and_then(|one| one.version.as_ref());
    let version = version.filter(|version| version.as_str() != "none");
    let role = file.kubernetes.as_ref().and_then(|one| one.role);
    if role == Some(Role::ControlPlane) && version.is_none() {
        return refuse(
            "a control plane needs a Kubernetes version",
            "set `version` in `[kubernetes]`, like \"1.34\"",
            &["kubernetes", "role"],
            None,
        );
    }
    if let Some(kubelet) = &file.kubelet {
        match kubelet.source {
            Some(KubeletSource::Release) if kubelet.version.is_none() && version.is_none() => {
                return refuse(
                    "kubelet comes from a release, but no version is known",
                    "set `version` in `[kubernetes]` or `[kubelet]`",
                    &["kubelet", "source"],
                    None,
                );
            }
            Some(KubeletSource::File) if kubelet.file.is_none() => {
                return refuse(
                    "kubelet comes from a file, but none is named",
                    "set `file` in `[kubelet]`",
                    &["kubelet", "source"],
                    None,
                );
            }
            _ => {}
        }
    }
    if let Some(crictl) = &file.crictl {
        match crictl.source {
            Some(CrictlSource::Release) if crictl.version.is_none() && version.is_none() => {
                return refuse(
                    "crictl comes from a release, but no version is known",
                    "set `version` in `[kubernetes]` or `[crictl]`",
                    &["crictl", "source"],
                    None,
                );
            }
            Some(CrictlSource::File) if crictl.file.is_none() => {
                return refuse(
                    "crictl comes from a file, but none is named",
                    "set `file` in `[crictl]`",
                    &["crictl", "source"],
                    None,
                );
            }
            _ => {}
        }
    }
    let releases: [(&str, Option<ReleaseSource>, Option<&Release>); 3] = [
        (
            "containerd",
            file.containerd.as_ref().and_then(|one| one.source),
            file.containerd
                .as_ref()
                .and_then(|one| one.version.as_ref()),
        ),
        (
            "runc",
            file.runc.as_ref().and_then(|one| one.source),
            file.runc.as_ref().and_then(|one| one.version.as_ref()),
        ),
        (
            "cni",
            file.cni.as_ref().and_then(|one| one.source),
            file.cni.as_ref().and_then(|one| one.version.as_ref()),
        ),
    ];
    for (component, source, version) in releases {
        if source == Some(ReleaseSource::Release) && version.is_none() {
            let message = format!("{component} comes from a release, but no version is known");
            let hint = format!("set `version` in `[{component}]`");
            return refuse(&message, &hint, &[component, "source"], None);
        }
    }
    if let Some(image) = file.pause.as_ref().and_then(|pause| pause.image.as_ref())
        && !image.is_full()
    {
        let message = format!("`{image}` is not a full reference");
        return refuse(
            &message,
            "give the registry and the tag, like `registry.k8s.io/pause:3.10`: containerd compares it word for word",
            &["pause", "image"],
            None,
        );
    }
    Ok(())
}

fn repositories(file: &ProfileFile, refuse: &Refuse<'_>) -> Result<()> {
    for one in file.debian.iter().flat_map(|debian| &debian.repository) {
        let at = ["debian", "repository", "name"];
        match (&one.key, &one.key_text) {
            (Some(_), Some(_)) => {
                let message = format!("the repository `{}` has two keys", one.name);
                return refuse(&message, "give `key` or `key-text`", &at, Some(&one.name));
            }
            (None, None) => {
                let message = format!("the repository `{}` has no key", one.name);
                return refuse(
                    &message,
                    "give the key that signs it, as a file (`key`) or in ASCII armour (`key-text`)",
                    &at,
                    Some(&one.name),
                );
            }
            _ => {}
        }
        let flat = one.suite.ends_with('/');
        if flat != one.components.is_empty() {
            let message = match flat {
                true => format!("the flat repository `{}` has components", one.name),
                false => format!("the repository `{}` has no components", one.name),
            };
            return refuse(
                &message,
                "a suite that ends in `/` means a flat repository, which has no components",
                &at,
                Some(&one.name),
            );
        }
    }
    Ok(())
}

fn accounts(file: &ProfileFile, refuse: &Refuse<'_>) -> Result<()> {
    let mut numbers = std::collections::BTreeMap::new();
    for user in &file.users {
        if user.name.as_str() == "root" && (user.uid.is_some() || user.gid.is_some()) {
            return refuse(
                "root's number is 0",
                "take `uid` and `gid` out",
                &["users", "name"],
                Some("root"),
            );
        }
        let Some(uid) = user.uid else { continue };
        if let Some(other) = numbers.insert(uid, &user.name) {
            let message = format!(
                "the users `{other}` and `{}` have the same number {}",
                user.name,
                uid.get()
            );
            return refuse(
                &message,
                "give each a number of its own, or none",
                &["users", "name"],
                Some(&user.name),
            );
        }
    }
    Ok(())
}
