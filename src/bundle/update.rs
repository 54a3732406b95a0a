//! Updates by systemd-sysupdate: what the files of an update are called, and the
//! transfer definitions (sysupdate.d(5)) by which a node finds them. Both are made from
//! the same names, so they fit each other: the files by `nodelith export`, the
//! definitions by the initrd of the version that runs.

use crate::error::{Error, Kind, Result};

/// How often a new version may be started before it counts as broken
/// (systemd's "Automatic Boot Assessment").
pub const TRIES: u32 = 3;

/// The least and the most that is kept: the version that runs, and another.
const INSTANCES: u32 = 2;

/// The longest name of a partition, in characters (UEFI 2.10, section 5.3.3).
const LONGEST: usize = 36;

/// Where unified kernel images are on the EFI system partition.
pub const UKIS: &str = "EFI/Linux";

/// The program of an image that marks a version as good.
pub const BLESS: &str = "usr/lib/systemd/systemd-bless-boot";
/// The program of an image that fetches and installs versions.
pub const SYSUPDATE: &str = "usr/lib/systemd/systemd-sysupdate";
/// The program of an image that makes partitions.
pub const REPART: &str = "usr/bin/systemd-repart";
/// The program of an image that makes the file system of `/var`, where distributions have it.
pub const MKFS: [&str; 2] = ["usr/sbin/mkfs.ext4", "usr/bin/mkfs.ext4"];

/// What a version is called: the image's id and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Of all versions.
    pub id: String,
    /// Of this one.
    pub version: String,
}

/// A file of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// The hashes over the root.
    Verity,
    /// The root.
    Root,
    /// The unified kernel image, by which the version becomes one that is started: the
    /// last to be installed.
    Uki,
}

impl File {
    /// In the order in which they are installed.
    pub const ALL: [Self; 3] = [Self::Verity, Self::Root, Self::Uki];

    /// What stands before and behind the partition's UUID, in the file's name.
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Verity => ("root-verity-", ".raw.gz"),
            Self::Root => ("root-", ".raw.gz"),
            Self::Uki => ("efi", ""),
        }
    }
}

impl Name {
    /// By an os-release: the image's own, or else the distribution's.
    #[must_use]
    pub fn of(os_release: &str) -> Self {
        let value = |key: &str| {
            let line = os_release
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            let value = line.trim().trim_matches(['"', '\'']);
            // What names of files may have.
            let plain = |one: char| {
                if one.is_ascii_alphanumeric() || "-.~^".contains(one) {
                    one
                } else {
                    '-'
                }
            };
            let value: String = value.chars().map(plain).collect();
            (!value.is_empty()).then_some(value)
        };
        let id = value("IMAGE_ID").or_else(|| value("ID"));
        let version = value("IMAGE_VERSION").or_else(|| value("VERSION_ID"));
        Self {
            id: id.unwrap_or_else(|| "linux".into()),
            version: version.unwrap_or_else(|| "0".into()),
        }
    }

    /// `ID_VERSION`: what partitions are called, and how names of files begin.
    #[must_use]
    pub fn versioned(&self) -> String {
        format!("{}_{}", self.id, self.version)
    }

    /// Whether systemd-sysupdate takes versions of this name.
    ///
    /// # Errors
    /// When it does not: the message says why.
    pub fn check(&self) -> Result<()> {
        let length = self.versioned().len();
        let (message, hint) =
            if let Some(strange) = self.version.chars().find(|one| "~^".contains(*one)) {
                let message = format!(
                    "systemd-sysupdate knows no version with `{strange}`, as in `{}`",
                    self.version
                );
                (message, "choose another `version` for the image".to_owned())
            } else if length > LONGEST {
                let message = format!(
                    "`{}` is too long for the name of a partition: it has {length} characters",
                    self.versioned()
                );
                let hint = format!(
                    "`name` and `version` of an image that is updated have {} at most",
                    LONGEST - 1
                );
                (message, hint)
            } else {
                return Ok(());
            };
        Err(Error::new(Kind::Usage, message).hint(hint))
    }

    /// What a file of an update is called; `uuid` is its partition's, in hexadecimal digits.
    #[must_use]
    pub fn file(&self, file: File, uuid: &str) -> String {
        let (before, behind) = file.parts();
        let uuid = if file == File::Uki { "" } else { uuid };
        format!("{}.{before}{uuid}{behind}", self.versioned())
    }
}

/// What a node's definitions are made of.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// The version that runs, which is never replaced.
    pub running: &'a Name,
    /// Where updates come from: a URL, or a folder of the node.
    pub source: &'a str,
    /// Whether `SHA256SUMS` must be signed.
    pub verify: bool,
    /// The device of the disk.
    pub disk: &'a str,
    /// Whether versions that come up are marked as good.
    pub blesses: bool,
}

/// The definitions: names, without what they end with, and texts.
#[must_use]
pub fn transfers(node: &Node<'_>) -> Vec<(&'static str, String)> {
    File::ALL
        .iter()
        .map(|file| {
            let name = match file {
                File::Verity => "50-nodelith-verity",
                File::Root => "60-nodelith-root",
                File::Uki => "90-nodelith-uki",
            };
            (name, transfer(node, *file))
        })
        .collect()
}

fn transfer(node: &Node<'_>, file: File) -> String {
    let any = Name {
        id: node.running.id.clone(),
        version: "@v".into(),
    };
    let kind = match node.source.starts_with('/') {
        true => "regular-file",
        false => "url-file",
    };
    let verify = if node.verify { "yes" } else { "no" };
    let target = match file {
        File::Verity => partition(node, &any, "root-verity"),
        File::Root => partition(node, &any, "root"),
        File::Uki => uki(node, &any),
    };
    format!(
        "[Transfer]\nProtectVersion={}\nVerify={verify}\n\n\
         [Source]\nType={kind}\nPath={}\nMatchPattern={}\n\n\
         [Target]\n{target}InstancesMax={INSTANCES}\n",
        node.running.version,
        // A specifier begins with it.
        node.source.replace('%', "%%"),
        any.file(file, "@u"),
    )
}

fn partition(node: &Node<'_>, any: &Name, kind: &str) -> String {
    format!(
        "Type=partition\nPath={}\nMatchPattern={}\nMatchPartitionType={kind}\nReadOnly=yes\n",
        node.disk,
        any.versioned()
    )
}

/// One that was started has its tries in its name.
fn uki(node: &Node<'_>, any: &Name) -> String {
    let plain = any.versioned();
    let counted = format!("{plain}+@l-@d.efi {plain}+@l.efi");
    let (names, tries) = match node.blesses {
        true => (
            format!("{counted} {plain}.efi"),
            format!("TriesLeft={TRIES}\nTriesDone=0\n"),
        ),
        false => (format!("{plain}.efi {counted}"), String::new()),
    };
    format!(
        "Type=regular-file\nPath=/{UKIS}\nPathRelativeTo=esp\nMatchPattern={names}\nMode=0444\n{tries}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str, version: &str) -> Name {
        Name {
            id: id.into(),
            version: version.into(),
        }
    }

    #[test]
    fn names_by_os_release() {
        for (text, found) in [
            ("ID=debian\nVERSION_ID=\"13\"\n", "debian_13"),
            (
                "ID=debian\nIMAGE_ID=node\nIMAGE_VERSION='2 b'\n",
                "node_2-b",
            ),
            ("", "linux_0"),
        ] {
            assert_eq!(Name::of(text).versioned(), found);
        }
    }

    #[test]
    fn names_that_sysupdate_does_not_take() {
        name("node", &"1".repeat(31)).check().unwrap();
        let message = |id: &str, version: &str| name(id, version).check().unwrap_err().message();
        assert_eq!(
            message("node", "1~rc"),
            "systemd-sysupdate knows no version with `~`, as in `1~rc`"
        );
        assert!(message("node", &"1".repeat(32)).ends_with("it has 37 characters"));
    }

    #[test]
    fn definitions_match_the_names_of_files() {
        let one = name("node", "1");
        assert_eq!(one.file(File::Root, "cafe"), "node_1.root-cafe.raw.gz");
        assert_eq!(one.file(File::Uki, "cafe"), "node_1.efi");
        let made = transfers(&Node {
            running: &one,
            source: "http://host/a%20b",
            verify: true,
            disk: "/dev/vda",
            blesses: true,
        });
        assert_eq!(
            made[0].1,
            "[Transfer]\nProtectVersion=1\nVerify=yes\n\n\
             [Source]\nType=url-file\nPath=http://host/a%%20b\n\
             MatchPattern=node_@v.root-verity-@u.raw.gz\n\n\
             [Target]\nType=partition\nPath=/dev/vda\nMatchPattern=node_@v\n\
             MatchPartitionType=root-verity\nReadOnly=yes\nInstancesMax=2\n"
        );
        let uki = &made[2].1;
        assert!(uki.contains("MatchPattern=node_@v.efi\n"), "{uki}");
        assert!(
            uki.contains("MatchPattern=node_@v+@l-@d.efi node_@v+@l.efi node_@v.efi\n"),
            "{uki}"
        );
        let plain = transfers(&Node {
            running: &one,
            source: "/var/updates",
            verify: false,
            disk: "/dev/vda",
            blesses: false,
        });
        let uki = &plain[2].1;
        assert!(
            uki.contains("Type=regular-file\nPath=/var/updates\n"),
            "{uki}"
        );
        assert!(
            !uki.contains("Tries") && uki.contains("MatchPattern=node_@v.efi node_@v+"),
            "{uki}"
        );
    }
}
