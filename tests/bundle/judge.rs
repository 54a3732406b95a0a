//! Holds a folder on disk against the tree that it should be.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodelith::tree::{Content, Entry, Node, Tree, TreePath};

use crate::common::{output, skip};

/// What a judge that unpacks leaves out, so that it is not looked at.
#[derive(Default, Clone, Copy)]
pub struct Leaves {
    /// Extended attributes.
    pub attributes: bool,
    /// That files have several names.
    pub links: bool,
    /// When directories and links were changed.
    pub times: bool,
    /// When the root itself was changed.
    pub root_time: bool,
    /// That a file runs as its owner or group.
    pub set_id: bool,
}

/// Everything in `root` is what the tree says, and nothing else is there.
pub fn assert_is(root: &Path, tree: &Tree, leaves: Leaves) {
    let found = Found::read(root);
    let expected: Vec<_> = tree.entries.keys().collect();
    assert_eq!(found.0.keys().collect::<Vec<_>>(), expected);
    let mut links: BTreeMap<&TreePath, u64> = BTreeMap::new();
    for (path, entry) in &tree.entries {
        let file = match &entry.node {
            Node::Hardlink(target) => target,
            _ => path,
        };
        *links.entry(file).or_default() += 1;
    }
    for (path, entry) in &tree.entries {
        let file = match &entry.node {
            Node::Hardlink(target) => target,
            _ => path,
        };
        let there = &found.0[path];
        same(root, path, &tree.entries[file], there, leaves);
        if !leaves.links && entry.node != Node::Directory {
            assert_eq!(there.nlink(), links[file], "names of `{path}`");
            assert_eq!(there.ino(), found.0[file].ino(), "`{path}` and `{file}`");
        }
    }
}

struct Found(BTreeMap<TreePath, fs::Metadata>);

impl Found {
    fn read(root: &Path) -> Self {
        let mut found = BTreeMap::new();
        let mut waiting = vec![TreePath::default()];
        while let Some(path) = waiting.pop() {
            let at = root.join(path.as_path());
            let about = fs::symlink_metadata(&at).unwrap();
            if about.is_dir() {
                let mut folders = 0;
                for entry in fs::read_dir(&at).unwrap() {
                    let entry = entry.unwrap();
                    folders += u64::from(entry.file_type().unwrap().is_dir());
                    waiting.push(path.join(entry.file_name().as_bytes()));
                }
                // File systems that do not count say 1.
                assert!([1, folders + 2].contains(&about.nlink()), "`{path}`");
            }
            assert!(found.insert(path, about).is_none());
        }
        Self(found)
    }
}

fn same(root: &Path, path: &TreePath, entry: &Entry, there: &fs::Metadata, leaves: Leaves) {
    let at = root.join(path.as_path());
    let link = matches!(entry.node, Node::Symlink(_));
    let mode = if link { 0o777 } else { entry.mode };
    let looked_at = if leaves.set_id { 0o1777 } else { 0o7777 };
    let modes = (there.mode() & looked_at, mode & looked_at);
    assert_eq!(modes.0, modes.1, "mode of `{path}`");
    assert_eq!(
        (there.uid(), there.gid()),
        (entry.uid, entry.gid),
        "`{path}`"
    );
    let is_root = path.as_bytes().is_empty();
    let is_file = matches!(entry.node, Node::File { .. });
    if is_file || !(leaves.times || is_root && leaves.root_time) {
        let time = (there.mtime(), there.mtime_nsec());
        assert_eq!(time, (entry.mtime, 0), "time of `{path}`");
    }
    let device = |major: u32, minor: u32| rustix::fs::makedev(major, minor);
    let kind = there.mode() >> 12;
    match &entry.node {
        Node::Directory => assert_eq!(kind, 4, "`{path}`"),
        Node::Fifo => assert_eq!(kind, 1, "`{path}`"),
        Node::CharDevice(major, minor) => {
            assert_eq!(
                (kind, there.rdev()),
                (2, device(*major, *minor)),
                "`{path}`"
            );
        }
        Node::BlockDevice(major, minor) => {
            assert_eq!(
                (kind, there.rdev()),
                (6, device(*major, *minor)),
                "`{path}`"
            );
        }
        Node::Symlink(target) => {
            let read = fs::read_link(&at).unwrap().into_os_string().into_vec();
            assert_eq!(TreePath::new(read), *target, "`{path}`");
        }
        Node::File { size, content } => {
            assert_eq!((kind, there.size()), (8, *size), "`{path}`");
            if let Content::Inline(bytes) = content {
                assert!(fs::read(&at).unwrap() == bytes[..], "content of `{path}`");
            }
        }
        Node::Hardlink(_) => panic!("`{path}` is a link to a link"),
    }
    if !leaves.attributes {
        assert_eq!(attributes(&at), entry.xattrs, "attributes of `{path}`");
    }
}

/// Extended attributes of a path itself.
fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|&byte| byte == 0);
    names
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]);
            value.truncate(length.unwrap());
            (String::from_utf8(name.to_vec()).unwrap(), value)
        })
        .collect()
}

/// Whether `fsck.erofs` finds no fault. (Debian 12's tells of one, and ends with 0.)
pub fn is_whole(image: &Path, arguments: &[&OsStr]) -> bool {
    let done = output(Command::new("fsck.erofs").args(arguments).arg(image));
    let said = [done.stdout, done.stderr].concat();
    done.status.success() && !String::from_utf8_lossy(&said).contains("<E>")
}

/// `fsck.erofs` finds no fault, and unpacks what the tree says.
pub fn fsck(image: &Path, tree: &Tree) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let mut option = OsString::from("--extract=");
    option.push(&root);
    assert!(is_whole(image, &[&option]));
    // Debian 12's makes a file of each name, takes no attributes, and changes owners
    // after modes.
    let leaves = Leaves {
        attributes: true,
        links: true,
        times: true,
        root_time: true,
        set_id: true,
    };
    assert_is(&root, tree, leaves);
}

/// A file system that is mounted, gone with this.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts an image read-only; none where that is not possible.
    pub fn new(image: &Path, at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "erofs", "-o", "loop,ro"])
            .arg(image)
            .arg(at);
        let done = output(&mut mount);
        if done.status.success() {
            return Some(Self(at.to_owned()));
        }
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let root = rustix::process::geteuid().is_root();
        let may = root && output(Command::new("losetup").arg("-f")).status.success();
        assert!(
            !(may && known.contains("\terofs\n")),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        skip("the kernel's judgement of root images (needs root, loop devices and EROFS)");
        None
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The kernel mounts the image, and sees in it what the tree says.
pub fn kernel(image: &Path, tree: &Tree) {
    let folder = tempfile::tempdir().unwrap();
    if let Some(mounted) = Mounted::new(image, folder.path()) {
        assert_is(mounted.path(), tree, Leaves::default());
    }
}
