use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::*;

fn unowned(_: &TreePath) -> Option<(Arc<str>, i64)> {
    None
}

#[test]
fn a_root_is_read_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("z")).unwrap();
    fs::set_permissions(at("z"), fs::Permissions::from_mode(0o1750)).unwrap();
    fs::write(at("z/file"), b"12345").unwrap();
    fs::set_permissions(at("z/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::hard_link(at("z/file"), at("z/again")).unwrap();
    fs::hard_link(at("z/file"), at("a")).unwrap();
    symlink("/nowhere/../x", at("link")).unwrap();
    symlink(root.path(), at("z/loop")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();

    let owned = |path: &TreePath| match path.as_bytes() {
        b"a" => Some((Arc::from("deb:a"), 1_000)),
        b"link" => Some((Arc::from("deb:l"), 5_000)),
        b"z" => Some((Arc::from("deb:z"), 1_000)),
        _ => None,
    };
    let tree = scan(root.path(), &owned, 2_000).unwrap();
    let entry = |path: &str| &tree.entries[&TreePath::from(path)];
    let names: Vec<String> = tree.entries.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["", "a", "link", "z", "z/again", "z/file", "z/loop"]);

    assert_eq!((entry("").mode, entry("").mtime), (0o755, FIXED_TIME));
    assert_eq!(
        (entry("z").mode, entry("z").mtime, &*entry("z").component),
        (0o1750, FIXED_TIME, "deb:z")
    );
    let content = Content::Disk(at("a"));
    assert_eq!(entry("a").node, Node::File { size: 5, content });
    assert_eq!((entry("a").mode, entry("a").mtime), (0o4711, 1_000));
    for other in ["z/again", "z/file"] {
        assert_eq!(entry(other).node, Node::Hardlink("a".into()));
        // The time is the file's, whoever owns the other name.
        assert_eq!(
            (entry(other).mtime, &*entry(other).component),
            (1_000, "generated")
        );
    }
    assert_eq!(entry("link").node, Node::Symlink("/nowhere/../x".into()));
    assert_eq!(entry("link").mtime, 2_000);
    assert!(matches!(entry("z/loop").node, Node::Symlink(_)));
}

#[test]
fn what_is_not_there_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    assert!(scan(&root.path().join("none"), &unowned, 0).is_err());
    fs::write(root.path().join("file"), b"").unwrap();
    assert!(scan(&root.path().join("file"), &unowned, 0).is_err());
}

#[test]
fn capabilities_are_brought_to_version_2() {
    let version_2 = [&[1, 0, 0, 2][..], &[7; 16]].concat();
    let version_3 = [&[1, 0, 0, 3][..], &[7; 16], &[0, 1, 0, 0]].concat();
    assert_eq!(capability_2(version_3), version_2);
    assert_eq!(capability_2(version_2.clone()), version_2);
    assert_eq!(capability_2(vec![1]), [1]);
}

#[test]
fn only_attributes_that_belong_to_the_image_are_kept() {
    for name in [
        "security.capability",
        "system.posix_acl_access",
        "system.posix_acl_default",
        "user.x",
    ] {
        assert!(is_kept(name), "{name}");
    }
    for name in [
        "security.selinux",
        "trusted.overlay.opaque",
        "user.overlay.origin",
        "security.ima",
    ] {
        assert!(!is_kept(name), "{name}");
    }
}
