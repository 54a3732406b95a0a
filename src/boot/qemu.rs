//! One boot in QEMU, without a network, until the machine has powered off.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::guest::{PORT, TEST_DISK, Test};
use crate::error::{Context, Error, Kind, Result};

/// The emulator.
const QEMU: &str = "qemu-system-x86_64";

/// What is booted.
pub struct Machine {
    pub start: Start,
    pub test: Test,
    pub deadline: Duration,
}

/// How it is started.
pub struct Start {
    /// Arguments of QEMU: firmware, kernel.
    pub arguments: Vec<OsString>,
    /// Disks, in the order in which the machine has them.
    pub disks: Vec<Disk>,
}

/// A disk of the machine.
pub struct Disk {
    pub path: PathBuf,
    pub serial: &'static str,
    pub writable: bool,
}

/// What came of a boot.
#[derive(Default)]
pub struct Outcome {
    /// What the guest's test said.
    pub results: String,
    /// What was on the console.
    pub console: String,
    /// Whether the machine powered off in time.
    pub ended: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What QEMU said.
    pub qemu: String,
}

impl Machine {
    /// Boots; `path` is what the files about it begin with.
    pub fn boot(&self, path: &Path) -> Result<Outcome> {
        let results = path.with_extension("results");
        let console = path.with_extension("console");
        let errors = path.with_extension("qemu");
        let mut command = self.command(&results, &console);
        let begun = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors).io("creating", &errors)?)
            .spawn()
            .map_err(|error| Error::new(Kind::Io, format!("starting `{QEMU}`: {error}")))?;
        let ended = wait(&mut child, begun + self.deadline, &console).io("waiting for", QEMU)?;
        let text =
            |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        Ok(Outcome {
            results: text(&results),
            console: text(&console),
            qemu: text(&errors),
            ended,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    fn command(&self, results: &Path, console: &Path) -> Command {
        let mut command = Command::new(QEMU);
        command
            // KVM may accept a machine and then die in it; see docs/boot.md.
            .args([
                "-machine",
                "q35",
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "max",
            ])
            .args(["-smp", "2", "-m", "2048", "-nodefaults", "-display", "none"])
            .args(["-no-reboot", "-nic", "none", "-device", "virtio-rng-pci"])
            .arg("-serial")
            .arg(path_option("file:", console))
            .args(&self.start.arguments);
        let test = Disk {
            path: self.test.disk.clone(),
            serial: TEST_DISK,
            writable: false,
        };
        for disk in self.start.disks.iter().chain([&test]) {
            let serial = disk.serial;
            let readonly = if disk.writable { "off" } else { "on" };
            let about =
                format!("if=none,format=raw,cache=unsafe,id={serial},readonly={readonly},file=");
            command.arg("-drive").arg(path_option(&about, &disk.path));
            let device = format!("virtio-blk-pci,drive={serial},serial={serial}");
            command.args(["-device", &device]);
        }
        let port = format!("virtserialport,chardev=results,name={PORT}");
        command
            .args(["-device", "virtio-serial-pci", "-chardev"])
            .arg(path_option("file,id=results,path=", results))
            .args(["-device", &port])
            .args(&self.test.qemu);
        command
    }
}

/// An option of QEMU that ends with a path, in which a comma is written twice.
pub fn path_option(about: &str, path: &Path) -> OsString {
    let path = path.as_os_str().as_encoded_bytes();
    let mut option = about.as_bytes().to_vec();
    for &byte in path {
        option.extend(std::iter::repeat_n(byte, if byte == b',' { 2 } else { 1 }));
    }
    std::os::unix::ffi::OsStringExt::from_vec(option)
}

/// What a console shows when nothing more will come.
const HOPELESS: [&str; 3] = [
    "Kernel panic",
    "You are in emergency mode",
    "Press Enter for maintenance",
];

/// Waits until QEMU ends, and ends it at the deadline or when there is no hope.
fn wait(child: &mut Child, deadline: Instant, console: &Path) -> std::io::Result<bool> {
    while child.try_wait()?.is_none() {
        let console = fs::read(console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        if Instant::now() > deadline || HOPELESS.iter().any(|words| console.contains(words)) {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        sleep(Duration::from_millis(500));
    }
    Ok(true)
}
