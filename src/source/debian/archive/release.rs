//! `Release` files: what an archive says of one of its suites
//! (Debian's wiki, DebianRepository/Format, "Release" files).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::signature::CLOCK_TOLERANCE;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// A file that a release names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// A parsed `Release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `Origin`: who made it ("Debian").
    pub origin: Option<String>,
    /// `Suite`: its role ("stable").
    pub suite: Option<String>,
    /// `Codename`: its name ("trixie").
    pub codename: Option<String>,
    /// `Version` ("13.8").
    pub version: Option<String>,
    /// `Date`: when it was made.
    pub date: Option<Timestamp>,
    /// `Valid-Until`: when it stops to be the archive's word.
    pub valid_until: Option<Timestamp>,
    /// `Architectures`.
    pub architectures: Vec<String>,
    /// `Components`.
    pub components: Vec<String>,
    /// `Acquire-By-Hash`: files can also be had by their digest.
    pub by_hash: bool,
    /// `NotAutomatic`: nothing of it is installed unless asked for (priority 1 in apt's terms).
    pub not_automatic: bool,
    /// `ButAutomaticUpgrades`: what was taken from it is upgraded (priority 100).
    pub but_automatic_upgrades: bool,
    /// `No-Support-for-Architecture-all: Packages`: packages for all architectures
    /// stand in each architecture's list.
    pub all_in_each: bool,
    /// The `SHA256` table, by path below the suite's folder.
    pub files: BTreeMap<String, Listed>,
}

impl Release {
    /// Parses the text of a `Release`, already verified.
    ///
    /// # Errors
    /// [`Kind::Verify`] when it is not of that form or has no SHA-256 digests.
    pub fn parse(text: &str) -> Result<Self> {
        let fields = fields(text)?;
        let field = |name: &str| fields.get(name).map(|value| value.trim());
        let owned = |name: &str| {
            field(name)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        let words = |name: &str| -> Vec<String> {
            let words = field(name).unwrap_or_default().split_ascii_whitespace();
            words.map(str::to_owned).collect()
        };
        let yes = |name: &str| field(name).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
        let date = |name: &str| match field(name) {
            Some(text) => parse_date(text)
                .map(Some)
                .ok_or_else(|| malformed(&format!("`{name}: {text}` is not a date"))),
            None => Ok(None),
        };
        let table = field("sha256").ok_or_else(|| malformed("it has no SHA-256 digests"))?;
        Ok(Self {
            origin: owned("origin"),
            suite: owned("suite"),
            codename: owned("codename"),
            version: owned("version"),
            date: date("date")?,
            valid_until: date("valid-until")?,
            architectures: words("architectures"),
            components: words("components"),
            by_hash: yes("acquire-by-hash"),
            not_automatic: yes("notautomatic"),
            but_automatic_upgrades: yes("butautomaticupgrades"),
            all_in_each: words("no-support-for-architecture-all")
                .iter()
                .any(|word| word == "Packages"),
            files: parse_table(table)?,
        })
    }

    /// Checks that it is the suite that was asked for: by `Suite`, by `Codename`.
    ///
    /// A mirror could otherwise serve another, validly signed suite in its place.
    /// For `stable/updates` and flat paths (`./`, ending in `/`) no name is prescribed.
    ///
    /// # Errors
    /// [`Kind::Verify`] when it is another suite.
    pub fn check_name(&self, asked: &str) -> Result<()> {
        let names = || [&self.suite, &self.codename].into_iter().flatten();
        if asked.ends_with('/') || names().next().is_none() || names().any(|name| name == asked) {
            return Ok(());
        }
        let names: Vec<_> = names().map(|name| format!("`{name}`")).collect();
        Err(Error::new(
            Kind::Verify,
            format!("asked for suite `{asked}`, got {}", names.join(", ")),
        )
        .hint("the mirror answers with another suite: try another `--mirror`"))
    }

    /// Checks `Date` and `Valid-Until` against `now`.
    ///
    /// Returns whether the release is past its end, which is an error unless `ignore_end`.
    ///
    /// # Errors
    /// [`Kind::Verify`] when it is from the future or past its end.
    pub fn check_time(&self, now: Timestamp, ignore_end: bool) -> Result<bool> {
        let latest = now.as_second().saturating_add(CLOCK_TOLERANCE);
        if let Some(date) = self.date.filter(|date| date.as_second() > latest) {
            return Err(Error::new(
                Kind::Verify,
                format!("the release is from the future: made {date}, and now is {now}"),
            )
            .hint("is this machine's clock right?"));
        }
        let Some(end) = self.valid_until.filter(|&end| end < now) else {
            return Ok(false);
        };
        if ignore_end {
            return Ok(true);
        }
        Err(Error::new(
            Kind::Verify,
            format!("the release was valid until {end}, and now is {now}"),
        )
        .hint(
            "the mirror may be out of date: try another `--mirror`; is this machine's clock right?",
        )
        .hint("`--ignore-valid-until` takes it all the same (it may lack security fixes)"))
    }

    /// Whether it has this component, under its own name or that of an
    /// older security archive (`updates/main` for `main`).
    #[must_use]
    pub fn has_component(&self, component: &str) -> bool {
        self.components
            .iter()
            .any(|known| known.rsplit('/').next() == Some(component) || known == component)
    }
}

/// The fields of the first paragraph, by lower-case name; further lines keep their line ends.
fn fields(text: &str) -> Result<BTreeMap<String, String>> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in text.lines() {
        if line.trim().is_empty() {
            if fields.is_empty() {
                continue;
            }
            break;
        }
        if line.starts_with([' ', '\t']) {
            let value = last.as_ref().and_then(|name| fields.get_mut(name));
            let value = value.ok_or_else(|| malformed("it begins with a continuation line"))?;
            value.push('\n');
            value.push_str(line.trim());
            continue;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| malformed(&format!("`{line}` is no field")))?;
        let name = name.to_ascii_lowercase();
        if fields
            .insert(name.clone(), value.trim().to_owned())
            .is_some()
        {
            return Err(malformed(&format!("field `{name}` stands in it twice")));
        }
        last = Some(name);
    }
    Ok(fields)
}

fn parse_table(table: &str) -> Result<BTreeMap<String, Listed>> {
    let mut files = BTreeMap::new();
    for line in table.lines().filter(|line| !line.trim().is_empty()) {
        let wrong = || malformed(&format!("`{line}` is no entry of its SHA-256 table"));
        let mut words = line.split_ascii_whitespace();
        let (Some(hex), Some(size), Some(path), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong());
        };
        let listed = Listed {
            digest: Digest::from_hex(hex).ok_or_else(wrong)?,
            size: size.parse().map_err(|_| wrong())?,
        };
        // Paths become parts of URLs and of local mirrors' file names.
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(wrong());
        }
        files.insert(path.to_owned(), listed);
    }
    Ok(files)
}

/// A date as in `Sat, 21 Nov 2026 09:15:44 UTC`: RFC 5322, but for the name of the zone.
fn parse_date(text: &str) -> Option<Timestamp> {
    let text = match text.trim().strip_suffix("UTC") {
        Some(rest) => format!("{rest}+0000"),
        None => text.trim().to_owned(),
    };
    let zoned = jiff::fmt::rfc2822::parse(&text).ok()?;
    Some(zoned.timestamp())
}

fn malformed(why: &str) -> Error {
    Error::new(
        Kind::Verify,
        format!("the release file is malformed: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn release() -> String {
        format!(
            "Origin: Debian\nLabel: Debian\nSuite: stable\nVersion: 13.8\nCodename: trixie\n\
             Date: Sat, 21 Nov 2026 09:15:44 UTC\nValid-Until: Sat, 28 Nov 2026 09:15:44 UTC\n\
             Acquire-By-Hash: yes\nNo-Support-for-Architecture-all: Packages\n\
             Architectures: all amd64 arm64\nComponents: main updates/contrib\n\
             MD5Sum:\n d41d8cd98f00b204e9800998ecf8427e        0 main/x\n\
             SHA256:\n {HEX}        0 main/binary-amd64/Packages\n {HEX} 20 main/binary-amd64/Packages.gz\n"
        )
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn releases_are_read() {
        let release = Release::parse(&release()).unwrap();
        assert_eq!(release.origin.as_deref(), Some("Debian"));
        assert_eq!(release.suite.as_deref(), Some("stable"));
        assert_eq!(release.codename.as_deref(), Some("trixie"));
        assert_eq!(release.version.as_deref(), Some("13.8"));
        assert_eq!(release.date, Some(time("2026-11-21T09:15:44Z")));
        assert_eq!(release.valid_until, Some(time("2026-11-28T09:15:44Z")));
        assert_eq!(release.architectures, ["all", "amd64", "arm64"]);
        assert!(release.by_hash && release.all_in_each);
        assert!(!release.not_automatic && !release.but_automatic_upgrades);
        assert_eq!(release.files.len(), 2);
        let listed = release.files["main/binary-amd64/Packages.gz"];
        assert_eq!((listed.digest.hex(), listed.size), (HEX.to_owned(), 20));
        assert!(release.has_component("main") && release.has_component("contrib"));
        assert!(!release.has_component("updates"));
        let minimal = Release::parse("SHA256:\n").unwrap();
        assert!(minimal.files.is_empty() && minimal.date.is_none());
        let backports = Release::parse("NotAutomatic: yes\nButAutomaticUpgrades: yes\nSHA256:\n");
        let backports = backports.unwrap();
        assert!(backports.not_automatic && backports.but_automatic_upgrades);
    }

    #[test]
    fn malformed_releases_are_refused() {
        let good = release();
        for (text, why) in [
            (String::new(), "no SHA-256"),
            (" x\n".into(), "continuation"),
            (good.replace("Suite: stable", "Suite stable"), "no field"),
            (good.replace("SHA256:", "SHA1:"), "no SHA-256"),
            (good.replace("Label: Debian", "suite: other"), "twice"),
            (good.replace("Sat, 21 Nov", "Some, 21 Nov"), "not a date"),
            (
                good.replace("  0 main/binary", "  x main/binary"),
                "no entry",
            ),
            (
                good.replace("  0 main/binary", "  -1 main/binary"),
                "no entry",
            ),
            (
                good.replace("main/binary-amd64/Packages\n", "\n"),
                "no entry",
            ),
            (
                good.replace("main/binary-amd64/Packages\n", "../../x\n"),
                "no entry",
            ),
            (
                good.replace("main/binary-amd64/Packages\n", "/etc/x\n"),
                "no entry",
            ),
            (good.replace(HEX, &HEX[1..]), "no entry"),
        ] {
            let error = Release::parse(&text).unwrap_err();
            assert_eq!(error.kind(), Kind::Verify);
            assert!(error.message().contains(why), "{error}");
        }
    }

    #[test]
    fn the_suite_must_be_the_one_asked_for() {
        let release = Release::parse(&release()).unwrap();
        for asked in ["stable", "trixie", "./", "/"] {
            release.check_name(asked).unwrap();
        }
        for asked in ["forky", "trixie-security", "oldstable", "", "Trixie"] {
            let error = release.check_name(asked).unwrap_err();
            assert_eq!(error.kind(), Kind::Verify);
        }
    }

    #[test]
    fn times_are_checked() {
        let release = Release::parse(&release()).unwrap();
        for (now, ignore, expected) in [
            ("2026-11-23T00:00:00Z", false, Ok(false)),
            ("2026-11-21T09:10:00Z", false, Ok(false)),
            ("2026-11-21T09:00:00Z", false, Err("future")),
            ("2026-11-21T09:00:00Z", true, Err("future")),
            ("2026-11-28T09:15:44Z", false, Ok(false)),
            ("2026-11-28T09:15:45Z", false, Err("valid until 2026-11-28")),
            ("2027-11-28T09:15:45Z", true, Ok(true)),
        ] {
            match (release.check_time(time(now), ignore), expected) {
                (Ok(past), Ok(expected)) => assert_eq!(past, expected, "{now}"),
                (Err(error), Err(why)) => {
                    assert_eq!(error.kind(), Kind::Verify);
                    assert!(error.message().contains(why), "{error}");
                    assert!(!error.hints().is_empty());
                }
                (result, _) => panic!("{now}: {result:?}"),
            }
        }
        let error = release.check_time(time("2027-01-01T00:00:00Z"), false);
        let error = error.unwrap_err();
        assert!(error.message().contains("2027-01-01"), "{error}");
        assert!(
            error
                .hints()
                .iter()
                .any(|hint| hint.contains("--ignore-valid-until"))
        );
    }

    #[test]
    fn dates_of_many_archives() {
        for (text, expected) in [
            (
                "Sat, 21 Nov 2026 09:15:44 UTC",
                Some("2026-11-21T09:15:44Z"),
            ),
            (
                "Sat, 21 Nov 2026 09:15:44 +0000",
                Some("2026-11-21T09:15:44Z"),
            ),
            (
                "Sat, 21 Nov 2026 10:15:44 +0100",
                Some("2026-11-21T09:15:44Z"),
            ),
            (
                "Sat, 21 Nov 2026 09:15:44 GMT",
                Some("2026-11-21T09:15:44Z"),
            ),
            ("Wed, 3 Sep 2025 09:15:44 UTC", Some("2025-09-03T09:15:44Z")),
            ("2026-11-21", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), expected.map(time), "{text}");
        }
    }
}
