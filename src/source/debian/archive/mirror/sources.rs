//! The host's apt sources (sources.list(5)), both forms, and which of them are Debian's.

use std::fs;
use std::path::{Path, PathBuf};

/// Names of Debian's suites; a suite of another name is not taken for Debian's.
/// Sources: Debian's release announcements, and debian-security's `dists`.
const SUITES: [&str; 13] = [
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "sid",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "experimental",
];
/// What follows a suite's name in the main archive.
const MAIN_SUFFIXES: [&str; 4] = ["", "-updates", "-backports", "-proposed-updates"];
/// What follows it in the security archive.
const SECURITY_SUFFIXES: [&str; 2] = ["-security", "/updates"];

/// One entry of apt's sources: binary packages, not disabled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AptSource {
    /// Addresses, tried in order.
    pub uris: Vec<String>,
    /// Suites, or paths ending in `/`.
    pub suites: Vec<String>,
    /// Components.
    pub components: Vec<String>,
    /// Keyrings or fingerprints that it is bound to.
    pub signed_by: Option<String>,
}

/// Parses the one-line form (`deb [options] uri suite component…`).
#[must_use]
pub fn parse_one_line(text: &str) -> Vec<AptSource> {
    text.lines().filter_map(one_line).collect()
}

fn one_line(line: &str) -> Option<AptSource> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    let mut rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let mut signed_by = None;
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']')?;
        signed_by = options
            .split_ascii_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(str::to_owned);
        rest = after;
    }
    let mut words = rest.split_ascii_whitespace().map(str::to_owned);
    Some(AptSource {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by,
    })
}

/// Parses the deb822 form (paragraphs of `Types:`, `URIs:`, `Suites:`, `Components:`).
#[must_use]
pub fn parse_deb822(text: &str) -> Vec<AptSource> {
    let mut found = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            found.extend(paragraph(&fields));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

fn paragraph(fields: &[(String, String)]) -> Option<AptSource> {
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let words = |name: &str| -> Vec<String> {
        let words = field(name).unwrap_or_default().split_ascii_whitespace();
        words.map(str::to_owned).collect()
    };
    let enabled = field("enabled").is_none_or(|value| {
        !["no", "false", "0", "off", "without", "disable"]
            .contains(&value.to_ascii_lowercase().as_str())
    });
    if !enabled || !words("types").iter().any(|word| word == "deb") {
        return None;
    }
    Some(AptSource {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").map(str::to_owned),
    })
}

/// The sources of the host whose root is `root`; unreadable files count as absent,
/// as they hold what this user is not to know.
pub(super) fn of_host(root: &Path) -> Vec<AptSource> {
    let apt = root.join("etc/apt");
    let mut files: Vec<PathBuf> = fs::read_dir(apt.join("sources.list.d"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    files.insert(0, apt.join("sources.list"));
    let mut found = Vec::new();
    for file in files {
        let parse = match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => parse_one_line,
            Some("sources") => parse_deb822,
            _ => continue,
        };
        let text = fs::read_to_string(&file).unwrap_or_default();
        found.extend(parse(&text));
    }
    for source in &mut found {
        let uris = std::mem::take(&mut source.uris);
        source.uris = uris.iter().flat_map(|uri| expand(uri, root)).collect();
    }
    found
}

/// Replaces `mirror+file:` by the addresses that the file lists (apt-transport-mirror(1)).
fn expand(uri: &str, root: &Path) -> Vec<String> {
    let Some(path) = uri
        .strip_prefix("mirror+file:")
        .or_else(|| uri.strip_prefix("mirror+copy:"))
    else {
        return vec![uri.to_owned()];
    };
    let path = path
        .strip_prefix("//")
        .unwrap_or(path)
        .trim_start_matches('/');
    let text = fs::read_to_string(root.join(path)).unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_ascii_whitespace().next().map(str::to_owned))
        .collect()
}

/// Addresses of Debian's main archive among the host's sources.
pub(super) fn main_archives(sources: &[AptSource]) -> Vec<String> {
    best(sources, "debian", &MAIN_SUFFIXES)
}

/// Addresses of Debian's security archive among the host's sources.
pub(super) fn security_archives(sources: &[AptSource]) -> Vec<String> {
    best(sources, "debian-security", &SECURITY_SUFFIXES)
}

/// Others serve suites of the same names (`https://vendor.example/debian bookworm main`):
/// what counts is the component, the key, and how much the address looks like the archive.
fn best(sources: &[AptSource], name: &str, suffixes: &[&str]) -> Vec<String> {
    let mut found: [Vec<String>; 2] = Default::default();
    for source in sources {
        let debian = source
            .components
            .iter()
            .any(|component| component == "main")
            && source.suites.iter().any(|suite| is_suite(suite, suffixes))
            && source
                .signed_by
                .as_ref()
                .is_none_or(|keys| keys.contains("debian"));
        if !debian {
            continue;
        }
        for uri in &source.uris {
            let uri = uri.trim_end_matches('/');
            if !["http://", "https://", "file:", "copy:"]
                .iter()
                .any(|scheme| uri.starts_with(scheme))
            {
                continue;
            }
            let path = uri.split_once("://").map_or(uri, |(_, rest)| {
                rest.split_once('/').map_or("", |(_, path)| path)
            });
            let rank = if path.rsplit('/').next() == Some(name) {
                0
            } else if path.contains("debian") {
                1
            } else {
                continue;
            };
            if !found[rank].iter().any(|known| known == uri) {
                found[rank].push(uri.to_owned());
            }
        }
    }
    let [exact, similar] = found;
    if exact.is_empty() { similar } else { exact }
}

fn is_suite(suite: &str, suffixes: &[&str]) -> bool {
    suffixes.iter().any(|suffix| {
        suite
            .strip_suffix(suffix)
            .is_some_and(|name| SUITES.contains(&name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, suite: &str, components: &[&str], signed_by: Option<&str>) -> AptSource {
        AptSource {
            uris: vec![uri.into()],
            suites: suite.split(' ').map(str::to_owned).collect(),
            components: components.iter().map(|&word| word.to_owned()).collect(),
            signed_by: signed_by.map(str::to_owned),
        }
    }

    #[test]
    fn one_line_sources() {
        let uri = "http://h/debian";
        for (line, expected) in [
            (
                "deb http://h/debian trixie main",
                Some(source(uri, "trixie", &["main"], None)),
            ),
            (
                "  deb\thttp://h/debian\ttrixie main contrib # c",
                Some(source(uri, "trixie", &["main", "contrib"], None)),
            ),
            (
                "deb [ arch=amd64,arm64 signed-by=/k.gpg ] http://h/debian trixie main",
                Some(source(uri, "trixie", &["main"], Some("/k.gpg"))),
            ),
            ("deb http://h/debian ./", Some(source(uri, "./", &[], None))),
            ("deb-src http://h/debian trixie main", None),
            ("# deb http://h/debian trixie main", None),
            ("deb http://h/debian", None),
            ("deb [arch=amd64 http://h/debian trixie main", None),
            ("debug http://h/debian trixie", None),
            ("deb", None),
            ("", None),
        ] {
            assert_eq!(parse_one_line(line), Vec::from_iter(expected), "{line}");
        }
    }

    #[test]
    fn deb822_sources() {
        let text = "# a comment\nTypes: deb deb-src\nURIs: http://h/debian\n# inside\nSuites: trixie\n  trixie-updates\nComponents: main contrib\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n debian\n\n\n\
                    Types: deb\nEnabled: no\nURIs: http://off/debian\nSuites: trixie\nComponents: main\n\n\
                    Types: deb-src\nURIs: http://src/debian\nSuites: trixie\nComponents: main\n\n\
                    types: deb\nenabled: yes\nuris: http://h/debian-security http://i/debian-security\nsuites: trixie-security\ncomponents: main";
        let found = parse_deb822(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].suites, ["trixie", "trixie-updates"]);
        assert_eq!(found[0].components, ["main", "contrib"]);
        assert!(found[0].signed_by.as_ref().unwrap().contains("PUBLIC KEY"));
        assert_eq!(
            found[1].uris,
            ["http://h/debian-security", "http://i/debian-security"]
        );
        assert!(parse_deb822("").is_empty());
        assert!(parse_deb822(" continuation\nno field\n").is_empty());
    }

    #[test]
    fn debian_is_told_from_others() {
        let main = &["main"][..];
        let cases = [
            (
                source("http://h/debian/", "bookworm bookworm-updates", main, None),
                "http://h/debian",
                "",
            ),
            (
                source(
                    "http://h/debian",
                    "sid",
                    main,
                    Some("/usr/share/keyrings/debian-archive-keyring.gpg"),
                ),
                "http://h/debian",
                "",
            ),
            (
                source("http://h/debian-security", "bookworm-security", main, None),
                "",
                "http://h/debian-security",
            ),
            (
                source("http://h/x/debian-security", "buster/updates", main, None),
                "",
                "http://h/x/debian-security",
            ),
            (
                source(
                    "http://h/archive/debian/20250520T000000Z",
                    "trixie",
                    main,
                    None,
                ),
                "http://h/archive/debian/20250520T000000Z",
                "",
            ),
            (
                source("file:/srv/debian", "trixie", main, None),
                "file:/srv/debian",
                "",
            ),
            // Vendors, other distributions, and what we cannot read.
            (
                source("http://vendor/linux/debian", "bookworm", &["stable"], None),
                "",
                "",
            ),
            (
                source(
                    "http://vendor/debian/12/prod",
                    "bookworm",
                    main,
                    Some("/k/vendor.gpg"),
                ),
                "",
                "",
            ),
            (
                source("http://vendor.example", "bookworm", main, None),
                "",
                "",
            ),
            (
                source("http://debian.example/apt", "bookworm", main, None),
                "",
                "",
            ),
            (
                source("http://h/debian", "bookworm-pgdg", main, None),
                "",
                "",
            ),
            (source("http://h/ubuntu", "noble", main, None), "", ""),
            (source("http://h/debian", "./", &[], None), "", ""),
            (source("cdrom:debian", "trixie", main, None), "", ""),
            (source("mirror://h/debian", "trixie", main, None), "", ""),
        ];
        for (source, main, security) in cases {
            let one = [source.clone()];
            assert_eq!(main_archives(&one).join(" "), main, "{source:?}");
            assert_eq!(security_archives(&one).join(" "), security, "{source:?}");
        }
        // The better name goes before the better place in the file; each address once.
        let several = [
            source("http://vendor/debian/12", "bookworm", main, None),
            source("http://h/debian", "bookworm", main, None),
            source("http://h/debian", "bookworm-updates", main, None),
        ];
        assert_eq!(main_archives(&several), ["http://h/debian"]);
    }
}
