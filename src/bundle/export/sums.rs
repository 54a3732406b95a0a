//! `SHA256SUMS`, as sha256sum(1) writes it: what tools and people verify, and what
//! systemd-sysupdate takes for the list of what there is.

use super::{ExportedFile, Format};
use crate::bundle::output::{Folder, Output};
use crate::error::Result;

/// Its name.
pub const NAME: &str = "SHA256SUMS";

/// Writes it aside, as a file of this format.
pub(super) fn make(
    folder: &Folder,
    format: Format,
    files: &[ExportedFile],
) -> Result<(ExportedFile, Output)> {
    let output = folder.file(NAME)?;
    output.file().put(0, text(files).as_bytes())?;
    let (size, digest) = output.measure()?;
    let file = ExportedFile {
        format,
        name: NAME.into(),
        size,
        digest,
    };
    Ok((file, output))
}

/// A line for each file, by their names.
fn text(files: &[ExportedFile]) -> String {
    let mut lines: Vec<(&str, String)> = files
        .iter()
        .map(|file| (&*file.name, file.digest.hex().to_string()))
        .collect();
    lines.sort_unstable();
    lines
        .iter()
        .map(|(name, digest)| format!("{digest}  {name}\n"))
        .collect()
}
