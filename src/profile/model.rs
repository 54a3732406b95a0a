//! A complete profile: every default filled in, plain data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::document::Document;
use super::file::{
    Architecture, Authority, BaseImage, Cni, Compression, Containerd, Crictl, Debian, File, Kernel,
    Kubelet, Locales, Modules, NixClosure, Pause, Preload, ProfileFile, Proxy, ReleaseSource,
    Repository, Role, Runc, Units, User,
};
use super::value::{
    AbsolutePath, ImageDigest, ImageSource, LocalFile, PackageChoice, Scalar, SysctlKey,
};
use crate::error::{Error, Kind, Place, Result};

/// What is wanted, complete. Serialises to the same JSON on every machine:
/// local files stand in it by their path relative to the profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Profile {
    /// The image's name.
    pub name: String,
    /// The image's version.
    pub version: String,
    /// What it is for.
    pub description: Option<String>,
    /// The architectures to build for; at least one.
    pub architectures: Vec<Architecture>,
    /// The OCI image.
    pub image: ImageSettings,
    /// The Kubernetes release and the node's part in it.
    pub kubernetes: KubernetesSettings,
    /// The root from a Debian archive; excludes `base_image`.
    pub debian: Option<DebianSettings>,
    /// The root from somebody else's image; excludes `debian`.
    pub base_image: Option<BaseImageSettings>,
    /// The kernel and its command line.
    pub kernel: Kernel,
    /// The container runtime.
    pub containerd: Containerd,
    /// The low-level runtime.
    pub runc: Runc,
    /// The network plug-ins.
    pub cni: Cni,
    /// The runtime's client.
    pub crictl: Crictl,
    /// The pod sandbox's image.
    pub pause: Pause,
    /// The node agent.
    pub kubelet: Kubelet,
    /// Kernel settings by name.
    pub sysctl: BTreeMap<SysctlKey, Scalar>,
    /// Kernel modules.
    pub modules: Modules,
    /// systemd units.
    pub units: Units,
    /// Files, links and removals, in the order given; one per path.
    pub files: Vec<File>,
    /// Users, in the order given; one per name.
    pub users: Vec<User>,
    /// Certificate authorities.
    pub authorities: Vec<Authority>,
    /// The proxy.
    pub proxy: Proxy,
    /// Container images that the node carries.
    pub images: Vec<Preload>,
    /// Closures of Nix; without `debian` and `base_image`, they are the root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nix: Vec<NixClosure>,
    /// The files that were read, the most specific first.
    #[serde(skip)]
    documents: Vec<Document>,
}

/// The OCI image, complete.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageSettings {
    /// How layers are compressed.
    pub compression: Compression,
    /// How hard; 0 without compression.
    pub level: i32,
    /// The most layers, 2 to 127: one is the configuration.
    pub layers: u8,
    /// Labels in the config.
    pub labels: BTreeMap<String, String>,
    /// Annotations on the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// Kubernetes, complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KubernetesSettings {
    /// A minor (`1.34`) or patch release (`1.34.2`), if any.
    pub version: Option<String>,
    /// The node's part.
    pub role: Role,
}

impl KubernetesSettings {
    /// The minor: 34 of `1.34.2`.
    #[must_use]
    pub fn minor(&self) -> Option<u32> {
        self.version.as_deref()?.split('.').nth(1)?.parse().ok()
    }
}

/// The Debian root, complete.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DebianSettings {
    /// The release by its code name.
    pub suite: String,
    /// The archive's components.
    pub components: Vec<String>,
    /// Whether `SUITE-updates` is read.
    pub updates: bool,
    /// Whether `SUITE-security` is read.
    pub security: bool,
    /// Packages as the profile lists them; see [`Profile::packages`] for all.
    pub packages: Vec<PackageChoice>,
    /// Local packages.
    pub debs: Vec<LocalFile>,
    /// What is left out.
    pub exclude: ExcludeSettings,
    /// The archive's mirror.
    pub mirror: Option<String>,
    /// The security archive's mirror.
    pub security_mirror: Option<String>,
    /// Mirrors for what the mirror has dropped.
    pub fallback_mirrors: Vec<String>,
    /// The keyring that signs the archive.
    pub keyring: Option<LocalFile>,
    /// Further repositories.
    pub repositories: Vec<Repository>,
}

/// Somebody else's image as the root, complete.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BaseImageSettings {
    /// Where it is.
    pub reference: ImageSource,
    /// The digest that it must have.
    pub digest: Option<ImageDigest>,
    /// Paths of it that the node does not have.
    pub remove: Vec<AbsolutePath>,
}

/// What is left out of packages, complete.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExcludeSettings {
    /// /usr/share/doc (but copyright files), info pages and the like.
    pub documentation: bool,
    /// Manual pages.
    pub man_pages: bool,
    /// Which translations.
    pub locales: Locales,
    /// Further patterns of absolute paths.
    pub paths: Vec<String>,
}

impl Profile {
    /// Reads the profile at `path` with all that it extends.
    ///
    /// # Errors
    /// Of kind [`Kind::Usage`], with its place, for anything that the profile
    /// cannot mean; [`Kind::Io`] where a file cannot be read.
    pub fn load(path: &Path) -> Result<Self> {
        super::load::load(path)
    }

    /// The files that were read, the most specific first.
    #[must_use]
    pub fn sources(&self) -> Vec<PathBuf> {
        self.documents
            .iter()
            .map(|document| document.file.clone())
            .collect()
    }

    /// Where something was said: the value of `keys` (`["debian", "suite"]`),
    /// or with `item` that text within the value (`["debian", "packages"]`,
    /// `containerd`). The most specific file is asked first.
    #[must_use]
    pub fn place(&self, keys: &[&str], item: Option<&str>) -> Option<Place> {
        place(&self.documents, keys, item)
    }

    /// Every package to install on `architecture` (Debian's name): those listed,
    /// those of components that come from packages, and the kernel's. Each is a
    /// name with `:ARCHITECTURE` or `=VERSION` where the profile gave one.
    #[must_use]
    pub fn packages(&self, architecture: &str) -> Vec<String> {
        let listed = self
            .debian
            .iter()
            .flat_map(|debian| &debian.packages)
            .map(PackageChoice::as_str);
        let components = [
            component(
                self.containerd.source,
                self.containerd.package.as_ref(),
                "containerd",
            ),
            component(self.runc.source, self.runc.package.as_ref(), "runc"),
            component(
                self.cni.source,
                self.cni.package.as_ref(),
                "containernetworking-plugins",
            ),
            match self.kubelet.source {
                Some(super::file::KubeletSource::Package) => {
                    Some(self.kubelet.package.as_deref().unwrap_or("kubelet"))
                }
                _ => None,
            },
            self.kernel
                .package
                .as_deref()
                .filter(|package| *package != "none"),
        ];
        let mut packages: Vec<String> = Vec::new();
        for choice in listed.chain(components.into_iter().flatten()) {
            let choice = choice.replace("{architecture}", architecture);
            let name = |choice: &str| choice.split('=').next().map(str::to_owned);
            // A version asked for in the list holds for the component too.
            if !packages.iter().any(|known| name(known) == name(&choice)) {
                packages.push(choice);
            }
        }
        packages
    }

    /// The fields that choose the inputs for `architecture`: what a lock depends
    /// on. Editing anything else never needs a new lock.
    #[must_use]
    pub fn selection(&self, architecture: &str) -> Value {
        let debian = self.debian.as_ref().map(|debian| {
            json!({
                "suite": debian.suite,
                "components": debian.components,
                "updates": debian.updates,
                "security": debian.security,
                "packages": self.packages(architecture),
                "debs": debian.debs,
                "repositories": debian.repositories,
            })
        });
        let sources: Vec<_> = self
            .files
            .iter()
            .filter_map(|file| file.source.as_ref())
            .collect();
        let registries = self.containerd.registries.values();
        let mut selection = json!({
            "debian": debian,
            "base-image": self.base_image.as_ref().map(|image| {
                json!({"reference": image.reference, "digest": image.digest})
            }),
            "kubernetes": self.kubernetes.version,
            "containerd": [json!(self.containerd.source), json!(self.containerd.version)],
            "runc": [json!(self.runc.source), json!(self.runc.version)],
            "cni": [json!(self.cni.source), json!(self.cni.version)],
            "crictl": [json!(self.crictl.source), json!(self.crictl.version), json!(self.crictl.file)],
            "kubelet": [json!(self.kubelet.source), json!(self.kubelet.version), json!(self.kubelet.file)],
            "pause": [json!(self.pause.image), json!(self.pause.preload)],
            "images": self.images,
            "files": sources,
            "authorities": self.authorities.iter().filter_map(Authority::file).collect::<Vec<_>>(),
            "registry-authorities": registries.filter_map(|registry| registry.ca.as_ref()).collect::<Vec<_>>(),
        });
        let releases = self.releases();
        // Only where there are any, so that locks without them stay as they are.
        if !releases.is_empty() {
            selection["releases"] = releases.iter().map(|one| one.name).collect();
        }
        if !self.nix.is_empty() {
            let inputs = self
                .nix
                .iter()
                .map(|one| json!([one.name, one.path, one.graph]));
            selection["nix"] = inputs.collect();
        }
        selection
    }

    /// Every local file that goes into the image: a build reads these and no others.
    #[must_use]
    pub fn local_files(&self) -> Vec<&LocalFile> {
        let mut files: Vec<&LocalFile> = Vec::new();
        files.extend(self.debian.iter().flat_map(|debian| &debian.debs));
        files.extend(self.files.iter().filter_map(|file| file.source.as_ref()));
        files.extend(self.authorities.iter().filter_map(Authority::file));
        files.extend(
            self.containerd
                .registries
                .values()
                .filter_map(|one| one.ca.as_ref()),
        );
        files.extend(&self.crictl.file);
        files.extend(&self.kubelet.file);
        files.sort();
        files.dedup();
        files
    }

    /// Fills in the defaults of what was left out.
    pub(super) fn complete(file: ProfileFile, documents: Vec<Document>) -> Result<Self> {
        let name = file
            .name
            .ok_or_else(|| missing("name", "name = \"my-node\"", &documents))?;
        let architectures = file.architecture.map(|list| list.0).unwrap_or_default();
        if architectures.is_empty() {
            return Err(missing(
                "architecture",
                "architecture = \"amd64\"",
                &documents,
            ));
        }
        let image = file.image.unwrap_or_default();
        let compression = image.compression.unwrap_or(Compression::Zstd);
        let kubernetes = file.kubernetes.unwrap_or_default();
        let debian = file
            .debian
            .map(|debian| complete_debian(debian, &documents))
            .transpose()?;
        Ok(Self {
            name: name.to_string(),
            version: file
                .version
                .map_or_else(|| "1".to_owned(), |version| version.to_string()),
            description: file.description.map(|text| text.to_string()),
            architectures,
            image: ImageSettings {
                compression,
                level: match (compression, image.level) {
                    (Compression::None, _) => 0,
                    (_, Some(level)) => level.get(),
                    (Compression::Zstd, None) => 3,
                    (Compression::Gzip, None) => 6,
                },
                layers: image.layers.map_or(64, super::value::LayerLimit::get),
                labels: image.labels,
                annotations: image.annotations,
            },
            kubernetes: KubernetesSettings {
                version: kubernetes
                    .version
                    .map(|version| version.to_string())
                    .filter(|version| version != "none"),
                role: kubernetes.role.unwrap_or_default(),
            },
            debian,
            base_image: file
                .base
                .and_then(|base| base.image)
                .map(|image| complete_base_image(image, &documents))
                .transpose()?,
            kernel: file.kernel.unwrap_or_default(),
            containerd: file.containerd.unwrap_or_default(),
            runc: file.runc.unwrap_or_default(),
            cni: file.cni.unwrap_or_default(),
            crictl: file.crictl.unwrap_or_default(),
            pause: file.pause.unwrap_or_default(),
            kubelet: file.kubelet.unwrap_or_default(),
            sysctl: file.sysctl.unwrap_or_default().0,
            modules: file.modules.unwrap_or_default(),
            units: file.units.unwrap_or_default(),
            files: file.files,
            users: file.users,
            authorities: file.certificates.unwrap_or_default().authorities,
            proxy: file.proxy.unwrap_or_default(),
            images: file.images,
            nix: file.nix,
            documents,
        })
    }
}

/// The package of a component, where the profile says that it comes from one.
fn component<'a>(
    source: Option<ReleaseSource>,
    package: Option<&'a PackageChoice>,
    default: &'a str,
) -> Option<&'a str> {
    match (source, package) {
        (Some(ReleaseSource::Package) | None, Some(package)) => Some(package),
        (Some(ReleaseSource::Package), None) => Some(default),
        _ => None,
    }
}

fn complete_debian(debian: Debian, documents: &[Document]) -> Result<DebianSettings> {
    let suite = debian.suite.ok_or_else(|| {
        let error = Error::new(Kind::Usage, "`[debian]` names no suite")
            .hint("for example: suite = \"trixie\"");
        match place(documents, &["debian"], None) {
            Some(place) => error.at(place),
            None => error,
        }
    })?;
    // The rolling suite is updated in place.
    let rolling = matches!(suite.as_str(), "sid" | "unstable" | "experimental");
    let exclude = debian.exclude.unwrap_or_default();
    Ok(DebianSettings {
        suite: suite.to_string(),
        components: debian.components.map_or_else(
            || vec!["main".to_owned()],
            |list| list.iter().map(ToString::to_string).collect(),
        ),
        updates: debian.updates.unwrap_or(!rolling),
        security: debian.security.unwrap_or(!rolling),
        packages: debian.packages,
        debs: debian.debs,
        exclude: ExcludeSettings {
            documentation: exclude.documentation.unwrap_or_default(),
            man_pages: exclude.man_pages.unwrap_or_default(),
            locales: exclude.locales.unwrap_or(Locales::All(false)),
            paths: exclude.paths.iter().map(ToString::to_string).collect(),
        },
        mirror: debian.mirror.map(|url| url.to_string()),
        security_mirror: debian.security_mirror.map(|url| url.to_string()),
        fallback_mirrors: debian
            .fallback_mirrors
            .iter()
            .map(ToString::to_string)
            .collect(),
        keyring: debian.keyring,
        repositories: debian.repository,
    })
}

fn complete_base_image(image: BaseImage, documents: &[Document]) -> Result<BaseImageSettings> {
    let reference = image.reference.ok_or_else(|| {
        let error = Error::new(Kind::Usage, "`[base.image]` names no image")
            .hint("for example: reference = \"registry.example/node-base:9\"");
        match place(documents, &["base", "image"], None) {
            Some(place) => error.at(place),
            None => error,
        }
    })?;
    Ok(BaseImageSettings {
        reference,
        digest: image.digest,
        remove: image.remove,
    })
}

/// Where something was said in any of the files, the most specific first.
pub(super) fn place(documents: &[Document], keys: &[&str], item: Option<&str>) -> Option<Place> {
    documents
        .iter()
        .find_map(|document| document.find(keys, item).map(|span| document.place(span)))
}

/// A key that every profile must have in the end; shown at the start of the file.
fn missing(key: &str, example: &str, documents: &[Document]) -> Error {
    let error = Error::new(Kind::Usage, format!("the profile has no `{key}`"))
        .hint(format!("write it at the top of the file: {example}"));
    match documents.first() {
        Some(document) => error.at(document.place(0..0)),
        None => error,
    }
}
