//! The kernel and what runs pods: containerd, runc, CNI, crictl, pause, kubelet.
//!
//! What is not said here follows from the versions; the version tables know.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::profile::merge::{Merge, merge_fields, replace};
use crate::profile::value::{
    AbsolutePath, Argument, FlagName, FreeForm, ImageDigest, ImageReference, ImageSource,
    LocalFile, PackageChoice, PluginName, RegistryHost, Release, Scalar, TimeSpan, Url,
};

/// The kernel and its command line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kernel {
    /// The kernel's package (`{architecture}` stands for the image's), or `none`.
    pub package: Option<PackageChoice>,
    /// Arguments of the kernel command line.
    pub command_line: Vec<Argument>,
    /// Arguments taken off those of extended profiles.
    pub command_line_remove: Vec<Argument>,
}

/// Where a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseSource {
    /// A package of the archive.
    Package,
    /// Upstream's release, by version and digest.
    Release,
    /// Nowhere: the node has none.
    None,
}

/// The container runtime.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Containerd {
    /// Where it comes from. Default: `package`.
    pub source: Option<ReleaseSource>,
    /// The package's name. Default: `containerd`.
    pub package: Option<PackageChoice>,
    /// The release: a line (`2.3`) for its newest known, or a whole version.
    pub version: Option<Release>,
    /// Whether the release is the static build, for roots with an old C library. Default: false.
    pub r#static: Option<bool>,
    /// The snapshotter. Default: `overlayfs`.
    pub snapshotter: Option<PluginName>,
    /// Whether systemd manages cgroups. Default: true.
    pub systemd_cgroup: Option<bool>,
    /// The runtime handler for pods that name none. Default: `runc`.
    pub default_runtime: Option<PluginName>,
    /// Further runtime handlers by name, each with the keys of containerd's `runtimes` table.
    pub runtimes: BTreeMap<String, FreeForm>,
    /// Registries by host, with their mirrors.
    pub registries: BTreeMap<RegistryHost, Registry>,
    /// The server that `kubectl exec`, `attach` and `port-forward` reach.
    pub streaming: Option<Streaming>,
    /// The longest line of a container's log, in bytes; 0 for no limit. Default: 16384.
    pub log_line_size: Option<u32>,
    /// How many layers to download at once. Default: containerd's.
    pub concurrent_downloads: Option<u16>,
    /// How long a pull may stand still. Default: containerd's.
    pub pull_progress_timeout: Option<TimeSpan>,
    /// Whether containers get `SELinux` labels. Default: false.
    pub selinux: Option<bool>,
    /// From how many categories a container's label is chosen. Default: 1024.
    pub selinux_categories: Option<u32>,
    /// Whether devices are owned by the container's user. Default: false.
    pub device_ownership: Option<bool>,
    /// Whether devices are found through CDI. Default: containerd's.
    pub cdi: Option<bool>,
    /// The folders of CDI's descriptions. Default: containerd's.
    pub cdi_directories: Option<Vec<AbsolutePath>>,
    /// Whether NRI plug-ins may connect. Default: containerd's.
    pub nri: Option<bool>,
    /// Whether containers may listen below port 1024 without privileges. Default: containerd's.
    pub unprivileged_ports: Option<bool>,
    /// Whether containers may send pings without privileges. Default: containerd's.
    pub unprivileged_icmp: Option<bool>,
    /// How many files containerd, and a container by default, may have open. Default: what
    /// containerd's unit says.
    pub open_files: Option<u32>,
    /// Limits of every container, each a number, `SOFT:HARD` or `unlimited`. Default: containerd's own.
    pub rlimits: BTreeMap<Rlimit, Scalar>,
    /// Whether files in /etc/containerd/conf.d go over the configuration. Default: false.
    pub drop_ins: Option<bool>,
    /// Anything else for containerd's config.toml, merged over what is generated.
    pub extra: FreeForm,
}

/// A limit of a process (getrlimit(2)).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "getrlimit(2) describes them")]
pub enum Rlimit {
    As,
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Rttime,
    Sigpending,
    Stack,
}

/// A registry's mirrors and how it is reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registry {
    /// The registry's own address, where it is not `https://HOST`.
    pub server: Option<Url>,
    /// Mirrors, tried in this order before the registry itself.
    pub mirrors: Option<Vec<Url>>,
    /// Whether the registry itself is never asked. Default: false.
    pub only_mirrors: Option<bool>,
    /// What mirrors are asked for. Default: `pull` and `resolve`.
    pub capabilities: Option<Vec<Capability>>,
    /// The certificate authority of the mirrors and the registry.
    pub ca: Option<LocalFile>,
    /// The client's certificate: a file that the node has, not the image.
    pub client_certificate: Option<AbsolutePath>,
    /// The client's key: a file that the node has, not the image.
    pub client_key: Option<AbsolutePath>,
    /// Headers of every request to the mirrors and the registry, without secrets.
    pub headers: BTreeMap<String, Scalar>,
    /// How long to wait for a connection. Default: `30s`.
    pub dial_timeout: Option<TimeSpan>,
    /// Whether certificates are not checked. Default: false.
    pub skip_verify: Option<bool>,
    /// Whether the mirrors' paths are used as they are, without `/v2`. Default: false.
    pub override_path: Option<bool>,
}

/// What a mirror may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Content by digest.
    Pull,
    /// Which digest a tag has.
    Resolve,
    /// To take content.
    Push,
    /// What refers to a digest.
    Referrers,
}

/// containerd's streaming server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Streaming {
    /// The address that it listens on. Default: `127.0.0.1`.
    pub address: Option<String>,
    /// The port that it listens on; 0 for any. Default: 0.
    pub port: Option<u16>,
    /// When an idle connection is closed. Default: `4h`.
    pub idle_timeout: Option<TimeSpan>,
    /// The certificate file in the node, for TLS.
    pub tls_certificate: Option<AbsolutePath>,
    /// The key file in the node, for TLS.
    pub tls_key: Option<AbsolutePath>,
}

/// The low-level runtime that containerd calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Runc {
    /// Where it comes from. Default: `package`.
    pub source: Option<ReleaseSource>,
    /// The package's name. Default: `runc`.
    pub package: Option<PackageChoice>,
    /// The release: a line (`1.4`) for its newest known, or a whole version.
    pub version: Option<Release>,
}

/// The network plug-ins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cni {
    /// Where they come from. Default: `package`.
    pub source: Option<ReleaseSource>,
    /// The package's name. Default: `containernetworking-plugins`.
    pub package: Option<PackageChoice>,
    /// The release: a line (`1.9`) for its newest known, or a whole version.
    pub version: Option<Release>,
    /// The folder of the plug-ins in the node. Default: `/opt/cni/bin`.
    pub bin_dir: Option<AbsolutePath>,
    /// The folder of network configurations in the node. Default: `/etc/cni/net.d`.
    pub conf_dir: Option<AbsolutePath>,
    /// How many network configurations a pod gets, one after the other. Default: 1.
    pub max_conf: Option<u16>,
    /// Which of a pod's addresses is its first. Default: the IPv4 one.
    pub ip_preference: Option<IpPreference>,
    /// The plug-ins that the node has, if not all.
    pub plugins: Option<Vec<PluginName>>,
}

/// Which of a pod's addresses is its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpPreference {
    /// The first that is IPv4.
    Ipv4,
    /// The first that is IPv6.
    Ipv6,
    /// The first that the network plug-in gives.
    Cni,
}

/// The command line client for the container runtime.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Crictl {
    /// Where it comes from. Default: `none`.
    pub source: Option<CrictlSource>,
    /// The release: a line or a whole version. Default: the newest known of the Kubernetes
    /// minor, else of the nearest older one.
    pub version: Option<Release>,
    /// A local file to install, with `source = "file"`.
    pub file: Option<LocalFile>,
    /// Seconds to wait for the runtime. Default: crictl's.
    pub timeout: Option<u32>,
    /// Whether it prints what it does. Default: false.
    pub debug: Option<bool>,
    /// Whether `crictl create` pulls the image first. Default: false.
    pub pull_image_on_create: Option<bool>,
    /// Whether `crictl run` pulls no image. Default: false.
    pub disable_pull_on_run: Option<bool>,
    /// How often it asks again. Default: crictl's.
    pub max_retries: Option<u16>,
}

/// Where crictl comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CrictlSource {
    /// Upstream's release, by version and digest.
    Release,
    /// Nodelith's own small client, which has crictl's most used commands.
    Builtin,
    /// A local file.
    File,
    /// Nowhere: the node has none.
    None,
}

/// The image that holds a pod's namespaces.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pause {
    /// Its full reference, with registry and tag. Default: what the Kubernetes minor expects.
    pub image: Option<ImageReference>,
    /// Whether it is in the node from the start. Default: false.
    pub preload: Option<bool>,
}

/// The node agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kubelet {
    /// Where it comes from. Default: `none`.
    pub source: Option<KubeletSource>,
    /// The package's name. Default: `kubelet`.
    pub package: Option<PackageChoice>,
    /// The release: a line or a whole version. Default: the Kubernetes version.
    pub version: Option<Release>,
    /// A local file to install, with `source = "file"`.
    pub file: Option<LocalFile>,
    /// Command line flags by name.
    pub flags: BTreeMap<FlagName, Scalar>,
    /// Fields of `KubeletConfiguration`.
    pub config: FreeForm,
}

/// Where kubelet comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KubeletSource {
    /// Upstream's release, by version and digest.
    Release,
    /// A package of a repository.
    Package,
    /// A local file.
    File,
    /// Nowhere: only its configuration is in the node.
    None,
}

/// A container image that is in the node from the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Preload {
    /// Its full reference, with registry and tag: the name that pods ask for.
    pub reference: ImageReference,
    /// Where it is taken from. Default: the registry that the reference names.
    pub source: Option<ImageSource>,
    /// The digest that it must have: an index's, or a manifest's.
    pub digest: Option<ImageDigest>,
}

replace!(
    AbsolutePath,
    CrictlSource,
    ImageReference,
    IpPreference,
    KubeletSource,
    PackageChoice,
    PluginName,
    Release,
    ReleaseSource,
    TimeSpan,
    Vec<AbsolutePath>,
    Vec<PluginName>,
);

/// A list that a more specific profile replaces: the order of mirrors is meant.
impl Merge for Registry {
    fn merge(&mut self, over: Self) {
        if over.mirrors.is_some() {
            self.mirrors = over.mirrors;
        }
        if over.capabilities.is_some() {
            self.capabilities = over.capabilities;
        }
        merge_fields!(self, over;
            server, only_mirrors, ca, client_certificate, client_key, headers, dial_timeout,
            skip_verify, override_path,
        );
    }
}

impl Merge for Kernel {
    fn merge(&mut self, over: Self) {
        self.command_line
            .retain(|argument| !over.command_line_remove.contains(argument));
        self.command_line_remove
            .retain(|argument| !over.command_line.contains(argument));
        crate::profile::merge::append(&mut self.command_line, over.command_line, PartialEq::eq);
        self.command_line_remove.extend(over.command_line_remove);
        merge_fields!(self, over; package);
    }
}

impl Merge for Containerd {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over;
            source, package, version, r#static, snapshotter, systemd_cgroup, default_runtime, runtimes,
            registries, streaming, log_line_size, concurrent_downloads, pull_progress_timeout,
            selinux, selinux_categories, device_ownership, cdi, cdi_directories, nri, unprivileged_ports, unprivileged_icmp,
            open_files, rlimits, drop_ins, extra,
        );
    }
}

impl Merge for Streaming {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; address, port, idle_timeout, tls_certificate, tls_key);
    }
}

impl Merge for Runc {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; source, package, version);
    }
}

impl Merge for Cni {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; source, package, version, bin_dir, conf_dir, max_conf, ip_preference, plugins);
    }
}

impl Merge for Crictl {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over;
            source, version, file, timeout, debug, pull_image_on_create, disable_pull_on_run,
            max_retries,
        );
    }
}

impl Merge for Pause {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; image, preload);
    }
}

impl Merge for Kubelet {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; source, package, version, file, flags, config);
    }
}
