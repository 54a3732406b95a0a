//! Root images of trees made by hand.

use std::fs;
use std::process::Command;

use nodelith::bundle::erofs::Plan;
use nodelith::bundle::export::hex;
use nodelith::tree::{Content, Entry, Node, Tree, TreePath};

use crate::common::run;
use crate::{judge, memory, sample};

/// The image's bytes are these as long as nothing that decides them changes
/// (docs/formats/root-image.md). A change here changes every root hash there is.
const GOLDEN: &str = "bb1c8851336a826faf489f5fb2e4c7988663d56e9c267b8e68313f2365b3070d";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn file(bytes: &[u8]) -> Entry {
    sample::entry(sample::inline(bytes), 0o644, "x")
}

fn directory() -> Entry {
    sample::entry(Node::Directory, 0o755, "x")
}

fn tree(entries: &[(&[u8], Entry)]) -> Tree {
    let mut tree = Tree::default();
    tree.entries.insert(TreePath::default(), directory());
    for (path, entry) in entries {
        tree.entries.insert(TreePath::new(*path), entry.clone());
    }
    tree
}

/// All judges.
fn judged(tree: &Tree) {
    let folder = folder();
    let image = folder.path().join("root.erofs");
    let made = memory::write(tree, &image).unwrap();
    judge::fsck(&image, tree);
    judge::kernel(&image, tree);
    // The way in which contents come does not matter, nor whether they are kept.
    assert_eq!(memory::hash(tree).hashes.root(), made.hashes.root());
}

#[test]
fn every_kind_of_entry() {
    judged(&sample::tree());
}

#[test]
fn the_bytes_are_these() {
    let root = memory::hash(&sample::tree()).hashes.root();
    assert_eq!(hex(&root), GOLDEN);
}

#[test]
fn dump_reads_the_superblock() {
    let folder = folder();
    let image = folder.path().join("root.erofs");
    let tree = sample::tree();
    memory::write(&tree, &image).unwrap();
    let said = run(Command::new("dump.erofs").arg("-s").arg(&image));
    let said = String::from_utf8(said).unwrap();
    let blocks = fs::metadata(&image).unwrap().len() / 4096;
    for (field, value) in [
        ("Filesystem blocks:", blocks.to_string()),
        ("Filesystem root nid:", "128".to_owned()),
        ("Filesystem features:", "sb_csum mtime".to_owned()),
    ] {
        let line = said.lines().find_map(|line| line.strip_prefix(field));
        assert_eq!(line.unwrap().trim(), value, "{said}");
    }
}

#[test]
fn a_changed_superblock_is_noticed() {
    let folder = folder();
    let image = folder.path().join("root.erofs");
    memory::write(&sample::tree(), &image).unwrap();
    assert!(judge::is_whole(&image, &[]));
    let mut bytes = fs::read(&image).unwrap();
    bytes[1024 + 48] ^= 1; // its UUID
    fs::write(&image, bytes).unwrap();
    assert!(!judge::is_whole(&image, &[]));
}

/// The judges see what is not as it should be.
#[test]
#[should_panic(expected = "content of `bin/sh`")]
fn another_content_is_noticed() {
    let folder = folder();
    let image = folder.path().join("root.erofs");
    let mut tree = sample::tree();
    memory::write(&tree, &image).unwrap();
    let other = tree.entries.get_mut(&TreePath::from("bin/sh")).unwrap();
    other.node = sample::inline(vec![0; 70_000]);
    judge::fsck(&image, &tree);
}

#[test]
fn an_empty_root() {
    judged(&tree(&[]));
}

/// Names on both sides of `.` and `..`, which stand among them.
#[test]
fn names_are_in_order() {
    let names: Vec<Vec<u8>> = [
        &b"!"[..],
        b"-",
        b"-a",
        b"...",
        b"..a",
        b".a",
        b"/",
        b"0",
        b"\xff",
    ]
    .iter()
    .filter(|name| **name != b"/")
    .map(|name| name.to_vec())
    .collect();
    let entries: Vec<_> = names.iter().map(|name| (&name[..], file(name))).collect();
    judged(&tree(&entries));
}

/// Sizes around the borders of blocks, with inodes of both sizes and attributes.
#[test]
fn sizes_around_block_borders() {
    let mut all = tree(&[]);
    let borders = [0, 32, 64, 4096 - 64, 4096 - 32, 4096, 8192, 1 << 20];
    for border in borders {
        for size in (border as usize).saturating_sub(2)..border as usize + 3 {
            let bytes = sample::noise(size);
            for (name, time) in [("c", nodelith::tree::FIXED_TIME), ("e", 1_700_000_000)] {
                let mut entry = file(&bytes);
                entry.mtime = time;
                let path = format!("{name}{size}");
                all.entries.insert(path.as_str().into(), entry.clone());
                entry.xattrs.insert("user.a".into(), b"value".to_vec());
                let path = format!("{name}{size}-with");
                all.entries.insert(path.as_str().into(), entry);
            }
        }
    }
    judged(&all);
}

/// Directories whose bytes end at, before and after borders of blocks.
#[test]
fn directories_around_block_borders() {
    let mut all = tree(&[]);
    for count in [1, 11, 15, 16, 17, 31, 32, 33, 300] {
        let folder = format!("d{count}");
        all.entries.insert(folder.as_str().into(), directory());
        for number in 0..count {
            let path = format!("{folder}/{number:0244}");
            all.entries.insert(path.as_str().into(), file(b""));
        }
    }
    judged(&all);
}

#[test]
fn links_as_long_as_linux_allows() {
    let mut all = tree(&[]);
    for length in [1, 59, 60, 4000, 4031, 4032, 4033, 4063, 4064, 4065, 4095] {
        let target = Node::Symlink(TreePath::new(vec![b't'; length]));
        let path = format!("link{length}");
        all.entries
            .insert(path.as_str().into(), sample::entry(target, 0o777, "x"));
    }
    judged(&all);
}

#[test]
fn attributes_of_every_kind_and_size() {
    let mut all = tree(&[]);
    for size in [0, 1, 3, 4, 4000, 4096, 20_000, 65_535] {
        let mut entry = file(b"content");
        entry.xattrs.insert("user.large".into(), vec![7; size]);
        entry.xattrs.insert("trusted.x".into(), b"1".to_vec());
        entry
            .xattrs
            .insert("security.capability".into(), sample::CAPABILITY.to_vec());
        entry
            .xattrs
            .insert(format!("user.{}", "n".repeat(250)), b"long".to_vec());
        let path = format!("f{size}");
        all.entries.insert(path.as_str().into(), entry);
    }
    let mut folder = directory();
    for name in ["system.posix_acl_access", "system.posix_acl_default"] {
        folder.xattrs.insert(name.into(), sample::ACL.to_vec());
    }
    all.entries.insert("folder".into(), folder);
    judged(&all);
}

/// ACLs are not only kept: the kernel goes by them.
#[test]
fn acls_are_obeyed() {
    let mut secret = file(b"secret");
    secret.mode = 0o670;
    secret
        .xattrs
        .insert("system.posix_acl_access".into(), sample::ACL.to_vec());
    let folder = folder();
    let image = folder.path().join("root.erofs");
    memory::write(&tree(&[(b"secret", secret)]), &image).unwrap();
    let Some(mounted) = judge::Mounted::new(&image, &folder.path().join("mounted")) else {
        return;
    };
    let said = run(Command::new("getfacl")
        .arg("-n")
        .arg(mounted.path().join("secret")));
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("user:1000:r--"), "{said}");
}

#[test]
fn numbers_at_their_limits() {
    let device = |major, minor| sample::entry(Node::CharDevice(major, minor), 0o600, "x");
    let owned = |uid, gid| Entry {
        uid,
        gid,
        ..file(b"x")
    };
    let timed = |mtime| Entry {
        mtime,
        ..file(b"x")
    };
    judged(&tree(&[
        (b"a", device(4095, (1 << 20) - 1)),
        (b"b", device(0, 0)),
        (b"c", owned(65_535, 65_535)),
        (b"d", owned(65_536, 0)),
        (b"e", owned(0, u32::MAX - 1)),
        (b"f", timed(0)),
        (b"g", timed(-1)),
        (b"h", timed(1 << 33)),
    ]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let with = |name: &str, value: &[u8]| {
        let mut entry = file(b"");
        entry.xattrs.insert(name.into(), value.to_vec());
        entry
    };
    let large = vec![0; 65_536];
    let mut many = file(b"");
    for number in 0..5 {
        many.xattrs
            .insert(format!("user.{number}"), vec![0; 65_000]);
    }
    let link = |length| {
        let target = Node::Symlink(TreePath::new(vec![b't'; length]));
        sample::entry(target, 0o777, "x")
    };
    let huge = Node::File {
        size: 1 << 45,
        content: Content::Blob(nodelith::digest::Digest::of(b"")),
    };
    for (entries, said) in [
        (
            vec![(&[b'n'; 256][..], file(b""))],
            "has a name of more than 255 bytes",
        ),
        (vec![(b"a", link(0))], "has no bytes, or more than 4095"),
        (vec![(b"a", link(4096))], "has no bytes, or more than 4095"),
        (
            vec![(b"a", sample::entry(Node::BlockDevice(4096, 0), 0o600, "x"))],
            "device number 4096:0 of `a` is out of range",
        ),
        (
            vec![(b"a", with("system.nfs4_acl", b""))],
            "attribute `system.nfs4_acl` of `a` is of a kind that EROFS lacks",
        ),
        (
            vec![(b"a", with("user.", b""))],
            "attribute `user.` of `a` is of a kind that EROFS lacks",
        ),
        (
            vec![(b"a", with("user.large", &large))],
            "attribute `user.large` of `a` has more than 65535 bytes",
        ),
        (
            vec![(b"a", many)],
            "attributes of `a` are too large together",
        ),
        (
            vec![(b"a", sample::entry(huge, 0o644, "x"))],
            "the tree is too large",
        ),
        (
            vec![(b"a", sample::entry(Node::Hardlink("b".into()), 0o644, "x"))],
            "hard link `a` to `b`, which is no file",
        ),
        (
            vec![(b"a", file(b"")), (b"a/b", file(b""))],
            "`a/b` is in no directory",
        ),
    ] {
        let error = Plan::new(&tree(&entries)).err().unwrap();
        assert!(error.message().contains(said), "{error}");
    }
    assert!(Plan::new(&Tree::default()).is_err());
}
