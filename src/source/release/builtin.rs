//! crictl as Nodelith brings it: `nodelith-crictl`, beside the running program.

use std::path::{Path, PathBuf};

/// The program's file name.
const NAME: &str = "nodelith-crictl";

/// The built-in crictl that is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builtin {
    /// Where it is.
    pub path: PathBuf,
    /// Nodelith's version, which is its own.
    pub version: &'static str,
    /// Debian's name of the architecture that it is for.
    pub architecture: &'static str,
}

impl Builtin {
    /// The one that is installed with the running program.
    #[must_use]
    pub fn installed() -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        Self::beside(&program)
    }

    fn beside(program: &Path) -> Self {
        Self {
            path: program.with_file_name(NAME),
            version: env!("CARGO_PKG_VERSION"),
            architecture: if cfg!(target_arch = "aarch64") {
                "arm64"
            } else {
                "amd64"
            },
        }
    }

    /// Whether it is really there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.is_file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_beside_the_program() {
        let builtin = Builtin::beside(Path::new("/opt/bin/nodelith"));
        assert_eq!(builtin.path, Path::new("/opt/bin/nodelith-crictl"));
        assert!(!builtin.exists());
    }
}
