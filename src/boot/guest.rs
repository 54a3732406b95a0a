//! How the test gets into a guest whose image is as it is, and its results out.
//!
//! A unit comes as a systemd credential in the firmware's tables (SMBIOS type 11),
//! or, for systemd before 256, with a second initrd. It runs a script that is the
//! whole content of a read-only disk, and the script writes to a virtio port.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::identity::{Credentials, firmware_string};
use super::qemu::path_option;
use crate::bundle::initrd::cpio::Archive;
use crate::error::{Context, Result};

/// The virtio port's name.
pub const PORT: &str = "nodelith.test";
/// The serial number of the disk that is the script.
pub const TEST_DISK: &str = "nodelith-test";

const UNIT: &str = "nodelith-test.service";
/// The script of the proof.
pub const SCRIPT: &str = include_str!("guest.sh");

/// The first systemd that takes units as credentials (`systemd.extra-unit.*`).
pub const UNITS_AS_CREDENTIALS: u32 = 256;

/// The test, prepared for one image.
pub struct Test {
    /// The disk with the script.
    pub disk: PathBuf,
    /// What the test wants on the kernel's command line.
    pub command_line: String,
    /// Further arguments for QEMU.
    pub qemu: Vec<OsString>,
    /// A second initrd, to follow the first; or nothing.
    pub appended: Vec<u8>,
}

impl Test {
    /// Prepares what an image with a systemd of this major version needs to run a script.
    pub fn make(systemd: u32, script: &str, folder: &Path) -> Result<Self> {
        let disk = folder.join("test.disk");
        fs::write(&disk, script_disk(script)).io("writing", &disk)?;
        let mut test = Self {
            disk,
            // The last console is the one that init writes to. The kernel measures a timer
            // that an emulator on a busy machine does not keep.
            command_line: format!(
                "console=ttyS0 no_timer_check panic=-1 systemd.wants={UNIT} systemd.show_status=1"
            ),
            qemu: Vec::new(),
            appended: Vec::new(),
        };
        if systemd >= UNITS_AS_CREDENTIALS {
            let credential = folder.join("credential");
            let text = firmware_string(&format!("systemd.extra-unit.{UNIT}"), unit().as_bytes());
            fs::write(&credential, text).io("writing", &credential)?;
            test.qemu = vec!["-smbios".into(), path_option("type=11,path=", &credential)];
        } else {
            let mut archive = Archive::default();
            archive.file(
                &format!("run/systemd/system/{UNIT}"),
                0o644,
                unit().as_bytes(),
            );
            test.appended = archive.finish();
        }
        Ok(test)
    }

    /// Hands the machine what it is given.
    pub fn give(&mut self, given: &Credentials, folder: &Path) -> Result<()> {
        for (number, (name, value)) in given.iter().enumerate() {
            let file = folder.join(format!("credential-{number}"));
            fs::write(&file, firmware_string(name, value)).io("writing", &file)?;
            let option = path_option("type=11,path=", &file);
            self.qemu.extend(["-smbios".into(), option]);
        }
        Ok(())
    }
}

/// The script with a size that disks can have; a shell passes over the empty lines.
fn script_disk(script: &str) -> Vec<u8> {
    let mut bytes = script.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(1 << 12), b'\n');
    bytes
}

/// A unit that runs after the node is up, and powers the machine off when done.
/// It is no oneshot: the boot would wait for it, and never be done while it looks.
///
/// systemd gives devices 90 seconds to appear, which a slow machine may need more of; so it
/// is the shell that waits for them as long as it takes. The port is opened when it is there:
/// systemd would make a file in its place.
fn unit() -> String {
    let (disk, port) = (
        format!("/dev/disk/by-id/virtio-{TEST_DISK}"),
        format!("/dev/virtio-ports/{PORT}"),
    );
    let [disk_unit, port_unit] = [&disk, &port].map(|path| escape(&path[1..]));
    let run = waits_and_runs(&disk, &port);
    format!(
        "[Unit]
Description=Test of the node
Wants={disk_unit}.device {port_unit}.device
After={disk_unit}.device {port_unit}.device multi-user.target
SuccessAction=poweroff
FailureAction=poweroff

[Service]
Type=exec
ExecStart=/bin/sh -c '{run}'
StandardOutput=journal
StandardError=journal
"
    )
}

/// Commands of a shell: when both are there, the script is run, and says to the port.
fn waits_and_runs(script: &str, port: &str) -> String {
    format!(
        "until [ -e {script} ] && [ -e {port} ]; do sleep 1; done; exec /bin/sh {script} >{port}"
    )
}

/// A path in a unit's name (`systemd-escape --path`).
fn escape(path: &str) -> String {
    path.replace('-', "\\x2d").replace('/', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_named_as_systemd_names_them() {
        assert_eq!(
            escape("dev/disk/by-id/virtio-x"),
            r"dev-disk-by\x2did-virtio\x2dx"
        );
        assert!(unit().contains(r"
After=dev-disk-by\x2did-virtio\x2dnodelith\x2dtest.device dev-virtio\x2dports-nodelith.test.device multi-user.target
"));
    }

    #[test]
    fn the_test_waits_for_its_devices_and_is_not_given_up() {
        // These would end the unit with a device that is late.
        for word in ["BindsTo=", "Requires=", "StandardOutput=file:"] {
            assert!(!unit().contains(word), "{word}");
        }
        let folder = tempfile::tempdir().unwrap();
        let [script, port] = ["script", "port"].map(|name| folder.path().join(name));
        let [script_text, port_text] = [&script, &port].map(|path| path.to_str().unwrap());
        let line = waits_and_runs(script_text, port_text);
        assert!(!line.contains(['\'', '$', '%', '\\']), "{line}");
        let mut shell = std::process::Command::new("/bin/sh");
        let mut shell = shell.args(["-c", &line]).spawn().unwrap();
        fs::write(&script, "echo said").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(shell.try_wait().unwrap().is_none() && !port.exists());
        fs::write(&port, "").unwrap();
        assert!(shell.wait().unwrap().success());
        assert_eq!(fs::read_to_string(&port).unwrap(), "said\n");
    }
}
