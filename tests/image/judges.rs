//! What other people's tools say of the quickstart image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nodelith::build::excludes::patterns;
use nodelith::profile::Profile;
use nodelith::source::debian::root::clean;
use nodelith::tree::FIXED_TIME;
use serde_json::Value;

use crate::common::{json, manifest_digest, nodelith, output, root, run, skip};
use crate::{fresh, quickstart, unpacked};

#[test]
fn skopeo_copies_it() {
    let image = quickstart();
    let folder = fresh("skopeo");
    let copy = |from: &Path, to: &str| {
        let mut command = Command::new("skopeo");
        command
            .args(["copy", "--quiet"])
            .arg(format!("oci:{}:1", from.display()));
        command.arg(format!("oci:{}:1", folder.join(to).display()));
        command
    };
    run(&mut copy(&image.layout, "copy"));
    assert_eq!(manifest_digest(&folder.join("copy")), image.digest);

    // The judge judges: one byte of one layer is another.
    let broken = folder.join("broken");
    run(Command::new("cp").arg("-r").arg(&image.layout).arg(&broken));
    let layer = image.layers()["configuration"].replace("sha256:", "");
    let layer = broken.join("blobs/sha256").join(layer);
    let mut bytes = fs::read(&layer).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::remove_file(&layer).unwrap();
    fs::write(&layer, bytes).unwrap();
    assert!(!output(&mut copy(&broken, "broken-copy")).status.success());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn buildah_takes_it() {
    if !root("buildah pull") {
        return;
    }
    // With vfs, which works everywhere, each layer is a copy of all below it: few layers.
    let image = quickstart();
    let folder = fresh("buildah");
    let few = image.folder.join("few-layers.toml");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/quickstart.toml");
    let text = format!(
        "extends = {:?}\nname = \"few\"\n[image]\nlayers = 6\n",
        base.to_str().unwrap()
    );
    fs::write(&few, text).unwrap();
    let layout = folder.join("few");
    let mut build = nodelith();
    build.args(["build", "--locked", "--lock"]).arg(&image.lock);
    run(build.arg(few).arg("-o").arg(&layout));

    for (driver, layout) in [("vfs", &layout), ("overlay", &image.layout)] {
        let buildah = |arguments: &[&str]| {
            let mut command = Command::new("buildah");
            command
                .args(["--storage-driver", driver, "--root"])
                .arg(folder.join(driver));
            command
                .arg("--runroot")
                .arg(folder.join("run"))
                .args(arguments);
            command
        };
        let reference = format!("oci:{}:1", layout.display());
        let pulled = output(&mut buildah(&["pull", "--quiet", &reference]));
        let said = String::from_utf8_lossy(&pulled.stderr).into_owned();
        if driver == "overlay" && !pulled.status.success() && said.contains("overlay") {
            skip("buildah with the overlay driver (it does not work here)");
            continue;
        }
        assert!(pulled.status.success(), "{said}");
        let id = String::from_utf8(pulled.stdout).unwrap();
        let inspected = run(&mut buildah(&["inspect", "--type", "image", id.trim()]));
        let inspected: Value = serde_json::from_slice(&inspected).unwrap();
        assert_eq!(inspected["FromImageDigest"], manifest_digest(layout));
        assert_eq!(inspected["OCIv1"]["os"], "linux");
        let taken = inspected["OCIv1"]["rootfs"]["diff_ids"]
            .as_array()
            .unwrap()
            .len();
        let shown = json(nodelith().arg("show").arg(layout));
        assert_eq!(taken, shown["layers"].as_array().unwrap().len());
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn each_path_is_in_one_layer_and_nothing_is_a_whiteout() {
    let image = quickstart();
    let tars: Vec<(String, Vec<u8>)> = image
        .layers()
        .into_iter()
        .map(|(id, digest)| {
            let blob = image.layout.join("blobs/sha256");
            let blob = blob.join(digest.replace("sha256:", ""));
            (
                id,
                run(Command::new("zstd").args(["-q", "-d", "-c"]).arg(blob)),
            )
        })
        .collect();
    let mut paths = Paths::default();
    for (id, tar) in &tars {
        paths.add(id, tar);
    }
    assert_eq!(paths.odd, Vec::<String>::new());
    assert!(paths.all.len() > 3000, "{}", paths.all.len());

    // A layer that comes twice has each of its files twice; a whiteout is one.
    paths.add("again", &tars[0].1);
    assert!(!paths.odd.is_empty());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_cksum();
    let mut whiteout = tar::Builder::new(Vec::new());
    whiteout
        .append_data(&mut header, "etc/.wh.motd", &[][..])
        .unwrap();
    let mut paths = Paths::default();
    paths.add("whiteout", &whiteout.into_inner().unwrap());
    assert_eq!(paths.odd, ["etc/.wh.motd is a whiteout in whiteout"]);
}

/// What layers hold, and what must not be so.
#[derive(Default)]
struct Paths {
    all: BTreeMap<PathBuf, String>,
    folders: BTreeMap<PathBuf, (u32, u64, u64, u64)>,
    odd: Vec<String>,
}

impl Paths {
    fn add(&mut self, id: &str, tar: &[u8]) {
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().into_owned();
            let shown = path.display();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(".wh.") {
                self.odd.push(format!("{shown} is a whiteout in {id}"));
            }
            let header = entry.header();
            if header.entry_type().is_dir() {
                let facts = (
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.gid().unwrap(),
                    header.mtime().unwrap(),
                );
                let known = self.folders.entry(path.clone()).or_insert(facts);
                if *known != facts {
                    self.odd.push(format!("{shown} is another folder in {id}"));
                }
            } else if let Some(other) = self.all.insert(path.clone(), id.to_owned()) {
                self.odd.push(format!("{shown} is in {other} and in {id}"));
            }
        }
    }
}

#[test]
fn umoci_unpacks_it_and_dpkg_finds_all_in_order() {
    if !root("umoci unpack") {
        return;
    }
    let image = quickstart();
    let folder = fresh("umoci");
    let layout = folder.join("gzip");
    let mut build = nodelith();
    build
        .args(["build", "--locked", "--compression", "gzip", "--lock"])
        .arg(&image.lock);
    run(build.arg(&image.profile).arg("-o").arg(&layout));
    let bundle = folder.join("bundle");
    let mut umoci = Command::new("umoci");
    umoci
        .args(["unpack", "--image"])
        .arg(format!("{}:1", layout.display()));
    run(umoci.arg(&bundle));
    let unpacked_root = bundle.join("rootfs");

    let shown = json(nodelith().args(["show", "--files"]).arg(&layout));
    let files = shown["files"].as_array().unwrap();
    assert_eq!(
        unpacked::differences(&unpacked_root, files),
        Vec::<String>::new()
    );
    dpkg_is_content(&unpacked_root, files);
    nothing_of_this_machine(&unpacked_root, files);
    let blob = |digest: &Value| {
        let hex = digest.as_str().unwrap().replace("sha256:", "");
        layout.join("blobs/sha256").join(hex)
    };
    let manifest = blob(&shown["digest"]);
    let text: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    nothing_named(&layout.join("index.json"));
    nothing_named(&manifest);
    nothing_named(&blob(&text["config"]["digest"]));
    the_judges_judge(&unpacked_root, files);
    fs::remove_dir_all(folder).unwrap();
}

/// dpkg's own checks: nothing half-installed, and nothing missing but what was excluded.
fn dpkg_is_content(root: &Path, files: &[Value]) {
    let audit = run(Command::new("dpkg").arg("--root").arg(root).arg("--audit"));
    assert_eq!(String::from_utf8_lossy(&audit), "");
    let reported = verify(root);
    let excluded = excluded();
    assert!(
        reported.iter().any(|(_, path)| excluded(path)),
        "{reported:?}"
    );
    // What the profile puts in the place of a package's file is not the package's any more.
    let ours: BTreeSet<&str> = files
        .iter()
        .filter(|file| file["layer"] == "configuration")
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    let odd: Vec<_> = reported
        .iter()
        .filter(|(_, path)| !excluded(path) && !ours.contains(path.trim_start_matches('/')))
        .collect();
    assert!(odd.is_empty(), "{odd:#?}");
}

/// What `dpkg --verify` reports: what is wrong with which path.
fn verify(root: &Path) -> Vec<(String, String)> {
    let told = output(Command::new("dpkg").arg("--root").arg(root).arg("--verify"));
    let told = String::from_utf8(told.stdout).unwrap();
    told.lines()
        .map(|line| {
            let (what, path) = line.split_once('/').unwrap();
            (what.trim().to_owned(), format!("/{path}"))
        })
        .collect()
}

/// Whether a path is one that the quickstart profile leaves out of packages.
fn excluded() -> impl Fn(&str) -> bool {
    let profile = Profile::load(&quickstart().profile).unwrap();
    let patterns = patterns(&profile.debian.unwrap().exclude);
    let prefixes: Vec<String> = patterns
        .iter()
        .filter_map(|pattern| pattern.strip_suffix('*'))
        .filter(|pattern| !pattern.starts_with('!'))
        .map(str::to_owned)
        .collect();
    assert!(prefixes.len() > 3, "{patterns:?}");
    move |path| {
        let kept = path.ends_with("/copyright") || path.ends_with("/locale.alias");
        !kept
            && prefixes
                .iter()
                .any(|prefix| path.starts_with(prefix.as_str()))
    }
}

/// What must not be in a root. One path is ours again, with a time that is nobody's clock.
fn leaks(root: &Path) -> Vec<clean::Finding> {
    let mut leaks = clean::leaks(root).unwrap();
    leaks.retain(|leak| leak.path != Path::new("etc/.updated"));
    leaks
}

/// No identity, no key, no name of this machine or of a mirror.
fn nothing_of_this_machine(root: &Path, files: &[Value]) {
    assert_eq!(leaks(root), []);
    let updated = fs::symlink_metadata(root.join("etc/.updated")).unwrap();
    assert_eq!((updated.mtime(), updated.is_file()), (FIXED_TIME, true));
    assert_eq!(
        fs::read(root.join("etc/machine-id")).unwrap(),
        b"uninitialized\n"
    );
    for path in ["etc/hostname", "var/lib/systemd/random-seed"] {
        assert!(!root.join(path).exists(), "{path}");
    }
    let resolver = fs::symlink_metadata(root.join("etc/resolv.conf"));
    assert!(resolver.is_err() || resolver.is_ok_and(|it| it.is_symlink()));
    // dpkg vouches for the packages' own files; what we or scripts made is looked through.
    for file in files {
        let made = ["generated", "configuration", "conffiles"]
            .iter()
            .any(|id| file["layer"] == *id);
        if made && file["type"] == "-" {
            nothing_named(&root.join(unpacked::path(&file["path"]).unwrap()));
        }
    }
}

fn nothing_named(file: &Path) {
    assert_eq!(named(file), None, "in {}", file.display());
}

/// The name of this machine or of a mirror that stands in the file.
fn named(file: &Path) -> Option<&'static str> {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    let mut bytes = Vec::new();
    fs::File::open(file)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    let names = NAMES.get_or_init(telltale_names).iter();
    names.map(String::as_str).find(|name| {
        bytes
            .windows(name.len())
            .any(|part| part == name.as_bytes())
    })
}

/// Names that only this machine and its mirrors have.
fn telltale_names() -> Vec<String> {
    let mut names = Vec::new();
    let sources = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten();
    let sources = sources
        .map(|entry| entry.path())
        .chain(["/etc/apt/sources.list".into()]);
    for file in sources {
        let text = fs::read_to_string(file).unwrap_or_default();
        for word in text.split_whitespace() {
            if let Some((_, rest)) = word.split_once("://") {
                names.extend(rest.split('/').next().map(str::to_owned));
            }
        }
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    // Shorter names, and the commonest, stand in texts by chance.
    if host.trim().len() > 5 && !["debian", "localhost"].contains(&host.trim()) {
        names.push(host.trim().to_owned());
    }
    names.push(env!("CARGO_MANIFEST_DIR").to_owned());
    names.sort();
    names.dedup();
    names
}

/// Each check finds what was put there for it.
fn the_judges_judge(root: &Path, files: &[Value]) {
    let tool = root.join("usr/bin/sed");
    let mut bytes = fs::read(&tool).unwrap();
    bytes.push(0);
    fs::write(&tool, bytes).unwrap();
    assert!(
        verify(root)
            .iter()
            .any(|(_, path)| path.ends_with("/bin/sed"))
    );
    fs::write(root.join("etc/hostname"), "here\n").unwrap();
    assert_eq!(leaks(root)[0].path, Path::new("etc/hostname"));
    let made = root.join("etc/hostname");
    fs::write(&made, format!("built in {}\n", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert_eq!(named(&made), Some(env!("CARGO_MANIFEST_DIR")));
    let found = unpacked::differences(root, files);
    assert_eq!(found.len(), 2, "{found:?}");
    let status = root.join("var/lib/dpkg/status");
    let text = fs::read_to_string(&status).unwrap();
    fs::write(
        &status,
        text.replacen("install ok installed", "install ok half-configured", 1),
    )
    .unwrap();
    let audit = output(Command::new("dpkg").arg("--root").arg(root).arg("--audit"));
    assert!(!audit.stdout.is_empty());
}
