//! Writes an initrd: cpio in the `newc` form of the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;

/// An archive being written; folders are made as names need them.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    number: u32,
}

impl Archive {
    /// Adds a folder, and those that it is in.
    pub fn folder(&mut self, path: &str) {
        if path.is_empty() || !self.folders.insert(path.to_owned()) {
            return;
        }
        self.folder_of(path);
        self.entry(path, 0o040_755, b"");
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.folder_of(path);
        self.entry(path, 0o100_000 | mode, content);
    }

    fn folder_of(&mut self, path: &str) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.number += 1;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
        // ino, mode, uid, gid, nlink, mtime, size, device and rdev (major, minor), name, check
        let fields = [
            self.number,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            0,
            0,
            name_size,
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The whole archive; another may follow it.
    pub fn finish(mut self) -> Vec<u8> {
        self.number = 0;
        self.entry("TRAILER!!!", 0, b"");
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn cpio_reads_it() {
        let mut archive = Archive::default();
        archive.file("a/b/one", 0o755, b"hello");
        archive.file("a/two", 0o644, b"");
        archive.folder("empty");
        let mut cpio = Command::new("cpio")
            .args(["--list", "--verbose", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        cpio.stdin
            .take()
            .unwrap()
            .write_all(&archive.finish())
            .unwrap();
        let said = cpio.wait_with_output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        let names: Vec<_> = said
            .lines()
            .map(|line| (&line[..10], line.rsplit(' ').next().unwrap()))
            .collect();
        let wanted = [
            ("drwxr-xr-x", "a"),
            ("drwxr-xr-x", "a/b"),
            ("-rwxr-xr-x", "a/b/one"),
            ("-rw-r--r--", "a/two"),
            ("drwxr-xr-x", "empty"),
        ];
        assert_eq!(names, wanted, "{said}");
    }
}
