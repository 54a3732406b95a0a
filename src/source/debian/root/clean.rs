//! Cleaning a configured root of what is unique to the build or to a machine.
//!
//! Package scripts leave logs with clock times, caches that depend on the order
//! of files on the disk, and keys that every node must make for itself. What to
//! do about each is a row of [`RULES`], with its reason. Folders stay, with
//! their owners; symbolic links are never followed.
//!
//! [`leaks`] asks the same table, without changing anything, and looks for
//! private keys besides: a root that was cleaned has none.

mod rewrite;
mod rules;
#[cfg(test)]
mod tests;
mod walk;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

use rules::{Action, MACHINE_ID, RULES, Rule};

/// Something in a root that looks unique to the build or to one machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The path in the root, without a leading slash.
    pub path: PathBuf,
    /// Why it must not be there.
    pub reason: &'static str,
}

/// Removes or normalises what is unique to the build or to a machine in `root`.
///
/// Whoever runs it needs the rights of root over the tree, and no program may be
/// running in it. Cleaning what is clean changes nothing.
///
/// # Errors
/// When something cannot be read, changed or removed.
pub fn clean(root: &Path) -> Result<()> {
    for rule in RULES {
        for path in walk::find(root, rule.pattern)? {
            for step in steps(root, rule, &path)? {
                take(root, &step)?;
            }
        }
    }
    if wants_machine_id(root) {
        let path = root.join("etc/machine-id");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(&path)
            .io("making", &path)?;
        file.write_all(MACHINE_ID).io("writing", &path)?;
    }
    Ok(())
}

/// What in `root` still looks unique to the build or to a machine, sorted by path.
///
/// # Errors
/// When something cannot be read.
pub fn leaks(root: &Path) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for rule in RULES {
        for path in walk::find(root, rule.pattern)? {
            for step in steps(root, rule, &path)? {
                found.push(Finding {
                    path: step.path().to_owned(),
                    reason: rule.reason,
                });
            }
        }
    }
    if wants_machine_id(root) {
        found.push(Finding {
            path: PathBuf::from("etc/machine-id"),
            reason: "systemd takes a missing machine id for a machine that is not at its first boot",
        });
    }
    for folder in ["boot", "etc", "home", "opt", "root", "srv", "var"] {
        for path in walk::below(root, Path::new(folder))? {
            if is_private_key(&root.join(&path))? {
                found.push(Finding {
                    path,
                    reason: "a private key that every copy of the image would share",
                });
            }
        }
    }
    found.sort();
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

/// One change, at a path below the root.
enum Step {
    Remove(PathBuf),
    /// The file's new content; owner and mode stay.
    Write(PathBuf, Vec<u8>),
}

impl Step {
    fn path(&self) -> &Path {
        match self {
            Self::Remove(path) | Self::Write(path, _) => path,
        }
    }
}

/// What `rule` demands of the existing `path`; nothing if all is well.
fn steps(root: &Path, rule: &Rule, path: &Path) -> Result<Vec<Step>> {
    let full = root.join(path);
    let metadata = full.symlink_metadata().io("reading", &full)?;
    let remove = |wanted: bool| {
        if wanted {
            vec![Step::Remove(path.to_owned())]
        } else {
            Vec::new()
        }
    };
    Ok(match rule.action {
        Action::Remove => remove(true),
        Action::RemoveFile => remove(!metadata.is_dir()),
        Action::RemoveRegular => remove(metadata.is_file()),
        Action::RemoveLinkTo(name) => {
            let is_it = metadata.is_symlink()
                && fs::read_link(&full)
                    .io("reading", &full)?
                    .file_name()
                    .is_some_and(|target| target == OsStr::new(name));
            remove(is_it)
        }
        Action::Empty => walk::children(root, path)?
            .into_iter()
            .map(Step::Remove)
            .collect(),
        Action::RemoveFilesBelow { but } => walk::below(root, path)?
            .into_iter()
            .filter(|path| {
                let name = path.file_name().unwrap_or_default();
                !but.iter().any(|spared| name == OsStr::new(spared))
            })
            .map(Step::Remove)
            .collect(),
        Action::Rewrite(rewrite) if metadata.is_file() => {
            let old = fs::read(&full).io("reading", &full)?;
            let new = rewrite(&old);
            if new == old {
                Vec::new()
            } else {
                vec![Step::Write(path.to_owned(), new)]
            }
        }
        // A link in the place of a file that is to be rewritten leads elsewhere;
        // there, it has its own rule or is none of ours.
        Action::Rewrite(_) => Vec::new(),
        Action::RemoveStaleBytecode => remove(metadata.is_file() && is_stale(&full)?),
    })
}

fn take(root: &Path, step: &Step) -> Result<()> {
    let full = root.join(step.path());
    match step {
        Step::Remove(_) => {
            let removed = match full.symlink_metadata() {
                Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&full),
                Ok(_) => fs::remove_file(&full),
                Err(error) => Err(error),
            };
            match removed {
                // An earlier step took the folder in which it was.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                other => other.io("removing", &full),
            }
        }
        Step::Write(_, content) => OpenOptions::new()
            .write(true)
            .truncate(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&full)
            .and_then(|mut file| file.write_all(content))
            .io("writing", &full),
    }
}

/// Where systemd is, a machine id must be there to be filled in (machine-id(5)).
fn wants_machine_id(root: &Path) -> bool {
    let is_there = |path: &str| root.join(path).symlink_metadata().is_ok();
    is_there("usr/lib/systemd/systemd") && is_there("etc") && !is_there("etc/machine-id")
}

/// Whether compiled Python embeds another time than its source has, so that it
/// is from a clock, or of no use (PEP 552).
fn is_stale(path: &Path) -> Result<bool> {
    let mut header = Vec::new();
    File::open(path)
        .and_then(|file| file.take(16).read_to_end(&mut header))
        .io("reading", path)?;
    let Some(rewrite::Bytecode::Timestamp(time)) = rewrite::bytecode(&header) else {
        return Ok(rewrite::bytecode(&header).is_none());
    };
    let source = path
        .parent()
        .and_then(Path::parent)
        .zip(path.file_name())
        .and_then(|(folder, name)| {
            let stem = name.as_bytes().split(|byte| *byte == b'.').next()?;
            let mut source = OsStr::from_bytes(stem).to_owned();
            source.push(".py");
            folder.join(source).symlink_metadata().ok()
        });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as PEP 552 has it"
    )]
    Ok(source.is_none_or(|source| source.mtime() as u32 != time))
}

fn is_private_key(path: &Path) -> Result<bool> {
    let metadata = path.symlink_metadata().io("reading", path)?;
    if !metadata.is_file() || metadata.len() > 1 << 16 {
        return Ok(false);
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(4096).read_to_end(&mut start))
        .io("reading", path)?;
    // RFC 7468, and OpenSSH's own format.
    Ok(String::from_utf8_lossy(&start)
        .lines()
        .any(|line| line.starts_with("-----BEGIN ") && line.ends_with("PRIVATE KEY-----")))
}
