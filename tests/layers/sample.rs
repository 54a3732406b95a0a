//! A tree with every kind of entry, the same on every machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use nodelith::layer::{Compression, LayerBlob, make_all, plan};
use nodelith::store::Store;
use nodelith::tree::{Content, Entry, FIXED_TIME, Node, Tree, TreePath};

/// `cap_net_raw=ep`, version 2 (linux/capability.h).
pub const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// `u::rwx,u:1000:r--,g::r-x,m::r-x,o::r-x` (`posix_acl_xattr.h`), for mode 0755.
pub const ACL: [u8; 44] = [
    2, 0, 0, 0, // version
    1, 0, 7, 0, 255, 255, 255, 255, // owner
    2, 0, 4, 0, 232, 3, 0, 0, // user 1000
    4, 0, 5, 0, 255, 255, 255, 255, // group
    16, 0, 5, 0, 255, 255, 255, 255, // mask
    32, 0, 5, 0, 255, 255, 255, 255, // others
];

pub fn entry(node: Node, mode: u32, component: &str) -> Entry {
    Entry {
        node,
        mode,
        uid: 0,
        gid: 0,
        mtime: FIXED_TIME,
        xattrs: BTreeMap::new(),
        component: component.into(),
    }
}

pub fn inline(bytes: impl Into<Arc<[u8]>>) -> Node {
    let content: Arc<[u8]> = bytes.into();
    Node::File {
        size: content.len() as u64,
        content: Content::Inline(content),
    }
}

/// Bytes that compress somewhat, from a generator that never changes.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 61) as u8 + if state.is_multiple_of(5) { 128 } else { 0 }
    })
    .take(length)
    .collect()
}

/// Several jobs of zstd, and many chunks of gzip.
static BIG: LazyLock<Arc<[u8]>> = LazyLock::new(|| noise(9 << 20).into());

/// Every kind of entry, names and numbers that need PAX, and contents of all sizes.
pub fn tree() -> Tree {
    let mut tree = Tree::default();
    let mut add = |path: &[u8], entry: Entry| {
        tree.entries.insert(TreePath::new(path), entry);
    };
    let long = "d".repeat(120);
    let folders = [
        "",
        "bin",
        "dev",
        "etc",
        "etc/empty.d",
        "long",
        "odd",
        "usr",
        "usr/lib",
    ];
    for folder in folders {
        add(
            folder.as_bytes(),
            entry(Node::Directory, 0o755, "generated"),
        );
    }
    add(b"tmp", entry(Node::Directory, 0o1777, "deb:base"));
    add(
        format!("long/{long}").as_bytes(),
        entry(Node::Directory, 0o750, "deb:base"),
    );
    let deep = format!("long/{long}/{}", "f".repeat(200));
    add(
        deep.as_bytes(),
        entry(inline(&b"deep"[..]), 0o644, "deb:base"),
    );
    add(
        format!("long/{}", "x".repeat(94)).as_bytes(),
        entry(inline(&b"just over a name's room"[..]), 0o644, "deb:base"),
    );
    add(
        b"long/link",
        entry(
            Node::Symlink(TreePath::from(deep.as_str())),
            0o777,
            "deb:base",
        ),
    );
    add(
        b"long/s-hard",
        entry(
            Node::Hardlink(TreePath::from(deep.as_str())),
            0o644,
            "deb:base",
        ),
    );

    add(
        b"bin/sh",
        Entry {
            mtime: 1_700_000_000,
            ..entry(inline(noise(70_000)), 0o755, "deb:dash")
        },
    );
    add(
        b"bin/su",
        Entry {
            uid: 0,
            gid: 42,
            ..entry(inline(&b"su"[..]), 0o4755, "deb:base")
        },
    );
    let mut ping = entry(inline(&b"ping"[..]), 0o755, "deb:base");
    ping.xattrs
        .insert("security.capability".into(), CAPABILITY.to_vec());
    add(b"bin/ping", ping);
    add(
        b"bin/ping4",
        entry(Node::Hardlink("bin/ping".into()), 0o755, "generated"),
    );
    add(
        b"bin/ping6",
        entry(Node::Symlink("ping".into()), 0o777, "deb:base"),
    );
    let mut shared = entry(inline(&b"shared"[..]), 0o755, "deb:base");
    shared
        .xattrs
        .insert("system.posix_acl_access".into(), ACL.to_vec());
    shared
        .xattrs
        .insert("user.binary".into(), b"a=b\n\0\xff".to_vec());
    add(b"etc/shared", shared);
    add(b"etc/none", entry(inline(&b""[..]), 0o600, "conffiles"));
    add(
        b"etc/block",
        entry(inline(noise(512)), 0o640, "configuration"),
    );
    add(
        b"etc/far",
        Entry {
            uid: 3_000_000,
            gid: 4_000_000,
            ..entry(inline(noise(513)), 0o644, "deb:base")
        },
    );
    add(
        b"etc/old",
        Entry {
            mtime: -86_400,
            ..entry(inline(&b"1969"[..]), 0o644, "deb:base")
        },
    );

    add(
        b"dev/null",
        entry(Node::CharDevice(1, 3), 0o666, "generated"),
    );
    add(
        b"dev/sda",
        entry(Node::BlockDevice(8, 300), 0o660, "generated"),
    );
    add(b"dev/pipe", entry(Node::Fifo, 0o600, "generated"));
    add(
        b"odd/not-\xff\xfe-utf8",
        entry(inline(&b"bytes"[..]), 0o644, "deb:base"),
    );
    add(
        "odd/Főtanú né\\v".as_bytes(),
        entry(inline(&b"text"[..]), 0o644, "deb:base"),
    );
    let mut longer = b"odd/".to_vec();
    longer.extend([0xfe; 150]);
    add(
        &longer,
        entry(inline(&b"long bytes"[..]), 0o644, "deb:base"),
    );
    add(
        b"odd/-dash",
        entry(
            Node::Symlink(TreePath::new(&b"\xff-to"[..])),
            0o777,
            "deb:base",
        ),
    );
    add(b"usr/lib/big", entry(inline(BIG.clone()), 0o644, "deb:big"));
    tree
}

/// All layers of a tree.
pub fn layers(
    store: &Store,
    tree: &Tree,
    compression: Compression,
    threads: usize,
) -> Vec<LayerBlob> {
    let plan = plan(tree, &BTreeMap::new(), 64).unwrap();
    let planned: Vec<_> = plan.layers.iter().collect();
    make_all(store, &planned, tree, compression, threads, &|_| {}).unwrap()
}

/// A store that goes away with the test.
pub fn store() -> (tempfile::TempDir, Store) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // buildah takes no capital letters in paths.
    let name = format!(
        "layers-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let folder = tempfile::Builder::new()
        .prefix(&name)
        .rand_bytes(0)
        .tempdir()
        .unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    (folder, store)
}
