//! What profiles mean, and what is said about those that mean nothing.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use super::Profile;
use super::file::Architecture;
use crate::error::Error;

/// Writes files into a folder and loads the first.
fn load_files(files: &[(&str, &str)]) -> Result<(Profile, tempfile::TempDir), Error> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let profile = Profile::load(&folder.path().join(files[0].0));
    // The folder's name is another each time.
    profile.map(|profile| (profile, folder))
}

/// What a person would be told: message, line and column, the offending text, hints.
fn refused(files: &[(&str, &str)]) -> String {
    let error = load_files(files).unwrap_err();
    let mut said = error.message();
    if let Some(place) = error.place() {
        let (line, column) = place.line_column();
        let file = place.file.file_name().unwrap().to_string_lossy();
        let text = &place.text[place.span.clone()];
        said += format!("\n{file}:{line}:{column}: {text}").trim_end();
    }
    for hint in error.hints() {
        said += &format!("\nhint: {hint}");
    }
    // Folders are named for the run.
    said.split('`')
        .map(|part| match Path::new(part) {
            path if path.is_absolute() && path.starts_with(std::env::temp_dir()) => {
                path.file_name().unwrap().to_string_lossy().into_owned()
            }
            _ => part.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("`")
}

const HEAD: &str = "name = \"node\"\narchitecture = \"amd64\"\n";

/// A profile with a Debian root and `rest`.
fn with(rest: &str) -> String {
    format!("{HEAD}[debian]\nsuite = \"trixie\"\n{rest}\n")
}

fn refused_with(rest: &str) -> String {
    refused(&[("p.toml", &with(rest))])
}

#[test]
fn the_smallest_profile_gets_its_defaults() {
    let (profile, _folder) = load_files(&[("p.toml", &with(""))]).unwrap();
    assert_eq!(profile.architectures, [Architecture::Amd64]);
    let debian = profile.debian.as_ref().unwrap();
    assert!(debian.security && debian.updates);
    assert_eq!(debian.components, ["main"]);
    assert_eq!((profile.image.layers, profile.image.level), (64, 3));
    assert_eq!(profile.packages("amd64"), Vec::<String>::new());
}

#[test]
fn profiles_are_laid_over_one_another() {
    let (profile, folder) = load_files(&[
        (
            "top/p.toml",
            "name = \"node\"\nextends = [\"../base/a.toml\", \"../base/b.toml\"]\n\
             [debian]\npackages = [\"vim\", \"openssh-server=1:9.2\"]\nremove = [\"nano\"]\n\
             [units]\nmask = [\"ssh.service\"]\n[sysctl]\nnet.ipv4.ip_forward = 0\n\
             [modules]\nremove = [\"br-netfilter\"]\n\
             [[files]]\npath = \"/etc/motd\"\nsource = \"files/motd\"\n",
        ),
        (
            "base/a.toml",
            "extends = \"common.toml\"\n[debian]\npackages = [\"openssh-server\", \"nano\"]\n\
             [units]\nenable = [\"ssh.service\", \"cron.service\"]\n\
             [[files]]\npath = \"/etc/motd\"\ntext = \"base\"\n\
             [[files]]\npath = \"/etc/issue\"\nsource = \"files/issue\"\n",
        ),
        (
            "base/b.toml",
            "extends = \"common.toml\"\n[sysctl]\n\"net.ipv4.ip_forward\" = 1\nvm.swappiness = \"10\"\n",
        ),
        (
            "base/common.toml",
            "architecture = [\"amd64\", \"arm64\"]\n[debian]\nsuite = \"trixie\"\n\
             [kernel]\npackage = \"linux-image-cloud-{architecture}\"\n\
             [modules]\nload = [\"overlay\", \"br_netfilter\"]\n",
        ),
    ])
    .unwrap();
    assert_eq!(
        profile.packages("arm64"),
        ["openssh-server=1:9.2", "vim", "linux-image-cloud-arm64"]
    );
    let text =
        |list: &[super::value::UnitName]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(&profile.units.enable), ["cron.service"]);
    assert_eq!(text(&profile.units.mask), ["ssh.service"]);
    assert_eq!(
        serde_json::to_string(&profile.sysctl).unwrap(),
        r#"{"net.ipv4.ip_forward":"0","vm.swappiness":"10"}"#
    );
    assert_eq!(profile.modules.load.len(), 1);
    let locals: Vec<_> = profile
        .local_files()
        .iter()
        .map(|file| file.path())
        .collect();
    assert_eq!(locals, ["../base/files/issue", "files/motd"]);
    assert_eq!(
        profile.local_files()[0].absolute(),
        folder.path().join("base/files/issue")
    );
    let names: Vec<_> = profile
        .sources()
        .iter()
        .map(|path| PathBuf::from(path.file_name().unwrap()))
        .collect();
    assert_eq!(
        names,
        ["p.toml", "b.toml", "a.toml", "common.toml"].map(PathBuf::from)
    );
}

#[test]
fn editing_configuration_chooses_nothing_else() {
    let selection = |rest: &str| {
        let (profile, _folder) = load_files(&[("p.toml", &with(rest))]).unwrap();
        profile.selection("amd64")
    };
    let plain = selection("packages = [\"vim\"]");
    assert_eq!(
        plain,
        selection(
            "packages = [\"vim\"]\n[units]\nmask = [\"cron.service\"]\n[sysctl]\nvm.swappiness = 1"
        )
    );
    assert_eq!(
        plain,
        selection("packages = [\"vim\"]\nexclude = { man-pages = true }")
    );
    assert_ne!(plain, selection("packages = [\"nano\"]"));
    assert_ne!(
        plain,
        selection("packages = [\"vim\"]\n[kernel]\npackage = \"linux-image-amd64\"")
    );
    assert_ne!(
        plain,
        selection("packages = [\"vim\"]\n[[files]]\npath = \"/etc/x\"\nsource = \"x\"")
    );
}

#[test]
fn places_are_found_again() {
    let (profile, _folder) = load_files(&[
        (
            "p.toml",
            "extends = \"b.toml\"\nname = \"node\"\n[debian]\npackages = [\n  \"vim\",\n]\n",
        ),
        ("b.toml", &with("packages = [\"nano\"]")),
    ])
    .unwrap();
    let at = |item| profile.place(&["debian", "packages"], Some(item)).unwrap();
    assert_eq!(
        (at("vim").line_column(), at("nano").line_column()),
        ((5, 3), (5, 13))
    );
    assert!(at("nano").file.ends_with("b.toml"));
}

#[test]
fn unknown_keys_and_values() {
    assert_snapshot!(refused_with("pakages = [\"vim\"]"), @r#"
        unknown key `pakages`
        p.toml:5:1: pakages
        hint: did you mean `packages`?
        "#);
    assert_snapshot!(refused_with("[kubelet]\nsauce = \"release\"\n"), @r#"
        unknown key `sauce`
        p.toml:6:1: sauce
        hint: did you mean `source`?
        "#);
    assert_snapshot!(refused_with("[image]\nversion = \"2\"\n"), @r#"
        unknown key `version`
        p.toml:6:1: version
        hint: `version` belongs at the top of the file, before the first `[table]`
        "#);
    assert_snapshot!(refused_with("[image]\nfoo = \"2\"\n"), @r#"
        unknown key `foo`
        p.toml:6:1: foo
        hint: known keys here: `compression`, `level`, `layers`, `labels`, `annotations`
        "#);
    assert_snapshot!(refused_with("[image]\ncompression = \"zst\"\n"), @r#"
        unknown value `zst`
        p.toml:6:15: "zst"
        hint: did you mean `zstd`?
        "#);
    assert_snapshot!(refused_with("[kubernetes]\nrole = \"boss\"\n"), @r#"
        unknown value `boss`
        p.toml:6:8: "boss"
        hint: possible values: `worker`, `control-plane`
        "#);
    assert_snapshot!(refused(&[("p.toml", "name = \"x\"\narchitecture = \"x86_64\"\n")]), @r#"
        unknown value `x86_64`
        p.toml:2:16: "x86_64"
        hint: did you mean `amd64`?
        "#);
    assert_snapshot!(refused_with("[[debian.repository]]\nname = \"k\"\nurl = \"https://a\"\n"), @r#"
        key `suite` is missing
        p.toml:5:1: [[debian.repository]]
        "#);
}

#[test]
fn wrong_types() {
    assert_snapshot!(refused_with("[kubernetes]\nversion = 1.34\n"), @r#"
        invalid type: floating point `1.34`, expected a Kubernetes version from 1.18 on, or `none` as a string
        p.toml:6:11: 1.34
        hint: write it in quotes: "1.34"
        "#);
    assert_snapshot!(refused_with("packages = \"vim\"\n"), @r#"
        invalid type: string "vim", expected a list
        p.toml:5:12: "vim"
        hint: write it as a list: ["vim"]
        "#);
    assert_snapshot!(refused_with("security = \"yes\"\n"), @r#"
        invalid type: string "yes", expected true or false
        p.toml:5:12: "yes"
        hint: write `true` or `false` without quotes
        "#);
    assert_snapshot!(refused_with("[image]\nlayers = \"12\"\n"), @r#"
        invalid type: string "12", expected a number from 2 to 127
        p.toml:6:10: "12"
        hint: write it without quotes: 12
        "#);
    assert_snapshot!(refused_with("[image]\ncompression = 3\n"), @r#"
        expected a string
        p.toml:6:15: 3
        "#);
    assert_snapshot!(refused_with("[containerd]\nstreaming = 5\n"), @r#"
        invalid type: integer `5`, expected a table
        p.toml:6:13: 5
        "#);
    assert_snapshot!(refused_with("[sysctl]\nvm = { swappiness = true }\n"), @r#"
        invalid type: boolean `true`, expected kernel settings, each a text or a number
        p.toml:6:21: true
        "#);
    assert_snapshot!(refused_with("[kubelet.config]\nsince = 2026-01-01\n"), @r#"
        a date has no meaning here
        p.toml:6:9: 2026-01-01
        hint: write it in quotes
        "#);
    assert_snapshot!(refused_with("[sysctl\n"), @r#"
        unclosed table, expected `]`
        p.toml:5:8:
        "#);
    assert_snapshot!(refused_with("suite = \"sid\"\n"), @r#"
        `suite` is given twice
        p.toml:5:1: suite
        "#);
}

#[test]
fn impossible_values() {
    assert_snapshot!(refused_with("packages = [\"vim\", \"Vim\"]\n"), @r#"
        `Vim` is not a package name
        p.toml:5:20: "Vim"
        hint: write it like `containerd`
        "#);
    assert_snapshot!(refused_with("[image]\nlayers = 128\n"), @r#"
        128 is not a number of layers
        p.toml:6:10: 128
        hint: 2 to 127 are possible; 64 is the default
        "#);
    assert_snapshot!(refused_with("[kubernetes]\nversion = \"1.17\"\n"), @r#"
        `1.17` is not a Kubernetes version from 1.18 on, or `none`
        p.toml:6:11: "1.17"
        hint: write it like `1.34`
        "#);
    assert_snapshot!(refused_with("[units]\nenable = [\"ssh\"]\n"), @r#"
        `ssh` is not a unit name with its type
        p.toml:6:11: "ssh"
        hint: write it like `containerd.service`
        "#);
    assert_snapshot!(refused_with("[[files]]\npath = \"/etc/../x\"\ntext = \"\"\n"), @r#"
        `/etc/../x` is not an absolute path without `..` or doubled slashes
        p.toml:6:8: "/etc/../x"
        hint: write it like `/etc/motd`
        "#);
    assert_snapshot!(refused_with("[[files]]\npath = \"/etc/x\"\ntext = \"\"\nmode = \"644\"\n"), @r#"
        `644` is not a mode of four octal digits
        p.toml:8:8: "644"
        hint: write it like `0644`
        "#);
    assert_snapshot!(refused_with("[sysctl]\nswappiness = 1\n"), @r#"
        `swappiness` is not the name of a kernel setting
        p.toml:6:14: 1
        hint: write it like `net.ipv4.ip_forward`
        "#);
    assert_snapshot!(refused_with("[proxy]\nhttp = \"proxy:3128\"\n"), @r#"
        `proxy:3128` is not an address that starts with https://, http:// or file://
        p.toml:6:8: "proxy:3128"
        hint: write it like `https://mirror.example/debian`
        "#);
    assert_snapshot!(refused_with("[kubelet.flags]\n--max-pods = 5\n"), @r#"
        `--max-pods` is not a flag's name without leading dashes
        p.toml:6:1: --max-pods
        hint: write it like `max-pods`
        "#);
    assert_snapshot!(refused_with("mirror = \"\"\n"), @r#"
        an empty text is not an address that starts with https://, http:// or file://
        p.toml:5:10: ""
        hint: write it like `https://mirror.example/debian`
        "#);
}

#[test]
fn contradictions() {
    assert_snapshot!(refused_with("[base.image]\nreference = \"registry.example/a:1\"\n"), @r#"
        `[debian]` and `[base.image]` exclude each other
        p.toml:5:1: [base.image]
        hint: a root comes from a Debian archive or from an image: keep one
        "#);
    assert_snapshot!(refused(&[("p.toml", HEAD)]), @r#"
        the profile says of nothing that a root could come from
        p.toml:1:8: "node"
        hint: add `[debian]` with a suite or `[base.image]` with a reference, or extend a profile that has one
        "#);
    assert_snapshot!(refused(&[("p.toml", "[debian]\nsuite = \"sid\"\n")]), @r#"
        the profile has no `name`
        p.toml:1:1:
        hint: write it at the top of the file: name = "my-node"
        "#);
    assert_snapshot!(refused(&[("p.toml", "name = \"x\"\narchitecture = \"amd64\"\n[debian]\n")]), @r#"
        `[debian]` names no suite
        p.toml:3:1: [debian]
        hint: for example: suite = "trixie"
        "#);
    assert_snapshot!(refused_with("[units]\nenable = [\"a.service\"]\nmask = [\"a.service\"]\n"), @r#"
        `a.service` is in both `enable` and `mask`
        p.toml:7:9: "a.service"
        hint: keep one of them
        "#);
    assert_snapshot!(refused_with("[[files]]\npath = \"/a\"\ntext = \"\"\n[[files]]\npath = \"/a\"\ntext = \"\"\n"), @r#"
        `/a` is given twice
        p.toml:9:8: "/a"
        hint: keep one of them
        "#);
    assert_snapshot!(refused_with("[[files]]\npath = \"/run/a\"\ntext = \"\"\n"), @r#"
        `/run/a` would never be seen: `/run` is empty at every boot
        p.toml:6:8: "/run/a"
        hint: have systemd-tmpfiles make it: put a file under /usr/lib/tmpfiles.d
        "#);
    assert_snapshot!(refused_with("[[files]]\npath = \"/a\"\n"), @r#"
        the file `/a` has no content
        p.toml:6:8: "/a"
        hint: give `text`, `source`, `link` or `remove = true`
        "#);
    assert_snapshot!(refused_with("[[users]]\nname = \"a\"\nuid = 7\n[[users]]\nname = \"b\"\nuid = 7\n"), @r#"
        the users `a` and `b` have the same number 7
        p.toml:9:8: "b"
        hint: give each a number of its own, or none
        "#);
    assert_snapshot!(refused_with("[kubernetes]\nrole = \"control-plane\"\n"), @r#"
        a control plane needs a Kubernetes version
        p.toml:6:8: "control-plane"
        hint: set `version` in `[kubernetes]`, like "1.34"
        "#);
    assert_snapshot!(refused_with("[kubelet]\nsource = \"release\"\n"), @r#"
        kubelet comes from a release, but no version is known
        p.toml:6:10: "release"
        hint: set `version` in `[kubernetes]` or `[kubelet]`
        "#);
    assert_snapshot!(refused_with("[[images]]\nreference = \"registry.example/app\"\n"), @r#"
    `registry.example/app` is not a full reference
    p.toml:6:13: "registry.example/app"
    hint: give the registry and the tag, like `registry.k8s.io/pause:3.10`: pods ask for it word for word
    "#);
    assert_snapshot!(refused_with("[pause]\nimage = \"pause:3.10\"\n"), @r#"
        `pause:3.10` is not a full reference
        p.toml:6:9: "pause:3.10"
        hint: give the registry and the tag, like `registry.k8s.io/pause:3.10`: containerd compares it word for word
        "#);
    assert_snapshot!(refused_with("[proxy]\nhttps = \"http://me:secret@proxy.example\"\n"), @r#"
        the proxy's address holds a password, which everyone who has the image could read
        p.toml:6:9: "http://me:secret@proxy.example"
        hint: give it to the node at boot, as a systemd credential or drop-in
        "#);
    assert_snapshot!(refused_with("[image]\ncompression = \"gzip\"\nlevel = 12\n"), @r#"
        gzip has levels 1 to 9
        p.toml:7:9: 12
        hint: 6 is the default
        "#);
    assert_snapshot!(refused_with("packages = [\"vim\"]\nremove = [\"vim\"]\n"), @r#"
        `vim` is both added and removed
        p.toml:6:11: "vim"
        hint: keep one of them
        "#);
    assert_snapshot!(refused_with("[[debian.repository]]\nname = \"k\"\nurl = \"https://a\"\nsuite = \"/\"\n"), @r#"
        the repository `k` has no key
        p.toml:6:8: "k"
        hint: give the key that signs it, as a file (`key`) or in ASCII armour (`key-text`)
        "#);
}

#[test]
fn extending_goes_wrong() {
    assert_snapshot!(refused(&[("p.toml", "extends = [\n  \"b.toml\",\n]\n")]), @r#"
        the extended profile `b.toml` does not exist
        p.toml:2:3: "b.toml"
        hint: paths in `extends` are relative to the file that names them
        "#);
    assert_snapshot!(refused(&[
        ("p.toml", "extends = \"b.toml\"\n"),
        ("b.toml", "extends = \"p.toml\"\n"),
    ]), @r#"
        profiles extend one another in a circle: `p.toml` → `b.toml` → `p.toml`
        b.toml:1:11: "p.toml"
        hint: take one of them out of `extends`
        "#);
    assert_snapshot!(refused(&[
        ("p.toml", &format!("extends = \"b.toml\"\n{HEAD}[debian]\nremove = [\"vin\"]\n")),
        ("b.toml", "[debian]\nsuite = \"sid\"\npackages = [\"vim\"]\n"),
    ]), @r#"
        no extended profile lists the package `vin`
        p.toml:5:11: "vin"
        hint: did you mean `vim`?
        "#);
    assert_snapshot!(refused(&[
        ("p.toml", &format!("extends = \"b.toml\"\n{HEAD}")),
        ("b.toml", "[debian]\nsweet = \"sid\"\n"),
    ]), @r#"
        unknown key `sweet`
        b.toml:2:1: sweet
        hint: known keys here: `suite`, `components`, `updates`, `security`, `packages`, `remove`, `debs`, `exclude`, `mirror`, `security-mirror`, `fallback-mirrors`, `keyring`, `repository`
        "#);
}

#[test]
fn odd_files() {
    let folder = tempfile::tempdir().unwrap();
    let said = |path: &Path| {
        let error = Profile::load(path).unwrap_err();
        error
            .to_string()
            .replace(&*folder.path().to_string_lossy(), "DIR")
    };
    let path = folder.path().join("p.toml");
    assert_snapshot!(said(&path), @r#"the profile `DIR/p.toml` does not exist"#);
    std::fs::write(&path, b"name = \"\xff\"").unwrap();
    assert_snapshot!(said(&path), @r#"`DIR/p.toml` cannot be a profile: it is not UTF-8 text"#);
    assert_snapshot!(said(folder.path()), @r#"`DIR` cannot be a profile: it is a folder"#);
}
