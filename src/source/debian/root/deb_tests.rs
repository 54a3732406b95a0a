use std::io::Write as _;

use super::*;

/// An `ar` archive of these members.
pub(crate) fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = AR_MAGIC.to_vec();
    for (name, content) in members {
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            "100644",
            content.len()
        );
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        if content.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// A tar archive of regular files.
pub(crate) fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = header(b"", tar::EntryType::Regular, content.len() as u64);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

const STANZA: &[u8] = b"Package: demo\nVersion: 1\nArchitecture: all\nDescription: d\n";

fn open(bytes: &[u8]) -> Result<(Control, Vec<u8>)> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let deb = Deb::open(file.path())?;
    let control = deb.control()?;
    let mut data = Vec::new();
    let mut tarball = Tarball::new(deb.data()?);
    while let Some(mut entry) = tarball.next()? {
        entry.copy_to(&mut data)?;
    }
    Ok((control, data))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_compression_is_read() {
    let control = tar_of(&[("./control", STANZA), ("./postinst", b"#!/bin/sh\n")]);
    let data = tar_of(&[("./usr/share/x", b"hello")]);
    let xz = |bytes: &[u8]| liblzma::encode_all(bytes, 6).unwrap();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    for (suffix, control, data) in [
        ("", control.clone(), data.clone()),
        (".gz", gzip(&control), gzip(&data)),
        (".xz", xz(&control), xz(&data)),
        (".zst", zstd(&control), zstd(&data)),
    ] {
        let deb = ar(&[
            ("debian-binary", b"2.0\n"),
            (&format!("control.tar{suffix}"), &control),
            ("_gpgorigin", b"odd"),
            (&format!("data.tar{suffix}/"), &data),
        ]);
        let (control, data) = open(&deb).unwrap();
        assert_eq!(control.stanza.get("Package"), Some("demo"));
        assert_eq!(control.text("postinst").unwrap(), Some("#!/bin/sh\n"));
        assert_eq!(data, b"hello");
    }
}

#[test]
fn hostile_archives_are_refused() {
    let control = tar_of(&[("./control", STANZA)]);
    let good = ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &control),
        ("data.tar", &tar_of(&[("x", &[7; 2000])])),
    ]);
    open(&good).unwrap();
    let lzma = ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &control),
        ("data.tar.lzma", b""),
    ]);
    let twice = ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &control),
        ("control.tar", &control),
        ("data.tar", b""),
    ]);
    let mut huge = good.clone();
    huge[8 + 48..8 + 58].copy_from_slice(b"9999999999");
    let mut negative = good.clone();
    negative[8 + 48..8 + 58].copy_from_slice(b"-4        ");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("wrong magic", b"!<arch>x".to_vec()),
        ("no members", ar(&[])),
        ("wrong version", ar(&[("debian-binary", b"3.0\n")])),
        ("wrong order", ar(&[("control.tar", &control)])),
        (
            "no data",
            ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control)]),
        ),
        ("unknown compression", lzma),
        ("member twice", twice),
        ("absurd member size", huge),
        ("negative member size", negative),
        ("cut off in data", good[..good.len() - 1500].to_vec()),
        ("cut off in header", good[..100].to_vec()),
    ];
    for (what, bytes) in cases {
        let error = open(&bytes).map(|_| ()).expect_err(what);
        assert_eq!(error.kind(), Kind::Verify, "{what}: {error}");
    }
}

#[test]
fn a_cut_off_stream_inside_is_noticed() {
    let control = tar_of(&[("./control", STANZA)]);
    let noise: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let data = tar_of(&[("x", &noise)]);
    for (name, whole) in [
        ("data.tar", data.clone()),
        ("data.tar.gz", gzip(&data)),
        ("data.tar.xz", liblzma::encode_all(&data[..], 1).unwrap()),
        ("data.tar.zst", zstd::encode_all(&data[..], 1).unwrap()),
    ] {
        let cut = &whole[..whole.len() / 2];
        let deb = ar(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar", &control),
            (name, cut),
        ]);
        assert_eq!(open(&deb).unwrap_err().kind(), Kind::Verify, "{name}");
    }
}

#[test]
fn hostile_control_files_are_refused() {
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(&str, Files<'_>); 5] = [
        ("no control", &[("./postinst", b"")]),
        ("path in a name", &[("./control", STANZA), ("./a/b", b"")]),
        (
            "package is a path",
            &[(
                "./control",
                b"Package: ../x\nVersion: 1\nArchitecture: all\n",
            )],
        ),
        (
            "architecture is a path",
            &[("./control", b"Package: xx\nVersion: 1\nArchitecture: a/b\n")],
        ),
        (
            "no version",
            &[("./control", b"Package: xx\nArchitecture: all\n")],
        ),
    ];
    for (what, files) in cases {
        let deb = ar(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar", &tar_of(files)),
            ("data.tar", &tar_of(&[])),
        ]);
        let error = open(&deb).map(|_| ()).expect_err(what);
        assert_eq!(error.kind(), Kind::Verify, "{what}: {error}");
    }
}

#[test]
fn a_bomb_of_control_files_stops_at_the_limit() {
    // 80 MB of zeros in one member: a few kilobytes of xz.
    let zeros = vec![0; 80 << 20];
    let control = tar_of(&[("./control", STANZA), ("./md5sums", &zeros)]);
    let deb = ar(&[
        ("debian-binary", b"2.0\n"),
        (
            "control.tar.zst",
            &zstd::encode_all(&control[..], 1).unwrap(),
        ),
        ("data.tar", &tar_of(&[])),
    ]);
    assert!(open(&deb).unwrap_err().message().contains("too large"));
}

/// Path, link target and xattrs.
type Seen = (Vec<u8>, Vec<u8>, Vec<(String, Vec<u8>)>);

fn first_entry(bytes: &[u8]) -> Result<Seen> {
    let mut tarball = Tarball::new(bytes);
    let entry = tarball.next()?.expect("an entry");
    Ok((entry.path.clone(), entry.link.clone(), entry.xattrs.clone()))
}

pub(crate) fn header(name: &[u8], kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    header
}

#[test]
fn paths_that_lead_out_are_refused_and_odd_ones_normalized() {
    for (raw, expected) in [
        (&b"./usr//bin/./x"[..], Some(&b"usr/bin/x"[..])),
        (b"/abs/x", Some(b"abs/x")),
        (b"./", Some(b"")),
        (b"../x", None),
        (b"./usr/../../x", None),
        (b"a\nb", None),
    ] {
        let header = header(raw, tar::EntryType::Regular, 0);
        let found = first_entry(header.as_bytes()).ok().map(|(path, ..)| path);
        assert_eq!(found.as_deref(), expected, "{}", raw.escape_ascii());
    }
}

#[test]
fn absurd_sizes_and_unknown_types_are_refused() {
    let huge_name = header(b"././@LongLink", tar::EntryType::GNULongName, 1 << 40);
    assert!(first_entry(huge_name.as_bytes()).is_err());
    let sparse = header(b"x", tar::EntryType::GNUSparse, 0);
    assert!(first_entry(sparse.as_bytes()).is_err());
    let mut wrong_sum = header(b"x", tar::EntryType::Regular, 0);
    wrong_sum.set_cksum();
    wrong_sum.as_mut_bytes()[0] = b'y';
    assert!(first_entry(wrong_sum.as_bytes()).is_err());
    let overflow = header(b"x", tar::EntryType::Regular, u64::MAX);
    assert!(first_entry(overflow.as_bytes()).is_err());
}

#[test]
fn long_names_and_xattrs_are_read() {
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_pax_extensions([("SCHILY.xattr.security.capability", &b"\x01\x00\x02"[..])])
        .unwrap();
    let long = format!("usr/{}", "d".repeat(300));
    let mut plain = header(b"", tar::EntryType::Symlink, 0);
    builder
        .append_link(&mut plain, &long, format!("../{}", "t".repeat(200)))
        .unwrap();
    let bytes = builder.into_inner().unwrap();
    let (path, link, xattrs) = first_entry(&bytes).unwrap();
    assert_eq!(path, long.as_bytes());
    assert_eq!(link.len(), 203);
    assert_eq!(
        xattrs,
        [("security.capability".to_owned(), b"\x01\x00\x02".to_vec())]
    );
}
