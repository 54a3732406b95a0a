//! What other people's tools say of the quickstart image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodelith::build::excludes::patterns;
use nodelith::profile::Profile;
use nodelith::source::debian::root::clean;
use serde_json::Value;

use crate::common::{json, manifest_digest, nodelith, output, root, run};
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
            eprintln!("skipped: overlay does not work here: {said}");
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
    let shown = json(nodelith().arg("show").arg(&quickstart().layout));
    let mut paths: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut folders: BTreeMap<PathBuf, (u32, u64, u64, u64)> = BTreeMap::new();
    for layer in shown["layers"].as_array().unwrap() {
        let (id, digest) = (
            layer["id"].as_str().unwrap(),
            layer["digest"].as_str().unwrap(),
        );
        let blob = quickstart()
            .layout
            .join("blobs/sha256")
            .join(digest.replace("sha256:", ""));
        let mut tar = Command::new("zstd");
        let tar = run(tar.args(["-q", "-d", "-c"]).arg(blob));
        let mut archive = tar::Archive::new(&tar[..]);
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().into_owned();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            assert!(!name.starts_with(".wh."), "{} in {id}", path.display());
            let header = entry.header();
            if header.entry_type().is_dir() {
                let facts = (
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.gid().unwrap(),
                    header.mtime().unwrap(),
                );
                let known = folders.entry(path.clone()).or_insert(facts);
                assert_eq!(*known, facts, "{} in {id}", path.display());
            } else if let Some(other) = paths.insert(path.clone(), id.to_owned()) {
                panic!("{} is in {other} and in {id}", path.display());
            }
        }
    }
    assert!(paths.len() > 3000, "{}", paths.len());
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
    nothing_named(&layout.join("index.json"));
    let manifest = layout
        .join("blobs/sha256")
        .join(shown["digest"].as_str().unwrap().replace("sha256:", ""));
    let text: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let config = text["config"]["digest"]
        .as_str()
        .unwrap()
        .replace("sha256:", "");
    nothing_named(&manifest);
    nothing_named(&layout.join("blobs/sha256").join(config));
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

/// No identity, no key, no name of this machine or of a mirror.
fn nothing_of_this_machine(root: &Path, files: &[Value]) {
    assert_eq!(clean::leaks(root).unwrap(), []);
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
            nothing_named(&root.join(file["path"].as_str().unwrap()));
        }
    }
}

/// Neither this machine's name nor a mirror's stands in the file.
fn nothing_named(file: &Path) {
    let mut bytes = Vec::new();
    fs::File::open(file)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    for name in telltale_names() {
        let found = bytes
            .windows(name.len())
            .any(|part| part == name.as_bytes());
        assert!(!found, "{} names `{name}`", file.display());
    }
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
    assert_eq!(
        clean::leaks(root).unwrap()[0].path,
        Path::new("etc/hostname")
    );
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
