//! kubelet: what the node knows better than its cluster does.
//!
//! kubelet's configuration comes from the cluster when a node joins
//! (/var/lib/kubelet/config.yaml). What follows from the image instead (the
//! runtime's socket, the cgroup driver, where the node's resolver is) is given
//! beside it: as a configuration drop-in where kubelet reads such, as flags where
//! it has only flags. Both stand below /usr/lib, which no kept state shadows.
//!
//! Where the image carries no kubelet, the drop-in serves a unit that a site
//! brings: it sets `KUBELET_CONFIG_ARGS`, which units in kubeadm's style expand.

mod check;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::components::Components;
use super::containerd::extra::{flatten, lay};
use super::containerd::{ENDPOINT, sandbox_image};
use super::draft::Draft;
use super::{pairs, yaml};
use crate::compat::{containerd, kubelet, kubernetes};
use crate::error::Result;
use crate::profile::file::{KubeletSource, Role};

const UNIT: &str = "usr/lib/systemd/system/kubelet.service";
/// After kubeadm's `10-kubeadm.conf`, before `50-proxy.conf`.
const DROP_IN: &str = "usr/lib/systemd/system/kubelet.service.d/20-nodelith.conf";
/// Given to kubelet as `--config-dir`.
const CONFIG_FOLDER: &str = "usr/lib/kubernetes/kubelet.conf.d";
const CONFIG: &str = "usr/lib/kubernetes/kubelet.conf.d/20-nodelith.conf";
const TMPFILES: &str = "usr/lib/tmpfiles.d/nodelith-kubelet.conf";
const PROGRAM: &str = "usr/bin/kubelet";
/// Written by kubeadm when a node joins.
const JOINED_CONFIG: &str = "/var/lib/kubelet/config.yaml";
/// /usr/libexec, kubelet's default, cannot be written.
const VOLUME_PLUGINS: &str = "/var/lib/kubelet/volume-plugins";
const MANIFESTS: &str = "/etc/kubernetes/manifests";
/// The resolver's own list of servers: its stub is not reachable from pods.
const RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";
/// The flag that keeps an image, for runtimes that do not pin theirs.
const KEEPS_IMAGE: &str = "pod-infra-container-image";
const RESOLVED: &str = "systemd-resolved.service";

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    let Some((number, minor)) = pairs::minor(draft, components)? else {
        return check::without_version(draft);
    };
    // What kubelet is told where the image has another runtime is the profile's affair.
    let containerd = components.containerd.and_then(containerd::line);
    check::flags(draft, number)?;
    check::fields(draft, number, minor)?;
    let mut fields = own_fields(draft, containerd.is_some());
    let mut flags: BTreeMap<String, String> = BTreeMap::new();
    if let (Some(known), Some(version)) = (containerd, components.containerd) {
        flags.extend(kubelet::required(number).map(|(name, value)| (name.into(), value.into())));
        // Else kubelet would remove the sandbox image when the disk is full.
        if !known.row.pins(version) && kubelet::has_flag(KEEPS_IMAGE, number) == Some(true) {
            let image = sandbox_image(draft, components, known.row)?;
            flags.insert(KEEPS_IMAGE.into(), image);
        }
    }
    if minor.config_drop_ins.are_usable() {
        config(draft, number, &mut fields, &mut flags);
    }
    // What is not in a drop-in is given by the flag that means the same.
    for (field, value) in &fields {
        if let (Some(flag), Some(value)) = (kubelet::flag_of(field, number), value.as_str()) {
            flags.insert(flag.to_owned(), value.to_owned());
        }
    }
    for (name, value) in &draft.profile.kubelet.flags {
        flags.insert(name.to_string(), value.as_str().to_owned());
    }
    for (name, value) in &flags {
        draft.set(format!("kubelet.flag.{name}"), value.as_str());
    }
    check::cgroup_driver(draft, &flags, containerd.is_some())?;
    check::cgroup_version(draft, number, minor)?;
    unit(draft, minor, &flags, containerd.is_some())?;
    state(draft);
    Ok(())
}

/// What follows from the image, as fields of `KubeletConfiguration`.
fn own_fields(draft: &Draft<'_>, containerd: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    if containerd {
        fields.insert("cgroupDriver".into(), json!(check::driver(draft.profile)));
        fields.insert("containerRuntimeEndpoint".into(), json!(ENDPOINT));
    }
    let units = &draft.profile.units;
    let is_resolved = |unit: &crate::profile::value::UnitName| unit.as_str() == RESOLVED;
    let packaged = format!("etc/systemd/system/sysinit.target.wants/{RESOLVED}");
    let off = units.disable.iter().chain(&units.mask).any(is_resolved);
    if !off && (units.enable.iter().any(is_resolved) || draft.node(&packaged).is_some()) {
        fields.insert("resolvConf".into(), json!(RESOLV_CONF));
    }
    fields.insert("volumePluginDir".into(), json!(VOLUME_PLUGINS));
    if draft.profile.kubernetes.role == Role::ControlPlane {
        fields.insert("staticPodPath".into(), json!(MANIFESTS));
    }
    fields
}

/// The configuration drop-in, which takes from `fields` all that it can hold.
fn config(
    draft: &mut Draft<'_>,
    number: u32,
    fields: &mut Map<String, Value>,
    flags: &mut BTreeMap<String, String>,
) {
    let own = std::mem::take(fields);
    let (mut table, rest): (Map<_, _>, Map<_, _>) = own
        .into_iter()
        .partition(|(name, _)| kubelet::field(name).is_some_and(|field| field.from <= number));
    *fields = rest;
    lay(&mut table, &draft.profile.kubelet.config.0);
    let mut settings = Vec::new();
    flatten(
        "kubelet.config",
        &Value::Object(table.clone()),
        &mut settings,
    );
    for (name, value) in settings {
        draft.set(name, value);
    }
    let body = yaml::document(&table);
    let header = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    draft.text(CONFIG, &format!("{header}{body}"));
    flags.insert("config-dir".into(), format!("/{CONFIG_FOLDER}"));
}

/// The unit's drop-in; the program and its unit, where the profile brings them.
fn unit(
    draft: &mut Draft<'_>,
    minor: &kubernetes::Minor,
    flags: &BTreeMap<String, String>,
    containerd: bool,
) -> Result<()> {
    let kubelet = &draft.profile.kubelet;
    if let (Some(KubeletSource::File), Some(file)) = (kubelet.source, &kubelet.file) {
        let content = draft.local.content(file);
        let (size, content) =
            content.map_err(|error| draft.locate(error, &["kubelet", "file"], ""))?;
        draft.program("kubelet", PROGRAM, size, content);
        draft.set("kubelet.file", format!("{size} bytes from {file}"));
    }
    if matches!(
        kubelet.source,
        Some(KubeletSource::File | KubeletSource::Release)
    ) {
        draft.text(UNIT, OWN_UNIT);
    }
    let mut arguments = String::new();
    if !flags.contains_key("config") {
        arguments = format!("--config={JOINED_CONFIG}");
    }
    for (name, value) in flags {
        // systemd.unit(5): a percent sign begins a specifier.
        let value = value.replace('%', "%%");
        arguments += &format!(" --{name}={value}");
    }
    let arguments = arguments.trim_start();
    let mut text = format!("# Made by Nodelith for kubelet 1.{}.\n", minor.minor);
    if containerd {
        text += "[Unit]\nWants=containerd.service\nAfter=containerd.service\n\n";
    }
    text += &format!("[Service]\nEnvironment=\"KUBELET_CONFIG_ARGS={arguments}\"\n");
    if matches!(
        kubelet.source,
        Some(KubeletSource::File | KubeletSource::Package | KubeletSource::Release)
    ) {
        text += START;
    }
    draft.text(DROP_IN, &text);
    Ok(())
}

/// The unit of a kubelet that comes as a file or release.
const OWN_UNIT: &str = "\
[Unit]
Description=kubelet, the Kubernetes node agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
";

/// How a kubelet that is in the image is started: what kubeadm writes when the node
/// joins, and what an administrator adds, comes after what the image says.
const START: &str = "\
Environment=\"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf\"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
";

/// Folders of a node's state that kubelet or kubeadm take for granted.
fn state(draft: &mut Draft<'_>) {
    let mut text = format!(
        "d /var/lib/kubelet 0750 root root\n\
         d {VOLUME_PLUGINS} 0755 root root\n\
         d {MANIFESTS} 0700 root root\n"
    );
    if draft.profile.kubernetes.role == Role::ControlPlane {
        text += "d /var/lib/etcd 0700 root root\n";
    }
    let role = match draft.profile.kubernetes.role {
        Role::Worker => "worker",
        Role::ControlPlane => "control-plane",
    };
    draft.set("kubernetes.role", role);
    draft.text(TMPFILES, &text);
}
