//! Firmware with Secure Boot switched on starts what `export --sign-key` has signed, and
//! nothing that another key has signed. The judge is OVMF, with the key that Debian's
//! package of it trusts for tests.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{all, nodelith, run, scratch, skip};

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
/// The variables of a machine whose owner trusts the key.
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd";
const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";

/// Emulated, on a machine that has other things to do.
const DEADLINE: Duration = Duration::from_secs(400);

#[test]
fn firmware_starts_what_it_trusts() {
    if !all("Secure Boot") {
        return;
    }
    let qemu = Command::new("qemu-system-x86_64").arg("--version").output();
    if qemu.is_err() || !Path::new(VARIABLES).is_file() {
        skip("Secure Boot (needs qemu-system-x86 and ovmf: `ci/boot` installs them)");
        return;
    }
    let folder = scratch().join("secure-boot");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    run(nodelith()
        .args(["build", "--ignore-valid-until", "profiles/quickstart.toml"])
        .arg("--output")
        .arg(folder.join("image"))
        .arg("--lock")
        .arg(folder.join("lock.toml")));
    let openssl = |words: &[&str]| run(Command::new("openssl").args(words).current_dir(&folder));
    let plain = ["-passin", "pass:snakeoil", "-out", "trusted.key"];
    openssl(&[&["pkey", "-in", KEY][..], &plain].concat());
    let words = "req -x509 -days 2 -subj /CN=other -newkey rsa:2048 -nodes -keyout other.key -out other.crt";
    openssl(&words.split(' ').collect::<Vec<_>>());

    let console = boot(&folder, "trusted.key", CERTIFICATE, "Reached target");
    assert!(
        console.contains("secureboot: Secure boot enabled"),
        "{console}"
    );
    let console = boot(&folder, "other.key", "other.crt", "Access Denied");
    assert!(!console.contains("Linux version"), "{console}");
    fs::remove_dir_all(folder).unwrap();
}

/// Boots a disk signed by a key until the console says the words; all that it says.
fn boot(folder: &Path, key: &str, certificate: &str, words: &str) -> String {
    run(nodelith()
        .arg("export")
        .arg(folder.join("image"))
        .args(["--to", "disk", "--output"])
        .arg(folder.join("out"))
        .arg("--sign-key")
        .arg(folder.join(key))
        .arg("--sign-certificate")
        .arg(folder.join(certificate)));
    fs::copy(VARIABLES, folder.join("variables.fd")).unwrap();
    let console = folder.join("console");
    let mut machine = Command::new("qemu-system-x86_64")
        .args(["-machine", "q35,smm=on,accel=tcg", "-m", "2048"])
        .args(["-smp", "2", "-nic", "none", "-display", "none"])
        .args(["-monitor", "none", "-no-reboot"])
        .args([
            "-global",
            "driver=cfi.pflash01,property=secure,value=on",
            "-drive",
            &format!("if=pflash,format=raw,unit=0,readonly=on,file={CODE}"),
            "-drive",
            "if=pflash,format=raw,unit=1,file=variables.fd",
            "-drive",
            "if=virtio,format=raw,file=out/disk.raw",
            "-serial",
            "file:console",
        ])
        .current_dir(folder)
        .spawn()
        .unwrap();
    let begin = Instant::now();
    let said = loop {
        std::thread::sleep(Duration::from_secs(1));
        let said = fs::read(&console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let ended = machine.try_wait().unwrap().is_some();
        if said.contains(words) || ended || begin.elapsed() > DEADLINE {
            break said;
        }
    };
    let _ = machine.kill();
    let _ = machine.wait();
    fs::remove_file(console).unwrap();
    assert!(said.contains(words), "{said}");
    said
}
