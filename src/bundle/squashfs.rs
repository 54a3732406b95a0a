//! The root as squashfs. `mksquashfs` makes it, from our tar.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Kind, Result};
use crate::tree::{FIXED_TIME, Tree, TreePath};

const PROGRAM: &str = "mksquashfs";

/// Makes sure that there is a `mksquashfs` that reads tars (4.5 and later).
///
/// # Errors
/// [`Kind::Usage`] when there is none.
pub fn check() -> Result<()> {
    let output = Command::new(PROGRAM).arg("-version").output();
    let missing = |why: &str| {
        Error::new(Kind::Usage, format!("squashfs needs `{PROGRAM}`, {why}")).hint(
            "install squashfs-tools 4.5 or later; or take `erofs`, which needs no other program",
        )
    };
    let output = output.map_err(|_| missing("which is not there"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match version(&text) {
        Some(version) if version >= (4, 5) => Ok(()),
        Some((major, minor)) => Err(missing(&format!("and {major}.{minor} is too old"))),
        None => Err(missing("and this one does not say its version")),
    }
}

/// The version in `mksquashfs version 4.5.1 (…)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let number = text.split_once("version ")?.1;
    let mut parts = number.split(|letter: char| !letter.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Makes a squashfs of the tar `from`, whose tree is `tree`, in place of the file `to`.
///
/// # Errors
/// When `mksquashfs` fails.
pub fn make(tree: &Tree, from: &Path, to: &Path, threads: usize) -> Result<()> {
    let tar = File::open(from).io("reading", from)?;
    let mut command = Command::new(PROGRAM);
    command.arg("-").arg(to);
    command.args(["-tar", "-noappend", "-no-progress", "-quiet"]);
    command.args(["-comp", "zstd", "-processors", &threads.to_string()]);
    // What a tar says of the root itself, it does not take.
    if let Some(root) = tree.entries.get(&TreePath::default()) {
        command.args(["-root-mode", &format!("{:o}", root.mode)]);
        command.args(["-root-uid", &root.uid.to_string()]);
        command.args(["-root-gid", &root.gid.to_string()]);
    }
    // The root's time is that at which it is made (4.5 has no way to set it) unless
    // that is later than this, which so is the time of the file system too.
    let newest = tree.entries.values().map(|entry| entry.mtime).max();
    let newest = newest.unwrap_or_default().max(FIXED_TIME);
    command.env("SOURCE_DATE_EPOCH", newest.to_string());
    let output = command
        .stdin(tar)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .io("running", PROGRAM)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    let message = format!("`{PROGRAM}` failed: {}", last.unwrap_or("it says nothing"));
    Err(Error::new(Kind::Io, message))
}

/// How many entries have an attribute that a squashfs cannot hold.
pub fn losing(tree: &Tree) -> usize {
    let kept = ["user.", "trusted.", "security."];
    let lost = |name: &String| !kept.iter().any(|prefix| name.starts_with(prefix));
    let entries = tree.entries.values();
    entries
        .filter(|entry| entry.xattrs.keys().any(lost))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let text = "mksquashfs version 4.5.1 (2022/03/17)\ncopyright (C) 2022\n";
        assert_eq!(version(text), Some((4, 5)));
        assert_eq!(version("mksquashfs version 4.4\n"), Some((4, 4)));
        assert_eq!(version("usage"), None);
    }
}
