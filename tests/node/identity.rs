//! Nothing of a node or of the machine that built it is in any layer.
//!
//! The root is made on a machine with a name, a resolver, a home, a folder for
//! temporary files and tokens of its own, all of which can be told from anything
//! else; then each layer is unpacked and looked through with GNU grep. An image into which
//! a profile puts all these things shows that they would be found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::common::{nodelith, output, root, run, shared_store};
use super::{BUILD, Case, shipped};

/// What can be told from anything else.
const MARK: &str = "mark-of-the-build-machine";
const RESOLVER: &str = "192.0.2.53";

/// Keys and tokens as they are written in text.
const SECRETS: &str = concat!(
    "-----BEGIN ([A-Z]+ )*PRIVATE KEY-----",
    "|eyJhbGciOi[A-Za-z0-9_-]{8,}\\.",
    "|AKIA[0-9A-Z]{16}",
    "|(ghp_|glpat-)[A-Za-z0-9_-]{20}",
    "|token: *[a-z0-9]{6}\\.[a-z0-9]{16}",
);

/// Files that only a machine of its own has.
const NEVER: [&str; 13] = [
    "boot/loader/random-seed",
    "etc/adjtime",
    "etc/hostid",
    "etc/hostname",
    "etc/kubernetes/kubelet.conf",
    "etc/mailname",
    "root/.bash_history",
    "root/.ssh",
    "var/lib/kubelet",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
    "var/lib/urandom/random-seed",
    "var/lib/dhcp",
];

/// Unpacks each layer of the image into a folder of its own.
fn layers(image: &Path, folder: &Path) -> Vec<PathBuf> {
    let json =
        |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &Value| {
        let digest = digest.as_str().unwrap().trim_start_matches("sha256:");
        image.join("blobs/sha256").join(digest)
    };
    let index = json(image.join("index.json"));
    let manifest = json(blob(&index["manifests"][0]["digest"]));
    let layers = manifest["layers"].as_array().unwrap();
    let unpack = |layer: &Value| {
        let name = layer["annotations"]["io.nodelith.layer"].as_str().unwrap();
        let to = folder.join(name.replace(':', "-"));
        fs::create_dir_all(&to).unwrap();
        let mut tar = Command::new("tar");
        run(tar
            .arg("-xpf")
            .arg(blob(&layer["digest"]))
            .arg("-C")
            .arg(&to));
        to
    };
    layers.iter().map(unpack).collect()
}

/// What of a machine is in a layer: what it is, and where.
fn found(layer: &Path, marks: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in NEVER {
        if fs::symlink_metadata(layer.join(path)).is_ok() {
            found.insert(format!("{path} exists"));
        }
    }
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|there| there.is_file());
    let id = layer.join("etc/machine-id");
    if is_file(&id) && fs::read(&id).unwrap() != b"uninitialized\n" {
        found.insert("etc/machine-id is set".to_owned());
    }
    for path in ["var/lib/dbus/machine-id", "etc/resolv.conf"] {
        if is_file(&layer.join(path)) {
            found.insert(format!("{path} is a file"));
        }
    }
    for entry in fs::read_dir(layer.join("etc/ssh")).into_iter().flatten() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("ssh_host_") {
            found.insert(format!("etc/ssh/{name} exists"));
        }
    }
    // In binary files too, and in the targets of links.
    let mut marked = Command::new("grep");
    marked.args(["-rlaF"]);
    for mark in marks {
        marked.args(["-e", mark]);
    }
    let mut links = Command::new("find");
    links.arg(".").args(["-type", "l", "("]);
    for (at, mark) in marks.iter().enumerate() {
        links.args(if at > 0 { &["-o"][..] } else { &[] });
        links.arg("-lname").arg(format!("*{mark}*"));
    }
    links.arg(")");
    let mut secrets = Command::new("grep");
    secrets.args(["-rlIE", "-e", SECRETS]);
    for (what, command) in [
        ("has a mark", &mut marked),
        ("has a mark", &mut links),
        ("has a secret", &mut secrets),
    ] {
        let said = output(command.current_dir(layer));
        assert!(said.stderr.is_empty(), "{command:?}: {said:?}");
        for path in String::from_utf8(said.stdout).unwrap().lines() {
            found.insert(format!("{} {what}", path.trim_start_matches("./")));
        }
    }
    found
}

fn all_found(image: &Path, folder: &Path) -> BTreeSet<String> {
    let _ = fs::remove_dir_all(folder);
    let store = shared_store().display().to_string();
    let marks = [MARK.to_owned(), RESOLVER.to_owned(), store];
    let layers = layers(image, folder);
    let found = layers
        .iter()
        .flat_map(|layer| found(layer, &marks))
        .collect();
    fs::remove_dir_all(folder).unwrap();
    found
}

/// Runs the command on a machine with a name and a resolver of its own.
const ELSEWHERE: &str = "\
hostname \"$1\"
if [ -e /etc/resolv.conf ]; then mount --bind \"$2\" /etc/resolv.conf; fi
shift 2
exec \"$@\"
";

fn elsewhere(case: &Case, command: &Command) -> Command {
    let resolver = case.folder.join("resolv.conf");
    let text = format!("search {MARK}.example\nnameserver {RESOLVER}\n");
    fs::write(&resolver, text).unwrap();
    let temporary = case.folder.join(MARK);
    fs::create_dir_all(&temporary).unwrap();
    let mut wrapped = Command::new("unshare");
    wrapped
        .args(["--uts", "--mount", "sh", "-euc", ELSEWHERE, "sh", MARK])
        .arg(resolver)
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(&case.folder)
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    for name in ["HOSTNAME", "KUBE_TOKEN", "LOGNAME", "MAIL", "USER"] {
        wrapped.env(name, MARK);
    }
    wrapped.env("HOME", format!("/home/{MARK}"));
    wrapped.env("TMPDIR", temporary);
    wrapped
}

#[test]
fn nothing_of_a_machine_is_in_any_layer() {
    if !root("a build on a machine with a name of its own") {
        return;
    }
    let case = Case::new("identity");
    // The packages are in the store then, and the lock is made.
    let profile = shipped("quickstart");
    case.build(&profile, "image", &["--compression", "none"]);
    // What leaves out another path is another root: its scripts run again.
    let other = "[debian]\nexclude = { paths = [\"/usr/share/nothing-of-a-machine/*\"] }\n";
    let profile = case.profile("quickstart", other);
    let mut build = nodelith();
    build
        .args(BUILD)
        .args(["--locked", "--compression", "none", "--output", "marked"])
        .args(["--lock", "lock.toml"])
        .arg(&profile);
    run(&mut elsewhere(&case, &build));
    let folder = case.folder.join("layers");
    let nothing = BTreeSet::new();
    assert_eq!(all_found(&case.folder.join("marked"), &folder), nothing);
    planted(&case, &folder);
}

/// The same look at an image that has all of it.
fn planted(case: &Case, folder: &Path) {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----";
    let files = [
        (
            "/etc/machine-id",
            "0123456789abcdef0123456789abcdef",
            "is set",
        ),
        ("/etc/ssh/ssh_host_ed25519_key.pub", "x", "exists"),
        ("/etc/hostname", "node-1", "exists"),
        ("/etc/resolv.conf", "nameserver 1.1.1.1", "is a file"),
        ("/var/lib/systemd/random-seed", "x", "exists"),
        ("/etc/site/a", MARK, "has a mark"),
        ("/etc/site/b", &format!("\\u0000{MARK}"), "has a mark"),
        ("/etc/site/c", RESOLVER, "has a mark"),
        (
            "/etc/site/d",
            &shared_store().display().to_string(),
            "has a mark",
        ),
        ("/etc/site/key", key, "has a secret"),
        (
            "/etc/site/token",
            "token: abcdef.0123456789abcdef",
            "has a secret",
        ),
    ];
    let mut text = String::new();
    let mut wanted = BTreeSet::new();
    for (path, content, what) in files {
        text += &format!("[[files]]\npath = \"{path}\"\ntext = \"{content}\\n\"\n");
        wanted.insert(format!("{} {what}", path.trim_start_matches('/')));
    }
    let target = format!("/{MARK}");
    text += &format!("[[files]]\npath = \"/etc/site/link\"\nlink = \"{target}\"\n");
    wanted.insert("etc/site/link has a mark".to_owned());
    // The image says what the profile set, links by their target.
    wanted.insert("usr/share/nodelith/settings.json has a mark".to_owned());
    let profile = case.profile("quickstart", &text);
    let arguments = ["--locked", "--compression", "none"];
    let accepted = ["--accept-findings", "planted to be found"];
    case.build(&profile, "planted", &[&arguments[..], &accepted].concat());
    assert_eq!(all_found(&case.folder.join("planted"), folder), wanted);
}
