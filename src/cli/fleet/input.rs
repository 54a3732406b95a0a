//! Objects from files, from standard input, and from a command.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Context as _, Error, Kind, Result};
use crate::fleet::Cluster;

/// The most that is read of one source: some hundred thousand pods.
const MOST: u64 = 2 << 30;

/// Reads files, `-` being standard input.
pub(super) fn files(paths: &[PathBuf]) -> Result<Cluster> {
    let mut cluster = Cluster::default();
    for path in paths {
        let (text, name) = match is_standard_input(path) {
            true => {
                let name = "standard input";
                (text(io::stdin().lock(), name)?, name.to_owned())
            }
            false => {
                let file = File::open(path).io("reading", path)?;
                let name = path.display().to_string();
                (text(file, &name)?, name)
            }
        };
        cluster.add(&text, &name)?;
    }
    Ok(cluster)
}

pub(super) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads what a command prints.
pub(super) fn command(line: &str) -> Result<Cluster> {
    let mut child = Command::new("sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Error::new(Kind::Io, format!("starting `sh`: {error}")))?;
    let output = child.stdout.take();
    let text = output.map(|output| text(output, line)).transpose();
    let status = child
        .wait()
        .map_err(|error| Error::new(Kind::Io, format!("waiting for `{line}`: {error}")))?;
    if !status.success() {
        return Err(Error::new(Kind::Io, format!("`{line}` failed: {status}")));
    }
    Cluster::parse(&text?.unwrap_or_default(), line)
}

fn text(source: impl Read, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let read = source
        .take(MOST + 1)
        .read_to_end(&mut bytes)
        .io("reading", name)?;
    if read as u64 > MOST {
        let message = format!("`{name}` is longer than 2 GiB");
        return Err(Error::new(Kind::Usage, message)
            .hint("give several files, one for each kind or namespace"));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::new(Kind::Usage, format!("`{name}` is not text in UTF-8")))
}
