//! Other tools are the judges: they must take what we write, and find in it what we put in.
//! These run as root, because the sample has devices, owners and file capabilities.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nodelith::digest::Digest;
use nodelith::image::layout::write;
use nodelith::layer::{Compression, PlannedLayer, make, plan};
use nodelith::store::Store;
use nodelith::tree::scan::scan;
use nodelith::tree::{Content, Node, Tree};

use super::layout::{built, comparable};
use super::sample;

/// Runs a tool that must succeed, and returns what it wrote.
pub fn run(tool: &str, arguments: &[&str]) -> Vec<u8> {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(tool)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("this test needs `{tool}` ({error}): see ci/test"));
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{tool} {arguments:?}: {stderr}");
    stdout
}

fn needs_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test needs root: see ci/test"
    );
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The sample as one layer in a file.
fn packed(folder: &Path, store: &Store, tree: &Tree, compression: Compression) -> PathBuf {
    let whole: PlannedLayer = plan(tree, &BTreeMap::new(), 1).unwrap().layers.remove(0);
    let blob = make(store, &whole, tree, compression, 2).unwrap();
    let file = folder.join("layer");
    let _ = fs::remove_file(&file);
    fs::copy(store.blob_path(&blob.digest), &file).unwrap();
    file
}

/// What is on disk is what the tree says: types, modes, owners, links, attributes, times, contents.
fn assert_unpacked(root: &Path, tree: &Tree) {
    let owners = |path: &_| {
        tree.entries
            .get(path)
            .map(|entry| (entry.component.clone(), entry.mtime))
    };
    let found = scan(root, &owners, i64::MAX).unwrap();
    let expected = comparable(tree);
    let found_plain = comparable(&found);
    for (path, entry) in &expected.entries {
        let there = found_plain.entries.get(path);
        // umoci, for one, cannot set times of links; scan takes times from us anyway.
        assert_eq!(there, Some(entry), "{path}");
    }
    assert_eq!(found.entries.len(), tree.entries.len());
    for (path, entry) in &tree.entries {
        let disk = root.join(path.as_path());
        let metadata = fs::symlink_metadata(&disk).unwrap();
        if matches!(entry.node, Node::File { .. } | Node::Directory) && !path.as_bytes().is_empty()
        {
            assert_eq!(metadata.mtime(), entry.mtime, "the time of {path}");
        }
        if let Node::File {
            content: Content::Inline(bytes),
            ..
        } = &entry.node
        {
            assert_eq!(
                Digest::of(&fs::read(&disk).unwrap()),
                Digest::of(bytes),
                "{path}"
            );
        }
    }
}

#[test]
fn gnu_tar_unpacks_every_kind_of_entry() {
    needs_root();
    let (folder, store) = sample::store();
    let tree = sample::tree();
    for compression in [Compression::None, Compression::ZSTD, Compression::GZIP] {
        let file = packed(folder.path(), &store, &tree, compression);
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        run(
            "tar",
            &[
                "-xpf",
                text(&file),
                "-C",
                text(&root),
                "--numeric-owner",
                "--xattrs",
                "--xattrs-include=*",
            ],
        );
        assert_unpacked(&root, &tree);
        fs::remove_dir_all(&root).unwrap();
    }
}

#[test]
fn python_lists_the_same_members() {
    let (folder, store) = sample::store();
    let tree = sample::tree();
    let file = packed(folder.path(), &store, &tree, Compression::GZIP);
    let script = r"
import sys, tarfile, hashlib
for m in tarfile.open(sys.argv[1]):
    h = hashlib.sha256(tarfile.open(sys.argv[1]).extractfile(m).read()).hexdigest()[:8] if m.isreg() else '-'
    sys.stdout.buffer.write(b'%s %d %o %d %d %d %s\n' % (m.name.encode('utf-8','surrogateescape'), m.size, m.mode, m.uid, m.gid, m.mtime, h.encode()))
";
    let listed = run("python3", &["-c", script, text(&file)]);
    let mut expected = Vec::new();
    for (path, entry) in &tree.entries {
        let (size, hash) = match &entry.node {
            Node::File {
                size,
                content: Content::Inline(bytes),
            } => (*size, Digest::of(bytes).hex()[..8].to_owned()),
            _ => (0, "-".into()),
        };
        let name = if path.as_bytes().is_empty() {
            b"."
        } else {
            path.as_bytes()
        };
        expected.extend_from_slice(name);
        let rest = format!(
            " {size} {:o} {} {} {} {hash}\n",
            entry.mode, entry.uid, entry.gid, entry.mtime
        );
        expected.extend_from_slice(rest.as_bytes());
    }
    assert_eq!(
        String::from_utf8_lossy(&listed),
        String::from_utf8_lossy(&expected)
    );
}

#[test]
fn zstd_and_gzip_find_no_fault() {
    let (folder, store) = sample::store();
    let tree = sample::tree();
    let file = packed(folder.path(), &store, &tree, Compression::ZSTD);
    run("zstd", &["-t", "-q", text(&file)]);
    let listed = String::from_utf8(run("zstd", &["-lv", text(&file)])).unwrap();
    assert!(listed.contains("XXH64"), "the checksum is there: {listed}");
    for level in [1, 6, 9] {
        let file = packed(folder.path(), &store, &tree, Compression::Gzip { level });
        let renamed = folder.path().join("layer.gz");
        fs::rename(&file, &renamed).unwrap();
        run("gzip", &["-t", text(&renamed)]);
    }
}

#[test]
fn umoci_unpacks_the_tree_that_was_packed() {
    needs_root();
    let (folder, store) = sample::store();
    let tree = sample::tree();
    let out = folder.path().join("out");
    write(
        &store,
        &out,
        Some("1"),
        &[built(&store, &tree, "amd64", Compression::GZIP)],
    )
    .unwrap();
    let bundle = folder.path().join("bundle");
    run(
        "umoci",
        &[
            "unpack",
            "--image",
            &format!("{}:1", text(&out)),
            text(&bundle),
        ],
    );
    assert_unpacked(&bundle.join("rootfs"), &tree);
}

#[test]
fn skopeo_copies_and_inspects() {
    let (folder, store) = sample::store();
    let tree = sample::tree();
    for compression in [Compression::ZSTD, Compression::GZIP, Compression::None] {
        let out = folder.path().join("out");
        let image = built(&store, &tree, "amd64", compression);
        write(&store, &out, Some("1"), std::slice::from_ref(&image)).unwrap();
        let from = format!("oci:{}:1", text(&out));
        let copy = folder
            .path()
            .join(format!("copy-{}", image.manifest.digest.hex()));
        let to = format!("oci:{}:1", text(&copy));
        run(
            "skopeo",
            &[
                "--insecure-policy",
                "copy",
                "--preserve-digests",
                &from,
                &to,
            ],
        );
        let inspected: serde_json::Value =
            serde_json::from_slice(&run("skopeo", &["inspect", &to])).unwrap();
        assert_eq!(inspected["Digest"], image.manifest.digest.to_string());
        assert_eq!(inspected["Architecture"], "amd64");
        assert_eq!(
            inspected["Layers"].as_array().unwrap().len(),
            image.layers.len()
        );
        assert_eq!(inspected["Created"], "2023-11-14T22:13:20Z");
    }
}

#[test]
fn buildah_takes_the_image() {
    needs_root();
    let (folder, store) = sample::store();
    let tree = sample::tree();
    for compression in [Compression::ZSTD, Compression::GZIP] {
        let out = folder.path().join("out");
        write(
            &store,
            &out,
            Some("1"),
            &[built(&store, &tree, "amd64", compression)],
        )
        .unwrap();
        let (root, run_root) = (folder.path().join("storage"), folder.path().join("run"));
        let global = [
            "--root",
            text(&root),
            "--runroot",
            text(&run_root),
            "--storage-driver",
            "vfs",
        ];
        let buildah = |arguments: &[&str]| run("buildah", &[&global, arguments].concat());
        let from = format!("oci:{}:1", text(&out));
        let name = String::from_utf8(buildah(&["from", "--name", "judged", &from])).unwrap();
        let mounted = String::from_utf8(buildah(&["mount", name.trim()])).unwrap();
        // Its vfs driver copies layers onto one another without ACLs, and it
        // knows no time before 1970.
        let mut expected = tree.clone();
        for entry in expected.entries.values_mut() {
            entry.mtime = entry.mtime.max(0);
            entry.xattrs.remove("system.posix_acl_access");
        }
        assert_unpacked(Path::new(mounted.trim()), &expected);
        buildah(&["rm", "judged"]);
    }
}
