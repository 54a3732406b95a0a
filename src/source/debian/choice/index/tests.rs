//! What an index makes of texts.

use super::super::package::Priority;
use super::*;

fn stanza(name: &str, version: &str, more: &str) -> String {
    let hash = "0".repeat(64);
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: pool/{name}.deb\nSize: 1\nSHA256: {hash}\n{more}\n"
    )
}

#[test]
fn fields_are_taken_over() {
    let mut universe = Universe::new("amd64");
    let more = "Source: src (1.0)\nMulti-arch: same\nEssential: yes\nProtected: yes\nPriority: required\n\
                Installed-Size: 12\nSection: libs\nDepends: a (>= 1),\n b | c\nDescription: x\n y\n";
    universe
        .add("debian", "trixie", stanza("x", "1.0+b1", more))
        .unwrap();
    let package = universe.candidate("x").unwrap();
    assert_eq!(
        (package.name(), package.version(), package.architecture()),
        ("x", "1.0+b1", "amd64")
    );
    assert_eq!((package.source(), package.source_version()), ("src", "1.0"));
    assert_eq!(package.multi_arch(), MultiArch::Same);
    assert_eq!(package.priority(), Priority::Required);
    assert!(package.essential() && package.important());
    assert_eq!(
        (package.size(), package.installed_size(), package.section()),
        (1, 12, "libs")
    );
    assert_eq!(package.filename(), "pool/x.deb");
    assert_eq!(package.sha256(), Digest::from_hex(&"0".repeat(64)));
    assert_eq!(package.depends(), "a (>= 1),\n b | c");
    assert_eq!(
        (
            package.origin().archive.as_str(),
            package.origin().suite.as_str()
        ),
        ("debian", "trixie")
    );
}

#[test]
fn names_are_numbered_at_first_mention() {
    let mut universe = Universe::new("amd64");
    let more = "Enhances: h\nReplaces: g\nDepends: b, c:any | d:amd64\nPre-Depends: a\nSuggests: f\n\
                Recommends: e\nProvides: v (= 2), w (>= 3)\nMulti-Arch: allowed\n";
    universe
        .add("debian", "trixie", stanza("x", "1", more))
        .unwrap();
    let names: Vec<&str> = universe.names.iter().map(AsRef::as_ref).collect();
    assert_eq!(
        names,
        [
            "x", "a", "b", "c:any", "d", "e", "f", "g", "h", "v:any", "v", "x:any"
        ]
    );
    let versions = |name: &str| -> Vec<Option<&str>> {
        let entry = universe.entry(universe.find(name).unwrap());
        let provides = entry.provides.iter();
        provides
            .map(|provide| {
                provide
                    .version
                    .map(|at| universe.package_by_id(provide.package).text_at(at))
            })
            .collect()
    };
    assert_eq!(versions("v"), [Some("2")]);
    assert_eq!(versions("x:any"), [Some("1")]);
    assert_eq!(universe.find("w"), None);
}

#[test]
fn the_candidate_is_the_highest_version_of_the_highest_priority() {
    let mut universe = Universe::new("amd64");
    universe
        .add("debian", "trixie", stanza("x", "1.0", ""))
        .unwrap();
    universe
        .add("debian", "trixie-security", stanza("x", "1.0+deb13u1", ""))
        .unwrap();
    universe
        .add("debian", "trixie-updates", stanza("x", "1.0~rc", ""))
        .unwrap();
    let backports = stanza("x", "2.0~bpo", "");
    universe
        .add_with_priority(
            "debian",
            "trixie-backports",
            PRIORITY_UPGRADES_ONLY,
            backports,
        )
        .unwrap();
    let versions: Vec<&str> = universe.versions("x").map(Package::version).collect();
    assert_eq!(versions, ["2.0~bpo", "1.0+deb13u1", "1.0", "1.0~rc"]);
    assert_eq!(universe.candidate("x").unwrap().version(), "1.0+deb13u1");
    assert!(universe.candidate("y").is_none());
    let control = "Package: x\nVersion: 0.5\nArchitecture: all\n";
    universe
        .add_local("./x.deb", control, 7, Digest::of(b"x"))
        .unwrap();
    let local = universe.candidate("x").unwrap();
    assert_eq!(
        (local.version(), local.filename(), local.size()),
        ("0.5", "./x.deb", 7)
    );
}

#[test]
fn the_same_version_of_two_archives_is_one_unless_it_differs() {
    let mut universe = Universe::new("amd64");
    universe
        .add_with_priority(
            "a",
            "s",
            PRIORITY_NOT_AUTOMATIC,
            stanza("x", "1", "Depends: a\n"),
        )
        .unwrap();
    universe
        .add("b", "s", stanza("x", "0:1", "Depends: a\n"))
        .unwrap();
    universe
        .add("c", "s", stanza("x", "1", "Depends: b\n"))
        .unwrap();
    let archives: Vec<&str> = universe
        .versions("x")
        .map(|package| package.origin().archive.as_str())
        .collect();
    assert_eq!(archives, ["a", "c"]);
    assert_eq!(universe.candidate("x").unwrap().origin().archive, "a");
}

#[test]
fn other_architectures_are_passed_over() {
    let mut universe = Universe::new("arm64");
    universe
        .add("debian", "trixie", stanza("x", "1", ""))
        .unwrap();
    assert!(universe.packages().is_empty());
    let control = "Package: x\nVersion: 1\nArchitecture: amd64\n";
    let error = universe
        .add_local("x.deb", control, 1, Digest::of(b""))
        .unwrap_err();
    assert_eq!(
        error.message(),
        "`x.deb` is for the architecture `amd64`, not `arm64`"
    );
}

#[test]
fn malformed_indices_are_refused_with_the_package() {
    let cases = [
        (
            stanza("x", "1 2", ""),
            "`x` has the malformed version `1 2`",
        ),
        (
            stanza("", "1", ""),
            "a stanza has no usable `Package` field (``)",
        ),
        (
            stanza("x", "1", "Installed-Size: many\n"),
            "`x` has a malformed `Installed-Size` field: `many`",
        ),
        (
            stanza("x", "1", "Depends: a (>= 1\n"),
            "package `x 1`: malformed dependency field `a (>= 1`: `(` without `)`",
        ),
        (
            "Package: x\nVersion: 1\nArchitecture: all\n".to_owned(),
            "`x 1` has no `SHA256` field",
        ),
    ];
    for (text, message) in cases {
        let error = Universe::new("amd64")
            .add("debian", "sid", text)
            .unwrap_err();
        assert_eq!(
            error.message(),
            format!("reading the package index of `sid` in `debian`: {message}")
        );
        assert_eq!(error.kind(), Kind::Resolve);
    }
}

#[test]
fn a_local_file_goes_before_the_same_version_of_an_archive() {
    let control = "Package: x\nVersion: 1\nArchitecture: amd64\n";
    let archive = stanza("x", "1", "");
    let mut after = Universe::new("amd64");
    after.add("debian", "trixie", archive.clone()).unwrap();
    after
        .add_local("x.deb", control, 2, Digest::of(b"x"))
        .unwrap();
    let mut before = Universe::new("amd64");
    before
        .add_local("x.deb", control, 2, Digest::of(b"x"))
        .unwrap();
    before.add("debian", "trixie", archive).unwrap();
    for universe in [after, before] {
        let package = universe.candidate("x").unwrap();
        assert_eq!(
            (package.filename(), package.sha256()),
            ("x.deb", Some(Digest::of(b"x")))
        );
        assert!(package.is_local());
    }
}
