//! When a lock is made, kept, renewed and refused; in archives of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive::Archive;
use crate::common::{document, json, nodelith, output, profile, refused, run};

const PROFILE: &str = r#"
name = "locked"
version = "1"
architecture = "amd64"

[debian]
suite = "trixie"
updates = false
packages = ["apple", "pear"]

[sysctl]
net.ipv4.ip_forward = 1
"#;

/// An archive with a lock made from it, and newer packages in it since.
struct Scene {
    archive: Archive,
    folder: tempfile::TempDir,
    profile: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let archive = Archive::new();
        archive.publish(
            "trixie",
            &[
                ("apple", "1.0", "fruit"),
                ("apple-data", "1.0", "fruit"),
                ("pear", "1.0", "pear"),
            ],
        );
        archive.publish("trixie-security", &[]);
        let folder = tempfile::tempdir().unwrap();
        let text = PROFILE.replace("\"apple\"", "\"apple\", \"apple-data\"");
        let profile = profile(folder.path(), &text);
        Self {
            archive,
            folder,
            profile,
        }
    }

    fn nodelith(&self, verb: &[&str]) -> Command {
        let mut command = nodelith();
        command
            .args(verb)
            .arg(&self.profile)
            .arg("--mirror")
            .arg(self.archive.url());
        command.arg("--security-mirror").arg(self.archive.url());
        command.arg("--keyring").arg(self.archive.keyring());
        command.arg("--store").arg(self.folder.path().join("store"));
        command
    }

    fn lock(&self) -> PathBuf {
        self.folder.path().join("node.lock.toml")
    }

    /// All but pear has a newer version, pear a security update.
    fn renew_archive(&self) {
        self.archive.publish(
            "trixie",
            &[
                ("apple", "1.1", "fruit"),
                ("apple-data", "1.1", "fruit"),
                ("pear", "1.0", "pear"),
            ],
        );
        self.archive
            .publish("trixie-security", &[("pear", "1.0+deb13u1", "pear")]);
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.profile).unwrap();
        assert!(text.contains(from));
        fs::write(&self.profile, text.replace(from, to)).unwrap();
    }

    /// The locked packages and their versions.
    fn versions(&self) -> Vec<String> {
        let lock: toml::Table = fs::read_to_string(self.lock()).unwrap().parse().unwrap();
        let packages = lock["architecture"]["amd64"]["package"]
            .as_array()
            .unwrap()
            .iter();
        packages
            .map(|one| {
                format!(
                    "{} {}",
                    one["name"].as_str().unwrap(),
                    one["version"].as_str().unwrap()
                )
            })
            .collect()
    }
}

#[test]
fn locked_refuses_to_make_or_change_a_lock() {
    let scene = Scene::new();
    let build = || scene.nodelith(&["build", "--locked", "-o", "/nonexistent/out"]);
    let said = refused(&mut build(), 3);
    assert!(
        said.contains("there is no lock") && said.contains("nodelith lock"),
        "{said}"
    );
    assert!(!scene.lock().exists());

    run(&mut scene.nodelith(&["lock"]));
    let before = fs::read(scene.lock()).unwrap();
    scene.edit("\"pear\"", "");
    let said = refused(&mut build(), 3);
    assert!(said.contains("not what the profile asks for"), "{said}");
    assert_eq!(fs::read(scene.lock()).unwrap(), before);

    // A local file that changed is an input that changed.
    scene.edit(
        "packages = [\"apple\", \"apple-data\", ]",
        "packages = [\"apple\", \"apple-data\", \"pear\"]",
    );
    let file = scene.folder.path().join("banner");
    fs::write(&file, "one").unwrap();
    let mut text = fs::read_to_string(&scene.profile).unwrap();
    text.push_str("\n[[files]]\npath = \"/etc/banner\"\nsource = \"banner\"\n");
    fs::write(&scene.profile, text).unwrap();
    run(&mut scene.nodelith(&["lock"]));
    fs::write(&file, "two").unwrap();
    let said = refused(&mut build(), 3);
    assert!(said.contains("not what the profile asks for"), "{said}");
}

#[test]
fn configuration_does_not_touch_the_lock() {
    let scene = Scene::new();
    run(&mut scene.nodelith(&["lock"]));
    let before = fs::read(scene.lock()).unwrap();
    scene.renew_archive();
    scene.edit(
        "net.ipv4.ip_forward = 1",
        "net.ipv4.ip_forward = 0\nvm.swappiness = 10",
    );
    scene.edit("version = \"1\"", "version = \"2\"");
    let said = run(&mut scene.nodelith(&["lock"]));
    assert!(String::from_utf8_lossy(&said).contains("up to date"));
    assert_eq!(fs::read(scene.lock()).unwrap(), before);

    // Another package does, and what was locked stays as it was.
    scene.edit("\"pear\"", "");
    let told = output(&mut scene.nodelith(&["lock"]));
    let said = String::from_utf8_lossy(&told.stderr);
    assert_eq!(scene.versions(), ["apple 1.0", "apple-data 1.0"], "{said}");
}

#[test]
fn update_renews_what_is_named_and_its_source() {
    let scene = Scene::new();
    run(&mut scene.nodelith(&["lock"]));
    assert_eq!(
        scene.versions(),
        ["apple 1.0", "apple-data 1.0", "pear 1.0"]
    );
    scene.renew_archive();
    let told = json(scene.nodelith(&["lock"]).args(["--update", "apple"]));
    assert_eq!(
        scene.versions(),
        ["apple 1.1", "apple-data 1.1", "pear 1.0"]
    );
    let changes = told["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2, "{told:#}");
    assert_eq!(changes[0]["name"], "apple");
    assert_eq!(
        (&changes[0]["before"], &changes[0]["after"]),
        (&"1.0".into(), &"1.1".into())
    );

    let said = refused(scene.nodelith(&["lock"]).args(["--update", "plum"]), 2);
    assert!(said.contains("`plum` is not in the lock"), "{said}");

    run(scene.nodelith(&["lock"]).arg("--update"));
    assert_eq!(
        scene.versions(),
        ["apple 1.1", "apple-data 1.1", "pear 1.0+deb13u1"]
    );
}

#[test]
fn outdated_names_security_first() {
    let scene = Scene::new();
    run(&mut scene.nodelith(&["lock"]));
    let current = scene
        .nodelith(&["lock"])
        .arg("--outdated")
        .output()
        .unwrap();
    assert_eq!(current.status.code(), Some(0), "{current:?}");
    scene.renew_archive();
    let before = fs::read(scene.lock()).unwrap();
    let told = output(scene.nodelith(&["lock"]).args(["--outdated", "--json"]));
    assert_eq!(told.status.code(), Some(1));
    let told = document(&told.stdout);
    let found: Vec<_> = told["outdated"].as_array().unwrap().iter().collect();
    let names: Vec<_> = found
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["pear", "apple", "apple-data"]);
    assert_eq!(found[0]["security"], true);
    assert_eq!(found[1]["security"], false);
    assert_eq!(fs::read(scene.lock()).unwrap(), before);
}

#[test]
fn no_address_is_in_the_lock() {
    let scene = Scene::new();
    run(&mut scene.nodelith(&["lock"]));
    no_address(&scene.lock());
    no_address(&crate::small().lock);
}

fn no_address(lock: &Path) {
    let text = fs::read_to_string(lock).unwrap();
    assert!(!text.contains("://"), "{text}");
    assert!(!text.contains("/tmp"), "{text}");
}

#[test]
fn a_path_that_leads_out_of_the_archive_is_refused() {
    let scene = Scene::new();
    scene
        .archive
        .publish_at("trixie", &[("apple", "1.0", "fruit")], "../../");
    scene.edit("\"apple-data\", \"pear\"", "");
    let said = refused(&mut scene.nodelith(&["lock"]), 4);
    assert!(said.contains("is not one below the archive"), "{said}");
    assert!(!scene.lock().exists());
}
