//! Comparing two roots: types, modes, owners, links, contents, xattrs, and the
//! times of packages' files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nodelith::source::debian::root::ownership::Owned;
use nodelith::tree::TreePath;

pub struct Difference {
    pub text: String,
    /// Why it is expected, if it is.
    pub reason: Option<&'static str>,
}

/// Differences that are expected: path (by prefix), what differs (a part of the
/// text), and why. The same as in docs/mmdebstrap-differences.md.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("boot/initrd.img-", "only mmdebstrap", "no initrd is built"),
    (
        "dev/",
        "only mmdebstrap",
        "devices are the sandbox's business",
    ),
    (
        "etc/apt/apt.conf.d/99mmdebstrap",
        "only mmdebstrap",
        "mmdebstrap's own",
    ),
    (
        "etc/apt/sources.list",
        "only mmdebstrap",
        "the build's mirror",
    ),
    ("etc/fstab", "only mmdebstrap", "mmdebstrap's own"),
    ("etc/hostname", "only mmdebstrap", "the build host's"),
    ("etc/resolv.conf", "only mmdebstrap", "the build host's"),
    ("etc/group-", "", "backup: cleaned"),
    ("etc/gshadow-", "", "backup: cleaned"),
    ("etc/passwd-", "", "backup: cleaned"),
    ("etc/shadow-", "", "backup: cleaned"),
    ("etc/group", "numbers and order", "order of configuring"),
    ("etc/gshadow", "numbers and order", "order of configuring"),
    ("etc/passwd", "numbers and order", "order of configuring"),
    ("etc/shadow", "numbers and order", "order of configuring"),
    (
        "usr/lib/dbus-1.0/dbus-daemon-launch-helper",
        "owner",
        "order of configuring",
    ),
    ("etc/machine-id", "", "cleaned"),
    ("run/", "only we", "cleaned"),
    ("tmp/", "only we", "cleaned"),
    ("var/cache/apt/archives/", "", "apt ran"),
    ("var/cache/ldconfig/aux-cache", "only we", "cleaned"),
    ("var/lib/apt/", "", "apt ran"),
    ("var/lib/dbus/machine-id", "only we", "cleaned"),
    ("var/lib/dpkg/", "-old", "backup: cleaned"),
    (
        "var/lib/dpkg/triggers/File",
        "numbers and order",
        "order of unpacking",
    ),
    ("var/log/", "only we", "cleaned"),
    ("etc/credstore", "mode", "made at boot"),
    ("etc/default/locale", "only mmdebstrap", "made at boot"),
    ("etc/mtab", "only mmdebstrap", "made at boot"),
    ("etc/vconsole.conf", "only mmdebstrap", "made at boot"),
    ("root/.ssh", "only mmdebstrap", "made at boot"),
    ("run/lock/subsys", "only mmdebstrap", "made at boot"),
    ("var/cache/private", "only mmdebstrap", "made at boot"),
    ("var/lib/private", "only mmdebstrap", "made at boot"),
    ("var/lib/systemd/", "only mmdebstrap", "made at boot"),
    ("var/log/README", "only mmdebstrap", "made at boot"),
    ("var/log/journal", "owner", "made at boot"),
    ("var/log/private", "only mmdebstrap", "made at boot"),
];

/// Files whose lines may be in another order, and their number fields other numbers.
const UNORDERED: [&str; 6] = [
    "etc/group",
    "etc/gshadow",
    "etc/passwd",
    "etc/shadow",
    "var/lib/dpkg/diversions",
    "var/lib/dpkg/triggers/File",
];

pub fn roots(theirs: &Path, ours: &Path) -> Vec<Difference> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    walk(theirs, theirs, &mut old);
    walk(ours, ours, &mut new);
    let mut found = Vec::new();
    let paths: BTreeSet<&PathBuf> = old.keys().chain(new.keys()).collect();
    for path in paths {
        let text = match (old.get(path), new.get(path)) {
            (Some(old), Some(new)) => {
                let what = differences(theirs, ours, path, old, new);
                if what.is_empty() {
                    continue;
                }
                what.join(", ")
            }
            (Some(_), None) => "only mmdebstrap has it".to_owned(),
            _ => "only we have it".to_owned(),
        };
        let shown = path.to_string_lossy();
        let text = format!("{shown}: {text}");
        let reason = EXPECTED
            .iter()
            .find(|(prefix, what, _)| shown.starts_with(prefix) && text.contains(what))
            .map(|(.., reason)| *reason);
        found.push(Difference { text, reason });
    }
    found
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Metadata>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let is_folder = metadata.is_dir();
        found.insert(path.strip_prefix(root).unwrap().to_owned(), metadata);
        if is_folder {
            walk(root, &path, found);
        }
    }
}

fn differences(
    theirs: &Path,
    ours: &Path,
    path: &Path,
    old: &Metadata,
    new: &Metadata,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, old: String, new: String| {
        if old != new {
            found.push(format!("{what} {old} → {new}"));
        }
    };
    compare("type", kind(old), kind(new));
    compare(
        "mode",
        format!("{:o}", old.mode()),
        format!("{:o}", new.mode()),
    );
    let owner = |of: &Metadata| format!("{}:{}", of.uid(), of.gid());
    compare("owner", owner(old), owner(new));
    compare("links", links(old), links(new));
    let (a, b) = (theirs.join(path), ours.join(path));
    compare("xattrs", xattrs(&a), xattrs(&b));
    if old.is_symlink() && new.is_symlink() {
        let target = |path: &Path| fs::read_link(path).unwrap().display().to_string();
        compare("target", target(&a), target(&b));
    }
    if old.is_file() && new.is_file() {
        let (old_bytes, new_bytes) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
        let unordered = UNORDERED.iter().any(|known| Path::new(known) == path);
        if unordered && old_bytes != new_bytes && names(&old_bytes) == names(&new_bytes) {
            compare("numbers and order", String::new(), "other".to_owned());
        } else if old_bytes != new_bytes {
            compare(
                "size",
                old.len().to_string(),
                format!("{} (content)", new.len()),
            );
        }
        // Files made while the roots were made have the times of that.
        if old.mtime() < old.ctime() - 7200 || new.mtime() < new.ctime() - 7200 {
            compare("mtime", old.mtime().to_string(), new.mtime().to_string());
        }
    }
    found
}

/// The lines without numbers, sorted.
fn names(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let numbers = |field: &&str| !field.bytes().all(|byte| byte.is_ascii_digit());
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            line.split(':')
                .filter(numbers)
                .collect::<Vec<_>>()
                .join(":")
        })
        .collect();
    lines.sort();
    lines
}

fn kind(of: &Metadata) -> String {
    let kind = of.file_type();
    let names = [
        (kind.is_dir(), "directory"),
        (kind.is_file(), "file"),
        (kind.is_symlink(), "link"),
        (kind.is_fifo(), "pipe"),
        (kind.is_char_device(), "character device"),
    ];
    names
        .iter()
        .find(|(is, _)| *is)
        .map_or("other", |(_, name)| name)
        .to_owned()
}

fn links(of: &Metadata) -> String {
    if of.is_dir() {
        return String::new();
    }
    of.nlink().to_string()
}

fn xattrs(path: &Path) -> String {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut shown: Vec<String> = names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap_or(0);
            format!("{}={:x?}", name.escape_ascii(), &value[..length])
        })
        .collect();
    shown.sort();
    shown.join(" ")
}

/// Every path of a package's list is owned, and every owned path is there with its time.
pub fn owners(root: &Path, owned: &Owned) {
    assert!(!owned.paths.is_empty());
    let mut missing = Vec::new();
    for (path, owner) in &owned.paths {
        match fs::symlink_metadata(root.join(path.as_path())) {
            Err(_) => missing.push(format!("{path} of {} is not there", owner.package)),
            Ok(metadata) if metadata.is_file() && !owner.conffile => {
                if metadata.mtime() != owner.mtime {
                    missing.push(format!("{path} of {} has another time", owner.package));
                }
            }
            Ok(_) => {}
        }
    }
    for entry in fs::read_dir(root.join("var/lib/dpkg/info")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "list") {
            continue;
        }
        let text = fs::read(&file).unwrap();
        for line in text
            .split(|&byte| byte == b'\n')
            .filter(|line| line.len() > 2)
        {
            let path = TreePath::new(&line[1..]);
            let real = fs::canonicalize(root.join(path.parent().unwrap().as_path()));
            let Ok(real) = real else { continue };
            let Ok(inside) = real.strip_prefix(root) else {
                continue;
            };
            let real = inside.join(std::ffi::OsStr::from_bytes(path.name()));
            let real = TreePath::new(real.as_os_str().as_bytes());
            let outside = root.join(real.as_path());
            // Aliases such as /bin in bookworm, and what scripts have diverted or removed.
            if outside.is_symlink() || !outside.exists() {
                continue;
            }
            if !owned.paths.contains_key(&real) {
                missing.push(format!("{real} of {} has no owner", file.display()));
            }
        }
    }
    for text in &missing {
        super::say(&format!("    OWNERS {text}"));
    }
}
