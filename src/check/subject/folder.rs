//! A subject from a root directory, which is never written to. Links are not
//! followed, other file systems not entered, and what cannot be read is noted.

use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::Subject;
use super::image::{is_full, size};
use super::look::look;
use crate::error::{Context, Error, Kind, Result, plain};
use crate::tree::{Content, Entry, Node, TreePath};

/// The most paths of one root.
const MOST_PATHS: usize = 4 << 20;

/// Reads a subject from a directory.
///
/// # Errors
/// When the directory itself cannot be read.
pub fn read(root: &Path) -> Result<Subject> {
    let mut subject = Subject::new(&root.display().to_string(), true);
    let top = fs::metadata(root).io("opening", root)?;
    let component: Arc<str> = "root".into();
    let mut bytes = 0;
    let mut waiting = vec![TreePath::default()];
    subject.tree.entries.insert(
        TreePath::default(),
        entry(Node::Directory, &top, &component),
    );
    while let Some(folder) = waiting.pop() {
        let on_disk = root.join(folder.as_path());
        let listed = match fs::read_dir(&on_disk) {
            Ok(listed) => listed,
            Err(error) if folder == TreePath::default() => {
                return Err(Error::io("listing", root, error));
            }
            Err(error) => {
                subject
                    .unread
                    .insert(format!("/{folder}: {}", plain(&error)));
                continue;
            }
        };
        for found in listed {
            let found = found.io("listing", &on_disk)?;
            let path = folder.join(found.file_name().as_bytes());
            // Gone since it was listed.
            let Ok(metadata) = found.metadata() else {
                continue;
            };
            if subject.tree.entries.len() > MOST_PATHS {
                return Err(Error::new(
                    Kind::Io,
                    format!("`{}` has too many files", root.display()),
                ));
            }
            let Some(node) = node(&found.path(), &metadata) else {
                continue;
            };
            if node == Node::Directory && metadata.dev() == top.dev() {
                waiting.push(path.clone());
            }
            let entry = entry(node, &metadata, &component);
            if let Node::File { size: length, .. } = entry.node {
                match open(&found.path()).and_then(|mut file| look(&path, length, &mut file)) {
                    Ok(Some(one)) => {
                        bytes += size(&one);
                        if !is_full(bytes) {
                            subject.add(path.clone(), one);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => {
                        subject.unread.insert(format!("/{path}: {}", plain(&error)));
                    }
                }
            }
            subject.tree.entries.insert(path, entry);
        }
    }
    subject.limit(bytes);
    Ok(subject)
}

/// Follows no link and waits for no pipe.
fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
}

/// What is at a path; none for what an image cannot hold.
fn node(path: &Path, metadata: &fs::Metadata) -> Option<Node> {
    let kind = metadata.file_type();
    let device = || {
        let device = metadata.rdev();
        (rustix::fs::major(device), rustix::fs::minor(device))
    };
    Some(if kind.is_dir() {
        Node::Directory
    } else if kind.is_file() {
        Node::File {
            size: metadata.len(),
            content: Content::Disk(path.to_owned()),
        }
    } else if kind.is_symlink() {
        let target = fs::read_link(path).ok()?;
        Node::Symlink(TreePath::new(target.as_os_str().as_bytes()))
    } else if kind.is_char_device() {
        Node::CharDevice(device().0, device().1)
    } else if kind.is_block_device() {
        Node::BlockDevice(device().0, device().1)
    } else if kind.is_fifo() {
        Node::Fifo
    } else {
        return None;
    })
}

fn entry(node: Node, metadata: &fs::Metadata, component: &Arc<str>) -> Entry {
    Entry {
        node,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: metadata.mtime(),
        xattrs: Default::default(),
        component: Arc::clone(component),
    }
}
