//! The program linked dynamically, so that libfaketime can come between it and
//! the clock: the same compiled crate, only linked anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::common::output;
use crate::fresh;

/// The dynamic program.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(link)
}

fn link() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_nodelith")).parent().unwrap();
    let target = built.parent().unwrap().file_name().unwrap();
    let profile = built.file_name().unwrap();
    // Procedural macros are made for the host, beside the folder of the target.
    let host = built.join("../..").join(profile).join("deps");
    let program = fresh("dynamic").join("nodelith");
    let dependency = |folder: &Path| format!("dependency={}", folder.display());
    let mut failures = String::new();
    // Other features, or another version, may have left a library of the same name.
    for clap in libraries(&built.join("deps"), "libclap-") {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
        rustc
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "bin",
                "--crate-name",
                "nodelith_dynamic",
            ])
            .args(["-C", "target-feature=-crt-static", "--target"])
            .arg(target)
            .args([
                "-L",
                &dependency(&built.join("deps")),
                "-L",
                &dependency(&host),
            ])
            .args(["--extern", &format!("clap={}", clap.display()), "--extern"])
            .arg(format!(
                "nodelith={}",
                built.join("libnodelith.rlib").display()
            ))
            .arg("-o")
            .arg(&program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs"));
        let done = output(&mut rustc);
        if done.status.success() {
            return program;
        }
        failures.push_str(&String::from_utf8_lossy(&done.stderr));
    }
    panic!("cannot link the program dynamically:\n{failures}");
}

fn libraries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(prefix) && name.ends_with(".rlib")
        })
        .collect();
    found.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    found.reverse();
    found
}
