//! Programs that package scripts must not really run while a root is made.
//!
//! They are replaced for that time only, by programs that do nothing, and put
//! back by renaming, so that what the package shipped is there again unchanged.

use super::diversion::Diversions;
use super::rootdir::RootDir;
use crate::error::{Error, Kind, Result};

/// Where a guarded program waits: its own path with this behind.
const ASIDE: &[u8] = b".nodelith-aside";

struct Rule {
    path: &'static [u8],
    script: &'static [u8],
    /// Whether to put it there even where there is nothing to guard.
    always: bool,
}

const NOTHING: &[u8] = b"#!/bin/sh\nexit 0\n";

const RULES: [Rule; 8] = [
    // Asked by invoke-rc.d and deb-systemd-invoke; 101 forbids to start anything.
    Rule {
        path: b"usr/sbin/policy-rc.d",
        script: b"#!/bin/sh\nexit 101\n",
        always: true,
    },
    // Called directly by some old scripts.
    Rule {
        path: b"usr/sbin/start-stop-daemon",
        script: NOTHING,
        always: false,
    },
    // What it makes is a node's state, which every boot makes anew; and it refuses to
    // work without /proc, so that roots would differ from one sandbox to another.
    Rule {
        path: b"usr/bin/systemd-tmpfiles",
        script: NOTHING,
        always: false,
    },
    // Initrds: kernels' hooks would build one that no node image wants.
    Rule {
        path: b"usr/sbin/update-initramfs",
        script: NOTHING,
        always: false,
    },
    Rule {
        path: b"usr/sbin/mkinitramfs",
        script: NOTHING,
        always: false,
    },
    Rule {
        path: b"usr/bin/dracut",
        script: NOTHING,
        always: false,
    },
    Rule {
        path: b"usr/sbin/dracut",
        script: NOTHING,
        always: false,
    },
    Rule {
        path: b"usr/bin/update-tirfs",
        script: NOTHING,
        always: false,
    },
];

/// The guards that stand; they must be taken down with [`lower`](Self::lower).
pub(super) struct Guards {
    standing: Vec<Standing>,
}

struct Standing {
    path: &'static [u8],
    /// The inode of our program, to know it again.
    inode: u64,
    saved: bool,
}

impl Guards {
    /// Puts guards over what is there now.
    pub fn raise(root: &RootDir) -> Result<Self> {
        let mut standing = Vec::new();
        for rule in &RULES {
            let saved = root.is_file(rule.path)?;
            // A link leads to a program with a rule of its own, or to none of ours.
            if !saved && (!rule.always || root.stat(rule.path)?.is_some()) {
                continue;
            }
            if saved {
                root.rename(rule.path, &aside(rule.path))?;
            } else {
                root.make_directory(super::rootdir::split(rule.path).0)?;
            }
            root.write(rule.path, rule.script, 0o755)?;
            standing.push(Standing {
                path: rule.path,
                inode: inode(root, rule.path)?.unwrap_or_default(),
                saved,
            });
        }
        Ok(Self { standing })
    }

    /// Puts everything back.
    pub fn lower(self, root: &RootDir) -> Result<()> {
        let diversions = Diversions::read(root)?;
        for guard in &self.standing {
            let now = inode(root, guard.path)?;
            // A script may have moved our program away with `dpkg-divert --rename`.
            let diverted = diversions.target(guard.path, "");
            let place = if now == Some(guard.inode) {
                guard.path
            } else if inode(root, diverted)? == Some(guard.inode) {
                diverted
            } else if now.is_none() {
                guard.path
            } else if guard.saved {
                return Err(Error::new(
                    Kind::Sandbox,
                    format!(
                        "a package script has replaced `/{}`, which packages' scripts must not run",
                        guard.path.escape_ascii()
                    ),
                ));
            } else {
                continue;
            };
            if guard.saved {
                root.rename(&aside(guard.path), place)?;
            } else {
                root.remove(place)?;
            }
        }
        Ok(())
    }
}

fn aside(path: &[u8]) -> Vec<u8> {
    [path, ASIDE].concat()
}

fn inode(root: &RootDir, path: &[u8]) -> Result<Option<u64>> {
    Ok(root.stat(path)?.map(|stat| stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn root() -> (tempfile::TempDir, RootDir) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("usr/sbin")).unwrap();
        fs::create_dir_all(folder.path().join("var/lib/dpkg")).unwrap();
        let root = RootDir::open(folder.path()).unwrap();
        (folder, root)
    }

    #[test]
    fn guards_come_and_go_without_trace() {
        let (folder, root) = root();
        let program = folder.path().join("usr/sbin/start-stop-daemon");
        fs::write(&program, "real").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o711)).unwrap();
        let before = fs::metadata(&program).unwrap();
        let guards = Guards::raise(&root).unwrap();
        assert_eq!(fs::read(&program).unwrap(), NOTHING);
        let policy = folder.path().join("usr/sbin/policy-rc.d");
        assert_eq!(fs::metadata(&policy).unwrap().mode() & 0o777, 0o755);
        guards.lower(&root).unwrap();
        let after = fs::metadata(&program).unwrap();
        assert_eq!(before.ino(), after.ino());
        assert_eq!(before.mtime(), after.mtime());
        assert_eq!(fs::read(&program).unwrap(), b"real");
        let names = fs::read_dir(folder.path().join("usr/sbin")).unwrap();
        assert_eq!(names.count(), 1);
    }

    #[test]
    fn a_diverted_guard_is_found_again() {
        let (folder, root) = root();
        let program = folder.path().join("usr/sbin/update-initramfs");
        fs::write(&program, "real").unwrap();
        let guards = Guards::raise(&root).unwrap();
        let diverted = folder.path().join("usr/sbin/update-initramfs.orig");
        fs::rename(&program, &diverted).unwrap();
        fs::write(&program, "the diverting package's own").unwrap();
        let text = "/usr/sbin/update-initramfs\n/usr/sbin/update-initramfs.orig\nlive-tools\n";
        fs::write(folder.path().join("var/lib/dpkg/diversions"), text).unwrap();
        guards.lower(&root).unwrap();
        assert_eq!(fs::read(&diverted).unwrap(), b"real");
        assert_eq!(fs::read(&program).unwrap(), b"the diverting package's own");
    }

    #[test]
    fn a_replaced_guard_is_an_error() {
        let (folder, root) = root();
        let program = folder.path().join("usr/sbin/update-initramfs");
        fs::write(&program, "real").unwrap();
        let guards = Guards::raise(&root).unwrap();
        fs::write(folder.path().join("new"), "other").unwrap();
        fs::rename(folder.path().join("new"), &program).unwrap();
        assert!(guards.lower(&root).is_err());
    }
}
