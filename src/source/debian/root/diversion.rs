//! What dpkg's database says about single paths: diversions (`dpkg-divert(1)`)
//! and overridden owners and modes (`dpkg-statoverride(1)`).
//!
//! Both name paths as archives do, so aliases such as `/bin` are not followed.

use std::collections::BTreeMap;

use super::rootdir::RootDir;
use crate::error::{Error, Kind, Result};

/// `/var/lib/dpkg/diversions`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Diversions {
    /// Where files go instead, by the path that archives have. Without leading slashes.
    by_path: BTreeMap<Vec<u8>, Diversion>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diversion {
    /// Where the file goes instead.
    pub target: Vec<u8>,
    /// The package whose own file keeps the path; none if the diversion is local.
    pub package: Option<String>,
}

impl Diversions {
    pub fn read(root: &RootDir) -> Result<Self> {
        Self::parse(&root.read_text(b"var/lib/dpkg/diversions")?)
    }

    /// Triples of lines: path, path to go to instead, package (`:` for a local diversion).
    fn parse(text: &str) -> Result<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let mut by_path = BTreeMap::new();
        for triple in lines.chunks(3) {
            let [path, target, package] = triple else {
                return Err(malformed("diversions", "it ends within a diversion"));
            };
            let (Some(path), Some(target)) = (path.strip_prefix('/'), target.strip_prefix('/'))
            else {
                return Err(malformed("diversions", "a path in it is not absolute"));
            };
            let diversion = Diversion {
                target: target.as_bytes().to_vec(),
                package: (*package != ":").then(|| (*package).to_owned()),
            };
            by_path.insert(path.as_bytes().to_vec(), diversion);
        }
        Ok(Self { by_path })
    }

    /// Where a file that `package` ships at `path` goes.
    pub fn target<'a>(&'a self, path: &'a [u8], package: &str) -> &'a [u8] {
        match self.by_path.get(path) {
            Some(diversion) if diversion.package.as_deref() != Some(package) => &diversion.target,
            _ => path,
        }
    }

    /// The diversion that leads to `path`, if one does: nothing may be unpacked there.
    pub fn leading_to(&self, path: &[u8]) -> Option<(&[u8], &Diversion)> {
        self.by_path
            .iter()
            .find(|(_, diversion)| diversion.target == path)
            .map(|(from, diversion)| (&from[..], diversion))
    }

    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// All of them, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Diversion)> {
        self.by_path
            .iter()
            .map(|(path, diversion)| (&path[..], diversion))
    }
}

/// `/var/lib/dpkg/statoverride`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Overrides {
    by_path: BTreeMap<Vec<u8>, Override>,
}

/// Owner and mode that a path has instead of those in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Override {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

impl Overrides {
    /// Reads the overrides, and the root's own accounts for the names in them.
    pub fn read(root: &RootDir) -> Result<Self> {
        let text = root.read_text(b"var/lib/dpkg/statoverride")?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        let users = root.read_text(b"etc/passwd")?;
        let groups = root.read_text(b"etc/group")?;
        Self::parse(&text, &users, &groups)
    }

    /// Lines of `USER GROUP MODE PATH`, with `#NUMBER` for a user or group without name.
    fn parse(text: &str, users: &str, groups: &str) -> Result<Self> {
        let mut by_path = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let mut fields = line.splitn(4, ' ');
            let mut field = || fields.next().unwrap_or_default();
            let (user, group, mode, path) = (field(), field(), field(), field());
            let bad = || malformed("statoverride", &format!("`{line}` is no override"));
            let entry = Override {
                uid: id(user, users).ok_or_else(bad)?,
                gid: id(group, groups).ok_or_else(bad)?,
                mode: u32::from_str_radix(mode, 8)
                    .ok()
                    .filter(|&mode| mode <= 0o7777)
                    .ok_or_else(bad)?,
            };
            let path = path.strip_prefix('/').ok_or_else(bad)?;
            by_path.insert(path.as_bytes().to_vec(), entry);
        }
        Ok(Self { by_path })
    }

    /// The override of `path`, as the archive names it.
    pub fn get(&self, path: &[u8]) -> Option<Override> {
        self.by_path.get(path).copied()
    }
}

/// The number of a user or group, from the lines of `passwd` or `group`.
fn id(name: &str, accounts: &str) -> Option<u32> {
    if let Some(number) = name.strip_prefix('#') {
        return number.parse().ok();
    }
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

fn malformed(file: &str, why: &str) -> Error {
    let message = format!("malformed `/var/lib/dpkg/{file}`: {why}");
    Error::new(Kind::Sandbox, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diversion_spares_its_own_package() {
        let text = "/bin/sh\n/bin/sh.distrib\ndash\n/etc/x\n/etc/x.old\n:\n";
        let diversions = Diversions::parse(text).unwrap();
        assert_eq!(diversions.target(b"bin/sh", "dash"), b"bin/sh");
        assert_eq!(diversions.target(b"bin/sh", "bash"), b"bin/sh.distrib");
        assert_eq!(diversions.target(b"etc/x", "any"), b"etc/x.old");
        assert_eq!(diversions.target(b"etc/y", "any"), b"etc/y");
        let (from, _) = diversions.leading_to(b"bin/sh.distrib").unwrap();
        assert_eq!(from, b"bin/sh");
    }

    #[test]
    fn damaged_databases_are_refused() {
        assert!(Diversions::parse("/a\n/b\n").is_err());
        assert!(Diversions::parse("a\n/b\n:\n").is_err());
        for text in [
            "root root",
            "root root 99 /x",
            "nobody2 root 755 /x",
            "root root 755 x",
        ] {
            assert!(
                Overrides::parse(text, "root:x:0:0", "root:x:0:").is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn overrides_use_the_accounts_of_the_root() {
        let found = Overrides::parse(
            "root messagebus 4754 /usr/lib/helper\n#5 #6 640 /a b\n",
            "root:x:0:0:root:/root:/bin/bash\n",
            "root:x:0:\nmessagebus:x:101:\n",
        )
        .unwrap();
        let helper = found.get(b"usr/lib/helper").unwrap();
        assert_eq!((helper.uid, helper.gid, helper.mode), (0, 101, 0o4754));
        let other = found.get(b"a b").unwrap();
        assert_eq!((other.uid, other.gid, other.mode), (5, 6, 0o640));
    }
}
