//! The program linked dynamically, so that libfaketime can come between it and
//! the clock: the same compiled crate, only linked anew.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::common::run;
use crate::fresh;

/// The dynamic program.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(link)
}

fn link() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_nodelith")).parent().unwrap();
    let profile = match built.file_name().unwrap().to_str().unwrap() {
        "debug" => "test",
        other => other,
    };
    let target = built.parent().unwrap().file_name().unwrap();
    // Only cargo knows which of the libraries it keeps is that of this source. Asked
    // for this very test, it has nothing to make.
    let told = run(Command::new(env!("CARGO"))
        .args(["test", "--test", "image", "--no-run", "--locked"])
        .args(["--message-format", "json", "--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR")));
    let (nodelith, clap) = (library(&told, "nodelith"), library(&told, "clap"));
    // Procedural macros are made for the host, beside the folder of the target.
    let host = built.join("../..").join(built.file_name().unwrap());
    let program = fresh("dynamic").join("nodelith");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc
        .args(["--edition", "2024", "--crate-type", "bin"])
        .args(["--crate-name", "nodelith_dynamic"])
        .args(["-C", "target-feature=-crt-static", "--target"])
        .arg(target)
        .arg("-o")
        .arg(&program);
    for folder in [built, &host] {
        let folder = folder.join("deps");
        rustc
            .arg("-L")
            .arg(format!("dependency={}", folder.display()));
    }
    for (name, library) in [("nodelith", nodelith), ("clap", clap)] {
        rustc
            .arg("--extern")
            .arg(format!("{name}={}", library.display()));
    }
    run(rustc.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")));
    program
}

/// Where cargo says that the library of this name is.
fn library(told: &[u8], name: &str) -> PathBuf {
    let messages = std::str::from_utf8(told).unwrap().lines();
    messages
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == name)
        .flat_map(|message| message["filenames"].as_array().unwrap().clone())
        .map(|file| PathBuf::from(file.as_str().unwrap()))
        .find(|file| file.extension().is_some_and(|ending| ending == "rlib"))
        .unwrap_or_else(|| panic!("cargo names no library `{name}`"))
}
