//! A node's identity: what tells it from the other nodes of its image, given at boot as
//! systemd credentials (systemd.system-credentials(7), and docs/identity.md).
//!
//! systemd has credentials of its own for the host name, root's SSH keys and the network;
//! ours, whose names begin with `nodelith.`, are for what Kubernetes asks of a node.
//! Files come of them by lines of tmpfiles.d(5) whose `^` means "the credential of this
//! name, or nothing": at each boot, before anything reads them.
//!
//! What systemd knows is read off the root: the unit that runs systemd-tmpfiles has
//! `ImportCredential=` from 254 on, which also takes credentials that are encrypted, and
//! `LoadCredential=` in 252 and 253. Earlier ones have no credentials for files.

use super::components::Components;
use super::draft::Draft;
use super::pairs;
use crate::error::Result;
use crate::profile::file::File;

/// Each with its file: `KIND PATH MODE`, as tmpfiles.d(5) has it.
const FILES: [(&str, &str); 5] = [
    (
        "nodelith.bootstrap-kubeconfig",
        "f+^ /etc/kubernetes/bootstrap-kubelet.conf 0600",
    ),
    ("nodelith.cluster-ca", "f+^ /etc/kubernetes/pki/ca.crt 0644"),
    (
        "nodelith.kubelet-config",
        "f+^ /var/lib/kubelet/config.yaml 0600",
    ),
    (
        "nodelith.kubelet-environment",
        "f+^ /etc/default/kubelet 0600",
    ),
    (
        "nodelith.registry-auth",
        "f+^ /var/lib/kubelet/config.json 0600",
    ),
];
/// Where /etc starts from the image at each boot, and has the bundle: appended to it.
const AUTHORITIES: (&str, &str) = (
    "nodelith.ca-certificates",
    "w+^ /etc/ssl/certs/ca-certificates.crt -",
);
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const JOIN: &str = "nodelith.kubeadm-join";

const TMPFILES: &str = "usr/lib/tmpfiles.d/nodelith-identity.conf";
const SETUP: &str = "usr/lib/systemd/system/systemd-tmpfiles-setup.service";
const SETUP_DROP_IN: &str =
    "usr/lib/systemd/system/systemd-tmpfiles-setup.service.d/20-nodelith.conf";
const KUBEADM: &str = "usr/bin/kubeadm";
const SSH_UNITS: [&str; 2] = ["ssh.service", "ssh.socket"];

/// What a unit can ask credentials with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// `ImportCredential=`, encrypted ones too.
    Import,
    /// `LoadCredential=`, as they are.
    Load,
}

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    host_keys(draft);
    let Some(takes) = takes(draft) else {
        return Ok(());
    };
    host_name(draft, takes);
    if pairs::minor(draft, components)?.is_some() {
        files(draft, takes);
        if has_kubeadm(draft) {
            join(draft, takes);
        }
    }
    Ok(())
}

/// Whether the node has kubeadm in the end: the profile's files come over the root's.
fn has_kubeadm(draft: &Draft<'_>) -> bool {
    let of_profile = |file: &&File| file.path.as_str().strip_prefix('/') == Some(KUBEADM);
    match draft.profile.files.iter().find(of_profile) {
        Some(file) => !file.remove,
        None => draft.node(KUBEADM).is_some(),
    }
}

fn takes(draft: &Draft<'_>) -> Option<Takes> {
    let unit = draft.read(SETUP)?;
    let has = |key: &str| unit.lines().any(|line| line.starts_with(key));
    match (has("ImportCredential="), has("LoadCredential=")) {
        (true, _) => Some(Takes::Import),
        (false, true) => Some(Takes::Load),
        (false, false) => None,
    }
}

impl Takes {
    /// The line of a unit that asks for one; without it the unit starts all the same.
    fn line(self, credential: &str) -> String {
        match self {
            Self::Import => format!("ImportCredential={credential}\n"),
            Self::Load => format!("LoadCredential={credential}\n"),
        }
    }

    /// That it was given, in a form that the unit can take.
    fn condition(self, credential: &str) -> String {
        match self {
            Self::Import => format!("ConditionCredential={credential}"),
            Self::Load => format!("ConditionPathExists=/run/credentials/@system/{credential}"),
        }
    }
}

/// Files of the node, and systemd-tmpfiles handed the credentials that they come from.
fn files(draft: &mut Draft<'_>, takes: Takes) {
    let mut lines = "# Each line does something where its credential was given.\n".to_owned();
    let mut asks = "[Service]\n".to_owned();
    let appends = draft.node(BUNDLE).is_some() && !draft.facts.is_bootc();
    for (credential, file) in FILES.into_iter().chain(appends.then_some(AUTHORITIES)) {
        let owner = if file.ends_with('-') { "-" } else { "root" };
        lines += &format!("{file} {owner} {owner} - {credential}\n");
        asks += &takes.line(credential);
    }
    draft.text(TMPFILES, &lines);
    draft.text(SETUP_DROP_IN, &asks);
}

/// Joins by the node's own kubeadm, which reads its configuration from memory: nothing
/// of it is left on the disk. It starts kubelet. It is no oneshot: multi-user.target, and so
/// the boot, would wait for it for minutes where no API server answers.
fn join(draft: &mut Draft<'_>, takes: Takes) {
    let unit = format!(
        "\
[Unit]
Description=Joining the cluster that the node was told of
{}
ConditionPathExists=!/etc/kubernetes/kubelet.conf
Wants=network-online.target
After=network-online.target time-sync.target containerd.service nodelith-images.service
StartLimitIntervalSec=0

[Service]
Type=exec
RemainAfterExit=yes
{}ExecStart=/{KUBEADM} join --config=%d/{JOIN} --ignore-preflight-errors={HALF_JOINED}
Restart=on-failure
RestartSec=30

[Install]
WantedBy=multi-user.target
",
        takes.condition(JOIN),
        takes.line(JOIN)
    );
    enabled(
        draft,
        "nodelith-join.service",
        &unit,
        &["multi-user.target"],
    );
}

/// What kubeadm would stumble over that an attempt of its own has left: without
/// kubelet.conf a node has not joined.
const HALF_JOINED: &str = "FileAvailable--etc-kubernetes-bootstrap-kubelet.conf,\
                           FileAvailable--etc-kubernetes-pki-ca.crt,Port-10250";

/// systemd itself takes the host name from 254 on, but not from an encrypted credential:
/// it asks before it can decrypt. This has the same precedence.
fn host_name(draft: &mut Draft<'_>, takes: Takes) {
    let condition = match takes {
        Takes::Import => "ConditionPathExists=/run/credentials/@encrypted/system.hostname".into(),
        Takes::Load => takes.condition("system.hostname"),
    };
    let unit = format!(
        "\
[Unit]
Description=Host name by credential
DefaultDependencies=no
{condition}
ConditionKernelCommandLine=!systemd.hostname
ConditionPathExists=!/etc/hostname
Before=network-pre.target sysinit.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
{}ExecStart=/bin/sh -c 'cat %d/system.hostname >/proc/sys/kernel/hostname'

[Install]
WantedBy=sysinit.target
",
        takes.line("system.hostname")
    );
    enabled(
        draft,
        "nodelith-hostname.service",
        &unit,
        &["sysinit.target"],
    );
}

/// SSH's keys of a host are made where there are none. Debian does that when the package
/// is installed, or at systemd's first boot, which no boot of an image is: the initrd
/// has made the machine's id.
fn host_keys(draft: &mut Draft<'_>) {
    const UNIT: &str = "\
[Unit]
Description=SSH keys of this host
ConditionPathIsReadWrite=/etc/ssh
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=ssh.service ssh.socket
";
    let has = |path: &str| draft.node(path).is_some();
    if has("usr/lib/systemd/system/ssh.service") && has("usr/bin/ssh-keygen") {
        enabled(draft, "nodelith-ssh-keys.service", UNIT, &SSH_UNITS);
    }
}

/// A unit, and the links by which it is started.
fn enabled(draft: &mut Draft<'_>, name: &str, unit: &str, wanting: &[&str]) {
    let path = format!("usr/lib/systemd/system/{name}");
    draft.text(&path, unit);
    for wanting in wanting {
        let link = format!("etc/systemd/system/{wanting}.wants/{name}");
        draft.link(&link, &format!("/{path}"));
    }
}
