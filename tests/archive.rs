//! Debian's own archive, as the host's apt sources name it, verified with the host's keyring.
//!
//! Needs a network, a Debian host (its apt sources and `debian-archive-keyring`).

#![expect(clippy::unwrap_used, reason = "a failed test may as well panic there")]

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use nodelith::error::Kind;
use nodelith::report::{Mode, Report};
use nodelith::source::debian::archive::mirror::{MirrorOptions, Mirrors};
use nodelith::source::debian::archive::signature::Keyring;
use nodelith::source::debian::archive::{Suite, SuiteSpec, TimePolicy, open};
use nodelith::source::fetch::{FetchOptions, Fetcher};
use nodelith::store::Store;

struct Host {
    _folder: tempfile::TempDir,
    fetcher: Fetcher,
    mirrors: Mirrors,
    keyring: Keyring,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let root = Path::new("/");
        Self {
            _folder: folder,
            fetcher: Fetcher::new(store, Report::new(Mode::Silent), FetchOptions::default()),
            mirrors: Mirrors::discover(&MirrorOptions::default(), root).unwrap(),
            keyring: Keyring::of_host(root).unwrap(),
        }
    }

    fn open(&self, archive: &str, suite: &str, time: TimePolicy) -> nodelith::error::Result<Suite> {
        let spec = SuiteSpec {
            archive: archive.into(),
            suite: suite.into(),
            components: vec!["main".into()],
            architectures: vec!["amd64".into()],
        };
        open(&self.fetcher, &self.mirrors, &self.keyring, &spec, time)
    }
}

#[test]
fn suites_are_verified_and_read() {
    let host = Host::new();
    let now = Timestamp::now();
    for (archive, suite, package) in [
        ("debian", "trixie", "containerd"),
        ("debian-security", "trixie-security", ""),
        ("debian", "bookworm", "containerd"),
        ("debian", "forky", "containerd"),
    ] {
        let strict = TimePolicy {
            now,
            ignore_valid_until: false,
        };
        let opened = host.open(archive, suite, strict).or_else(|error| {
            // This machine's clock may be ahead of its mirror: then it must be said,
            // and only on demand be passed over.
            assert_eq!(error.kind(), Kind::Verify, "{error}");
            assert!(error.message().contains("valid until"), "{error}");
            let lenient = TimePolicy {
                now,
                ignore_valid_until: true,
            };
            let suite = host.open(archive, suite, lenient)?;
            assert!(suite.past_valid_until);
            Ok::<_, nodelith::error::Error>(suite)
        });
        let opened = opened.unwrap_or_else(|error| panic!("{suite}: {error}"));
        assert_eq!(opened.release.codename.as_deref(), Some(suite));
        assert!(!opened.signers.is_empty());
        let text = opened.packages("amd64", "main").unwrap();
        let count = text
            .lines()
            .filter(|line| line.starts_with("Package: "))
            .count();
        assert!(count > 10, "{suite}: {count} packages");
        if !package.is_empty() {
            let wanted = format!("Package: {package}");
            assert!(text.lines().any(|line| line == wanted), "{suite}");
        }
        // Long after, its end or its keys' end has come, for every suite that has one.
        let later = TimePolicy {
            now: now + SignedDuration::from_hours(24 * 365 * 30),
            ignore_valid_until: true,
        };
        let error = host.open(archive, suite, later).unwrap_err();
        assert!(error.message().contains("expired"), "{suite}: {error}");
    }
}

#[test]
fn a_suite_that_is_not_there() {
    let host = Host::new();
    let time = TimePolicy {
        now: Timestamp::now(),
        ignore_valid_until: true,
    };
    let error = host.open("debian", "no-such-suite", time).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.message().contains("404"), "{error}");
}
