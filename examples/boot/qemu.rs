//! One boot in QEMU, without a network, until the machine has powered off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::guest::{PORT, TEST_DISK, Test};

/// What is booted.
pub struct Machine {
    pub start: Start,
    pub test: Test,
    pub deadline: Duration,
}

/// How it is started.
pub enum Start {
    /// By QEMU itself.
    Kernel {
        root: PathBuf,
        var: PathBuf,
        kernel: PathBuf,
        initrd: PathBuf,
    },
    /// By UEFI firmware, from a disk that has everything.
    Firmware {
        code: PathBuf,
        variables: PathBuf,
        disk: PathBuf,
    },
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
            .stderr(fs::File::create(&errors)?)
            .spawn()
            .map_err(|error| format!("starting QEMU: {error}"))?;
        let ended = wait(&mut child, begun + self.deadline, &console)?;
        let text = |path: &Path| -> Result<String> {
            Ok(String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned())
        };
        Ok(Outcome {
            results: text(&results)?,
            console: text(&console)?,
            qemu: text(&errors)?,
            ended,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    fn command(&self, results: &Path, console: &Path) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
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
            .args(["-no-reboot", "-nic", "none", "-device", "virtio-rng-pci"]);
        let plain = |path: &Path| path.display().to_string().replace(',', ",,");
        command.args(["-serial", &format!("file:{}", plain(console))]);
        let mut disks = vec![(&self.test.disk, TEST_DISK, false)];
        match &self.start {
            Start::Kernel {
                root,
                var,
                kernel,
                initrd,
            } => {
                command.arg("-kernel").arg(kernel);
                command.arg("-initrd").arg(initrd);
                command.args(["-append", &self.test.command_line]);
                disks.splice(
                    0..0,
                    [(root, "nodelith-root", false), (var, "nodelith-var", true)],
                );
            }
            Start::Firmware {
                code,
                variables,
                disk,
            } => {
                for (path, readonly) in [(code, "on"), (variables, "off")] {
                    let path = plain(path);
                    let drive = format!("if=pflash,format=raw,readonly={readonly},file={path}");
                    command.args(["-drive", &drive]);
                }
                // systemd's stub takes more words for the kernel from the firmware's tables.
                let words = self.test.command_line.replace(',', ",,");
                let words = format!("type=11,value=io.systemd.stub.kernel-cmdline-extra={words}");
                command.args(["-smbios", &words]);
                disks.insert(0, (disk, "nodelith-disk", true));
            }
        }
        for (path, serial, writable) in disks {
            let writable = if writable { "off" } else { "on" };
            command.args([
                "-drive",
                &format!(
                    "if=none,format=raw,cache=unsafe,id={serial},readonly={writable},file={}",
                    plain(path)
                ),
            ]);
            command.args([
                "-device",
                &format!("virtio-blk-pci,drive={serial},serial={serial}"),
            ]);
        }
        command.args(["-device", "virtio-serial-pci"]);
        command.args([
            "-chardev",
            &format!("file,id=results,path={}", plain(results)),
        ]);
        command.args([
            "-device",
            &format!("virtserialport,chardev=results,name={PORT}"),
        ]);
        command.args(&self.test.qemu);
        command
    }
}

/// What a console shows when nothing more will come.
const HOPELESS: [&str; 3] = [
    "Kernel panic",
    "You are in emergency mode",
    "Press Enter for maintenance",
];

/// Waits until QEMU ends, and ends it at the deadline or when there is no hope.
fn wait(child: &mut Child, deadline: Instant, console: &Path) -> Result<bool> {
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
