//! One profile file as it is written: every key may be left out.
//!
//! The doc comments here are the descriptions in the JSON schema.

mod components;
mod debian;
mod nix;
mod system;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use components::{
    Capability, Cni, Containerd, Crictl, CrictlSource, IpPreference, Kernel, Kubelet,
    KubeletSource, Pause, Preload, Registry, ReleaseSource, Rlimit, Runc, Streaming,
};
pub use debian::{Debian, Exclude, Locales, Repository};
pub use nix::{CopyToRoot, NixClosure, NixPermission};
pub use system::{Authority, Certificates, File, Modules, Proxy, Units, User};

use super::merge::{append, grow, merge_fields, replace};
use super::value::{
    AbsolutePath, CompressionLevel, ImageDigest, ImageSource, ImageVersion, KubernetesVersion,
    LayerLimit, LocalFile, Name, PlainText, Scalar, Settings,
};

/// A Nodelith profile: what node is wanted. Every key may be left out; what
/// extended profiles say holds then.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "Nodelith profile")]
pub struct ProfileFile {
    /// The image's name; os-release's `IMAGE_ID` and the output folder's name.
    pub name: Option<Name>,
    /// The image's version; os-release's `IMAGE_VERSION` and the image's tag. Default: `1`.
    pub version: Option<ImageVersion>,
    /// What the image is for, in one line.
    pub description: Option<PlainText>,
    /// The architecture to build for, or a list of several.
    pub architecture: Option<OneOrMany<Architecture>>,
    /// Profiles that this one builds on, relative to this file; later ones go over earlier ones.
    pub extends: Option<OneOrMany<String>>,
    /// The OCI image.
    pub image: Option<Image>,
    /// The Kubernetes release and this node's part in it.
    pub kubernetes: Option<Kubernetes>,
    /// The root filesystem from a Debian archive.
    pub debian: Option<Debian>,
    /// The root filesystem from somebody else's image.
    pub base: Option<Base>,
    /// The kernel and its command line.
    pub kernel: Option<Kernel>,
    /// The container runtime.
    pub containerd: Option<Containerd>,
    /// The low-level runtime that containerd calls.
    pub runc: Option<Runc>,
    /// The network plug-ins.
    pub cni: Option<Cni>,
    /// The command line client for the container runtime.
    pub crictl: Option<Crictl>,
    /// The image that holds a pod's namespaces.
    pub pause: Option<Pause>,
    /// The node agent.
    pub kubelet: Option<Kubelet>,
    /// Kernel settings by name.
    pub sysctl: Option<Settings>,
    /// Kernel modules.
    pub modules: Option<Modules>,
    /// systemd units.
    pub units: Option<Units>,
    /// Files of the node, by path.
    pub files: Vec<File>,
    /// Users of the node, by name.
    pub users: Vec<User>,
    /// Certificate authorities that the node trusts.
    pub certificates: Option<Certificates>,
    /// The proxy for containerd and kubelet.
    pub proxy: Option<Proxy>,
    /// Container images that are in the node from the start.
    pub images: Vec<Preload>,
    /// Closures of Nix that are in the node; without `debian` and `base`, they are the root.
    pub nix: Vec<NixClosure>,
}

/// One value or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let text = serde::de::value::StrDeserializer::new(text);
                Ok(OneOrMany(vec![T::deserialize(text)?]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(OneOrMany(items))
            }
        }

        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({
            "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }],
        })
    }
}

/// A machine's architecture, by Debian's name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Architecture {
    /// Debian's, OCI's and Go's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// The OCI image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// How layers are compressed. Default: `zstd`.
    pub compression: Option<Compression>,
    /// How hard to compress: 1 to 19 for zstd (default 3), 1 to 9 for gzip (default 6).
    pub level: Option<CompressionLevel>,
    /// The most layers that the image may have. Default: 64.
    pub layers: Option<LayerLimit>,
    /// Labels in the image's config.
    pub labels: BTreeMap<String, String>,
    /// Annotations on the image's manifest.
    pub annotations: BTreeMap<String, String>,
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Read by containerd from 1.5 on and by all current tools.
    Zstd,
    /// Read by everything.
    Gzip,
    /// For stores that compress themselves.
    None,
}

/// The Kubernetes release and this node's part in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kubernetes {
    /// A minor (`1.34`), a patch release (`1.34.2`), or `none`.
    pub version: Option<KubernetesVersion>,
    /// Whether the node runs the control plane. Default: `worker`.
    pub role: Option<Role>,
}

/// A node's part in its cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs pods.
    #[default]
    Worker,
    /// Runs the control plane's static pods too.
    ControlPlane,
}

/// The root filesystem from somebody else's image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Base {
    /// The image.
    pub image: Option<BaseImage>,
}

/// Somebody else's image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BaseImage {
    /// Where the image is.
    pub reference: Option<ImageSource>,
    /// The digest that it must have: an index's, or a manifest's.
    pub digest: Option<ImageDigest>,
    /// Paths of it that the node does not have.
    pub remove: Vec<AbsolutePath>,
}

replace!(
    bool,
    u16,
    u32,
    u64,
    String,
    Name,
    ImageVersion,
    PlainText,
    Compression,
    CompressionLevel,
    LayerLimit,
    KubernetesVersion,
    Role,
    LocalFile,
    Scalar,
    ImageDigest,
    ImageSource,
);
grow!(String);

impl<T> super::merge::Merge for OneOrMany<T> {
    fn merge(&mut self, over: Self) {
        *self = over;
    }
}

impl super::merge::Merge for ProfileFile {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over;
            name, version, description, architecture, image, kubernetes, debian, base, kernel,
            containerd, runc, cni, crictl, pause, kubelet, sysctl, modules, units, certificates,
            proxy,
        );
        append(&mut self.files, over.files, |a, b| a.path == b.path);
        append(&mut self.images, over.images, |a, b| {
            a.reference == b.reference
        });
        append(&mut self.nix, over.nix, |a, b| a.name == b.name);
        for user in over.users {
            match self.users.iter_mut().find(|known| known.name == user.name) {
                Some(known) => known.merge(user),
                None => self.users.push(user),
            }
        }
    }
}

impl super::merge::Merge for Image {
    fn merge(&mut self, over: Self) {
        // A level belongs to its compression.
        if over.compression.is_some() && over.compression != self.compression {
            self.level = None;
        }
        merge_fields!(self, over; compression, level, layers, labels, annotations);
    }
}

impl super::merge::Merge for Kubernetes {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; version, role);
    }
}

impl super::merge::Merge for BaseImage {
    fn merge(&mut self, over: Self) {
        // A digest belongs to its reference.
        if over.reference.is_some() {
            self.digest = None;
        }
        merge_fields!(self, over; reference, digest);
        append(&mut self.remove, over.remove, PartialEq::eq);
    }
}

impl super::merge::Merge for Base {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; image);
    }
}

impl ProfileFile {
    /// Every image that it names where it may be a local one.
    pub(super) fn image_sources(&mut self) -> Vec<&mut ImageSource> {
        let images = self.images.iter_mut().flat_map(|image| &mut image.source);
        let base = self.base.iter_mut().flat_map(|base| &mut base.image);
        images
            .chain(base.flat_map(|image| &mut image.reference))
            .collect()
    }

    /// Every local file that it names.
    pub(super) fn local_files(&mut self) -> Vec<&mut LocalFile> {
        let mut found = Vec::new();
        if let Some(debian) = &mut self.debian {
            debian.local_files(&mut found);
        }
        if let Some(kubelet) = &mut self.kubelet {
            found.extend(&mut kubelet.file);
        }
        if let Some(crictl) = &mut self.crictl {
            found.extend(&mut crictl.file);
        }
        if let Some(containerd) = &mut self.containerd {
            found.extend(
                containerd
                    .registries
                    .values_mut()
                    .flat_map(|registry| &mut registry.ca),
            );
        }
        found.extend(self.files.iter_mut().flat_map(|file| &mut file.source));
        found.extend(self.nix.iter_mut().flat_map(NixClosure::local_files));
        if let Some(certificates) = &mut self.certificates {
            found.extend(
                certificates
                    .authorities
                    .iter_mut()
                    .filter_map(Authority::file_mut),
            );
        }
        found
    }
}
