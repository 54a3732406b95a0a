//! What all files of a profile together say.

use crate::error::{Error, Kind, Result};
use crate::profile::document::Document;
use crate::profile::file::{
    BaseImage, Compression, CrictlSource, KubeletSource, ProfileFile, ReleaseSource, Role,
};
use crate::profile::model::place;
use crate::profile::value::{ImageReference, ImageSource, Release, credentials};

/// Checks what all files together say.
pub(in crate::profile) fn whole(file: &ProfileFile, documents: &[Document]) -> Result<()> {
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
        (None, None) if file.nix.is_empty() => {
            return refuse(
                "the profile says of nothing that a root could come from",
                "add `[debian]` with a suite or `[base.image]` with a reference, or extend a profile that has one",
                &["name"],
                None,
            );
        }
        _ => {}
    }
    nix(file, &refuse)?;
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
    if let Some(image) = base_image {
        over_base(file, image, &refuse)?;
    }
    kubernetes(file, &refuse)?;
    repositories(file, &refuse)?;
    accounts(file, &refuse)?;
    if let Some(proxy) = &file.proxy {
        for (key, url) in [("http", &proxy.http), ("https", &proxy.https)] {
            let Some(url) = url else { continue };
            if credentials(url) {
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

/// At most one closure is the root's system, and nothing else is.
fn nix(file: &ProfileFile, refuse: &Refuse<'_>) -> Result<()> {
    let mut systems = file.nix.iter().filter(|one| one.system);
    let Some(first) = systems.next() else {
        return Ok(());
    };
    if let Some(second) = systems.next() {
        return refuse(
            &format!(
                "`{}` and `{}` are both the node's system",
                first.name, second.name
            ),
            "a node has one: take `system` out of the other",
            &["nix", "name"],
            Some(&second.name),
        );
    }
    let other = match (&file.debian, &file.base) {
        (Some(_), _) => "[debian]",
        (None, Some(base)) if base.image.is_some() => "[base.image]",
        _ => return Ok(()),
    };
    refuse(
        &format!(
            "the system `{}` and `{other}` exclude each other",
            first.name
        ),
        "a NixOS system is a whole root: keep one, or take `system` out",
        &["nix", "name"],
        Some(&first.name),
    )
}

fn no_proxy(host: &str) -> bool {
    !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_:/*[]".contains(c))
}

type Refuse<'a> = dyn Fn(&str, &str, &[&str], Option<&str>) -> Result<()> + 'a;

/// No package can be installed over somebody else's image.
fn over_base(file: &ProfileFile, image: &BaseImage, refuse: &Refuse<'_>) -> Result<()> {
    let reference = image.reference.as_ref().and_then(ImageSource::reference);
    let parsed = reference.and_then(|text| text.parse::<ImageReference>().ok());
    if let Some(reference) = parsed.filter(|reference| !reference.is_full()) {
        let message = format!("`{reference}` is not a full reference");
        return refuse(
            &message,
            "give the registry, and a tag or digest, like `docker.io/library/debian:trixie`; a layout is `oci:DIR`",
            &["base", "image", "reference"],
            None,
        );
    }
    let package = Some(ReleaseSource::Package);
    let source = |one: Option<ReleaseSource>| one == package;
    let containerd = file.containerd.as_ref();
    let (runc, cni) = (file.runc.as_ref(), file.cni.as_ref());
    let kubelet = file.kubelet.as_ref();
    let from_package = [
        (
            "containerd",
            containerd.is_some_and(|one| source(one.source)),
        ),
        ("runc", runc.is_some_and(|one| source(one.source))),
        ("cni", cni.is_some_and(|one| source(one.source))),
        (
            "kubelet",
            kubelet.is_some_and(|one| one.source == Some(KubeletSource::Package)),
        ),
    ];
    let named = [
        (
            "containerd",
            containerd.is_some_and(|one| one.package.is_some()),
        ),
        ("runc", runc.is_some_and(|one| one.package.is_some())),
        ("cni", cni.is_some_and(|one| one.package.is_some())),
        ("kubelet", kubelet.is_some_and(|one| one.package.is_some())),
    ];
    let keys = from_package
        .iter()
        .map(|(section, is)| (*section, "source", *is));
    let keys = keys.chain(named.iter().map(|(section, is)| (*section, "package", *is)));
    for (section, key, is) in keys {
        if is {
            let message = format!("{section} comes from a package, but the root is an image");
            return refuse(
                &message,
                "set `source = \"release\"`; or take it out, and what the image has is used",
                &[section, key],
                None,
            );
        }
    }
    let kernel = file.kernel.as_ref().and_then(|one| one.package.as_ref());
    if kernel.is_some_and(|package| package.as_str() != "none") {
        return refuse(
            "the kernel comes from a package, but the root is an image",
            "take `package` out: the image's own kernel is used",
            &["kernel", "package"],
            None,
        );
    }
    Ok(())
}

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
    if let Some(containerd) = &file.containerd
        && containerd.r#static.is_some()
        && containerd.source != Some(ReleaseSource::Release)
    {
        return refuse(
            "only a release of containerd has a static build",
            "set `source = \"release\"`, or take `static` out",
            &["containerd", "static"],
            None,
        );
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
    let mut images = file.images.iter().map(|image| &image.reference);
    if let Some(image) = images.find(|image| !image.is_full()) {
        let message = format!("`{image}` is not a full reference");
        return refuse(
            &message,
            "give the registry and the tag, like `registry.k8s.io/pause:3.10`: pods ask for it word for word",
            &["images", "reference"],
            Some(image),
        );
    }
    let digests = file.images.iter().filter_map(|image| {
        let own = image.reference.split_once('@')?.1;
        Some((&image.reference, own, image.digest.as_deref()?))
    });
    let mut digests = digests.filter(|(_, own, digest)| own != digest);
    if let Some((image, ..)) = digests.next() {
        return refuse(
            "the image has one digest in its reference and another beside it",
            "keep the one that is meant",
            &["images", "reference"],
            Some(image),
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
