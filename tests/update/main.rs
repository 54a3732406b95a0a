//! A node is updated by systemd-sysupdate, from a server whose list of files is signed, and
//! falls back by itself when the new version does not come up. Slow: six boots under
//! emulation.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{all, nodelith, root, run, scratch};
use nodelith::boot::lab::{Lab, Said};
use nodelith::boot::{Accelerator, Options, Way};
use nodelith::image::read::Image;

const SCRIPT: &str = include_str!("guest.sh");

/// A server of a folder, gone with this.
struct Server(Child, u16);

impl Server {
    fn of(folder: &Path) -> Self {
        let mut child = Command::new("python3")
            .args([
                "-u",
                "-m",
                "http.server",
                "0",
                "--bind",
                "127.0.0.1",
                "--directory",
            ])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // `Serving HTTP on 127.0.0.1 port 40000 (…) ...`
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let mut words = line.split_whitespace().skip_while(|word| *word != "port");
        let port = words.nth(1).unwrap().parse().unwrap();
        Self(child, port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder with versions of a node, and keys that sign them.
struct Scene {
    folder: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let folder = scratch().join("update");
        let _ = fs::remove_dir_all(&folder);
        for name in ["served", "machine"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let scene = Self { folder };
        for key in ["right", "wrong"] {
            let home = scene.path(key);
            fs::create_dir(&home).unwrap();
            let uid = format!("{key}@example.com");
            let make = [
                "--passphrase",
                "",
                "--quick-generate-key",
                &uid,
                "ed25519",
                "sign",
            ];
            run(scene.gpg(key).args(make));
        }
        let keyring = scene.path("keyring.gpg");
        run(scene
            .gpg("right")
            .arg("--output")
            .arg(keyring)
            .arg("--export"));
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn gpg(&self, key: &str) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--homedir"])
            .arg(self.path(key));
        gpg
    }

    /// Builds a version of the node.
    fn build(&self, version: u32, more: &str) -> PathBuf {
        let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let text = format!(
            "name = \"node\"\nversion = \"{version}\"\n\
             extends = [\"{0}/quickstart.toml\", \"{0}/base/updates.toml\"]\n\
             [[files]]\npath = \"/etc/systemd/import-pubring.gpg\"\nsource = \"keyring.gpg\"\n{more}",
            profiles.display()
        );
        let profile = common::profile(&self.folder, &text);
        let image = self.path(&format!("image-{version}"));
        let mut build = nodelith();
        build
            .args(["build", "--ignore-valid-until", "--output"])
            .arg(&image);
        run(build.arg("--lock").arg(self.path("lock.toml")).arg(profile));
        image
    }

    /// Exports it as an update and serves that; beside it, the same signed by another.
    fn publish(&self, image: &Path, version: u32) {
        let update = self.path(&format!("update-{version}"));
        let mut export = nodelith();
        export
            .arg("export")
            .arg(image)
            .args(["--to", "sysupdate", "--output"]);
        run(export.arg(&update));
        let sums = update.join("SHA256SUMS");
        let sign = |key: &str, to: &Path| {
            let mut gpg = self.gpg(key);
            gpg.arg("--output")
                .arg(to.join("SHA256SUMS.gpg"))
                .arg("--detach-sign");
            run(gpg.arg(&sums));
        };
        sign("right", &update);
        let wrong = update.join("wrong");
        fs::create_dir(&wrong).unwrap();
        fs::copy(&sums, wrong.join("SHA256SUMS")).unwrap();
        sign("wrong", &wrong);
        let served = self.path("served/current");
        let _ = fs::remove_file(&served);
        symlink(update, served).unwrap();
    }
}

/// What a section says, if it succeeded.
fn section<'a>(said: &'a Said, name: &str) -> Result<&'a str, &'a str> {
    let begin = format!("=== BEGIN {name}\n");
    let Some((_, rest)) = said.text.split_once(&begin) else {
        panic!("`{name}` was not reached:\n{}\n{}", said.text, said.console);
    };
    let (text, rest) = rest.split_once("=== END ").unwrap_or((rest, ""));
    match rest.starts_with("0\n") {
        true => Ok(text.trim()),
        false => Err(text.trim()),
    }
}

/// Which version runs, and whether it counts as good (or was never counted).
fn assert_runs(said: &Said, version: &str, counted: &str) {
    assert_eq!(section(said, "version"), Ok(version), "{}", said.text);
    assert_eq!(section(said, "failed"), Ok(""));
    assert_eq!(section(said, "blessed"), Ok(counted), "{}", said.text);
    assert!(said.text.ends_with("=== DONE\n"), "{}", said.text);
}

/// The size of `/var` in MiB.
fn var(said: &Said) -> u64 {
    let text = section(said, "var").unwrap();
    let size = text.lines().last().unwrap().trim().trim_end_matches('M');
    size.parse().unwrap()
}

/// Its containerd does not start.
const BROKEN: &str = r#"
[[files]]
path = "/usr/lib/systemd/system/containerd.service.d/99-broken.conf"
text = """
[Service]
ExecStart=
ExecStart=/bin/false
"""
"#;

#[test]
fn a_node_is_updated_and_falls_back() {
    if !root("updating a node") || !all("updating a node") {
        return;
    }
    // Installs what is needed.
    run(Command::new("ci/boot")
        .arg("--help")
        .current_dir(env!("CARGO_MANIFEST_DIR")));
    let scene = Scene::new();
    let first = scene.build(1, "");
    scene.publish(&scene.build(2, ""), 2);
    let server = Server::of(&scene.path("served"));
    let options = Options {
        way: Way::Disk,
        boots: 1,
        deadline: Duration::from_secs(900),
        accelerator: Accelerator::Tcg,
        damage: false,
        credentials: Default::default(),
        init: Some(Path::new(env!("CARGO_BIN_EXE_nodelith-init"))),
        threads: 2,
    };
    let words = format!("nodelith.update-url=http://10.0.2.2:{}/current", server.1);
    let image = Image::open(&format!("oci:{}", first.display()), None).unwrap();
    let mut lab = Lab::new(&image, &options, SCRIPT, &words, &scene.path("machine")).unwrap();

    let said = lab.boot("first").unwrap();
    assert_runs(&said, "1", "good");
    assert_eq!(section(&said, "kernels"), Ok("node_1.efi"));
    let refused = section(&said, "wrong").unwrap_err();
    assert!(refused.to_lowercase().contains("signature"), "{refused}");
    section(&said, "update").unwrap();
    assert_eq!(
        section(&said, "kernels-after"),
        Ok("node_1.efi\nnode_2+3-0.efi")
    );
    let size = var(&said);

    // A second version, and a third that is broken.
    scene.publish(&scene.build(3, BROKEN), 3);
    let said = lab.boot("second").unwrap();
    assert_runs(&said, "2", "good");
    section(&said, "update").unwrap();
    assert_eq!(
        section(&said, "kernels-after"),
        Ok("node_2.efi\nnode_3+3-0.efi")
    );

    for tries in [2, 1, 0] {
        let said = lab.boot(&format!("broken-{tries}")).unwrap();
        let words = format!("did not come up: restarting, with {tries} tries left");
        assert!(
            said.ended && said.console.contains(&words),
            "{}",
            said.console
        );
    }
    // A larger disk, meanwhile.
    lab.grow(2 << 30).unwrap();
    let said = lab.boot("fallen-back").unwrap();
    assert_runs(&said, "2", "clean");
    assert_eq!(section(&said, "kernels"), Ok("node_2.efi\nnode_3+0-3.efi"));
    assert!(var(&said) > size + 1900, "{size}, {}", said.text);
    // What is broken is not tried again.
    section(&said, "update").unwrap();
    assert_eq!(section(&said, "kernels-after"), section(&said, "kernels"));
    fs::remove_dir_all(&scene.folder).unwrap();
}
