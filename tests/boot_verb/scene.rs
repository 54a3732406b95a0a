//! An image with made-up parts, and a QEMU that is a script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::common::{self, nodelith};
use super::images::{layer, theirs};

/// Tells of its start, and does what `MODE` says: by KVM and by TCG.
const QEMU: &str = r#"#!/bin/sh
for word; do
    case $word in
    kvm) engine=kvm ;;
    tcg,*) engine=tcg ;;
    *format=qcow2*)
        # The overlays are such as QEMU's own tool takes.
        if command -v qemu-img >/dev/null; then qemu-img check -q "${word##*file=}" || exit 1; fi
        ;;
    file:*) console=${word#file:} ;;
    file,id=results,path=*) results=${word#file,id=results,path=} ;;
    esac
done
here=$(dirname "$0")
echo "$$ $engine" >>"$here/started"
printf 'first line\nlast line\n' >"$console"
case $MODE-$engine in
*-dies-kvm) echo "KVM internal error. Suberror: 1" >&2; exec sleep 1000 ;;
*-aborts-kvm) echo "kvm: assertion failed" >&2; kill -ABRT $$ ;;
*-silent-kvm) exec sleep 1000 ;;
hangs-*) echo "=== BEGIN info" >"$results"; exec sleep 1000 ;;
broken-*) echo "no such machine" >&2; rm "$console"; exit 1 ;;
panics-*) echo "Kernel panic - not syncing: no root" >>"$console"; exec sleep 1000 ;;
floods-*) truncate -s 65M "$console"; exec sleep 1000 ;;
colours-*) sed 's/^=== BEGIN unique$/&\n\x1b[31mred\x1b]0;title\x07\xc2\x9b/' "$here/good" >"$results" ;;
unique-*) sed 's/^=== BEGIN unique$/&\n\/etc\/machine-id/' "$here/good" >"$results" ;;
*) cp "$here/good" "$results" ;;
esac
"#;

/// A folder with an image `image`, tools, and a place for temporary files.
pub struct Scene(tempfile::TempDir);

impl Scene {
    pub fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        let modules = "usr/lib/modules/6.1.0-test";
        let file = |path: &str| format!("{modules}/{path}");
        let (dep, alias, builtin) = (
            file("modules.dep"),
            file("modules.alias"),
            file("modules.builtin"),
        );
        let (erofs, overlay, mapper, verity) = (
            file("kernel/erofs.ko"),
            file("kernel/overlay.ko"),
            file("kernel/dm-mod.ko"),
            file("kernel/dm-verity.ko"),
        );
        let layer = layer(&[
            ("boot/vmlinuz-6.1.0-test", b'0', "the kernel"),
            ("usr/lib/os-release", b'0', "PRETTY_NAME=\"A & B <1>\"\n"),
            ("usr/lib/systemd/libsystemd-shared-257.so", b'0', "x"),
            (
                &dep,
                b'0',
                "kernel/erofs.ko:\nkernel/overlay.ko:\nkernel/dm-verity.ko: kernel/dm-mod.ko\nkernel/dm-mod.ko:\n",
            ),
            (&alias, b'0', ""),
            (&builtin, b'0', "kernel/fs/ext4.ko\n"),
            (&erofs, b'0', "x"),
            (&overlay, b'0', "x"),
            (&mapper, b'0', "x"),
            (&verity, b'0', "x"),
        ]);
        let image = theirs(scene.0.path(), &[layer]);
        fs::rename(image, scene.path("image")).unwrap();
        fs::create_dir(scene.path("bin")).unwrap();
        fs::create_dir(scene.path("tmp")).unwrap();
        let qemu = scene.path("bin/qemu-system-x86_64");
        fs::write(&qemu, QEMU).unwrap();
        fs::set_permissions(&qemu, PermissionsExt::from_mode(0o755)).unwrap();
        let pod = include_str!("../../src/boot/checks/pod.txt");
        let pods = ["own-pod", "node-pod"].map(|name| {
            let text = pod.replace("POD", name);
            text.replace("own-pod-sandbox_READY", "SANDBOX_READY")
        });
        let node = include_str!("../../src/boot/checks/node.txt");
        fs::write(
            scene.path("bin/good"),
            format!("{node}{}=== DONE\n", pods.concat()),
        )
        .unwrap();
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `nodelith boot` in the folder, one boot by TCG unless said otherwise.
    pub fn boot(&self, mode: &str, arguments: &[&str]) -> Command {
        let mut command = nodelith();
        let path = std::env::var("PATH").unwrap();
        let bin = self.path("bin");
        command
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("TMPDIR", self.path("tmp"))
            .env("MODE", mode)
            .env("NODELITH_STORE", self.path("store"))
            .current_dir(self.0.path())
            .args(["boot", "--boots", "1"])
            .args(arguments);
        if !arguments.contains(&"--accel") {
            command.args(["--accel", "tcg"]);
        }
        command
    }

    /// What it says with `--json`, which must end with `status`.
    pub fn json(&self, mode: &str, arguments: &[&str], status: i32) -> (Value, String) {
        let output = common::output(self.boot(mode, arguments).arg("--json"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{said}");
        (common::document(&output.stdout), said)
    }

    /// The accelerators of the machines that were started.
    pub fn started(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("bin/started")).unwrap_or_default();
        let lines = text.lines().map(|line| line.split_once(' ').unwrap().1);
        lines.map(str::to_owned).collect()
    }

    /// That nothing was left: no machine, no files.
    pub fn is_clean(&self) {
        let left: Vec<_> = names(&self.path("tmp"));
        assert!(left.is_empty(), "{left:?}");
        let text = fs::read_to_string(self.path("bin/started")).unwrap_or_default();
        for line in text.lines() {
            let process = Path::new("/proc").join(line.split_once(' ').unwrap().0);
            assert!(!process.exists(), "{line} still runs");
        }
    }
}

/// What is in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Standard output and standard error.
pub fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
