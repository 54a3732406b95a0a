//! One boot in QEMU, until the machine has powered off.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};

use super::accelerator::{Engine, death};
use super::guest::{PORT, TEST_DISK, Test};
use super::interrupt::machines;
use super::overlay;
use super::tools::Tool;
use super::ways::Serving;
use crate::error::{Context, Error, Kind, Result};

/// How often QEMU is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a machine under KVM may say nothing before its test begins.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most that a machine may say in one boot, on its console or to the test's port, in
/// bytes: it is kept in memory, and on a disk of this machine.
const MOST: u64 = 64 << 20;

/// How much of what was looked at is looked at again with what follows it, in bytes: words
/// may come in two parts.
const AGAIN: u64 = 4096;

/// What a console shows when nothing more will come.
const HOPELESS: [&str; 3] = [
    "Kernel panic",
    "You are in emergency mode",
    "Press Enter for maintenance",
];

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
    /// What the machine has its files from, if it has a network.
    #[expect(dead_code, reason = "it serves until it is dropped")]
    pub serving: Option<Serving>,
}

/// A disk of the machine. What is written to it goes to an overlay.
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
    /// What QEMU said.
    pub qemu: String,
    /// How it ended.
    pub end: End,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// How a boot ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum End {
    /// The machine powered off.
    #[default]
    Off,
    /// It was ended at the deadline.
    Deadline(Duration),
    /// It was ended when it had said more than [`MOST`] here.
    Flood(&'static str),
    /// It was ended when the console showed these words.
    Hopeless(&'static str),
    /// KVM died in it, or QEMU by it; why.
    Dead(String),
    /// QEMU failed; what it said.
    Failed(String),
}

impl Machine {
    /// Boots; `path` is what the files about it begin with. Writable disks are as the
    /// last boot that was [kept](Self::keep) left them.
    pub fn boot(&self, path: &Path, engine: Engine) -> Result<Outcome> {
        let file = |ending| path.with_extension(ending);
        let (results, console, errors) = (file("results"), file("console"), file("qemu"));
        for left in [&results, &console] {
            let _ = fs::remove_file(left);
        }
        let mut command = self.command(path, engine, &results, &console)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&errors).io("creating", &errors)?);
        // SAFETY: one system call, after the fork.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let begun = Instant::now();
        let watch = Watch {
            deadline: self.deadline,
            engine,
            console: &console,
            results: &results,
            errors: &errors,
        };
        let end = watch.run(&mut command)?;
        let outcome = Outcome {
            results: text(&results),
            console: text(&console),
            qemu: text(&errors),
            end,
            seconds: begun.elapsed().as_secs_f64(),
        };
        match &outcome.end {
            // What is wrong is not the image.
            End::Failed(why) if outcome.console.is_empty() && outcome.results.is_empty() => {
                Err(Error::new(Kind::Io, format!("QEMU failed: {why}")))
            }
            _ => Ok(outcome),
        }
    }

    /// From now on machines begin with the disks as the boot of this name left them.
    pub fn keep(&mut self, path: &Path) {
        for disk in self.start.disks.iter_mut().filter(|disk| disk.writable) {
            disk.path = overlay_of(path, disk);
        }
    }

    fn command(
        &self,
        path: &Path,
        engine: Engine,
        results: &Path,
        console: &Path,
    ) -> Result<Command> {
        let mut command = Command::new(Tool::Qemu.path()?);
        command
            .args(["-machine", "q35"])
            .args(engine.arguments())
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
            let (file, readonly) = if disk.writable {
                let file = overlay_of(path, disk);
                overlay::write(&file, &disk.path, 0)?;
                (file, "off")
            } else {
                (disk.path.clone(), "on")
            };
            let format = overlay::format(&file);
            let about = format!(
                "if=none,format={format},cache=unsafe,id={serial},readonly={readonly},file="
            );
            command.arg("-drive").arg(path_option(&about, &file));
            let device = format!("virtio-blk-pci,drive={serial},serial={serial}");
            command.args(["-device", &device]);
        }
        let port = format!("virtserialport,chardev=results,name={PORT}");
        command
            .args(["-device", "virtio-serial-pci", "-chardev"])
            .arg(path_option("file,id=results,path=", results))
            .args(["-device", &port])
            .args(&self.test.qemu);
        Ok(command)
    }
}

/// Where a boot's changes to a disk go.
fn overlay_of(path: &Path, disk: &Disk) -> PathBuf {
    path.with_extension(format!("{}.qcow2", disk.serial))
}

/// An option of QEMU that ends with a path, in which a comma is written twice.
pub fn path_option(about: &str, path: &Path) -> OsString {
    let mut option = about.as_bytes().to_vec();
    for &byte in OsStr::as_encoded_bytes(path.as_os_str()) {
        let times = if byte == b',' { 2 } else { 1 };
        option.extend(std::iter::repeat_n(byte, times));
    }
    OsString::from_vec(option)
}

/// What is watched while QEMU runs.
struct Watch<'a> {
    deadline: Duration,
    engine: Engine,
    console: &'a Path,
    results: &'a Path,
    errors: &'a Path,
}

impl Watch<'_> {
    /// Starts QEMU and waits until it ends; ends it when nothing more will come.
    fn run(&self, command: &mut Command) -> Result<End> {
        let child = {
            // A signal in between would miss it.
            let mut machines = machines();
            let child = command.spawn().io("starting", command.get_program())?;
            let id = child.id();
            machines.insert(id, child);
            id
        };
        let begun = Instant::now();
        let mut seen = Seen {
            console: Grown::of(self.console),
            results: Grown::of(self.results),
            errors: Grown::of(self.errors),
            test_began: false,
            life: begun,
        };
        loop {
            let status = match machines().get_mut(&child) {
                Some(child) => child.try_wait().io("waiting for", "QEMU")?,
                None => None,
            };
            if let Some(status) = status {
                machines().remove(&child);
                return Ok(self.ended(status));
            }
            let end = self.look(begun, &mut seen);
            if let Some(end) = end {
                if let Some(mut child) = machines().remove(&child) {
                    child.kill().io("ending", "QEMU")?;
                    child.wait().io("waiting for", "QEMU")?;
                }
                return Ok(end);
            }
            sleep(PAUSE);
        }
    }

    /// Why a machine that runs is to be ended, if it is.
    fn look(&self, begun: Instant, seen: &mut Seen<'_>) -> Option<End> {
        let now = Instant::now();
        let (console, results) = (seen.console.more(), seen.results.more());
        if console.is_some() || results.is_some() {
            seen.life = now;
        }
        for (what, grown) in [
            ("on its console", &seen.console),
            ("to the test's port", &seen.results),
        ] {
            if grown.size > MOST {
                return Some(End::Flood(what));
            }
        }
        let console = console.unwrap_or_default();
        if let Some(words) = HOPELESS.iter().find(|words| console.contains(**words)) {
            return Some(End::Hopeless(words));
        }
        seen.test_began |= results.is_some_and(|results| results.contains("=== BEGIN"));
        if self.engine == Engine::Kvm {
            if let Some(line) = death(&seen.errors.more().unwrap_or_default()) {
                return Some(End::Dead(line.trim().to_owned()));
            }
            let patience = PATIENCE.min(self.deadline / 3);
            if !seen.test_began && now - seen.life > patience {
                let seconds = patience.as_secs();
                return Some(End::Dead(format!(
                    "the machine showed no sign of life for {seconds} s"
                )));
            }
        }
        (now - begun > self.deadline).then_some(End::Deadline(self.deadline))
    }

    /// What it means that QEMU ended by itself.
    fn ended(&self, status: ExitStatus) -> End {
        if status.success() {
            return End::Off;
        }
        let said = text(self.errors);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        let why = format!("{status}: {}", last.unwrap_or("it said nothing").trim());
        match self.engine {
            Engine::Kvm => End::Dead(why),
            Engine::Tcg => End::Failed(why),
        }
    }
}

/// What was seen of a machine that runs.
struct Seen<'a> {
    console: Grown<'a>,
    results: Grown<'a>,
    errors: Grown<'a>,
    /// Whether the test began.
    test_began: bool,
    /// When the machine last said something.
    life: Instant,
}

/// A file that grows, and how large it was when it was last looked at.
struct Grown<'a> {
    path: &'a Path,
    size: u64,
}

impl<'a> Grown<'a> {
    fn of(path: &'a Path) -> Self {
        Self { path, size: 0 }
    }

    /// What came since the last look, and a little of what was there before; if something did.
    /// Of a file that is larger than [`MOST`] nothing is read.
    fn more(&mut self) -> Option<String> {
        let size = fs::metadata(self.path).map_or(0, |about| about.len());
        if size <= self.size {
            return None;
        }
        let from = self.size.saturating_sub(AGAIN);
        self.size = size;
        if size > MOST {
            return Some(String::new());
        }
        Some(text_from(self.path, from, size - from))
    }
}

/// A file's text, as far as it is there, and [`MOST`] of it.
fn text(path: &Path) -> String {
    text_from(path, 0, MOST)
}

/// `most` bytes of a file's text from a place on, as far as they are there.
fn text_from(path: &Path, from: u64, most: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path)
        && file.seek(SeekFrom::Start(from)).is_ok()
    {
        let _ = file.take(most).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_read_once_and_words_are_found_in_two_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        let mut grown = Grown::of(&path);
        assert_eq!(grown.more(), None);
        fs::write(&path, format!("{}Kernel pa", "x".repeat(10_000))).unwrap();
        assert_eq!(grown.more().unwrap().len(), 10_009);
        assert_eq!(grown.more(), None);
        fs::write(&path, format!("{}Kernel panic", "x".repeat(10_000))).unwrap();
        let more = grown.more().unwrap();
        assert!(
            more.ends_with("Kernel panic") && more.len() < 5000,
            "{more}"
        );
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(MOST + 1)
            .unwrap();
        assert_eq!(grown.more().unwrap(), "");
        assert_eq!(text(&path).len() as u64, MOST);
    }
}
