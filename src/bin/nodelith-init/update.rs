//! Updates of a disk: where its EFI system partition is mounted, when the version that
//! runs is good, what happens if it does not come up, and from where newer ones come.
//! docs/updates.md tells all of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nodelith::bundle::disk::gpt::ESP;
use nodelith::bundle::update::{BLESS, Name, Node, SYSUPDATE, TRIES, transfers};

use crate::devices::Disk;
use crate::lay::in_image;
use crate::{RUN, Result};

/// Where the EFI system partition goes: the first of these that the image has.
const PLACES: [&str; 2] = ["/efi", "/boot"];

/// Words of the kernel's command line: where updates come from, whether their list need
/// not be signed, and how long a version on trial may take.
const SOURCE: &str = "nodelith.update-url=";
const UNSIGNED: &str = "nodelith.update-verify=no";
const DEADLINE: &str = "nodelith.boot-deadline=";

/// How long, where nothing is said.
const PATIENCE: &str = "10min";

/// What must be active in a version that is good, where the image has it.
const NEEDED: [&str; 1] = ["containerd.service"];

/// Where an image's units are.
const UNITS: [&str; 3] = [
    "/usr/lib/systemd/system",
    "/usr/local/lib/systemd/system",
    "/etc/systemd/system",
];

/// Where scripts of the running system are, and what is not yet a definition.
const SCRIPTS: &str = "/run/nodelith";
const FALLBACK: (&str, &str) = ("fallback", include_str!("fallback.sh"));
const BY_CREDENTIAL: (&str, &str) = ("update-source", include_str!("source.sh"));

/// Where updates come from until the credential [`CREDENTIAL`] is read.
const UNKNOWN: &str = "https://unknown.invalid";
const CREDENTIAL: &str = "nodelith.update-url";

/// Writes units and definitions for a node that runs from this disk.
pub fn write(disk: &Disk) -> Result<()> {
    let words = fs::read_to_string("/proc/cmdline")?;
    let word = |key: &str| {
        words
            .split_whitespace()
            .rev()
            .find_map(|word| word.strip_prefix(key))
    };
    let units = Units::new()?;
    let Some(esp) = disk.find(|partition| partition.kind == ESP) else {
        return Ok(());
    };
    let Some(place) = PLACES.into_iter().find(|place| in_image(place).is_dir()) else {
        eprintln!("nodelith: the image has neither /efi nor /boot: it is not updated");
        return Ok(());
    };
    units.mount(&esp, place)?;
    let has = |program: &str| in_image(&format!("/{program}")).is_file();
    let blesses = has(BLESS);
    if blesses {
        units.trial(word(DEADLINE).unwrap_or(PATIENCE))?;
    }
    let source = word(SOURCE);
    if !has(SYSUPDATE) {
        if source.is_some() {
            eprintln!("nodelith: the image has no systemd-sysupdate: it is not updated");
        }
        return Ok(());
    }
    let folder = match source {
        Some(_) => "sysupdate.d",
        None => "nodelith/sysupdate.d",
    };
    if source.is_none() {
        units.by_credential()?;
    }
    let os_release = fs::read_to_string("/etc/initrd-release")?;
    let node = Node {
        running: &Name::of(&os_release),
        source: source.unwrap_or(UNKNOWN),
        verify: !words.split_whitespace().any(|word| word == UNSIGNED),
        disk: &format!("/dev/{}", disk.name),
        blesses,
    };
    definitions(&node, &Path::new(RUN).join(folder))
}

fn definitions(node: &Node<'_>, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in transfers(node) {
        // Before systemd 257 they were called `.conf`; later ones read those if there are
        // no others.
        for ending in ["transfer", "conf"] {
            fs::write(folder.join(format!("{name}.{ending}")), &text)?;
        }
    }
    Ok(())
}

/// The folder of units of the running system.
struct Units(std::path::PathBuf);

impl Units {
    fn new() -> Result<Self> {
        let folder = Path::new(RUN).join("systemd/system");
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, text)?;
        Ok(())
    }

    /// Has `by` want `unit`.
    fn wanted(&self, unit: &str, by: &str) -> Result<()> {
        let folder = self.0.join(format!("{by}.wants"));
        fs::create_dir_all(&folder)?;
        symlink(format!("../{unit}"), folder.join(unit))?;
        Ok(())
    }

    /// Mounts the EFI system partition when somebody looks. systemd-gpt-auto-generator(8)
    /// does it too, but only where the firmware tells from which one it started.
    fn mount(&self, device: &str, place: &str) -> Result<()> {
        let name = place.trim_start_matches('/');
        let about =
            "[Unit]\nDescription=EFI system partition\nDocumentation=man:systemd-sysupdate(8)\n\n";
        self.write(
            &format!("{name}.mount"),
            &format!(
                "{about}[Mount]\nWhat={device}\nWhere={place}\nType=vfat\n\
                 Options=rw,nosuid,nodev,noexec,umask=0077\n"
            ),
        )?;
        self.write(
            &format!("{name}.automount"),
            &format!("{about}[Automount]\nWhere={place}\nTimeoutIdleSec=2min\n"),
        )?;
        self.wanted(&format!("{name}.automount"), "local-fs.target")?;
        // Its loader may be signed, and that of an image is not.
        symlink("/dev/null", self.0.join("systemd-boot-update.service"))?;
        Ok(())
    }

    /// A version on trial is good when what is needed is active, and is left for the next
    /// try when that is not so in time. `systemd-bless-boot.service` waits for
    /// `boot-complete.target` (systemd's "Automatic Boot Assessment").
    fn trial(&self, patience: &str) -> Result<()> {
        let there = |unit: &&str| {
            let mut places = UNITS.iter().map(|folder| format!("{folder}/{unit}"));
            places.any(|path| in_image(&path).symlink_metadata().is_ok())
        };
        let needed: Vec<&str> = NEEDED.iter().copied().filter(|unit| there(unit)).collect();
        let needed = needed.join(" ");
        let gives_up = patience != "infinity";
        let otherwise = match gives_up {
            true => "OnFailure=nodelith-fallback.service\n",
            false => "",
        };
        self.write(
            "boot-complete.target.d/50-nodelith.conf",
            &format!("[Unit]\nRequires={needed}\nAfter={needed}\n{otherwise}"),
        )?;
        if !gives_up {
            return Ok(());
        }
        let script = script(FALLBACK)?;
        let about = "[Unit]\nDescription=Restart if this version does not come up\nDefaultDependencies=no\n";
        self.write(
            "nodelith-fallback.service",
            &format!("{about}\n[Service]\nType=oneshot\nExecStart=/bin/sh {script} {TRIES}\n"),
        )?;
        self.write(
            "nodelith-fallback.timer",
            &format!(
                "{about}IgnoreOnIsolate=yes\n\n[Timer]\nOnBootSec={patience}\nAccuracySec=1s\n"
            ),
        )?;
        self.wanted("nodelith-fallback.timer", "sysinit.target")?;
        self.wanted("nodelith-fallback.service", "emergency.target")
    }

    /// Has the credential read, if the node is given it.
    fn by_credential(&self) -> Result<()> {
        const UNIT: &str = "nodelith-update-source.service";
        let script = script(BY_CREDENTIAL)?;
        self.write(
            UNIT,
            &format!(
                "[Unit]\nDescription=Where updates come from\nConditionCredential={CREDENTIAL}\n\
                 Before=systemd-sysupdate.service\n\n\
                 [Service]\nType=oneshot\nRemainAfterExit=yes\nLoadCredential={CREDENTIAL}\n\
                 ExecStart=/bin/sh {script}\n"
            ),
        )?;
        self.wanted(UNIT, "multi-user.target")
    }
}

/// Writes a script; returns where the running system has it.
fn script((name, text): (&str, &str)) -> Result<String> {
    let path = format!("{SCRIPTS}/{name}");
    let here = Path::new(RUN).join(path.trim_start_matches("/run/"));
    fs::create_dir_all(here.parent().unwrap_or(&here))?;
    fs::write(here, text)?;
    Ok(path)
}
