//! Updates of a disk: where its EFI system partition is mounted, when the version that
//! runs is good, what happens if it does not come up, and from where newer ones come.
//! docs/updates.md tells all of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nodelith::bundle::disk::gpt::ESP;
use nodelith::bundle::update::{BLESS, Name, Node, SYSUPDATE, TRIES, transfers};

use crate::devices::Disk;
use crate::lay::in_image;
use crate::{IMAGE, RUN, Result};

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
    let units = Units::new(Path::new(RUN))?;
    let Some(esp) = disk.find(|partition| partition.kind == ESP) else {
        return Ok(());
    };
    let Some(place) = PLACES.into_iter().find(|place| in_image(place).is_dir()) else {
        eprintln!("nodelith: the image has neither /efi nor /boot: it is not updated");
        return Ok(());
    };
    units.mount(&esp, place)?;
    if place == "/efi" && boot_is_free(Path::new(IMAGE)) {
        units.mask("boot.automount")?;
    }
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

/// Whether systemd-gpt-auto-generator(8) would mount the EFI system partition at the image's
/// `/boot`, as it does where that is empty and fstab(5) says nothing of it.
fn boot_is_free(image: &Path) -> bool {
    let empty = fs::read_dir(image.join("boot")).is_ok_and(|mut entries| entries.next().is_none());
    let table = fs::read_to_string(image.join("etc/fstab")).unwrap_or_default();
    let place = |line: &str| line.split_whitespace().nth(1) == Some("/boot");
    empty && !table.lines().any(place)
}

/// The units of the running system, and their scripts.
struct Units {
    /// What becomes `/run`.
    run: PathBuf,
    /// Where units are in it.
    folder: PathBuf,
}

impl Units {
    fn new(run: &Path) -> Result<Self> {
        let folder = run.join("systemd/system");
        fs::create_dir_all(&folder)?;
        let run = run.to_owned();
        Ok(Self { run, folder })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, text)?;
        Ok(())
    }

    /// Has `by` want `unit`.
    fn wanted(&self, unit: &str, by: &str) -> Result<()> {
        let folder = self.folder.join(format!("{by}.wants"));
        fs::create_dir_all(&folder)?;
        symlink(format!("../{unit}"), folder.join(unit))?;
        Ok(())
    }

    fn mask(&self, unit: &str) -> Result<()> {
        symlink("/dev/null", self.folder.join(unit))?;
        Ok(())
    }

    /// Writes a script; returns where the running system has it.
    fn script(&self, (name, text): (&str, &str)) -> Result<String> {
        let path = format!("{SCRIPTS}/{name}");
        let here = self.run.join(path.trim_start_matches("/run/"));
        fs::create_dir_all(here.parent().unwrap_or(&here))?;
        fs::write(here, text)?;
        Ok(path)
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
        self.mask("systemd-boot-update.service")
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
        self.write(
            "boot-complete.target.d/50-nodelith.conf",
            &format!(
                "[Unit]\nRequires={needed}\nAfter={needed}\nOnFailure=nodelith-fallback.service\n"
            ),
        )?;
        let script = self.script(FALLBACK)?;
        let about = "[Unit]\nDescription=Restart if this version does not come up\nDefaultDependencies=no\n";
        self.write(
            "nodelith-fallback.service",
            &format!("{about}\n[Service]\nType=oneshot\nExecStart=/bin/sh {script} {TRIES}\n"),
        )?;
        self.wanted("nodelith-fallback.service", "emergency.target")?;
        // Without a deadline it is given up nevertheless when it has failed.
        if patience == "infinity" {
            return Ok(());
        }
        self.write(
            "nodelith-fallback.timer",
            &format!(
                "{about}IgnoreOnIsolate=yes\n\n[Timer]\nOnBootSec={patience}\nAccuracySec=1s\n"
            ),
        )?;
        self.wanted("nodelith-fallback.timer", "sysinit.target")
    }

    /// Has the credential read, if the node is given it.
    fn by_credential(&self) -> Result<()> {
        const UNIT: &str = "nodelith-update-source.service";
        let script = self.script(BY_CREDENTIAL)?;
        self.write(
            UNIT,
            &format!(
                "[Unit]\nDescription=Where updates come from\nConditionCredential={CREDENTIAL}\n\
                 Before=systemd-sysupdate.service\n\n\
                 [Service]\nType=oneshot\nRemainAfterExit=yes\nImportCredential={CREDENTIAL}\n\
                 ExecStart=/bin/sh {script}\n"
            ),
        )?;
        self.wanted(UNIT, "multi-user.target")
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn without_a_deadline_what_fails_is_given_up_too() {
        for (patience, timer) in [("infinity", false), ("5min", true)] {
            let run = tempfile::tempdir().unwrap();
            let units = Units::new(run.path()).unwrap();
            units.trial(patience).unwrap();
            let there = |name: &str| units.folder.join(name).symlink_metadata().is_ok();
            assert_eq!(there("nodelith-fallback.timer"), timer);
            assert_eq!(there("sysinit.target.wants/nodelith-fallback.timer"), timer);
            assert!(there("nodelith-fallback.service"));
            assert!(there("emergency.target.wants/nodelith-fallback.service"));
            let target = units.folder.join("boot-complete.target.d/50-nodelith.conf");
            let target = fs::read_to_string(target).unwrap();
            assert!(target.contains("\nOnFailure=nodelith-fallback.service\n"));
            assert!(run.path().join("nodelith/fallback").is_file());
        }
    }

    #[test]
    fn a_credential_may_be_encrypted() {
        let run = tempfile::tempdir().unwrap();
        let units = Units::new(run.path()).unwrap();
        units.by_credential().unwrap();
        let unit = units.folder.join("nodelith-update-source.service");
        let text = fs::read_to_string(unit).unwrap();
        assert!(text.contains("\nImportCredential=nodelith.update-url\n"));
        assert!(!text.contains("LoadCredential="));
    }

    #[test]
    fn when_the_generator_would_take_boot() {
        let image = tempfile::tempdir().unwrap();
        let free = || boot_is_free(image.path());
        assert!(!free());
        fs::create_dir(image.path().join("boot")).unwrap();
        assert!(free());
        fs::create_dir(image.path().join("etc")).unwrap();
        let table = image.path().join("etc/fstab");
        fs::write(&table, "LABEL=a /boot ext4 defaults 0 2\n").unwrap();
        assert!(!free());
        fs::write(&table, "LABEL=a /boot/x ext4 defaults 0 2\n").unwrap();
        assert!(free());
        fs::write(image.path().join("boot/vmlinuz"), "").unwrap();
        assert!(!free());
    }

    /// Runs the script for a credential; returns whether it took it, and its `Type=` and
    /// `Path=` of the source, if there is a definition.
    fn by_credential(text: Option<&str>) -> (bool, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let os_release = Name::of("IMAGE_ID=node\nIMAGE_VERSION=1\n");
        let node = Node {
            running: &os_release,
            source: UNKNOWN,
            verify: true,
            disk: "/dev/vda",
            blesses: true,
        };
        definitions(&node, &run.join("nodelith/sysupdate.d")).unwrap();
        if let Some(text) = text {
            fs::write(folder.path().join(CREDENTIAL), text).unwrap();
        }
        let script = BY_CREDENTIAL
            .1
            .replace("/run/", &format!("{}/", run.display()));
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script])
            .env("CREDENTIALS_DIRECTORY", folder.path());
        let took = shell.output().unwrap().status.success();
        let made: Vec<_> = match fs::read_dir(run.join("sysupdate.d")) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => return (took, None),
        };
        if made.is_empty() {
            return (took, None);
        }
        assert_eq!(made.len(), 6);
        let mut sources = made.iter().map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let lines: Vec<_> = text
                .lines()
                .skip_while(|line| *line != "[Source]")
                .collect();
            format!("{} {}", lines[1], lines[2])
        });
        let first = sources.next();
        assert!(sources.all(|source| Some(source) == first));
        (took, first)
    }

    #[test]
    fn where_updates_are_may_be_said_by_a_credential() {
        for (text, source) in [
            (
                "https://host/a%20b&c|d",
                "Type=url-file Path=https://host/a%%20b&c|d",
            ),
            ("http://host/\n", "Type=url-file Path=http://host/"),
            (
                "/srv/new updates\n",
                "Type=regular-file Path=/srv/new updates",
            ),
        ] {
            assert_eq!(by_credential(Some(text)), (true, Some(source.to_owned())));
        }
        for text in [
            "",
            "\n",
            "host/node",
            "https://host\n[Target]\n",
            "/srv\r\n",
        ] {
            assert_eq!(by_credential(Some(text)), (false, None), "{text:?}");
        }
        assert_eq!(by_credential(None), (false, None));
    }
}
