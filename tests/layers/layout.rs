//! Image layouts: complete or not there, replaced as a whole, read back the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nodelith::image::layout::write;
use nodelith::image::{Built, Image, ImageSpec, annotations, assemble};
use nodelith::layer::Compression;
use nodelith::store::Store;
use nodelith::tree::image::{read, read_files};
use nodelith::tree::{Content, Node, Tree, TreePath};

use super::sample;

pub fn built(store: &Store, tree: &Tree, architecture: &str, compression: Compression) -> Built {
    let spec = ImageSpec {
        architecture: architecture.into(),
        created: 1_700_000_000,
        annotations: BTreeMap::from([(annotations::PROFILE.into(), "sample".into())]),
        ..ImageSpec::default()
    };
    assemble(store, &spec, &sample::layers(store, tree, compression, 2)).unwrap()
}

fn blobs(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The tree without what an image does not say: components, and where contents are.
pub fn comparable(tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    let files: BTreeMap<TreePath, _> = tree
        .entries
        .iter()
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect();
    for entry in tree.entries.values_mut() {
        entry.component = "".into();
        if let Node::Hardlink(target) = &entry.node {
            let node = entry.node.clone();
            *entry = files[target].clone();
            entry.component = "".into();
            entry.node = node;
        }
        if let Node::File { content, .. } = &mut entry.node {
            *content = Content::Inline([].into());
        }
    }
    tree
}

#[test]
fn an_image_reads_back_as_the_tree_it_was_made_of() {
    let (folder, store) = sample::store();
    let tree = sample::tree();
    for compression in [Compression::ZSTD, Compression::GZIP, Compression::None] {
        let out = folder
            .path()
            .join(format!("out-{}", compression.to_string().replace(':', "-")));
        write(
            &store,
            &out,
            Some("1.0"),
            &[built(&store, &tree, "amd64", compression)],
        )
        .unwrap();
        let image = Image::open(&format!("oci:{}:1.0", out.display()), None).unwrap();
        assert_eq!(image.annotations[annotations::PROFILE], "sample");
        let read_tree = read(&image).unwrap();
        assert_eq!(comparable(&read_tree.tree), comparable(&tree));
        for (path, content) in &read_tree.files {
            let Node::File {
                content: Content::Inline(bytes),
                ..
            } = &tree.entries[path].node
            else {
                panic!("{path} is not a file");
            };
            assert_eq!(
                content.digest,
                nodelith::digest::Digest::of(bytes),
                "{path}"
            );
        }
        assert_eq!(
            &*read_tree.tree.entries[&TreePath::from("etc/block")].component,
            "configuration"
        );
        let wanted = [
            "bin/ping4".into(),
            "etc/none".into(),
            "usr/lib/big".into(),
            "no".into(),
        ];
        let files = read_files(&image, &read_tree, &wanted, 1 << 16).unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(files[&TreePath::from("bin/ping4")], b"ping");
    }
}

#[test]
fn an_archive_reads_as_its_layout() {
    let (folder, store) = sample::store();
    let out = folder.path().join("out");
    write(
        &store,
        &out,
        None,
        &[built(&store, &sample::tree(), "amd64", Compression::ZSTD)],
    )
    .unwrap();
    let archive = folder.path().join("image.tar");
    super::judges::run(
        "tar",
        &[
            "-cf",
            archive.to_str().unwrap(),
            "-C",
            out.to_str().unwrap(),
            ".",
        ],
    );
    let one = read(&Image::open(out.to_str().unwrap(), None).unwrap()).unwrap();
    let reference = format!("oci-archive:{}", archive.display());
    for reference in [reference.as_str(), archive.to_str().unwrap()] {
        let other = read(&Image::open(reference, Some("amd64")).unwrap()).unwrap();
        assert!(one == other);
    }
}

#[test]
fn writing_again_changes_nothing_and_a_new_image_replaces_the_old() {
    let (folder, store) = sample::store();
    let out = folder.path().join("deep/out");
    let mut tree = sample::tree();
    let first = built(&store, &tree, "amd64", Compression::ZSTD);
    let written = write(&store, &out, Some("a"), std::slice::from_ref(&first)).unwrap();
    assert!(!written.unchanged && written.digest == first.manifest.digest);
    assert!(
        write(&store, &out, Some("a"), std::slice::from_ref(&first))
            .unwrap()
            .unchanged
    );
    let before = blobs(&out);

    // Another tag alone is a change, but brings no blob.
    assert!(
        !write(&store, &out, Some("b"), std::slice::from_ref(&first))
            .unwrap()
            .unchanged
    );
    assert_eq!(blobs(&out), before);

    tree.put(
        "etc/block".into(),
        sample::entry(sample::inline(&b"new"[..]), 0o644, "configuration"),
    );
    let second = built(&store, &tree, "amd64", Compression::ZSTD);
    write(&store, &out, Some("b"), std::slice::from_ref(&second)).unwrap();
    let after = blobs(&out);
    // Exactly one layer, the configuration and the manifest are new, and the old ones gone.
    assert_eq!(after.difference(&before).count(), 3);
    assert_eq!(before.difference(&after).count(), 3);
    assert!(Image::open(&format!("oci:{}:a", out.display()), None).is_err());
}

#[test]
fn damaged_blobs_are_replaced_and_left_overs_removed() {
    let (folder, store) = sample::store();
    let out = folder.path().join("out");
    let image = built(&store, &sample::tree(), "amd64", Compression::ZSTD);
    write(&store, &out, None, std::slice::from_ref(&image)).unwrap();
    // As an interrupted copy would leave it.
    let blob = out.join("blobs/sha256").join(image.layers[0].digest.hex());
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, b"half").unwrap();
    fs::write(out.join("blobs/sha256/.new-x"), b"half").unwrap();
    fs::write(out.join(".new-y"), b"half").unwrap();
    assert!(
        !write(&store, &out, None, std::slice::from_ref(&image))
            .unwrap()
            .unchanged
    );
    read(&Image::open(out.to_str().unwrap(), None).unwrap()).unwrap();
    assert!(!out.join(".new-y").exists() && !out.join("blobs/sha256/.new-x").exists());
}

/// Without an index there is no image, however many blobs are there: the index comes last.
#[test]
fn a_failed_write_leaves_the_old_image() {
    let (folder, store) = sample::store();
    let out = folder.path().join("out");
    let mut tree = sample::tree();
    let first = built(&store, &tree, "amd64", Compression::ZSTD);
    write(&store, &out, None, std::slice::from_ref(&first)).unwrap();
    tree.put(
        "etc/block".into(),
        sample::entry(sample::inline(&b"new"[..]), 0o644, "configuration"),
    );
    let second = built(&store, &tree, "amd64", Compression::ZSTD);
    fs::remove_file(store.blob_path(&second.config.digest)).unwrap();
    let error = write(&store, &out, None, std::slice::from_ref(&second)).unwrap_err();
    assert!(error.message().contains("not in the store"), "{error}");
    let image = Image::open(out.to_str().unwrap(), None).unwrap();
    assert_eq!(image.manifest.digest, first.manifest.digest);
    read(&image).unwrap();
}

#[test]
fn several_architectures_make_one_index() {
    let (folder, store) = sample::store();
    let out = folder.path().join("out");
    let tree = sample::tree();
    let arm = built(&store, &tree, "arm64", Compression::ZSTD);
    let amd = built(&store, &tree, "amd64", Compression::ZSTD);
    let written = write(&store, &out, Some("1"), &[arm.clone(), amd.clone()]).unwrap();
    let again = write(&store, &out, Some("1"), &[amd.clone(), arm.clone()]).unwrap();
    assert!(again.unchanged && again.digest == written.digest);
    for (architecture, image) in [("amd64", &amd), ("arm64", &arm)] {
        let opened = Image::open(out.to_str().unwrap(), Some(architecture)).unwrap();
        assert_eq!(opened.manifest.digest, image.manifest.digest);
    }
    assert!(Image::open(out.to_str().unwrap(), Some("riscv64")).is_err());
    assert!(write(&store, &out, None, &[amd.clone(), amd]).is_err());
}

#[test]
fn other_peoples_files_and_images_stay() {
    let (folder, store) = sample::store();
    let image = built(&store, &sample::tree(), "amd64", Compression::ZSTD);
    let precious = folder.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("thesis.txt"), b"x").unwrap();
    let error = write(&store, &precious, None, std::slice::from_ref(&image)).unwrap_err();
    assert!(error.message().contains("thesis.txt"), "{error}");
    assert_eq!(fs::read_dir(&precious).unwrap().count(), 1);

    // An image without our annotation on its descriptor is another maker's.
    let out = folder.path().join("out");
    write(&store, &out, Some("theirs"), std::slice::from_ref(&image)).unwrap();
    let index = fs::read_to_string(out.join("index.json")).unwrap();
    fs::write(
        out.join("index.json"),
        index.replace("io.nodelith.format", "org.example.x"),
    )
    .unwrap();
    let other = built(&store, &sample::tree(), "amd64", Compression::GZIP);
    write(&store, &out, Some("ours"), std::slice::from_ref(&other)).unwrap();
    for (tag, image) in [("theirs", &image), ("ours", &other)] {
        let opened = Image::open(&format!("oci:{}:{tag}", out.display()), None).unwrap();
        assert_eq!(opened.manifest.digest, image.manifest.digest);
        read(&opened).unwrap();
    }
    let error = Image::open(out.to_str().unwrap(), None).unwrap_err();
    assert!(error.hints()[0].contains("theirs"), "{error:?}");
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let (folder, store) = sample::store();
    let out = folder.path().join("out");
    let image = built(&store, &sample::tree(), "amd64", Compression::ZSTD);
    // In a child: the umask is the whole process's.
    if std::env::var_os("LAYERS_UMASK_CHILD").is_none() {
        let child = std::process::Command::new("sh")
            .args([
                "-c",
                "umask 077; exec \"$0\" layout::modes_do_not_depend_on_the_umask",
            ])
            .arg(std::env::current_exe().unwrap())
            .env("LAYERS_UMASK_CHILD", "1")
            .status()
            .unwrap();
        assert!(child.success());
        return;
    }
    write(&store, &out, None, &[image]).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in [out.clone(), out.join("blobs"), out.join("blobs/sha256")] {
        assert_eq!(mode(&path), 0o755);
    }
    for path in [out.join("index.json"), out.join("oci-layout")] {
        assert_eq!(mode(&path), 0o644);
    }
    for blob in blobs(&out) {
        assert_eq!(mode(&out.join("blobs/sha256").join(blob)), 0o444);
    }
}
