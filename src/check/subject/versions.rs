//! The versions of what is in the node, and where each was read.

use super::Subject;
use crate::compat::Version;
use crate::image::annotations;

/// A version and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The version.
    pub version: Version,
    /// Where it was read.
    pub from: String,
}

/// The versions of the programs that make a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// containerd.
    pub containerd: Option<Said>,
    /// kubelet, or the Kubernetes release that the node is for.
    pub kubernetes: Option<Said>,
    /// crictl.
    pub crictl: Option<Said>,
    /// runc.
    pub runc: Option<Said>,
    /// The CNI plug-ins.
    pub cni: Option<Said>,
    /// systemd.
    pub systemd: Option<Said>,
}

/// Packages that bring a program, by distribution and vendor.
const CONTAINERD: [&str; 2] = ["containerd.io", "containerd"];
const KUBELET: [&str; 2] = ["kubelet", "kubernetes-node"];
const CRICTL: [&str; 2] = ["cri-tools", "crictl"];
const RUNC: [&str; 1] = ["runc"];
const CNI: [&str; 3] = [
    "kubernetes-cni",
    "containernetworking-plugins",
    "cni-plugins",
];
const SYSTEMD: [&str; 1] = ["systemd"];

impl Versions {
    /// What is known of a subject's versions: what was given, what its maker
    /// knows, what its programs say, what its packages say.
    #[must_use]
    pub fn find(subject: &Subject) -> Self {
        let said = |given: Option<Version>, option: &str, known: Option<Version>| {
            given
                .map(|version| (version, format!("`{option}`")))
                .or_else(|| known.map(|version| (version, "the profile".to_owned())))
                .map(|(version, from)| Said { version, from })
        };
        let (given, known) = (&subject.given, &subject.known);
        let kubernetes = said(given.kubernetes, "--kubernetes-version", known.kubernetes)
            .or_else(|| found(subject, "kubelet", &KUBELET))
            .or_else(|| labelled(subject));
        Self {
            containerd: said(given.containerd, "--containerd-version", known.containerd)
                .or_else(|| found(subject, "containerd", &CONTAINERD)),
            kubernetes,
            crictl: said(given.crictl, "--crictl-version", known.crictl)
                .or_else(|| found(subject, "crictl", &CRICTL)),
            runc: found(subject, "runc", &RUNC),
            cni: found(subject, "loopback", &CNI),
            systemd: packaged(subject, &SYSTEMD),
        }
    }
}

/// The program's own word, else its package's.
fn found(subject: &Subject, program: &str, packages: &[&str]) -> Option<Said> {
    let mut programs = subject.programs.iter();
    let said = programs.find_map(|(path, info)| {
        let version = (path.name() == program.as_bytes()).then(|| info.version())??;
        Some(Said {
            version,
            from: format!("/{path}"),
        })
    });
    said.or_else(|| released(subject, program))
        .or_else(|| packaged(subject, packages))
}

/// What an image of ours says of its releases.
fn released(subject: &Subject, program: &str) -> Option<Said> {
    let names: &[&str] = match program {
        "containerd" => &["containerd", "containerd-static"],
        "loopback" => &["cni-plugins"],
        // The built-in one has Nodelith's version.
        "crictl" if subject.labels.contains_key(annotations::CRICTL) => &[],
        other => &[other],
    };
    let said = subject.labels.get(annotations::COMPONENTS)?;
    said.split(',').find_map(|one| {
        let (name, rest) = one.split_once('=')?;
        let version = rest.split('@').next()?.parse().ok()?;
        names.contains(&name).then(|| Said {
            version,
            from: format!("release {name} {version}"),
        })
    })
}

fn packaged(subject: &Subject, names: &[&str]) -> Option<Said> {
    names.iter().find_map(|name| {
        let text = subject.packages.get(*name)?;
        let version = Version::of_package(text).or_else(|| {
            // systemd has versions of one number.
            let number = text.split(|c: char| !c.is_ascii_digit()).next()?;
            Some(Version {
                major: number.parse().ok()?,
                minor: 0,
                patch: 0,
            })
        })?;
        Some(Said {
            version,
            from: format!("package `{name}` {text}"),
        })
    })
}

/// What an image of ours says in its annotations.
fn labelled(subject: &Subject) -> Option<Said> {
    let key = annotations::KUBERNETES;
    let version = subject.labels.get(key)?.parse().ok()?;
    Some(Said {
        version,
        from: format!("annotation `{key}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_an_image_of_ours_have_versions() {
        let mut subject = Subject::new("image", true);
        subject.packages.insert("runc".into(), "1.1.15+ds1".into());
        let said = "cni-plugins=1.9.1@sha256:x,containerd-static=2.3.4@sha256:x,crictl=0.1.0@sha256:x,runc=1.4.3@sha256:x";
        let components = annotations::COMPONENTS.to_owned();
        subject.labels.insert(components, said.into());
        let crictl = annotations::CRICTL.to_owned();
        subject.labels.insert(crictl.clone(), "builtin".into());
        let version = |said: Option<Said>| said.map(|said| said.version.to_string());
        let found = Versions::find(&subject);
        assert_eq!(version(found.cni).as_deref(), Some("1.9.1"));
        assert_eq!(version(found.containerd).as_deref(), Some("2.3.4"));
        assert_eq!(version(found.runc).as_deref(), Some("1.4.3"));
        assert_eq!(version(found.crictl), None);
        subject.labels.remove(&crictl);
        let found = Versions::find(&subject);
        assert_eq!(version(found.crictl).as_deref(), Some("0.1.0"));
    }
}
