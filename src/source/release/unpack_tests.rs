use std::io::Write;

use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::*;
use crate::source::release::Releases;

/// A member of an archive: type, name, mode, content or link's target.
type Member<'a> = (EntryType, &'a str, u32, &'a str);

fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (kind, name, mode, text) in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        // Past the library's own checks.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let content = match kind.is_file() {
            true => text.as_bytes(),
            false => {
                header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
                b""
            }
        };
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// What a release of `name` with these bytes puts into a node: paths and contents.
fn unpacked(store: &Store, name: &str, bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let table = Releases::built_in()?;
    let component = Component {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        source: Origin::Release,
        digest: store.put(bytes)?,
        size: None,
    };
    let files = files(store, table.row(name)?, &component, "amd64")?;
    let text = |file: &File| std::fs::read_to_string(store.blob_path(&file.digest)).unwrap();
    Ok(files
        .iter()
        .map(|file| {
            assert_eq!(text(file).len() as u64, file.size);
            (file.path.clone(), text(file))
        })
        .collect())
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

use EntryType::{Char, Directory, Link, Regular, Symlink};

#[test]
fn every_layout_of_the_table() {
    let (_folder, store) = store();
    let containerd = archive(&[
        (Directory, "bin/", 0o755, ""),
        (Regular, "bin/containerd", 0o755, "c"),
        (Regular, "bin/containerd-shim-runc-v2", 0o755, "s"),
        (Regular, "bin/containerd-stress", 0o755, "no node needs it"),
        (Regular, "bin/ctr", 0o700, "t"),
        (Regular, "README", 0o644, "r"),
    ]);
    let plugins = archive(&[
        (Directory, "./", 0o755, ""),
        (Regular, "./LICENSE", 0o644, "l"),
        (Regular, "./loopback", 0o755, "lo"),
        (Regular, "./bridge", 0o755, "br"),
    ]);
    let crictl = archive(&[(Regular, "crictl", 0o755, "cri")]);
    let paths = |name, bytes: &[u8]| {
        let files = unpacked(&store, name, bytes).unwrap();
        files
            .into_iter()
            .map(|(path, _)| path)
            .collect::<Vec<_>>()
            .join(" ")
    };
    for name in ["containerd", "containerd-static"] {
        assert_eq!(
            paths(name, &containerd),
            "/usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/bin/ctr"
        );
    }
    assert_eq!(
        paths("cni-plugins", &plugins),
        "/usr/lib/cni/bridge /usr/lib/cni/loopback"
    );
    assert_eq!(paths("crictl", &crictl), "/usr/bin/crictl");
    assert_eq!(paths("kubelet", b"x"), "/usr/bin/kubelet");
    assert_eq!(paths("runc", b"x"), "/usr/sbin/runc");
}

#[test]
fn what_was_unpacked_is_recorded_and_made_again_when_damaged() {
    let (_folder, store) = store();
    let bytes = archive(&[(Regular, "crictl", 0o755, "cri")]);
    let first = unpacked(&store, "crictl", &bytes).unwrap();
    let archive = store.blob_path(&Digest::of(&bytes));
    let program = store.blob_path(&Digest::of(b"cri"));
    // Recorded: the archive is not read again.
    std::fs::remove_file(&archive).unwrap();
    assert_eq!(unpacked(&store, "crictl", &bytes).unwrap(), first);
    std::fs::remove_file(&program).unwrap();
    std::fs::write(&program, "cr!").unwrap();
    assert_eq!(unpacked(&store, "crictl", &bytes).unwrap(), first);
}

#[test]
fn what_no_release_holds_is_refused() {
    let (_folder, store) = store();
    let mut long = archive(&[(Regular, "crictl", 0o755, "cri")]);
    long.truncate(long.len() - 20);
    let elf = "\x7fELF\x02\x01\x01.............\u{3}.";
    for (members, why) in [
        (
            &[(Regular, "../../etc/passwd", 0o755, "x")][..],
            "the name `../../etc/passwd` leads out of the root",
        ),
        (
            &[(Symlink, "crictl", 0o777, "/etc/shadow")],
            "`crictl` is no regular file",
        ),
        (
            &[(Link, "crictl", 0o755, "other")],
            "`crictl` is no regular file",
        ),
        (
            &[(Char, "crictl", 0o755, "")],
            "`crictl` is no regular file",
        ),
        (
            &[
                (Regular, "crictl", 0o755, "x"),
                (Regular, "./crictl", 0o755, "y"),
            ],
            "it has `crictl` twice",
        ),
        (
            &[(Regular, "crictl", 0o644, "x")],
            "no program in it is `crictl`",
        ),
        (
            &[(Regular, "bin/crictl", 0o755, "x")],
            "no program in it is `crictl`",
        ),
        (
            &[(Regular, "crictl", 0o755, elf)],
            "is a program for ELF machine",
        ),
    ] {
        let error = unpacked(&store, "crictl", &archive(members)).unwrap_err();
        assert_eq!(error.kind(), Kind::Verify, "{error}");
        assert!(error.message().contains(why), "{error}: {why}");
    }
    for bytes in [&long[..], b"no archive at all", b""] {
        let error = unpacked(&store, "crictl", bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::Verify, "{error}");
    }
    // A link that is none of the wanted members is passed over.
    let members = [
        (Symlink, "latest", 0o777, "/nowhere"),
        (Regular, "crictl", 0o755, "x"),
    ];
    assert!(unpacked(&store, "crictl", &archive(&members)).is_ok());
}

#[test]
fn an_archive_that_grows_beyond_all_measure_is_refused() {
    let mut reader = Bounded {
        inner: io::repeat(0),
        left: 1000,
    };
    let mut sink = Vec::new();
    let error = io::copy(&mut reader, &mut sink).unwrap_err();
    assert!(error.to_string().contains("bytes") && sink.len() <= 1000);

    let (_folder, store) = store();
    let mut many = tar::Builder::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for _ in 0..=MOST_MEMBERS {
        let mut header = Header::new_gnu();
        header.set_path("x").unwrap();
        header.set_size(0);
        header.set_cksum();
        many.append(&header, io::empty()).unwrap();
    }
    let mut bytes = many.into_inner().unwrap();
    bytes.flush().unwrap();
    let error = unpacked(&store, "crictl", &bytes.finish().unwrap()).unwrap_err();
    assert!(
        error.message().contains("more than 10000 members"),
        "{error}"
    );
}
