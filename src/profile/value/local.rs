//! Files of the user's machine that a profile names.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A local file. It is written relative to the profile that names it; once the
/// profile is loaded, [`LocalFile::path`] is relative to the folder of the
/// outermost profile, so that it is the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalFile {
    path: String,
    absolute: PathBuf,
}

impl LocalFile {
    /// The path relative to the outermost profile's folder, or absolute if it
    /// was written so. This is the file's name in the lock.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where to read it.
    #[must_use]
    pub fn absolute(&self) -> &Path {
        &self.absolute
    }

    /// Settles where the file is: `prefix` leads from the outermost profile's
    /// folder to that of the profile that names it, `folder` is the absolute
    /// folder of the outermost profile.
    pub(crate) fn settle(&mut self, prefix: &Path, folder: &Path) {
        let path = normal(&prefix.join(&self.path));
        self.absolute = normal(&folder.join(&path));
        self.path = path.to_string_lossy().into_owned();
    }
}

/// Takes `.` and, where a name stands before it, `..` out of a path.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match result.components().next_back() {
                Some(Component::Normal(_)) => {
                    result.pop();
                }
                Some(Component::RootDir) => {}
                _ => result.push(".."),
            },
            other => result.push(other),
        }
    }
    result
}

impl fmt::Display for LocalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl Serialize for LocalFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.path)
    }
}

impl<'de> Deserialize<'de> for LocalFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = LocalFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path to a local file as a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<LocalFile, E> {
                if text.is_empty() || text.ends_with('/') || text.contains(char::is_control) {
                    return Err(E::custom(format!(
                        "`{}` is not a path to a local file\u{1f}write it relative to this profile, like `files/motd`",
                        text.escape_debug()
                    )));
                }
                Ok(LocalFile {
                    path: text.to_owned(),
                    absolute: PathBuf::new(),
                })
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for LocalFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LocalFile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A local file, relative to this profile.",
            "type": "string",
            "pattern": r"^[^\u0000-\u001f]*[^\u0000-\u001f/]$",
            "examples": ["files/motd"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_dots() {
        for (given, result) in [
            ("a/./b", "a/b"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/a/../../b", "/b"),
        ] {
            assert_eq!(normal(Path::new(given)), Path::new(result), "{given}");
        }
    }
}
