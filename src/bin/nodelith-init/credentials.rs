//! Credentials for the root's systemd (systemd.system-credentials(7)).
//!
//! Those of the firmware's tables, of QEMU and of the kernel's command line are found by
//! systemd itself when it starts. Those that systemd-stub found on the EFI system
//! partition (systemd-stub(7)) are in this initrd's `/.extra`, which nobody else sees: they
//! go where systemd's own initrd would put them. And since a systemd that is told of
//! such looks for no others, all others are passed on with them.
//!
//! What comes from that partition proves nothing of who put it there: it stays encrypted,
//! and apart, until systemd decrypts it for who asks.

mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::{RUN, Result};

/// Names and values.
type Given = BTreeMap<String, Vec<u8>>;

/// What systemd-stub makes of files beside a unified kernel image, and of `/loader/credentials`.
/// Of two with one name the first holds.
const STUB: [&str; 2] = ["/.extra/credentials", "/.extra/global_credentials"];
/// What another initrd vouches for (systemd 262).
const VOUCHED: &str = "/.extra/system_credentials";

/// Where systemd has them, and the variable by which it is told.
const TRUSTED: (&str, &str) = ("@system", "CREDENTIALS_DIRECTORY");
const ENCRYPTED: (&str, &str) = ("@encrypted", "ENCRYPTED_CREDENTIALS_DIRECTORY");

/// The most that systemd takes, of one and of all, in bytes.
const MOST: usize = 1 << 20;

/// The environment of the root's init.
pub type Environment = Vec<(&'static str, String)>;

/// Passes credentials on, where there are such that systemd would not find.
pub fn pass_on() -> Result<Environment> {
    let mut encrypted = Given::new();
    for folder in STUB {
        read(Path::new(folder), &mut encrypted)?;
    }
    let mut trusted = Given::new();
    read(Path::new(VOUCHED), &mut trusted)?;
    let words = sources::words(&fs::read_to_string("/proc/cmdline")?);
    let none = encrypted.is_empty() && trusted.is_empty();
    if none || !sources::are_wanted(&words) {
        return Ok(Environment::new());
    }
    sources::firmware(&mut trusted);
    sources::command_line(&words, &mut trusted);
    let mut environment = Environment::new();
    for (given, place) in [(encrypted, ENCRYPTED), (trusted, TRUSTED)] {
        environment.extend(write(Path::new(RUN), given, place)?);
    }
    Ok(environment)
}

/// Reads the `NAME.cred` of a folder.
fn read(folder: &Path, given: &mut Given) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("reading `{}`: {error}", folder.display()).into()),
    };
    for entry in entries {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".cred")
            && entry.file_type()?.is_file()
            && entry.metadata()?.len() <= MOST as u64
        {
            add(given, name, || fs::read(entry.path()).ok());
        }
    }
    Ok(())
}

/// Adds one that is not there yet; says so where it cannot be one.
fn add(given: &mut Given, name: &str, value: impl FnOnce() -> Option<Vec<u8>>) {
    if given.contains_key(name) {
        return;
    }
    let value = value().filter(|value| {
        let all: usize = given.values().map(Vec::len).sum();
        is_name(name) && value.len() <= MOST.saturating_sub(all)
    });
    match value {
        Some(value) => {
            given.insert(name.to_owned(), value);
        }
        None => eprintln!("nodelith: credential `{}` is none", name.escape_debug()),
    }
}

/// A file's name that also is one for a file descriptor (`sd_listen_fds(3)`).
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'/' && byte != b':';
    !matches!(name, "" | "." | "..") && name.len() <= 255 && name.bytes().all(plain)
}

/// Writes them below `/run`, for root alone; returns what systemd is told of it.
fn write(
    run: &Path,
    given: Given,
    (place, variable): (&str, &'static str),
) -> Result<Option<(&'static str, String)>> {
    if given.is_empty() {
        return Ok(None);
    }
    let folder = run.join("credentials");
    // As systemd has them.
    for (folder, mode) in [(folder.clone(), 0o755), (folder.join(place), 0o700)] {
        match fs::DirBuilder::new().mode(mode).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(format!("making `{}`: {error}", folder.display()).into());
            }
            _ => {}
        }
    }
    for (name, value) in given {
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o400);
        let mut file = options.open(folder.join(place).join(&name))?;
        file.write_all(&value)?;
    }
    Ok(Some((variable, format!("/run/credentials/{place}"))))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_of_the_stub() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.cred", "one"),
            ("b", "no"),
            (".cred", "no"),
            ("c:.cred", "no"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::create_dir(folder.path().join("d.cred")).unwrap();
        fs::write(folder.path().join("large.cred"), vec![0; MOST + 1]).unwrap();
        // The total counts, too.
        fs::write(folder.path().join("m.cred"), vec![0; MOST]).unwrap();
        let mut given = Given::from([("z".to_owned(), b"z".to_vec())]);
        read(folder.path(), &mut given).unwrap();
        let names: Vec<_> = given.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "z"]);
        // The first of a name holds.
        fs::write(folder.path().join("a.cred"), "two").unwrap();
        read(folder.path(), &mut given).unwrap();
        assert_eq!(given["a"], b"one");
        read(&folder.path().join("none"), &mut given).unwrap();
    }

    #[test]
    fn they_are_written_for_root_alone() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(write(run.path(), Given::new(), TRUSTED).unwrap(), None);
        assert!(!run.path().join("credentials").exists());
        let given = || Given::from([("a".to_owned(), b"secret".to_vec())]);
        let told = write(run.path(), given(), ENCRYPTED).unwrap();
        let place = "/run/credentials/@encrypted".to_owned();
        assert_eq!(told, Some(("ENCRYPTED_CREDENTIALS_DIRECTORY", place)));
        write(run.path(), given(), TRUSTED).unwrap();
        let mode = |path: &str| {
            let found = fs::metadata(run.path().join("credentials").join(path)).unwrap();
            found.permissions().mode() & 0o777
        };
        assert_eq!((mode("@system"), mode("@system/a")), (0o700, 0o400));
        assert_eq!(
            fs::read(run.path().join("credentials/@encrypted/a")).unwrap(),
            b"secret"
        );
    }

    #[test]
    fn names() {
        for (name, good) in [
            ("nodelith.x", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("a:b", false),
            ("ä", false),
            ("a\nb", false),
            (&"a".repeat(256), false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
