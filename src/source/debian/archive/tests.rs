//! A small archive of our own, signed by a key of our own.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::*;
use crate::report::{Mode, Report};
use crate::source::debian::archive::mirror::{MirrorOptions, Named};
use crate::source::debian::archive::signature::testing::{CREATED, DAY, TestKey};
use crate::source::fetch::FetchOptions;
use crate::store::Store;

const PACKAGES: &str = "Package: hello\nVersion: 1.0\nArchitecture: amd64\n\n";

struct World {
    folder: tempfile::TempDir,
    key: TestKey,
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn spec(suite: &str, component: &str) -> SuiteSpec {
    SuiteSpec {
        archive: "debian".into(),
        suite: suite.into(),
        components: vec![component.into()],
        architectures: vec!["amd64".into()],
    }
}

fn policy(days: u32, ignore_valid_until: bool) -> TimePolicy {
    TimePolicy {
        now: Timestamp::from_second(i64::from(CREATED + days * DAY)).unwrap(),
        ignore_valid_until,
    }
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            key: TestKey::good(1),
        }
    }

    fn mirror(&self) -> std::path::PathBuf {
        self.folder.path().join("debian")
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.mirror().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Writes `InRelease` with a table of `files`, which are not written.
    fn release(&self, folder: &str, fields: &str, files: &[(&str, &[u8])]) {
        let mut text = format!(
            "Suite: stable\nCodename: trixie\nDate: Fri, 05 Jan 2024 00:00:00 UTC\n{fields}SHA256:\n"
        );
        for (path, bytes) in files {
            text += &format!(" {} {} {path}\n", Digest::of(bytes).hex(), bytes.len());
        }
        let signed = self.key.sign(&text, CREATED + 4 * DAY);
        self.write(&format!("{folder}InRelease"), signed.as_bytes());
    }

    fn open(&self, spec: &SuiteSpec, policy: TimePolicy) -> Result<Suite> {
        let store = Store::open(self.folder.path().join("store")).unwrap();
        let report = Report::new(Mode::Silent);
        let fetcher = Fetcher::new(store, report, FetchOptions::default());
        let options = MirrorOptions {
            command_line: Named {
                mirror: Some(self.mirror().display().to_string()),
                security: None,
            },
            ..MirrorOptions::default()
        };
        let mirrors = Mirrors::discover(&options, Path::new("/nowhere")).unwrap();
        let keyring = Keyring::from_armored(&self.key.armored(), "test.asc").unwrap();
        open(&fetcher, &mirrors, &keyring, spec, policy)
    }
}

#[test]
fn lists_come_in_the_best_packing_there_is() {
    let (packed_xz, packed_gz) = (xz(PACKAGES.as_bytes()), gzip(PACKAGES.as_bytes()));
    let plain = PACKAGES.as_bytes();
    let path = "main/binary-amd64/Packages";
    let (path_xz, path_gz) = (format!("{path}.xz"), format!("{path}.gz"));
    for (files, written) in [
        (
            vec![
                (path, plain),
                (&*path_gz, &*packed_gz),
                (&*path_xz, &*packed_xz),
            ],
            &*path_xz,
        ),
        (vec![(&*path_xz, &*packed_xz)], &*path_xz),
        (vec![(path, plain), (&*path_gz, &*packed_gz)], &*path_gz),
        (vec![(path, plain)], path),
    ] {
        let world = World::new();
        world.release("dists/trixie/", "", &files);
        let (_, bytes) = files.iter().find(|(path, _)| *path == written).unwrap();
        world.write(&format!("dists/trixie/{written}"), bytes);
        let suite = world
            .open(&spec("trixie", "main"), policy(10, false))
            .unwrap();
        assert_eq!(suite.lists(), [("amd64".to_owned(), "main".to_owned())]);
        let task = Report::new(Mode::Silent).task("fetching", None, Unit::Bytes);
        suite.fetch(&task).unwrap();
        assert_eq!(suite.packages("amd64", "main").unwrap(), PACKAGES);
        assert!(!suite.past_valid_until);
        let in_release = fs::read(world.mirror().join("dists/trixie/InRelease")).unwrap();
        assert_eq!(suite.in_release, Digest::of(&in_release));
        assert!(suite.fetcher.store().has(&suite.in_release, None));
        // What is in the store is not asked for again.
        fs::remove_file(world.mirror().join("dists/trixie").join(written)).unwrap();
        assert_eq!(suite.packages("amd64", "main").unwrap(), PACKAGES);
    }
}

#[test]
fn lists_are_had_by_hash_while_the_archive_changes() {
    let world = World::new();
    let packed = xz(PACKAGES.as_bytes());
    let path = "main/binary-amd64/Packages.xz";
    world.release(
        "dists/trixie/",
        "Acquire-By-Hash: yes\n",
        &[(path, &packed)],
    );
    world.write(&format!("dists/trixie/{path}"), b"already another");
    let hex = Digest::of(&packed).hex();
    let by_hash = format!("dists/trixie/main/binary-amd64/by-hash/SHA256/{hex}");
    let suite = world
        .open(&spec("trixie", "main"), policy(10, false))
        .unwrap();
    let error = suite.packages("amd64", "main").unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
    world.write(&by_hash, &packed);
    assert_eq!(suite.packages("amd64", "main").unwrap(), PACKAGES);
}

#[test]
fn flat_and_old_layouts() {
    let world = World::new();
    let plain = PACKAGES.as_bytes();
    for (suite, folder) in [
        ("/", ""),
        ("./", ""),
        ("tools/", "tools/"),
        ("./a/b/", "a/b/"),
    ] {
        world.release(folder, "", &[("Packages", plain)]);
        world.write(&format!("{folder}Packages"), plain);
        let suite = world.open(&spec(suite, "x"), policy(10, false)).unwrap();
        assert_eq!(suite.lists().len(), 1);
        assert_eq!(suite.packages("", "").unwrap(), PACKAGES, "{folder}");
    }
    let path = "updates/main/binary-amd64/Packages";
    world.release(
        "dists/stable/",
        "Components: updates/main\n",
        &[(path, plain)],
    );
    world.write(&format!("dists/stable/{path}"), plain);
    let suite = world
        .open(&spec("stable", "main"), policy(10, false))
        .unwrap();
    assert_eq!(suite.packages("amd64", "main").unwrap(), PACKAGES);
}

#[test]
fn packages_for_all_may_stand_apart() {
    let world = World::new();
    let files: [(&str, &[u8]); 2] = [
        ("main/binary-amd64/Packages", b"a"),
        ("main/binary-all/Packages", b"b"),
    ];
    let architectures = |fields| {
        world.release("dists/trixie/", fields, &files);
        let suite = world
            .open(&spec("trixie", "main"), policy(10, false))
            .unwrap();
        let lists = suite.lists().into_iter();
        lists
            .map(|(architecture, _)| architecture)
            .collect::<Vec<_>>()
    };
    // As for apt, such a list counts only where the release names its architecture.
    let named = "Architectures: all amd64\n";
    assert_eq!(architectures(""), ["amd64"]);
    assert_eq!(architectures(named), ["amd64", "all"]);
    let in_each = format!("{named}No-Support-for-Architecture-all: Packages\n");
    assert_eq!(architectures(&in_each), ["amd64"]);
}

#[test]
fn what_the_suite_lacks_is_named() {
    let world = World::new();
    let fields = "Components: main contrib\nArchitectures: all amd64\n";
    world.release("dists/trixie/", fields, &[]);
    let policy = policy(10, false);
    let error = world.open(&spec("trixie", "nonfree"), policy).unwrap_err();
    assert_eq!(error.kind(), Kind::Resolve);
    assert!(error.message().contains("component `nonfree`"), "{error}");
    assert!(error.hints()[0].contains("main, contrib"));
    let mut other = spec("trixie", "main");
    other.architectures = vec!["riscv64".into()];
    let error = world.open(&other, policy).unwrap_err();
    assert!(
        error.message().contains("architecture `riscv64`"),
        "{error}"
    );
    let suite = world.open(&spec("trixie", "main"), policy).unwrap();
    assert_eq!(
        suite.packages("amd64", "main").unwrap_err().kind(),
        Kind::Resolve
    );
    let error = world.open(&spec("forky", "main"), policy).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    other.archive = "vendor".into();
    assert_eq!(
        world.open(&other, policy).unwrap_err().kind(),
        Kind::Resolve
    );
}

#[test]
fn what_is_not_to_be_trusted_is_refused() {
    let world = World::new();
    let spec = spec("trixie", "main");
    // Another suite in its place.
    world.release("dists/forky/", "", &[]);
    let mut asked = spec.clone();
    asked.suite = "forky".into();
    let error = world.open(&asked, policy(10, false)).unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
    assert!(error.message().contains("debian forky"), "{error}");
    // Past its end, and taken only on demand.
    world.release(
        "dists/trixie/",
        "Valid-Until: Fri, 12 Jan 2024 00:00:00 UTC\n",
        &[],
    );
    assert!(
        !world
            .open(&spec, policy(10, false))
            .unwrap()
            .past_valid_until
    );
    let error = world.open(&spec, policy(12, false)).unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("--ignore-valid-until"))
    );
    assert!(
        world
            .open(&spec, policy(12, true))
            .unwrap()
            .past_valid_until
    );
    // Changed on the way.
    let path = world.mirror().join("dists/trixie/InRelease");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("2024 00:00:00", "2025 00:00:00")).unwrap();
    let error = world.open(&spec, policy(10, false)).unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
}

#[test]
fn lists_unpack_to_what_the_release_says() {
    let listed = |bytes: &[u8]| {
        Some(Listed {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        })
    };
    let plain = PACKAGES.as_bytes();
    let other = PACKAGES.replace("1.0", "2.0");
    let twice = PACKAGES.repeat(2);
    for (packing, pack) in [
        (Packing::Xz, xz as fn(&[u8]) -> Vec<u8>),
        (Packing::Gzip, gzip),
        (Packing::Plain, <[u8]>::to_vec),
    ] {
        let packed = pack(plain);
        for plain in [listed(plain), None] {
            assert_eq!(
                unpack(&*packed, packing, plain, "x").unwrap(),
                PACKAGES.as_bytes()
            );
        }
        // Several streams one after the other are one file.
        let streams = [pack(plain), pack(plain)].concat();
        assert_eq!(
            unpack(&*streams, packing, None, "x").unwrap(),
            twice.as_bytes()
        );
        for wrong in [other.as_bytes(), b"short", twice.as_bytes()] {
            let error = unpack(&*packed, packing, listed(wrong), "x").unwrap_err();
            assert_eq!(error.kind(), Kind::Verify);
        }
        if packing != Packing::Plain {
            for broken in [&packed[..packed.len() - 3], b"nonsense"] {
                let error = unpack(broken, packing, None, "x").unwrap_err();
                assert_eq!(error.kind(), Kind::Verify, "{packing:?}");
            }
        }
    }
}
