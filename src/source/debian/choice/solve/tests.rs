//! Choices and failures in universes small enough to see through.

use super::super::index::{PRIORITY_NOT_AUTOMATIC, Universe};
use super::super::package::Package;
use super::*;

/// One package a line: name, version, then fields separated by `;`.
fn universe(lines: &str) -> Universe {
    let mut universe = Universe::new("amd64");
    let mut add = |suite: &str, priority: i16| {
        let mut text = String::new();
        for line in lines.lines().map(str::trim) {
            let (of, line) = line.split_once('@').unwrap_or(("main", line));
            if of != suite || line.is_empty() {
                continue;
            }
            let (head, fields) = line.split_once(';').unwrap_or((line, ""));
            let (name, version) = head.trim().split_once(' ').unwrap();
            let fields: String = fields
                .split(';')
                .map(|field| format!("{}\n", field.trim()))
                .collect();
            let hash = "0".repeat(64);
            text.push_str(&format!(
                "Package: {name}\nVersion: {version}\nArchitecture: amd64\nPriority: optional\n\
                 Filename: {name}\nSize: 1\nSHA256: {hash}\n{}\n\n",
                fields.trim()
            ));
        }
        universe
            .add_with_priority("test", suite, priority, text.replace("\n\n\n", "\n\n"))
            .unwrap();
    };
    add("main", 500);
    add("low", PRIORITY_NOT_AUTOMATIC);
    universe
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn request(install: &str, exclude: &str) -> Request {
    Request {
        architecture: "amd64".to_owned(),
        install: words(install),
        exclude: words(exclude),
    }
}

#[test]
fn choices() {
    let cases = [
        (
            "the essential set is always there",
            "base 1; Essential: yes; Depends: lib\nlib 1\nx 1",
            "",
            "",
            "base lib",
        ),
        (
            "needs are followed",
            "a 1; Depends: b\nb 1; Pre-Depends: c\nc 1\nd 1",
            "a",
            "",
            "a b c",
        ),
        (
            "recommendations are not",
            "a 1; Recommends: b; Suggests: c\nb 1\nc 1",
            "a",
            "",
            "a",
        ),
        (
            "the first alternative that can be had",
            "a 1; Depends: x | b | c\nb 1; Depends: y\nc 1",
            "a",
            "",
            "a c",
        ),
        (
            "what is there already meets alternatives",
            "a 1; Depends: b | c\nb 1\nc 1",
            "c a",
            "",
            "a c",
        ),
        (
            "a package goes before its providers",
            "a 1; Depends: b\nb 1\nc 1; Provides: b",
            "a",
            "",
            "a b",
        ),
        (
            "of providers the one mentioned last",
            "a 1; Depends: v\nb 1; Provides: v\nc 1; Provides: v",
            "a",
            "",
            "a c",
        ),
        (
            "a higher priority is preferred",
            "a 1; Depends: v\nb 1; Provides: v; Priority: important\nc 1; Provides: v",
            "a",
            "",
            "a b",
        ),
        (
            "versioned provides count by their version",
            "a 1; Depends: v (>= 2)\nb 1; Provides: v (= 2)\nc 9; Provides: v\nd 9; Provides: v (= 1)",
            "a",
            "",
            "a b",
        ),
        (
            ":any needs Multi-Arch: allowed",
            "a 1; Depends: p:any\np 1; Multi-Arch: allowed",
            "a",
            "",
            "a p",
        ),
        (
            ":native and the own architecture mean the plain name",
            "a 1; Depends: b:native, c:amd64\nb 1\nc 1",
            "a:amd64",
            "",
            "a b c",
        ),
        (
            "what conflicts with a request is not chosen",
            "a 1; Depends: b | c\nb 1; Conflicts: d\nc 1\nd 1",
            "d a",
            "",
            "a c d",
        ),
        (
            "a package may conflict with what it provides",
            "a 1; Provides: v; Conflicts: v\nb 1; Depends: v",
            "b a",
            "",
            "a b",
        ),
        (
            "excluded alternatives are passed over",
            "a 1; Depends: b | c\nb 1\nc 1",
            "a",
            "b",
            "a c",
        ),
        (
            "excluded essentials are left out",
            "base 1; Essential: yes\na 1",
            "a",
            "base",
            "a",
        ),
        (
            "the only provider of a virtual name",
            "b 1; Provides: v",
            "v",
            "",
            "b",
        ),
        (
            "what failed leaves nothing behind",
            "a 1; Depends: b | c\nb 1; Depends: l, n\nc 1\nl 1\nn 1; Depends: z",
            "a",
            "",
            "a c",
        ),
        (
            "an alternative in a loop",
            "a 1; Depends: b\nb 1; Depends: a",
            "a",
            "",
            "a b",
        ),
        (
            "a version of lower priority on request",
            "a 1\nlow@a 2",
            "a=2",
            "",
            "a=2",
        ),
        ("but not by itself", "a 1\nlow@a 2", "a", "", "a"),
    ];
    for (what, lines, install, exclude, wanted) in cases {
        let universe = universe(lines);
        let chosen = choose(&universe, &request(install, exclude))
            .unwrap_or_else(|error| panic!("{what}: {} {:?}", error.message(), error.hints()));
        let text = |package: &&Package| match package.version() {
            "1" => package.name().to_owned(),
            version => format!("{}={version}", package.name()),
        };
        let chosen: Vec<String> = chosen.iter().map(text).collect();
        assert_eq!(chosen, words(wanted), "{what}");
    }
}

#[test]
fn deep_chains_do_not_overflow_the_stack() {
    let mut lines = String::new();
    for number in 0..2900 {
        lines.push_str(&format!("p{number} 1; Depends: p{}\n", number + 1));
    }
    lines.push_str("p2900 1\n");
    let universe = universe(&lines);
    assert_eq!(choose(&universe, &request("p0", "")).unwrap().len(), 2901);
}

#[test]
fn failures() {
    let cases = [
        (
            "an unknown package",
            "openssh-server 1\nopenssh-client 1",
            ("opensh-server", ""),
            "no archive has a package `opensh-server`",
            "did you mean `openssh-server`?",
        ),
        (
            "an unknown package like no other",
            "a 1",
            ("zzzzzz", ""),
            "no archive has a package `zzzzzz`",
            "check its spelling, or add the archive that has it",
        ),
        (
            "an unknown version",
            "a 1\nlow@a 2",
            ("a=3", ""),
            "`a` has no version `3`",
            "there is `2`, `1`",
        ),
        (
            "a virtual package",
            "a 1; Provides: v\nb 1; Provides: v",
            ("v", ""),
            "`v` is a virtual package of which no provider was chosen",
            "request one of `a`, `b`",
        ),
        (
            "another architecture",
            "a 1",
            ("a:i386", ""),
            "`a:i386` cannot be installed: the architecture is `amd64`",
            "only packages of the image's own architecture and of `all` can be installed",
        ),
        (
            "a missing package",
            "a 1; Depends: b\nb 1; Depends: c (>= 2), d\nd 1",
            ("a", ""),
            "`a` needs `b`, which needs `c (>= 2)`, which exists in no archive",
            "add the archive that has `c`",
        ),
        (
            "a missing version",
            "a 1; Depends: b\nb 1; Depends: c (>= 2)\nc 1.5",
            ("a", ""),
            "`a` needs `b`, which needs `c (>= 2)`, which exists only as `1.5`",
            "add the suite that has such a version of `c`",
        ),
        (
            "a version of lower priority",
            "a 1; Depends: c (>= 2)\nc 1\nlow@c 2",
            ("a", ""),
            "`a` needs `c (>= 2)`, which exists as `2`, while `1` is the version to be installed",
            "request `c=2`",
        ),
        (
            "provided in the wrong version",
            "a 1; Depends: v (>= 2)\nb 1; Provides: v (= 1)",
            ("a", ""),
            "`a` needs `v (>= 2)`, which is provided in such a version by no package (`b` provide others)",
            "add the suite that has such a version of `v`",
        ),
        (
            "alternatives of which none can be had",
            "a 1; Depends: b | c\nb 1; Depends: x",
            ("a", ""),
            "`a` needs `b` or `c`, of which none can be had: `b` needs `x`, which exists in no archive; \
             `c` exists in no archive",
            "add the archive that has `c`|add the archive that has `x`",
        ),
        (
            "two requested packages",
            "a 1; Conflicts: b\nb 1; Conflicts: a",
            ("a b", ""),
            "`a` conflicts with `b`, which is requested",
            "request only one of the two",
        ),
        (
            "a conflict further down",
            "a 1; Depends: b\nb 1; Depends: c\nc 1; Conflicts: e\nd 1; Depends: e\ne 1",
            ("d a", ""),
            "`a` needs `b`, which needs `c`, which conflicts with `e`, which `d` needs",
            "request only one of the two",
        ),
        (
            "an essential package",
            "base 1; Essential: yes\na 1; Breaks: base (<< 2)",
            ("a", ""),
            "`a` breaks, or is broken by, `base`, which is essential",
            "request only one of the two",
        ),
        (
            "an excluded package",
            "a 1; Depends: b\nb 1; Depends: c\nc 1",
            ("a", "c"),
            "`a` needs `b`, which needs `c`, which is excluded",
            "do not exclude `c`, or do without what needs it",
        ),
        (
            "a request against itself",
            "a 1",
            ("a", "a"),
            "`a` is both requested and excluded",
            "",
        ),
    ];
    for (what, lines, (install, exclude), message, hints) in cases {
        let universe = universe(lines);
        let error = choose(&universe, &request(install, exclude)).expect_err(what);
        assert_eq!(
            (error.message(), error.hints().join("|")),
            (message.to_owned(), hints.to_owned()),
            "{what}"
        );
        let kind = if what == "a request against itself" {
            Kind::Usage
        } else {
            Kind::Resolve
        };
        assert_eq!(error.kind(), kind, "{what}");
    }
}

#[test]
fn the_architecture_must_be_that_of_the_universe() {
    let mut request = request("", "");
    request.architecture = "arm64".to_owned();
    let error = choose(&universe("a 1"), &request).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}
