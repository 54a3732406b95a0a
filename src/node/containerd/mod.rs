//! containerd: its configuration, registries, and what its unit is given beside.

mod base_spec;
mod config;
pub(super) mod extra;
mod handlers;
mod known;
mod registries;

use super::components::Components;
use super::draft::Draft;
use super::pairs;
use crate::compat::{containerd, kubernetes};
use crate::error::Result;
use crate::profile::file::{Containerd, ReleaseSource};

/// Where containerd serves CRI.
pub(super) const ENDPOINT: &str = "unix:///run/containerd/containerd.sock";

const UNIT: &str = "usr/lib/systemd/system/containerd.service";
/// Before `50-proxy.conf`, and before whatever a site adds.
const DROP_IN: &str = "usr/lib/systemd/system/containerd.service.d/20-nodelith.conf";

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    let Some(version) = components.containerd else {
        return absent(draft);
    };
    let row = pairs::line(draft, version)?;
    let image = sandbox_image(draft, components, row)?;
    config::configure(draft, version, row, &image)?;
    registries::configure(draft, version)?;
    if draft.profile.containerd.source == Some(ReleaseSource::Release) {
        draft.text(UNIT, &own_unit(row));
    }
    unit(draft);
    Ok(())
}

/// A node without containerd has nothing to configure.
fn absent(draft: &Draft<'_>) -> Result<()> {
    let said = &draft.profile.containerd;
    let chosen = Containerd {
        source: said.source,
        package: said.package.clone(),
        version: said.version.clone(),
        ..Containerd::default()
    };
    if *said == chosen {
        return Ok(());
    }
    let message = "containerd is configured, but it is not in the node";
    Err(draft
        .refuse(message, &["containerd"], "")
        .hint("set `source = \"package\"` in `[containerd]`, or take the settings out"))
}

/// /etc/hosts, as Debian's netbase makes it.
const HOSTS: &str = "\
127.0.0.1\tlocalhost
::1\t\tlocalhost ip6-localhost ip6-loopback
ff02::1\t\tip6-allnodes
ff02::2\t\tip6-allrouters
";

/// containerd copies /etc/hosts for every pod, and runs none where it is not there:
/// since Debian 14 containerd does not depend on the package that makes it.
pub(super) fn hosts(draft: &mut Draft<'_>, components: &Components) {
    const PATH: &str = "etc/hosts";
    if components.containerd.is_some() && draft.node(PATH).is_none() {
        draft.text(PATH, HOSTS);
    }
}

/// The full reference of the sandbox image: the profile's, else what the
/// Kubernetes minor expects, else containerd's own.
pub(super) fn sandbox_image(
    draft: &mut Draft<'_>,
    components: &Components,
    row: &containerd::Row,
) -> Result<String> {
    let Some(version) = components.containerd else {
        return Ok(String::new());
    };
    if let Some(image) = &draft.profile.pause.image {
        let fault = containerd::fault("sandbox-image-with-digest", version);
        if let Some(fault) = fault.filter(|_| image.contains('@')) {
            let message = format!(
                "containerd {version} does not find a sandbox image that has tag and digest"
            );
            let fixed = fault
                .below
                .map(|below| format!(", or use containerd {below}"));
            let fixed = fixed.unwrap_or_default();
            return Err(draft
                .refuse(message, &["pause", "image"], image)
                .hint(format!("{}{fixed}", fault.instead)));
        }
        return Ok(image.to_string());
    }
    Ok(match pairs::minor(draft, components)? {
        Some((_, minor)) => minor.pause(),
        None => kubernetes::pause(row.pause(version)),
    })
}

/// Where containers' filesystems are kept.
pub(super) fn snapshotter<'a>(draft: &Draft<'a>) -> &'a str {
    let said = draft.profile.containerd.snapshotter.as_deref();
    said.unwrap_or("overlayfs")
}

/// The unit of a containerd that comes as a release, whose archive has none.
fn own_unit(row: &containerd::Row) -> String {
    let files = row.open_files.as_ref();
    let files = files.map(|limit| format!("LimitNOFILE={limit}\n"));
    format!(
        "\
[Unit]
Description=containerd, the container runtime
Documentation=https://containerd.io
After={}

[Service]
Type=notify
ExecStartPre=-/usr/sbin/modprobe overlay
ExecStart=/usr/bin/containerd
Restart=always
RestartSec=5
# Containers go on while it is started again.
KillMode=process
Delegate=yes
LimitNPROC=infinity
LimitCORE=infinity
{}TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
",
        row.after,
        files.unwrap_or_default()
    )
}

fn unit(draft: &mut Draft<'_>) {
    let mut text = "[Unit]\nBefore=kubelet.service\n".to_owned();
    if let Some(limit) = draft.profile.containerd.open_files {
        // Containers inherit it.
        text += &format!("\n[Service]\nLimitNOFILE={limit}\n");
        draft.set("containerd.open-files", limit.to_string());
    }
    draft.text(DROP_IN, &text);
}
