//! dpkg's database as dpkg itself leaves it after unpacking.
//!
//! ```text
//! status                  one stanza for each package
//! info/format             1: names with an architecture for `Multi-Arch: same`
//! info/PACKAGE.list       the paths of its archive, aliases and all
//! info/PACKAGE.md5sums    and every other control file
//! triggers/               see `triggers`
//! diversions, statoverride, arch, alternatives/, updates/
//! ```
//!
//! When dpkg configures the packages, it writes `status` anew in its own order
//! and spelling, so what is left for good is dpkg's own text.

use super::control::Stanza;
use super::incoming::Package;
use super::rootdir::{RootDir, write_at};
use super::unpack::Unpacked;
use crate::error::{Context, Error, Kind, Result};

const STATUS: &[u8] = b"var/lib/dpkg/status";
const INFO: &[u8] = b"var/lib/dpkg/info";

/// Fields that describe the state of an installed package, or where an archive
/// has it: none of a package's own business.
const NOT_OURS: [&str; 12] = [
    "Package",
    "Status",
    "Conffiles",
    "Config-Version",
    "Triggers-Pending",
    "Triggers-Awaited",
    "Filename",
    "Size",
    "MD5sum",
    "SHA1",
    "SHA256",
    "SHA512",
];

/// Makes an empty database.
pub(super) fn initialize(root: &RootDir, native: &str, foreign: &[String]) -> Result<()> {
    for folder in ["alternatives", "info", "parts", "triggers", "updates"] {
        root.make_directory(format!("var/lib/dpkg/{folder}").as_bytes())?;
    }
    root.make_directory(b"var/log")?;
    let mut architectures = format!("{native}\n");
    for architecture in foreign {
        architectures.push_str(architecture);
        architectures.push('\n');
    }
    for (file, text) in [
        ("arch", &architectures[..]),
        ("diversions", ""),
        ("info/format", "1\n"),
        ("status", ""),
        ("triggers/File", ""),
        ("triggers/Unincorp", ""),
    ] {
        root.write(
            format!("var/lib/dpkg/{file}").as_bytes(),
            text.as_bytes(),
            0o644,
        )?;
    }
    Ok(())
}

/// Writes the files below `info` of an unpacked package.
pub(super) fn write_info(root: &RootDir, package: &Package, unpacked: &Unpacked) -> Result<()> {
    let name = package.database_name();
    let folder = root.directory(INFO)?;
    let write = |kind: &str, bytes: &[u8], mode: u32, mtime: Option<i64>| {
        let file = format!("{name}.{kind}");
        write_at(folder.fd(), file.as_bytes(), bytes, mode, mtime)
            .io("writing", root.outside(INFO).join(&file))
    };
    for (kind, file) in &package.control.files {
        // A `list` in the control archive is no control file.
        if kind != "list" {
            write(kind, &file.bytes, file.mode, Some(file.mtime))?;
        }
    }
    write("list", &list(&unpacked.listed), 0o644, None)?;
    if !package.has("md5sums") {
        let mut sums = Vec::new();
        for path in &unpacked.listed {
            if let Some(sum) = unpacked.sums.get(path) {
                sums.extend_from_slice(sum.as_bytes());
                sums.extend_from_slice(b"  ");
                sums.extend_from_slice(path);
                sums.push(b'\n');
            }
        }
        write("md5sums", &sums, 0o644, None)?;
    }
    Ok(())
}

/// Takes paths that another package has taken over out of a package's `.list`.
pub(super) fn unlist(root: &RootDir, package: &Package, lost: &[Vec<u8>]) -> Result<()> {
    let path = format!("var/lib/dpkg/info/{}.list", package.database_name());
    let text = root.read(path.as_bytes())?.unwrap_or_default();
    let mut kept = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let own = line.trim_ascii_end();
        let own = own.strip_prefix(b"/").unwrap_or(own);
        if !lost.iter().any(|lost| lost == own) {
            kept.extend_from_slice(line);
        }
    }
    root.write(path.as_bytes(), &kept, 0o644)
}

/// The text of a `.list`: absolute paths, the root as `/.`.
fn list(listed: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    for path in listed {
        text.push(b'/');
        text.extend_from_slice(if path.is_empty() { b"." } else { path });
        text.push(b'\n');
    }
    text
}

/// The status stanza of a package that has been unpacked.
pub(super) fn stanza(package: &Package, unpacked: &Unpacked) -> String {
    let mut text = format!("Package: {}\nStatus: install ok unpacked\n", package.name);
    for (name, value) in package.control.stanza.fields() {
        if NOT_OURS.iter().any(|not| name.eq_ignore_ascii_case(not)) {
            continue;
        }
        text.push_str(name);
        text.push(':');
        if !value.starts_with('\n') {
            text.push(' ');
        }
        text.push_str(value);
        text.push('\n');
    }
    if !package.conffiles.is_empty() {
        text.push_str("Conffiles:\n");
        for conffile in &package.conffiles {
            // A conffile without sum is one that dpkg still has to put in its place.
            let sum = unpacked
                .sums
                .get(&conffile.path)
                .filter(|_| !unpacked.beside.contains(&conffile.path));
            let path = String::from_utf8_lossy(&conffile.path);
            let sum = sum.map_or("newconffile", String::as_str);
            let flag = if conffile.remove_on_upgrade {
                " remove-on-upgrade"
            } else {
                ""
            };
            text.push_str(&format!(" /{path} {sum}{flag}\n"));
        }
    }
    text.push('\n');
    text
}

/// Adds stanzas to `status`.
pub(super) fn add_status(root: &RootDir, stanzas: &str) -> Result<()> {
    let mut text = root.read_text(STATUS)?;
    text.push_str(stanzas);
    root.write(STATUS, text.as_bytes(), 0o644)
}

/// Checks that exactly these packages are there, each `install ok installed`.
pub(super) fn check_installed(root: &RootDir, packages: &[Package]) -> Result<()> {
    let text = root.read_text(STATUS)?;
    let mut installed = Vec::new();
    let mut wrong = Vec::new();
    for stanza in text.split("\n\n").filter(|text| !text.trim().is_empty()) {
        let stanza = Stanza::parse(stanza)?;
        let name = stanza.require("Package")?.to_owned();
        let status = stanza.get("Status").unwrap_or("no status").to_owned();
        if status == "install ok installed" {
            let field = |name| stanza.get(name).unwrap_or_default().to_owned();
            installed.push((name, field("Architecture"), field("Version")));
        } else {
            wrong.push(format!("`{name}` ({status})"));
        }
    }
    for package in packages {
        let wanted = (
            package.name.to_string(),
            package.architecture.clone(),
            package.version.clone(),
        );
        let known = |entry: &String| entry.starts_with(&format!("`{}` ", package.name));
        if !installed.contains(&wanted) && !wrong.iter().any(known) {
            wrong.push(format!("`{}` (not installed)", package.name));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Kind::Sandbox,
        format!("packages were not configured: {}", wrong.join(", ")),
    ))
}
