//! Every annotation that we write, under one prefix, and those of the OCI image
//! specification ("Annotations", pre-defined keys) that we use.

/// The prefix of all our annotations and labels.
pub const PREFIX: &str = "io.nodelith.";

/// The format number, on manifests and on a layout's descriptors.
pub const FORMAT: &str = "io.nodelith.format";
/// The profile's name, on manifests.
pub const PROFILE: &str = "io.nodelith.profile";
/// The digest of the lock, on manifests.
pub const LOCK: &str = "io.nodelith.lock";
/// The Kubernetes version, on manifests.
pub const KUBERNETES: &str = "io.nodelith.kubernetes";
/// Where crictl comes from if not from upstream (`builtin`, `file`), on manifests.
pub const CRICTL: &str = "io.nodelith.crictl";
/// What a preloaded pause image is made from if it is a stand-in, on manifests.
pub const PAUSE: &str = "io.nodelith.pause";
/// The images that a profile has its node carry, `REFERENCE=DIGEST` with commas between, on
/// manifests.
pub const IMAGES: &str = "io.nodelith.images";
/// The releases in the node, `NAME=VERSION@DIGEST` with commas between, on manifests.
pub const COMPONENTS: &str = "io.nodelith.components";
/// Why errors that the build's check found were accepted, on manifests.
pub const ACCEPTED: &str = "io.nodelith.accepted-findings";
/// A layer's id in the plan, on layer descriptors.
pub const LAYER: &str = "io.nodelith.layer";
/// The number of a layer's entries other than directories, on layer descriptors.
pub const LAYER_FILES: &str = "io.nodelith.layer.files";
/// A layer's uncompressed size in bytes, on layer descriptors.
pub const LAYER_SIZE: &str = "io.nodelith.layer.size";

/// The tag, on a layout's descriptors.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full reference, on an archive's descriptors: containerd gives the image this name.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// The image's time (RFC 3339), on manifests.
pub const CREATED: &str = "org.opencontainers.image.created";
/// The image's id, on manifests.
pub const TITLE: &str = "org.opencontainers.image.title";
/// What the image is, in words, on manifests.
pub const DESCRIPTION: &str = "org.opencontainers.image.description";
/// The full reference of the image that this one is made on, on manifests.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The digest of the manifest of the image that this one is made on, on manifests.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The image's version, on manifests.
pub const VERSION: &str = "org.opencontainers.image.version";

/// Our own annotations: key, where it stands, what it says.
pub const ALL: &[(&str, &str, &str)] = &[
    (
        FORMAT,
        "manifest, layout descriptor",
        "the format number that decided the bytes",
    ),
    (PROFILE, "manifest", "the name of the profile"),
    (
        LOCK,
        "manifest",
        "the digest of the lock that pins all inputs",
    ),
    (
        KUBERNETES,
        "manifest",
        "the Kubernetes version that the node is made for",
    ),
    (
        CRICTL,
        "manifest",
        "`builtin` (it is `nodelith-crictl`) or `file`, where crictl is not upstream's",
    ),
    (
        COMPONENTS,
        "manifest",
        "the releases in the node: `NAME=VERSION@DIGEST`, with commas between",
    ),
    (
        IMAGES,
        "manifest",
        "the images that the profile has the node carry: `REFERENCE=DIGEST`, with commas between",
    ),
    (
        PAUSE,
        "manifest",
        "what the pause image in the node is made from, where it is a stand-in",
    ),
    (
        ACCEPTED,
        "manifest",
        "why errors that the build's check found were accepted, if there were any",
    ),
    (LAYER, "layer descriptor", "the layer's id in the plan"),
    (
        LAYER_FILES,
        "layer descriptor",
        "how many entries other than directories it holds",
    ),
    (
        LAYER_SIZE,
        "layer descriptor",
        "its uncompressed size in bytes",
    ),
];

#[cfg(test)]
mod tests {
    #[test]
    fn all_have_the_prefix_and_stand_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (key, place, says) in super::ALL {
            assert!(key.starts_with(super::PREFIX) && seen.insert(key));
            assert!(!place.is_empty() && !says.is_empty());
        }
    }
}
