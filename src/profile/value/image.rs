//! Where an image is taken from: a registry, a layout, an archive.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::local::normal;
use super::rules::image_reference;
use super::{HINT_MARK, ImageReference};

/// Where an image is: `REFERENCE` or `docker://REFERENCE` in a registry, `oci:DIR[:TAG]`
/// in a layout, `oci-archive:FILE[:TAG]` in an archive. Local paths are written
/// relative to the profile that names them, as those of local files are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageSource {
    place: Place,
    /// The reference, or path and tag relative to the outermost profile's folder.
    rest: String,
    /// Path and tag, absolute.
    absolute: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Registry,
    Layout,
    Archive,
}

const LAYOUT: &str = "oci:";
const ARCHIVE: &str = "oci-archive:";

impl ImageSource {
    /// What a reference names in its registry.
    #[must_use]
    pub fn registry(reference: &ImageReference) -> Self {
        Self {
            place: Place::Registry,
            rest: reference.to_string(),
            absolute: PathBuf::new(),
        }
    }

    /// The reference, if it is in a registry.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        (self.place == Place::Registry).then_some(&self.rest)
    }

    /// The layout or archive, as [`Image::open`](crate::image::Image::open) takes it;
    /// none if it is in a registry.
    #[must_use]
    pub fn local(&self) -> Option<String> {
        let scheme = self.scheme();
        (self.place != Place::Registry).then(|| format!("{scheme}{}", self.absolute.display()))
    }

    fn scheme(&self) -> &'static str {
        match self.place {
            Place::Registry => "",
            Place::Layout => LAYOUT,
            Place::Archive => ARCHIVE,
        }
    }

    /// As [`LocalFile::settle`](super::LocalFile::settle). A tag has no parts that
    /// could be taken out of a path.
    pub(crate) fn settle(&mut self, prefix: &Path, folder: &Path) {
        if self.place != Place::Registry {
            let path = normal(&prefix.join(&self.rest));
            self.absolute = normal(&folder.join(&path));
            self.rest = path.to_string_lossy().into_owned();
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let local = |place, rest: &str| {
            let usable =
                !rest.is_empty() && !rest.starts_with(':') && !rest.contains(char::is_control);
            usable.then(|| (place, rest.to_owned()))
        };
        let (place, rest) = if let Some(rest) = text.strip_prefix(LAYOUT) {
            local(Place::Layout, rest)?
        } else if let Some(rest) = text.strip_prefix(ARCHIVE) {
            local(Place::Archive, rest)?
        } else {
            let rest = text.strip_prefix("docker://").unwrap_or(text);
            image_reference(rest).then(|| (Place::Registry, rest.to_owned()))?
        };
        Some(Self {
            place,
            rest,
            absolute: PathBuf::new(),
        })
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.scheme(), self.rest)
    }
}

impl Serialize for ImageSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = ImageSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("where an image is as a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ImageSource, E> {
                ImageSource::parse(text).ok_or_else(|| {
                    E::custom(format!(
                        "`{}` is not where an image is{HINT_MARK}write it like `registry.example/app:1.0`, `oci:images/app:1.0` or `oci-archive:images/app.tar`",
                        text.escape_debug()
                    ))
                })
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for ImageSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ImageSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where an image is: a reference in a registry, `oci:DIR[:TAG]`, or `oci-archive:FILE[:TAG]`; paths are relative to this profile.",
            "type": "string",
            "pattern": r"^(oci:[^:].*|oci-archive:[^:].*|(docker://)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?)$",
            "examples": ["registry.example/app:1.0", "oci:images/app:1.0", "oci-archive:images/app.tar"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_what_is_none() {
        for (text, shown, local) in [
            (
                "docker://registry.example/a:1",
                "registry.example/a:1",
                None,
            ),
            ("registry.example/a:1", "registry.example/a:1", None),
            (
                "oci:../x/./app:1.0",
                "oci:../x/app:1.0",
                Some("oci:/site/x/app:1.0"),
            ),
            (
                "oci-archive:a.tar:registry.example/a:1",
                "oci-archive:b/a.tar:registry.example/a:1",
                Some("oci-archive:/site/profiles/b/a.tar:registry.example/a:1"),
            ),
            ("oci:/else/app", "oci:/else/app", Some("oci:/else/app")),
        ] {
            let mut source: ImageSource = serde_json::from_value(text.into()).unwrap();
            let prefix = Path::new(if text.starts_with("oci-a") { "b" } else { "" });
            source.settle(prefix, Path::new("/site/profiles"));
            assert_eq!(source.to_string(), shown);
            assert_eq!(source.local().as_deref(), local, "{text}");
        }
        for text in ["", "oci:", "oci::1", "https://x/y", "A B", "oci-archive:\n"] {
            let source: Result<ImageSource, _> = serde_json::from_value(text.into());
            assert!(source.is_err(), "{text}");
        }
    }
}
