//! Where archives are: from the command line, the environment, the profile, or the host's own apt.
//!
//! An archive has an id: `debian`, `debian-security`, or the name of a further
//! repository. For the first two, the first of these that says something counts:
//!
//! 1. the command line (`--mirror`, `--security-mirror`),
//! 2. the environment (`NODELITH_MIRROR`, `NODELITH_SECURITY_MIRROR`),
//! 3. the profile,
//! 4. the host's apt sources, as far as they are Debian's.
//!
//! Where only the main mirror is given and its address ends in `debian`, the
//! security mirror is taken to be beside it, under `debian-security`; that goes
//! before what a later place in the list says. `{archive}` in an address stands
//! for the archive's id.
//!
//! Fallback mirrors, as snapshots of the archive are, come after these. They are
//! asked for files whose digest is known, and never for what the archive has now.

mod sources;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Kind, Result};

pub use sources::{AptSource, parse_deb822, parse_one_line};

/// The id of Debian's main archive.
pub const MAIN: &str = "debian";
/// The id of Debian's security archive.
pub const SECURITY: &str = "debian-security";
/// Stands for the archive's id in an address.
const PLACEHOLDER: &str = "{archive}";

/// Mirrors named in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Address of the main archive.
    pub mirror: Option<String>,
    /// Address of the security archive.
    pub security: Option<String>,
}

/// What was said about mirrors, by place.
#[derive(Debug, Clone, Default)]
pub struct MirrorOptions {
    /// `--mirror` and `--security-mirror`.
    pub command_line: Named,
    /// `NODELITH_MIRROR` and `NODELITH_SECURITY_MIRROR`.
    pub environment: Named,
    /// The profile's.
    pub profile: Named,
    /// Addresses of mirrors that keep old versions, with `{archive}` in them,
    /// or ending in `debian` for both archives.
    pub fallbacks: Vec<String>,
    /// Further repositories: address by name.
    pub further: BTreeMap<String, String>,
}

/// Where each archive is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    current: BTreeMap<String, Vec<String>>,
    fallbacks: Vec<String>,
}

impl Mirrors {
    /// Finds the mirrors; the host's apt sources are looked up below `root` (`/`), if needed.
    ///
    /// # Errors
    /// [`Kind::Resolve`] when no mirror of the main archive is known.
    pub fn discover(options: &MirrorOptions, root: &Path) -> Result<Self> {
        let mut mirrors = Self::named(&[
            &options.command_line,
            &options.environment,
            &options.profile,
        ]);
        for fallback in &options.fallbacks {
            mirrors.fallbacks.push(clean(fallback));
        }
        for (name, address) in &options.further {
            mirrors.current.insert(name.clone(), vec![clean(address)]);
        }
        if mirrors.of(MAIN).is_empty() || mirrors.of(SECURITY).is_empty() {
            let host = sources::of_host(root);
            mirrors.add_missing(MAIN, sources::main_archives(&host));
            mirrors.add_missing(SECURITY, sources::security_archives(&host));
            let main = mirrors.of(MAIN).iter();
            let beside = main.filter_map(|main| beside(main)).collect();
            mirrors.add_missing(SECURITY, beside);
        }
        if mirrors.of(MAIN).is_empty() {
            return Err(Error::new(
                Kind::Resolve,
                "no mirror of the Debian archive is known: this machine's apt sources name none",
            )
            .hint("name one with `--mirror URL`, in `NODELITH_MIRROR`, or in the profile"));
        }
        Ok(mirrors)
    }

    fn named(places: &[&Named]) -> Self {
        let mut mirrors = Self::default();
        for place in places {
            let main = place.mirror.as_deref().map(clean);
            let security = place.security.as_deref().map(clean);
            let security = security.or_else(|| main.as_deref().and_then(beside));
            mirrors.add_missing(MAIN, main.into_iter().collect());
            mirrors.add_missing(SECURITY, security.into_iter().collect());
        }
        mirrors
    }

    /// Addresses of a file of an archive, best first: its mirrors, then the fallbacks.
    #[must_use]
    pub fn urls(&self, archive: &str, path: &str) -> Vec<String> {
        let mut urls = self.current_urls(archive, path);
        if archive == MAIN || archive == SECURITY {
            for fallback in &self.fallbacks {
                let base = match archive {
                    _ if fallback.contains(PLACEHOLDER) => Some(fallback.clone()),
                    SECURITY => beside(fallback),
                    _ => Some(fallback.clone()),
                };
                urls.extend(base.map(|base| join(&base, archive, path)));
            }
        }
        urls
    }

    /// Addresses of a file that changes with the archive (`InRelease`): no fallbacks,
    /// which would turn the archive's clock back.
    #[must_use]
    pub fn current_urls(&self, archive: &str, path: &str) -> Vec<String> {
        let bases = self.of(archive).iter();
        bases.map(|base| join(base, archive, path)).collect()
    }

    /// Says what to do where an archive has no mirror.
    #[must_use]
    pub fn unknown(archive: &str) -> Error {
        let error = Error::new(
            Kind::Resolve,
            format!("no mirror of the archive `{archive}` is known"),
        );
        match archive {
            SECURITY => error.hint("name it with `--security-mirror URL`, in `NODELITH_SECURITY_MIRROR`, or in the profile"),
            MAIN => error.hint("name one with `--mirror URL`, in `NODELITH_MIRROR`, or in the profile"),
            _ => error.hint("give it a `url` in the profile's list of repositories"),
        }
    }

    fn of(&self, archive: &str) -> &[String] {
        self.current.get(archive).map_or(&[], Vec::as_slice)
    }

    fn add_missing(&mut self, archive: &str, addresses: Vec<String>) {
        if self.of(archive).is_empty() && !addresses.is_empty() {
            self.current.insert(archive.to_owned(), addresses);
        }
    }
}

/// The security archive's address beside the main one's, by the names that both usually have.
fn beside(main: &str) -> Option<String> {
    if main.contains(PLACEHOLDER) {
        return Some(main.to_owned());
    }
    let parent = main.strip_suffix(MAIN)?;
    parent
        .ends_with(['/', ':'])
        .then(|| format!("{parent}{SECURITY}"))
}

fn clean(address: &str) -> String {
    address.trim().trim_end_matches('/').to_owned()
}

fn join(base: &str, archive: &str, path: &str) -> String {
    format!("{}/{path}", base.replace(PLACEHOLDER, archive))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(mirror: &str, security: &str) -> Named {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Named {
            mirror: some(mirror),
            security: some(security),
        }
    }

    #[test]
    fn the_first_place_that_says_something_counts() {
        let a = "http://a.example/debian";
        let cases = [
            (
                [(a, ""), ("http://b/debian", "http://b/s"), ("", "")],
                a,
                "http://a.example/debian-security",
            ),
            (
                [("", ""), ("", ""), ("http://c/debian/", "")],
                "http://c/debian",
                "http://c/debian-security",
            ),
            (
                [("http://a/apt", ""), ("", "http://b/s"), ("", "http://c/s")],
                "http://a/apt",
                "http://b/s",
            ),
            ([("", "http://a/s"), (a, ""), ("", "")], a, "http://a/s"),
            (
                [("/srv/debian", ""), ("", ""), ("", "")],
                "/srv/debian",
                "/srv/debian-security",
            ),
            (
                [("http://a/{archive}", ""), ("", ""), ("", "")],
                "http://a/debian",
                "http://a/debian-security",
            ),
        ];
        for (places, main, security) in cases {
            let [command_line, environment, profile] = places.map(|(m, s)| named(m, s));
            let options = MirrorOptions {
                command_line,
                environment,
                profile,
                ..MirrorOptions::default()
            };
            let mirrors = Mirrors::discover(&options, Path::new("/nowhere")).unwrap();
            assert_eq!(mirrors.urls(MAIN, "x"), [format!("{main}/x")]);
            assert_eq!(mirrors.urls(SECURITY, "x"), [format!("{security}/x")]);
        }
    }

    #[test]
    fn a_security_mirror_is_not_guessed_from_any_name() {
        for main in [
            "http://a/apt",
            "http://a/mydebian",
            "http://a/debian/20260101T000000Z",
        ] {
            let options = MirrorOptions {
                command_line: named(main, ""),
                ..MirrorOptions::default()
            };
            let mirrors = Mirrors::discover(&options, Path::new("/nowhere")).unwrap();
            assert!(mirrors.urls(SECURITY, "x").is_empty(), "{main}");
        }
        let error = Mirrors::unknown(SECURITY);
        assert!(error.hints()[0].contains("--security-mirror"));
    }

    #[test]
    fn fallbacks_come_last_and_only_for_known_files() {
        let options = MirrorOptions {
            command_line: named("http://a/debian", ""),
            fallbacks: vec![
                "http://old.example/archive/{archive}/20260101T000000Z/".into(),
                "http://b/debian".into(),
            ],
            further: [("tools".to_owned(), "http://t/apt/".to_owned())].into(),
            ..MirrorOptions::default()
        };
        let mirrors = Mirrors::discover(&options, Path::new("/nowhere")).unwrap();
        assert_eq!(
            mirrors.urls(SECURITY, "pool/x"),
            [
                "http://a/debian-security/pool/x",
                "http://old.example/archive/debian-security/20260101T000000Z/pool/x",
                "http://b/debian-security/pool/x",
            ]
        );
        assert_eq!(
            mirrors.current_urls(MAIN, "dists/trixie/InRelease"),
            ["http://a/debian/dists/trixie/InRelease"]
        );
        assert_eq!(mirrors.urls("tools", "x"), ["http://t/apt/x"]);
        assert!(mirrors.urls("other", "x").is_empty());
    }

    #[test]
    fn the_hosts_own_sources_are_the_last_resort() {
        let root = tempfile::tempdir().unwrap();
        let options = MirrorOptions::default();
        let error = Mirrors::discover(&options, root.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Resolve);
        assert!(error.hints()[0].contains("--mirror"));

        let folder = root.path().join("etc/apt/sources.list.d");
        std::fs::create_dir_all(&folder).unwrap();
        let list = root.path().join("etc/apt/sources.list");
        std::fs::write(list, "deb http://h/debian trixie main\n").unwrap();
        let mirrors = Mirrors::discover(&options, root.path()).unwrap();
        assert_eq!(mirrors.urls(MAIN, "x"), ["http://h/debian/x"]);
        assert_eq!(mirrors.urls(SECURITY, "x"), ["http://h/debian-security/x"]);

        let sources = "Types: deb\nURIs: mirror+file:/etc/apt/mirrors/sec.list\nSuites: trixie-security\nComponents: main\n";
        std::fs::write(folder.join("s.sources"), sources).unwrap();
        std::fs::write(folder.join("s.sources.disabled"), "broken").unwrap();
        std::fs::create_dir_all(root.path().join("etc/apt/mirrors")).unwrap();
        let mirrors_file = root.path().join("etc/apt/mirrors/sec.list");
        std::fs::write(
            mirrors_file,
            "# best\nhttp://s/debian-security\tpriority:1\n",
        )
        .unwrap();
        let mirrors = Mirrors::discover(&options, root.path()).unwrap();
        assert_eq!(mirrors.urls(SECURITY, "x"), ["http://s/debian-security/x"]);

        // What is said elsewhere goes before.
        let options = MirrorOptions {
            environment: named("", "http://e/s"),
            ..options
        };
        let mirrors = Mirrors::discover(&options, root.path()).unwrap();
        assert_eq!(mirrors.urls(MAIN, "x"), ["http://h/debian/x"]);
        assert_eq!(mirrors.urls(SECURITY, "x"), ["http://e/s/x"]);
    }
}
