//! What must go together: containerd with Kubernetes, and neither with Docker.

use super::components::Components;
use super::draft::Draft;
use crate::compat::pairs::Fit;
use crate::compat::{Known, Version, containerd, kubernetes};
use crate::error::Result;
use crate::profile::file::ReleaseSource;

/// Packages that bring the Docker daemon.
const DOCKER: [&str; 4] = ["docker.io", "docker-ce", "docker-engine", "moby-engine"];
const DOCKER_UNITS: [&str; 2] = ["docker.service", "docker.socket"];

pub(super) fn check(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    let Some(version) = components.containerd else {
        return Ok(());
    };
    docker(draft)?;
    let line = line(draft, version)?;
    if let Some(minor) = minor(draft, components)? {
        pair(draft, version, line, minor)?;
    }
    Ok(())
}

fn docker(draft: &Draft<'_>) -> Result<()> {
    let mut units = DOCKER_UNITS.iter();
    let found = units.find(|unit| {
        draft
            .node(&format!("usr/lib/systemd/system/{unit}"))
            .is_some()
    });
    if found.is_none() {
        return Ok(());
    }
    let keys = ["debian", "packages"];
    let mut packages = DOCKER.iter();
    let listed = packages.find(|name| draft.profile.place(&keys, Some(name)).is_some());
    let message = "the node has the Docker daemon, beside containerd that runs its pods";
    Err(draft
        .refuse(message, &keys, listed.copied().unwrap_or_default())
        .hint("take its package out: kubelet has no use for it from 1.24 on, and both rewrite iptables"))
}

/// The row of the node's containerd.
pub(super) fn line(draft: &mut Draft<'_>, version: Version) -> Result<&'static containerd::Row> {
    let oldest = containerd::oldest_configured();
    let known = containerd::line(version).filter(|known| known.row.line >= oldest);
    let Some(Known { row, newer }) = known else {
        return Err(draft
            .refuse(
                format!("containerd {version} is too old: {oldest} is the oldest line that can be configured"),
                &["containerd"],
                "",
            )
            .hint("choose a newer suite, or give containerd's package from another repository"));
    };
    if newer {
        draft.warn(format!(
            "containerd {version} is newer than all that are known: it is configured like {}",
            row.line
        ));
    }
    Ok(row)
}

/// The minor of the node's kubelet: of the one that it carries, or that the profile names.
pub(super) fn minor(
    draft: &mut Draft<'_>,
    components: &Components,
) -> Result<Option<(u32, &'static kubernetes::Minor)>> {
    let carried = components.kubelet.map(|version| version.minor);
    let Some(number) = carried.or_else(|| draft.profile.kubernetes.minor()) else {
        return Ok(None);
    };
    let Some(Known { row, newer }) = kubernetes::minor(number) else {
        let message = format!("Kubernetes 1.{number} is older than all that are known");
        return Err(draft.refuse(message, &["kubernetes", "version"], ""));
    };
    if newer {
        draft.warn(format!(
            "Kubernetes 1.{number} is newer than all that are known: the node is made as for 1.{}",
            row.minor
        ));
    }
    Ok(Some((number, row)))
}

fn pair(
    draft: &mut Draft<'_>,
    version: Version,
    line: &containerd::Row,
    (number, minor): (u32, &kubernetes::Minor),
) -> Result<()> {
    if minor.fit(line, version) == Fit::Impossible {
        let message = format!(
            "containerd {version} and Kubernetes 1.{number} do not go together: kubelet speaks CRI {}, containerd {}",
            minor.cri.join(" and "),
            line.cri.join(" and "),
        );
        let fitting: Vec<String> = containerd::lines()
            .iter()
            .filter(|row| row.line >= containerd::oldest_configured() && minor.speaks_with(row))
            .map(|row| row.line.to_string())
            .collect();
        let how = match draft.profile.containerd.source {
            Some(ReleaseSource::Release) => "set that as `version` in `[containerd]`",
            _ => "choose a suite that has it",
        };
        return Err(draft
            .refuse(message, &["kubernetes", "version"], "")
            .hint(format!(
                "containerd {} would do; {how}, or another Kubernetes version",
                fitting.join(", ")
            )));
    }
    if minor.fit(line, version) == Fit::Unlisted {
        let published: Vec<String> = minor.containerd.iter().map(ToString::to_string).collect();
        draft.warn(format!(
            "containerd {version} is not among those published to go with Kubernetes 1.{number}: {} and later of each line",
            published.join(", ")
        ));
    }
    Ok(())
}
