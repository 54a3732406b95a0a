//! Disk images from made-up parts, in all forms. Judges: `sfdisk` for the table,
//! `fsck.vfat` and mtools for the EFI system partition, `qemu-img` for qcow2 and VHD,
//! GNU tar for Google Cloud's.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use nodelith::bundle::disk::content::Content;
use nodelith::bundle::disk::fat::Files;
use nodelith::bundle::disk::layout::{Disk, Parts, Sizes, Wanted, disk};
use nodelith::bundle::disk::qcow2::read::Qcow2;
use nodelith::bundle::disk::{fat, gce, qcow2, raw, vhd};
use nodelith::bundle::output::Target;
use nodelith::error::{Context, Result};
use serde_json::Value;

use crate::common::{output, run};

const MIB: u64 = 1 << 20;

/// Bytes that do not become smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..size).map(|_| next()).collect()
}

/// A root image of 5 MiB and some: text, zeros, noise, text.
fn root(folder: &Path) -> PathBuf {
    let path = folder.join("root");
    let text = b"all work and no play ".repeat(100_000);
    let zeros = vec![0; MIB as usize];
    let all = [&text[..], &zeros, &noise(300_000), &zeros, &text[..700_000]].concat();
    fs::write(&path, &all[..all.len() / 4096 * 4096]).unwrap();
    path
}

fn files() -> Files {
    let many = (0..300).map(|number| {
        let name = format!("EFI/many/a file with a long name {number}.txt");
        (name, format!("{number}").into_bytes())
    });
    let mut files: Files = many.collect();
    files.insert("EFI/BOOT/BOOTX64.EFI".into(), noise(100_000));
    files.insert("EFI/Linux/node_1+3.efi".into(), noise(3_000_000));
    files.insert("loader/loader.conf".into(), b"timeout 0\n".to_vec());
    files.insert("empty".into(), Vec::new());
    files.insert("UPPER.TXT".into(), b"x".to_vec());
    files
}

/// Does something with a disk of these sizes.
fn with<T>(folder: &Path, wanted: Wanted, then: impl FnOnce(Result<Disk<'_>>) -> T) -> T {
    let path = root(folder);
    let file = File::open(&path).unwrap();
    let size = file.metadata().unwrap().len();
    let sizes = match Sizes::of(wanted, size) {
        Ok(sizes) => sizes,
        Err(error) => return then(Err(error)),
    };
    let target = Target {
        file: &file,
        path: &path,
    };
    let root_hash: [u8; 32] = std::array::from_fn(|at| at as u8 + 0xa0);
    then(disk(
        Parts {
            architecture: "amd64",
            esp: files(),
            root: (target, size),
            verity: noise(50_000),
            root_hash,
            name: "node_1".into(),
        },
        &sizes,
    ))
}

/// Writes one form.
fn write(
    folder: &Path,
    name: &str,
    form: impl FnOnce(&Content<'_>, Target<'_>) -> Result<()>,
    disk: &Disk<'_>,
) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, "").unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let target = Target {
        file: &file,
        path: &path,
    };
    form(&disk.content, target).unwrap();
    path
}

fn small() -> Wanted {
    Wanted {
        esp: Some(40 * MIB),
        slot: Some(8 * MIB),
        disk: Some(64 * MIB),
    }
}

fn image(arguments: &[&str], paths: &[&Path]) -> String {
    let mut command = Command::new("qemu-img");
    let said = run(command.args(arguments).args(paths));
    String::from_utf8(said).unwrap()
}

#[test]
fn every_form_has_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    with(folder, small(), |disk| {
        let disk = disk.unwrap();
        let raw = write(
            folder,
            "raw",
            |content, to| raw::write(content, to, &|_| {}),
            &disk,
        );
        assert_eq!(fs::metadata(&raw).unwrap().len(), 64 * MIB);
        let make_qcow2 = |content: &Content<'_>, to: Target<'_>| qcow2::write(content, to, &|_| {});
        let qcow2 = write(folder, "qcow2", make_qcow2, &disk);
        let check = image(&["check", "-f", "qcow2"], &[&qcow2]);
        assert!(
            check.starts_with("No errors were found on the image."),
            "{check}"
        );
        assert!(read_qcow2(&qcow2).unwrap() == fs::read(&raw).unwrap());
        let about: Value =
            serde_json::from_str(&image(&["info", "--output=json"], &[&qcow2])).unwrap();
        assert_eq!(about["virtual-size"], 64 * MIB);
        let compare = ["compare", "-f", "raw", "-F"];
        let same = "Images are identical.\n";
        assert_eq!(
            image(&[&compare[..], &["qcow2"]].concat(), &[&raw, &qcow2]),
            same
        );
        // The noise takes its place, the rest next to none.
        let size = fs::metadata(&qcow2).unwrap().len();
        assert!(size < 5 * MIB, "{size}");
        let make_vhd =
            |content: &Content<'_>, to: Target<'_>| vhd::write(content, &disk.uuid, to, &|_| {});
        let vhd = write(folder, "vhd", make_vhd, &disk);
        assert_eq!(fs::metadata(&vhd).unwrap().len(), 64 * MIB + 512);
        assert_eq!(
            image(&[&compare[..], &["vpc"]].concat(), &[&raw, &vhd]),
            same
        );
        let about: Value =
            serde_json::from_str(&image(&["info", "-f", "vpc", "--output=json"], &[&vhd])).unwrap();
        assert_eq!(about["virtual-size"], 64 * MIB);
        let make_gce = |content: &Content<'_>, to: Target<'_>| gce::write(content, to, 2, &|_| {});
        let gce = write(folder, "gce", make_gce, &disk);
        let list = run(Command::new("tar").args(["-tvzf"]).arg(&gce));
        let list = String::from_utf8(list).unwrap();
        assert_eq!(
            list,
            "-rw-r--r-- 0/0        67108864 1980-01-01 00:00 disk.raw\n"
        );
        let unpacked = run(Command::new("tar").args(["-xOzf"]).arg(&gce));
        assert!(unpacked == fs::read(&raw).unwrap());
        // GNU's old magic, and whole records.
        let tar = run(Command::new("gzip").args(["-dc"]).arg(&gce));
        assert_eq!(tar.len() % 10240, 0);
        assert_eq!(&tar[257..265], b"ustar  \0");
        // With another number of threads.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let again = pool.install(|| write(folder, "again", make_qcow2, &disk));
        assert!(fs::read(again).unwrap() == fs::read(qcow2).unwrap());
    });
}

/// The disk in a qcow2.
fn read_qcow2(path: &Path) -> Result<Vec<u8>> {
    let image = Qcow2::open(File::open(path).unwrap(), path)?;
    let mut bytes = vec![0; image.size() as usize];
    // In pieces that are no clusters.
    for (number, piece) in bytes.chunks_mut(1_000_000).enumerate() {
        let at = number as u64 * 1_000_000;
        image.read_exact_at(piece, at).io("reading", path)?;
    }
    Ok(bytes)
}

/// In all the forms that `qemu-img` writes.
#[test]
fn qcow2_of_another_maker_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let raw = with(folder, small(), |disk| {
        let make = |content: &Content<'_>, to: Target<'_>| raw::write(content, to, &|_| {});
        write(folder, "raw", make, &disk.unwrap())
    });
    let bytes = fs::read(&raw).unwrap();
    let path = folder.join("qcow2");
    let convert = |arguments: &[&str]| {
        let command = ["convert", "-f", "raw", "-O", "qcow2"];
        image(&[&command, arguments].concat(), &[&raw, &path]);
    };
    for arguments in [
        &[][..],
        &["-c"],
        &["-c", "-o", "compression_type=zstd"],
        &["-c", "-o", "cluster_size=2M"],
        &["-c", "-o", "cluster_size=512"],
        &["-o", "compat=0.10"],
        &["-o", "preallocation=metadata,lazy_refcounts=on"],
        &["-S", "0"],
    ] {
        convert(arguments);
        assert!(read_qcow2(&path).unwrap() == bytes, "{arguments:?}");
    }
    let refuse = |arguments: &[&str]| {
        convert(arguments);
        let said = read_qcow2(&path).unwrap_err().message();
        said.replace(&*path.to_string_lossy(), "FILE")
    };
    assert_snapshot!(refuse(&["-o", "extended_l2=on"]), @"`FILE` cannot be read as qcow2: it needs features 0x10, which are not known here");
    let data = format!("data_file={}", folder.join("data").display());
    assert_snapshot!(refuse(&["-o", &data]), @"`FILE` cannot be read as qcow2: it needs features 0x4, which are not known here");
    convert(&["-c"]);
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(fs::metadata(&path).unwrap().len() / 2)
        .unwrap();
    assert!(read_qcow2(&path).is_err());
}

#[test]
fn the_table_is_as_discoverable_partitions_are() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let raw = with(folder, small(), |disk| {
        write(
            folder,
            "raw",
            |content, to| raw::write(content, to, &|_| {}),
            &disk.unwrap(),
        )
    });
    let judged = run(Command::new("/sbin/sfdisk").arg("--verify").arg(&raw));
    let judged = String::from_utf8(judged).unwrap();
    assert!(judged.contains("No errors detected."), "{judged}");
    let said = run(Command::new("/sbin/sfdisk").arg("--dump").arg(&raw));
    let said = String::from_utf8(said).unwrap();
    let said = said.replace(&*raw.to_string_lossy(), "DISK");
    assert_snapshot!(said, @r#"
    label: gpt
    label-id: 6D614720-08B9-8DCD-9CD0-F7F4E6EA82D1
    device: DISK
    unit: sectors
    first-lba: 34
    last-lba: 131038
    sector-size: 512

    DISK1 : start=        2048, size=       81920, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=EB6FE697-5920-8019-B645-B1E0A271C44B, name="esp"
    DISK2 : start=       83968, size=       16384, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=A0A1A2A3-A4A5-A6A7-A8A9-AAABACADAEAF, name="node_1", attrs="GUID:60"
    DISK3 : start=      100352, size=        2048, type=2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5, uuid=B0B1B2B3-B4B5-B6B7-B8B9-BABBBCBDBEBF, name="node_1", attrs="GUID:60"
    "#);
    // One byte of an entry, and the judge says so.
    let mut bytes = fs::read(&raw).unwrap();
    bytes[1024] ^= 1;
    fs::write(&raw, bytes).unwrap();
    let said = output(Command::new("/sbin/sfdisk").arg("--verify").arg(&raw));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("primary GPT table is corrupt"), "{said}");
}

#[test]
fn the_efi_system_partition_is_fat() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Each has clusters of its own size.
    for (size, cluster) in [(33, 512), (40, 512), (100, 1024), (256, 2048), (600, 4096)] {
        let path = folder.join("esp");
        let pieces = fat::pieces(size * MIB, MIB, [1, 2, 3, 4], &files()).unwrap();
        let content = Content::new(size * MIB, pieces);
        let disk = Disk {
            content,
            uuid: [0; 16],
        };
        write(
            folder,
            "esp",
            |content, to| raw::write(content, to, &|_| {}),
            &disk,
        );
        let said = run(Command::new("/sbin/fsck.vfat")
            .args(["-n", "-v"])
            .arg(&path));
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.contains(&format!("{cluster} bytes per cluster")),
            "{said}"
        );
        assert!(said.contains("311 files"), "{said}");
        let copies = tempfile::tempdir().unwrap();
        let mut mcopy = Command::new("mcopy");
        mcopy.args(["-s", "-n", "-i"]).arg(&path);
        run(mcopy
            .args(["::EFI", "::loader", "::empty", "::UPPER.TXT"])
            .arg(copies.path()));
        for (name, bytes) in &files() {
            assert!(
                fs::read(copies.path().join(name)).unwrap() == *bytes,
                "{name}"
            );
        }
        let listed = run(Command::new("mdir")
            .args(["-i"])
            .arg(&path)
            .arg("::EFI/Linux"));
        let listed = String::from_utf8(listed).unwrap();
        assert!(listed.contains("node_1+3.efi"), "{listed}");
        assert!(listed.contains("1980-01-01"), "{listed}");
    }
    // A chain that is broken, and the judge says so.
    let path = folder.join("esp");
    let mut bytes = fs::read(&path).unwrap();
    bytes[32 * 512 + 8] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut fsck = Command::new("/sbin/fsck.vfat");
    assert!(!output(fsck.arg("-n").arg(&path)).status.success());
}

#[test]
fn what_is_too_small_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let said = |wanted: Wanted| {
        with(folder.path(), wanted, |disk| {
            let error = disk.err().unwrap();
            [&[error.message()], error.hints()].concat().join("\n")
        })
    };
    let esp = |size| Wanted {
        esp: Some(size),
        ..Wanted::default()
    };
    assert_snapshot!(said(esp(32 * MIB)), @r"
    an EFI system partition of 32.00 MiB is too small to be one
    the least is 33.00 MiB
    ");
    assert!(with(folder.path(), esp(fat::SMALLEST), |disk| disk.is_ok()));
    let slot = Wanted {
        slot: Some(2 * MIB),
        ..small()
    };
    assert_snapshot!(said(slot), @r"
    a slot of 2.00 MiB is too small for the root image: 4.95 MiB
    make it larger with `--slot-size`
    ");
    let disk = Wanted {
        disk: Some(49 * MIB),
        ..small()
    };
    assert_snapshot!(said(disk), @r"
    the disk of 49.00 MiB is too small for all of its partitions: 51.00 MiB
    make it larger with `--disk-size`
    ");
    let mut large = files();
    large.insert("large".into(), vec![0; 40 << 20]);
    let error = fat::pieces(40 * MIB, 0, [0; 4], &large).err().unwrap();
    assert_snapshot!(error.message(), @"the EFI system partition is too small: its files need 43.14 MiB, and 40.00 MiB has room for 39.35 MiB");
}

/// Each place filled to its last byte, and then with one byte less.
#[test]
fn a_disk_filled_to_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let size = fs::metadata(root(folder)).unwrap().len();
    // The slot ends where the root does, but for whole MiB.
    let exact = Wanted {
        slot: Some(size),
        disk: None,
        ..small()
    };
    let needed = 2 * MIB + 40 * MIB + 5 * MIB + MIB;
    let exact = Wanted {
        disk: Some(needed),
        ..exact
    };
    let path = with(folder, exact, |disk| {
        let write_raw = |content: &Content<'_>, to: Target<'_>| raw::write(content, to, &|_| {});
        write(folder, "raw", write_raw, &disk.unwrap())
    });
    assert_eq!(fs::metadata(&path).unwrap().len(), needed);
    let judged = run(Command::new("/sbin/sfdisk").arg("--verify").arg(&path));
    let judged = String::from_utf8(judged).unwrap();
    assert!(judged.contains("No errors detected."), "{judged}");
    for less in [
        Wanted {
            disk: Some(needed - 1),
            ..exact
        },
        Wanted {
            slot: Some(size - 1),
            ..exact
        },
    ] {
        assert!(with(folder, less, |disk| disk.is_err()), "{less:?}");
    }
    // What is left over of a MiB is not used: the disk is never larger than was asked for.
    for (asked, made) in [(1, 0), (MIB - 1, 0), (MIB, 1), (MIB + 1, 1)] {
        let wanted = Wanted {
            disk: Some(needed + asked),
            ..exact
        };
        let size = with(folder, wanted, |disk| disk.unwrap().content.size);
        assert_eq!(size, needed + made * MIB);
    }
}

/// The EFI system partition filled to its last cluster.
#[test]
fn an_efi_system_partition_filled_to_its_limit() {
    let pieces = |size: usize| {
        let files = Files::from([("EFI/Linux/a.efi".to_owned(), vec![7; size])]);
        fat::pieces(40 * MIB, 0, [0; 4], &files)
    };
    // The largest file that fits, by halves.
    let (mut fits, mut not) = (0, 40 << 20);
    while not - fits > 1 {
        let middle = (fits + not) / 2;
        match pieces(middle).is_ok() {
            true => fits = middle,
            false => not = middle,
        }
    }
    assert_eq!(fits % 512, 0);
    let error = pieces(not).err().unwrap();
    let begin = "the EFI system partition is too small: its files need ";
    assert!(error.message().starts_with(begin), "{}", error.message());
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk {
        content: Content::new(40 * MIB, pieces(fits).unwrap()),
        uuid: [0; 16],
    };
    let path = write(
        folder.path(),
        "esp",
        |content, to| raw::write(content, to, &|_| {}),
        &disk,
    );
    let said = run(Command::new("/sbin/fsck.vfat")
        .args(["-n", "-v"])
        .arg(&path));
    let said = String::from_utf8(said).unwrap();
    // Every cluster is used.
    assert!(said.contains("4 files, 80592/80592 clusters"), "{said}");
    let bytes = run(Command::new("mtype")
        .arg("-i")
        .arg(&path)
        .arg("::EFI/Linux/a.efi"));
    assert!(bytes == vec![7; fits]);
}

#[test]
fn a_partition_with_more_clusters_than_numbers() {
    let pieces = |size: u64| fat::pieces(size, 0, [0; 4], &Files::new());
    assert!(pieces(1 << 40).is_ok());
    let error = pieces(1 << 41).err().unwrap();
    let message = "an EFI system partition of 2.00 TiB is too large to be one";
    assert_eq!(error.message(), message);
}
