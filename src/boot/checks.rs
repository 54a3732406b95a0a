//! What a node must be, judged from what the guest said. Pure: no input or output.

use serde_json::Value;

use super::identity::{Credentials, identity};
use super::qemu::{End, Outcome};
use super::sections::Sections;
use crate::compat::containerd::line;
use crate::compat::version::Version;

/// What a check found: a few words, or what is wrong.
pub type Found = Result<String, String>;

/// A boot and what was said in it.
pub struct Boot {
    /// What the guest said.
    pub said: Sections,
    /// How it went.
    pub outcome: Outcome,
    /// What the machine was given.
    pub given: Credentials,
}

impl Boot {
    /// Reads what the guest said.
    pub fn read(outcome: Outcome) -> Self {
        let said = Sections::parse(&outcome.results);
        Self {
            said,
            outcome,
            given: Credentials::new(),
        }
    }

    /// Whether the test came to its end and the machine powered off.
    pub fn is_whole(&self) -> bool {
        self.said.done && self.outcome.end == End::Off
    }
}

/// A check of one boot.
type Check = (&'static str, fn(&Boot) -> Found);

/// The checks of each boot.
pub const EACH: &[Check] = &[
    ("test ran", ran),
    ("system state", state),
    ("mounts", mounts),
    ("writable places", writable),
    ("nothing unique", unique),
    ("identity", identity),
    ("dpkg database", packages),
    ("containerd", containerd),
    ("CNI plug-ins", plugins),
    ("crictl info", info),
    ("kubelet", kubelet),
    ("sandbox image", pause),
    ("pod, own network", |boot| pod(&boot.said, "own-pod", false)),
    ("pod, node's network", |boot| {
        pod(&boot.said, "node-pod", true)
    }),
    ("nothing left of pods", removed),
    ("shutdown", shutdown),
];

/// A check of what was said in two boots, the second after the first.
type RebootCheck = (&'static str, fn(&Sections, &Sections) -> Found);

/// The checks of a reboot with the same /var.
pub const REBOOT: &[RebootCheck] = &[("kept over reboot", kept), ("/etc as in the image", gone)];

fn ran(boot: &Boot) -> Found {
    if boot.said.done {
        return Ok("to its end".to_owned());
    }
    let place = match &boot.said.open {
        Some(name) => format!("while at `{name}`"),
        None if boot.outcome.results.is_empty() => "before the test began".to_owned(),
        None => "before the test was done".to_owned(),
    };
    Err(format!("{}, {place}", ended(&boot.outcome.end)))
}

/// How a machine ended, in words.
fn ended(end: &End) -> String {
    match end {
        End::Off => "the machine stopped".to_owned(),
        End::Deadline(deadline) => {
            format!("it was ended at the deadline of {} s", deadline.as_secs())
        }
        End::Flood(what) => format!("it was ended, since it wrote more than 64 MiB {what}"),
        End::Hopeless(words) => format!("it was ended, since the console says `{words}`"),
        End::Dead(why) => format!("KVM died in it ({why})"),
        End::Failed(why) => format!("QEMU failed ({why})"),
    }
}

fn state(boot: &Boot) -> Found {
    let state = &boot.said.get("state")?.text;
    for name in ["failed", "failed-after"] {
        let failed = boot.said.text(name)?;
        let units: Vec<_> = failed
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        if !units.is_empty() {
            return Err(format!("{state}; failed: {}", units.join(", ")));
        }
    }
    match &**state {
        "running" => Ok("running, no failed units".to_owned()),
        other => Err(format!("it is `{other}`")),
    }
}

/// Where what is mounted how: place, type, an option.
const MOUNTS: &[(&str, &str, &str)] = &[
    ("/", "erofs", "ro"),
    ("/etc", "overlay", "rw"),
    ("/var", "ext4", "rw"),
    ("/var/lib/dpkg", "erofs", "ro"),
    ("/opt/cni/bin", "overlay", "rw"),
    ("/etc/kubernetes", "ext4", "rw"),
    ("/etc/cni/net.d", "ext4", "rw"),
    ("/run", "tmpfs", "rw"),
    ("/tmp", "tmpfs", "rw"),
];

fn mounts(boot: &Boot) -> Found {
    let table = boot.said.json("mounts")?;
    let all = list(&table, "filesystems");
    for (place, kind, option) in MOUNTS {
        let mut found = all.iter().rev();
        let Some(mount) = found.find(|mount| mount["target"] == *place) else {
            return Err(format!("nothing is mounted at {place}"));
        };
        let options = mount["options"].as_str().unwrap_or_default();
        if mount["fstype"] != *kind || !options.split(',').any(|one| one == *option) {
            return Err(format!("{place} is {}, {options}", mount["fstype"]));
        }
    }
    Ok("/ is read-only EROFS, /etc an overlay, /var ext4".to_owned())
}

/// What must be writable, and what must not be.
const WRITABLE: &[(&str, bool)] = &[
    ("/", false),
    ("/usr", false),
    ("/var/lib/dpkg", false),
    ("/etc", true),
    ("/var", true),
    ("/tmp", true),
    ("/run", true),
    ("/opt/cni/bin", true),
    ("/root", true),
    ("/etc/kubernetes", true),
    ("/etc/cni/net.d", true),
];

fn writable(boot: &Boot) -> Found {
    let text = boot.said.text("writable")?;
    for (place, wanted) in WRITABLE {
        let wanted = if *wanted { "yes" } else { "no" };
        match text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{place} ")))
        {
            Some(found) if found == wanted => {}
            Some(found) => return Err(format!("{place} can be written: {found}, not {wanted}")),
            None => return Err(format!("nothing is said of {place}")),
        }
    }
    Ok("/etc, /var, /tmp, /run, /opt/cni/bin; not / and /usr".to_owned())
}

/// The image's own files, below what is mounted over them.
fn unique(boot: &Boot) -> Found {
    match boot.said.text("unique")? {
        "" => Ok("no machine-id, host keys, seeds or credentials".to_owned()),
        text => {
            let paths: Vec<_> = text.lines().collect();
            Err(format!("in the image: {}", paths.join(", ")))
        }
    }
}

fn packages(boot: &Boot) -> Found {
    let text = boot.said.text("packages")?;
    let bad = text
        .lines()
        .find(|line| !line.ends_with(" install ok installed"));
    match (bad, text.lines().count()) {
        (Some(line), _) => Err(line.to_owned()),
        (None, 0) => Err("it is empty".to_owned()),
        (None, number) => Ok(format!("{number} packages")),
    }
}

fn containerd(boot: &Boot) -> Found {
    let version = boot.said.text("containerd")?;
    boot.said.text("enabled")?;
    let config = boot.said.text("config")?;
    let cgroup = config
        .lines()
        .any(|line| line.trim() == "SystemdCgroup = true");
    if !cgroup {
        return Err("its configuration has not `SystemdCgroup = true`".to_owned());
    }
    let version = version.split_whitespace().nth(2).unwrap_or(version);
    Ok(format!("{version}, active"))
}

fn plugins(boot: &Boot) -> Found {
    let text = boot.said.text("plugins")?;
    for wanted in ["bridge", "host-local", "loopback", "portmap"] {
        if !text.split_whitespace().any(|name| name == wanted) {
            return Err(format!("`{wanted}` is not in /opt/cni/bin"));
        }
    }
    Ok(format!(
        "{} in /opt/cni/bin",
        text.split_whitespace().count()
    ))
}

fn info(boot: &Boot) -> Found {
    let path = boot.said.get("tools")?.text.lines();
    let path = path.into_iter().find(|line| line.ends_with("/crictl"));
    let Some(path) = path else {
        return Err("the image carries no crictl".to_owned());
    };
    // It waits for the network's configuration to be seen, which may be in vain.
    let info = boot.said.json("info")?;
    for wanted in ["RuntimeReady", "NetworkReady"] {
        let conditions = list(&info["status"], "conditions");
        let Some(condition) = conditions.iter().find(|one| one["type"] == wanted) else {
            return Err(format!("nothing is said of {wanted}"));
        };
        if condition["status"] != true {
            return Err(format!("{wanted} is false: {}", condition["message"]));
        }
    }
    Ok(format!("RuntimeReady, NetworkReady by {path}"))
}

/// kubelet, where it is carried, takes the flags that its unit gives it.
fn kubelet(boot: &Boot) -> Found {
    let tools = &boot.said.get("tools")?.text;
    if !tools.lines().any(|line| line.ends_with("/kubelet")) {
        return Ok("none is carried".to_owned());
    }
    let version = boot.said.text("kubelet-version")?;
    let version = version.rsplit(' ').next().unwrap_or_default();
    let flags = kubelet_flags(&boot.said)?;
    boot.said.text("kubelet-takes")?;
    Ok(format!("{version}, takes its {} flags", flags.len()))
}

/// The flags that kubelet runs with, or would run with.
pub fn kubelet_flags(said: &Sections) -> Result<Vec<&str>, String> {
    let mut words = said.text("kubelet-flags")?.lines();
    match words.next() {
        Some(program) if program.ends_with("/kubelet") => Ok(words.collect()),
        _ => Err("its unit does not start it".to_owned()),
    }
}

/// The image of sandboxes is there and pinned.
fn pause(boot: &Boot) -> Found {
    let wanted =
        sandbox_image(boot.said.text("config")?).ok_or("containerd has no sandbox image")?;
    let images = boot.said.json("images")?;
    let is_it = |image: &&Value| list(image, "repoTags").iter().any(|tag| tag == wanted);
    let Some(image) = list(&images, "images").iter().find(is_it) else {
        return Err(format!("`{wanted}` is not in the node"));
    };
    let labels = boot.said.text("labels")?;
    let labelled = labels.lines().any(|line| {
        line.split_whitespace().next() == Some(wanted)
            && line.contains("io.cri-containerd.pinned=pinned")
    });
    match (labelled, image["pinned"] == true) {
        (true, true) => Ok(format!("{wanted}, pinned")),
        (true, false) if !tells_pins(boot.said.text("containerd")?) => Ok(format!(
            "{wanted}, pinned, which this containerd does not tell"
        )),
        _ => Err(format!("`{wanted}` is not pinned")),
    }
}

/// Whether a containerd tells by CRI that an image is pinned; `said` is what it says
/// of its version.
fn tells_pins(said: &str) -> bool {
    let version = said.split_whitespace().nth(2).unwrap_or_default();
    let version = Version::of_package(version.trim_start_matches('v'));
    let pins = |version| Some(line(version)?.row.pins(version));
    version.and_then(pins).unwrap_or(true)
}

/// The sandbox image of containerd's configuration, version 2 or 3.
pub fn sandbox_image(config: &str) -> Option<&str> {
    let values = config.lines().filter_map(|line| line.split_once('='));
    let mut values = values.filter(|(key, _)| matches!(key.trim(), "sandbox_image" | "sandbox"));
    values
        .next()
        .map(|(_, value)| value.trim().trim_matches(['"', '\'']))
}

/// A pod ran, with a container in the pod's own slice.
fn pod(said: &Sections, name: &str, node_network: bool) -> Found {
    said.text(name)?;
    let inspect = said.json(&format!("{name}-inspect"))?;
    let ready = &inspect["status"]["state"];
    if ready != "SANDBOX_READY" {
        return Err(format!("the sandbox is {ready}"));
    }
    let address = inspect["status"]["network"]["ip"]
        .as_str()
        .unwrap_or_default();
    if !node_network && !address.starts_with("10.88.") {
        return Err(format!(
            "its address is `{address}`, not one of its network's"
        ));
    }
    said.text(&format!("{name}-container"))?;
    said.text(&format!("{name}-start"))?;
    let containers = said.json(&format!("{name}-containers"))?;
    let running = list(&containers, "containers")
        .iter()
        .any(|one| one["state"] == "CONTAINER_RUNNING");
    if !running {
        return Err("its container does not run".to_owned());
    }
    let cgroups = said.text(&format!("{name}-cgroups"))?;
    let Some(cgroup) = cgroups.lines().next() else {
        return Err("no process is in the container's cgroup".to_owned());
    };
    let path = cgroup.strip_prefix("0::").unwrap_or(cgroup);
    if !path.starts_with("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod") {
        return Err(format!(
            "its container is in {path}, outside of the pod's slice"
        ));
    }
    for step in ["stop", "remove", "sandbox-stop", "sandbox-remove"] {
        said.text(&format!("{name}-{step}"))?;
    }
    let address = if node_network { "" } else { address };
    Ok(format!("ran in its slice {address}").trim_end().to_owned())
}

fn removed(boot: &Boot) -> Found {
    let pods = boot.said.json("pods-after")?;
    let left = list(&pods, "items").len();
    if left > 0 {
        return Err(format!("{left} pods are left"));
    }
    match boot.said.text("processes-after")? {
        "" => Ok("no pods, no processes".to_owned()),
        text => Err(format!("processes are left: {text}")),
    }
}

/// What systemd says of unmounting and stopping while the machine powers off.
fn shutdown(boot: &Boot) -> Found {
    if boot.outcome.end != End::Off {
        return Err("the machine did not power off".to_owned());
    }
    let mounts = boot.said.json("mounts").unwrap_or_default();
    let is_root = |mount: &&Value| mount["target"] == "/";
    let root = list(&mounts, "filesystems").iter().find(is_root);
    let source = root.and_then(|mount| mount["source"].as_str());
    let on_verity = source
        .is_some_and(|source| source.starts_with("/dev/dm-") || source.starts_with("/dev/mapper/"));
    let on_loop = source.is_some_and(|source| source.starts_with("/dev/loop"));
    let failed = boot.outcome.console.lines().find(|line| {
        let bad = [
            "Failed unmounting",
            "FAILED",
            "Failed to unmount",
            "Unable to finalize",
            "Kernel panic",
            "initrd failed",
        ];
        // What did not start is the system state's matter; and no system takes away the
        // device that its root is on, which it so counts as left.
        let expected = |words: &str| line.contains(words);
        let expected = expected("Failed to start")
            || on_verity && expected("DM devices")
            || on_loop && expected("loop devices");
        bad.iter().any(|words| line.contains(words)) && !expected
    });
    match failed {
        Some(line) => Err(plain(line)),
        None => Ok("clean".to_owned()),
    }
}

/// A line of a console without its colours.
pub fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            // CSI and OSC sequences, ECMA-48.
            '\x1b' => match letters.next() {
                Some('[') => drop(letters.find(char::is_ascii_alphabetic)),
                Some(']') => drop(letters.find(|&letter| matches!(letter, '\x07' | '\\'))),
                _ => {}
            },
            letter if letter.is_control() => {}
            letter => text.push(letter),
        }
    }
    text.trim().to_owned()
}

/// Kept places are after a reboot as they were before it.
fn kept(first: &Sections, second: &Sections) -> Found {
    let (before, after) = (first.text("marks-written")?, second.text("marks-found")?);
    for place in [
        "/etc/machine-id",
        "/etc/ssh/ssh_host_test_key",
        "/etc/kubernetes/nodelith-test",
        "/etc/cni/net.d/10-test.conflist",
    ] {
        let line = |text: &str| {
            text.lines()
                .find(|line| line.starts_with(place))
                .map(str::to_owned)
        };
        match (line(before), line(after)) {
            (Some(before), Some(after)) if before == after => {}
            (_, None) => return Err(format!("{place} is gone")),
            _ => return Err(format!("{place} is another")),
        }
    }
    Ok("machine-id, host keys, /etc/kubernetes, /etc/cni/net.d".to_owned())
}

/// What else was written to /etc is gone.
fn gone(first: &Sections, second: &Sections) -> Found {
    let stray = "/etc/nodelith-test ";
    let has = |text: &str| text.lines().any(|line| line.starts_with(stray));
    if !has(first.text("marks-written")?) {
        return Err("the file could not be written at first".to_owned());
    }
    match has(second.text("marks-found")?) {
        true => Err("a file written elsewhere in /etc is still there".to_owned()),
        false => Ok("a file written elsewhere in /etc is gone".to_owned()),
    }
}

/// A list in a JSON object; none is an empty one.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
