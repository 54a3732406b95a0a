//! Others' images: whiteouts, links, damage, and names that want to escape.

use std::fs;
use std::sync::Arc;

use nodelith::digest::Digest;
use nodelith::error::Kind;
use nodelith::image::Image;
use nodelith::layer::Compression;
use nodelith::layer::untar::Reader;
use nodelith::tree::image::{Changes, ImageTree, merge_layers, read, read_changes};
use nodelith::tree::{Node, TreePath};

use super::layout::built;
use super::sample;

/// A layer as another maker writes it: path, type, content or link target.
fn layer(members: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for &(path, kind, data) in members {
        let mut header = tar::Header::new_gnu();
        // Set by hand: the library refuses `..` and absolute names.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(0o644);
        let file = kind == b'0';
        if !file {
            header.as_mut_bytes()[157..157 + data.len()].copy_from_slice(data.as_bytes());
        }
        header.set_size(if file { data.len() as u64 } else { 0 });
        header.set_cksum();
        builder
            .append(&header, if file { data.as_bytes() } else { b"" })
            .unwrap();
    }
    builder.into_inner().unwrap()
}

fn changes(bytes: &[u8]) -> nodelith::error::Result<Changes> {
    let component: Arc<str> = "layer".into();
    read_changes(&mut Reader::new(bytes, Digest::of(b"")), &component)
}

fn merge(layers: &[&[(&str, u8, &str)]]) -> nodelith::error::Result<ImageTree> {
    merge_layers(
        layers
            .iter()
            .map(|members| changes(&layer(members)).unwrap())
            .collect(),
    )
}

fn paths(image: &ImageTree) -> Vec<String> {
    image.tree.entries.keys().map(ToString::to_string).collect()
}

#[test]
fn whiteouts_hide_lower_layers_only() {
    let image = merge(&[
        &[
            ("a/", b'5', ""),
            ("a/x", b'0', "1"),
            ("a/y", b'0', "2"),
            ("b/z/q", b'0', "3"),
            ("c", b'0', "4"),
        ],
        &[
            ("a/new", b'0', "5"),
            ("a/.wh..wh..opq", b'0', ""),
            ("b/.wh.z", b'0', ""),
            (".wh.c", b'0', ""),
            ("c", b'0', "again"),
            (".wh..wh.plnk/1.2", b'0', ""),
        ],
    ]);
    // `.wh..wh.plnk/…` is a plain name below a directory that nobody should have.
    let mut found = paths(&image.unwrap());
    found.retain(|path| !path.contains("plnk"));
    assert_eq!(found, ["", "a", "a/new", "b", "c"]);
}

#[test]
fn a_file_replaces_a_directory_and_the_other_way_round() {
    let image = merge(&[
        &[("a/x", b'0', "1"), ("b", b'0', "2")],
        &[("a", b'0', "3"), ("b/", b'5', ""), ("b/y", b'0', "4")],
    ])
    .unwrap();
    assert_eq!(paths(&image), ["", "a", "b", "b/y"]);
}

#[test]
fn names_below_links_go_where_the_link_leads_within_the_root() {
    let image = merge(&[
        &[
            ("usr/lib/", b'5', ""),
            ("lib", b'2', "usr/lib"),
            ("up", b'2', "../../.."),
            ("abs", b'2', "/usr"),
        ],
        &[
            ("lib/x", b'0', "1"),
            ("up/y", b'0', "2"),
            ("abs/z", b'0', "3"),
            ("lib/.wh.none", b'0', ""),
        ],
    ])
    .unwrap();
    let expected = [
        "",
        "abs",
        "lib",
        "up",
        "usr",
        "usr/lib",
        "usr/lib/x",
        "usr/z",
        "y",
    ];
    assert_eq!(paths(&image), expected);
}

#[test]
fn links_in_a_circle_end() {
    let error = merge(&[&[("a", b'2', "b"), ("b", b'2', "a"), ("a/x", b'0', "1")]]).unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
}

#[test]
fn hard_links_are_brought_into_order() {
    let image = merge(&[
        &[("z", b'0', "same"), ("a", b'1', "z"), ("m", b'1', "/z")],
        &[(".wh.z", b'0', "")],
    ])
    .unwrap();
    assert!(matches!(
        image.tree.entries[&TreePath::from("a")].node,
        Node::File { size: 4, .. }
    ));
    assert_eq!(
        image.tree.entries[&TreePath::from("m")].node,
        Node::Hardlink("a".into())
    );
    assert_eq!(image.files[&TreePath::from("a")].place.member, 0);
    assert!(merge(&[&[("a", b'1', "gone")]]).is_err());
}

#[test]
fn malformed_archives_are_errors() {
    let good = layer(&[("a", b'0', "content"), ("b", b'0', "more")]);
    assert!(changes(&good).is_ok());
    for (path, kind, data) in [
        ("../x", b'0', ""),
        ("a/../../x", b'0', ""),
        ("a", b'1', "../../etc/shadow"),
        ("", b'0', "x"),
        ("/", b'2', "x"),
        ("a", b'S', ""),
        ("a", b'V', ""),
        ("a/.wh.", b'0', ""),
        ("a/.wh..", b'0', ""),
    ] {
        let error = changes(&layer(&[(path, kind, data)])).unwrap_err();
        assert_eq!(error.kind(), Kind::Verify, "{path}: {error}");
    }
    // Cut anywhere but between members, it is an error; never a panic.
    for end in 1..good.len() {
        let _ = changes(&good[..end]);
    }
    assert!(changes(&good[..518]).is_err() && changes(&good[..513]).is_err());
    // The last block need not be filled, which umoci does not.
    assert_eq!(changes(&good[..519]).unwrap().brought.len(), 1);
    assert_eq!(changes(&good[..600]).unwrap().brought.len(), 1);
    // Any byte of a header changed is noticed or harmless.
    for at in 0..512 {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        let _ = changes(&bad);
    }
    // A name that claims to be huge is not read into memory.
    for kind in *b"LKxg" {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(1 << 40);
        header.set_cksum();
        assert!(
            changes(header.as_bytes())
                .unwrap_err()
                .message()
                .contains("too large")
        );
    }
    for record in [
        "9 path=x\n",
        "99 path=x\n",
        "x",
        "8 path=\u{fffd}",
        "12 size=-1\n",
        "0 a=\n",
        "30 GNU.sparse.map=0,1,2,3,4,5\n",
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(record.len() as u64);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(record.as_bytes());
        bytes.resize(1024, 0);
        bytes.extend(&good);
        assert!(
            changes(&bytes).is_err() || record == "9 path=x\n",
            "{record:?}"
        );
    }
}

#[test]
fn tampered_images_are_refused() {
    let (folder, store) = sample::store();
    let out = folder.path().join("out");
    let image = built(&store, &sample::tree(), "amd64", Compression::ZSTD);
    let write = || {
        nodelith::image::layout::write(&store, &out, None, std::slice::from_ref(&image)).unwrap()
    };
    write();
    let open = || Image::open(out.to_str().unwrap(), None).and_then(|image| read(&image));
    assert!(open().is_ok());
    for blob in image.blobs() {
        let path = out.join("blobs/sha256").join(blob.digest.hex());
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let mut longer = good.clone();
        longer.push(0);
        for bad in [flipped, longer, good[..good.len() - 1].to_vec(), Vec::new()] {
            fs::remove_file(&path).unwrap(); // it is linked to the store
            fs::write(&path, bad).unwrap();
            let error = open().unwrap_err();
            assert_eq!(error.kind(), Kind::Verify, "{}: {error}", blob.media_type);
        }
        fs::remove_file(&path).unwrap();
        write();
    }
    for index in [
        "",
        "{}",
        "[]",
        r#"{"manifests":[]}"#,
        r#"{"manifests":[{"mediaType":"x"}]}"#,
        "\u{1}",
    ] {
        fs::write(out.join("index.json"), index).unwrap();
        assert!(open().is_err(), "{index}");
    }
    fs::write(out.join("index.json"), vec![b' '; 9 << 20]).unwrap();
    assert!(open().unwrap_err().message().contains("too large"));
}

#[test]
fn what_is_no_image_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().display().to_string();
    fs::write(folder.path().join("file"), b"no tar").unwrap();
    for reference in [
        "nothing",
        "docker://debian",
        &name,
        &format!("oci:{name}:x"),
        &format!("oci-archive:{name}/file"),
    ] {
        assert!(Image::open(reference, None).is_err(), "{reference}");
    }
}
