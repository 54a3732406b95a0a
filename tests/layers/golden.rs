//! The bytes that [`FORMAT`] stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use nodelith::image::{ImageSpec, Run, assemble};
use nodelith::layer::compress::decompress;
use nodelith::layer::{Compression, FORMAT, PlannedLayer, key, make, plan, refilter};
use nodelith::tree::{Content, Node, Tree, TreePath};

use super::sample;

/// Digests of the sample tree as one layer, and of its image's manifest.
///
/// If this fails, bytes have changed: raise `FORMAT`, say so in the changelog,
/// and put the new digests here. Never change them without raising it.
const GOLDEN: (u32, &[(&str, &str)]) = (
    1,
    &[
        (
            "none",
            "sha256:a09cd43d41e1d01ecfe506f3f80216ebeb62285138bc5f0d01373a89f604467e",
        ),
        (
            "zstd:3",
            "sha256:a11a077b98650f3a10eb925e198764103b4a5820721478793b89279644f3ce6a",
        ),
        (
            "zstd:19",
            "sha256:718d7a5b97eaff67f84afc862c4abfe0cc942a2d7d67a2ff66aedfd617b641b5",
        ),
        (
            "gzip:6",
            "sha256:26aa65a62460c627383cc15ec0f35c18f2d69fe426e9e266f9815ea997362f14",
        ),
        (
            "manifest",
            "sha256:58397120c4bd8f31bb0d54c05560280de36522e457a65a7ff267c487736dcfe2",
        ),
    ],
);

fn whole(tree: &Tree) -> PlannedLayer {
    plan(tree, &BTreeMap::new(), 1).unwrap().layers.remove(0)
}

#[test]
fn the_format_number_stands_for_these_bytes() {
    let tree = sample::tree();
    let (_folder, store) = sample::store();
    let mut found = Vec::new();
    for text in ["none", "zstd:3", "zstd:19", "gzip:6"] {
        let compression: Compression = text.parse().unwrap();
        let one = make(&store, &whole(&tree), &tree, compression, 1).unwrap();
        let four = make(&store, &whole(&tree), &tree, compression, 4).unwrap();
        assert_eq!(one, four, "{text}: threads change bytes");
        found.push((text, one.digest.to_string()));
    }
    let layers = sample::layers(&store, &tree, Compression::ZSTD, 1);
    assert_eq!(layers, sample::layers(&store, &tree, Compression::ZSTD, 4));
    let spec = ImageSpec {
        architecture: "amd64".into(),
        created: 1_700_000_000,
        labels: BTreeMap::from([("b".into(), "2".into()), ("a".into(), "1".into())]),
        annotations: BTreeMap::from([("z".into(), "26".into()), ("c".into(), "3".into())]),
        run: Run::Init,
        base: None,
    };
    let built = assemble(&store, &spec, &layers).unwrap();
    found.push(("manifest", built.manifest.digest.to_string()));
    let golden: Vec<_> = GOLDEN
        .1
        .iter()
        .map(|&(name, digest)| (name, digest.to_owned()))
        .collect();
    assert_eq!((FORMAT, found), (GOLDEN.0, golden));
}

/// A layer packed again equals the layer made of the same entries.
#[test]
fn refiltering_gives_the_bytes_that_making_gives() {
    let tree = sample::tree();
    let (_folder, store) = sample::store();
    // A dropped file of which other names remain, at both ends of the byte order.
    let deep = tree
        .entries
        .keys()
        .find(|path| path.name().starts_with(b"fff"))
        .unwrap()
        .clone();
    let drops: [&[TreePath]; 4] = [
        &[],
        &[
            "etc/shared".into(),
            "usr/lib/big".into(),
            "etc/empty.d".into(),
        ],
        &["bin/ping".into(), deep],
        &["bin/ping4".into(), "dev/null".into(), "odd/-dash".into()],
    ];
    for from in [Compression::ZSTD, Compression::GZIP, Compression::None] {
        let cached = make(&store, &whole(&tree), &tree, from, 2).unwrap();
        for drop in drops {
            let drop: BTreeSet<TreePath> = drop.iter().cloned().collect();
            let mut less = tree.clone();
            for path in &drop {
                less.take(path).unwrap();
            }
            for to in [Compression::Zstd { level: 1 }, Compression::None] {
                let made = make(&store, &whole(&less), &less, to, 1).unwrap();
                let packed = refilter(&store, &cached, &drop, to, 2).unwrap();
                assert_eq!(made, packed, "{from} → {to} without {drop:?}");
            }
        }
    }
}

/// Entries whose content is in a layer of the store give the same bytes as the originals.
#[test]
fn contents_come_from_layers() {
    let tree = sample::tree();
    let (_folder, store) = sample::store();
    let first = make(&store, &whole(&tree), &tree, Compression::ZSTD, 1).unwrap();
    let mut recorded = tree.clone();
    for entry in recorded.entries.values_mut() {
        if let Node::File { content, .. } = &mut entry.node {
            *content = Content::Layer(first.digest);
        }
    }
    let again = make(&store, &whole(&recorded), &recorded, Compression::ZSTD, 1).unwrap();
    assert_eq!(first, again);
    // The file that a taken name leaves behind is found through the link.
    let mut taken = tree.clone();
    taken.take(&"bin/ping".into());
    recorded.take(&"bin/ping".into());
    let made = make(&store, &whole(&taken), &taken, Compression::None, 1).unwrap();
    let again = make(&store, &whole(&recorded), &recorded, Compression::None, 1).unwrap();
    assert_eq!(made, again);
}

#[test]
fn keys_tell_contents_apart_not_where_they_are() {
    let (folder, store) = sample::store();
    let tree = sample::tree();
    let before = key(&tree, &whole(&tree), Compression::ZSTD).unwrap();
    let mut moved = tree.clone();
    let file = folder.path().join("sh");
    std::fs::write(&file, sample::noise(70_000)).unwrap();
    let set = |tree: &mut Tree, to: Content| {
        if let Node::File { content, .. } = &mut tree
            .entries
            .get_mut(&TreePath::from("bin/sh"))
            .unwrap()
            .node
        {
            *content = to;
        }
    };
    set(&mut moved, Content::Disk(file.clone()));
    assert_eq!(
        key(&moved, &whole(&moved), Compression::ZSTD).unwrap(),
        before
    );
    let blob = store.put(&sample::noise(70_000)).unwrap();
    set(&mut moved, Content::Blob(blob));
    assert_eq!(
        key(&moved, &whole(&moved), Compression::ZSTD).unwrap(),
        before
    );
    assert_ne!(
        key(&tree, &whole(&tree), Compression::GZIP).unwrap(),
        before
    );
    let mut other = tree.clone();
    other
        .entries
        .get_mut(&TreePath::from("bin/sh"))
        .unwrap()
        .mode = 0o700;
    assert_ne!(
        key(&other, &whole(&other), Compression::ZSTD).unwrap(),
        before
    );
    let mut other = sample::noise(70_000);
    other[69_999] ^= 1;
    std::fs::write(&file, other).unwrap();
    set(&mut moved, Content::Disk(file));
    assert_ne!(
        key(&moved, &whole(&moved), Compression::ZSTD).unwrap(),
        before
    );
}

/// A file that is not as long as its entry says is an error, and so is a whiteout's name.
#[test]
fn what_cannot_be_packed_is_refused() {
    let (folder, store) = sample::store();
    let file = folder.path().join("file");
    std::fs::write(&file, b"12345").unwrap();
    let mut tree = Tree::default();
    for size in [4, 6, 0] {
        let content = Content::Disk(file.clone());
        tree.entries.insert(
            "f".into(),
            sample::entry(Node::File { size, content }, 0o644, "generated"),
        );
        let error = make(&store, &whole(&tree), &tree, Compression::ZSTD, 1).unwrap_err();
        assert!(error.message().contains("changed its size"), "{error}");
    }
    let mut tree = Tree::default();
    tree.entries.insert(
        ".wh.x".into(),
        sample::entry(Node::Fifo, 0o644, "generated"),
    );
    let error = make(&store, &whole(&tree), &tree, Compression::ZSTD, 1).unwrap_err();
    assert!(error.message().contains("deletion"), "{error}");
    // Nothing is left of a blob that was not finished.
    assert_eq!(
        std::fs::read_dir(store.root().join("blobs"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn zstd_and_gzip_hold_the_same_tar() {
    let tree = sample::tree();
    let (_folder, store) = sample::store();
    let read = |compression| {
        let blob = make(&store, &whole(&tree), &tree, compression, 2).unwrap();
        let mut bytes = Vec::new();
        let file = store.open_blob(&blob.digest).unwrap();
        decompress(file).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, blob.uncompressed_size);
        (bytes, blob.diff_id)
    };
    let plain = read(Compression::None);
    assert!(plain == read(Compression::ZSTD) && plain == read(Compression::GZIP));
}
