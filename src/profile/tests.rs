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
        said += &format!("\n{file}:{line}:{column}: {text}");
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
    assert_snapshot!(refused_with("pakages = [\"vim\"]"), @"");
    assert_snapshot!(refused_with("[kubelet]\nsauce = \"release\"\n"), @"");
    assert_snapshot!(refused_with("[image]\nversion = \"2\"\n"), @"");
    assert_snapshot!(refused_with("[image]\nfoo = \"2\"\n"), @"");
    assert_snapshot!(refused_with("[image]\ncompression = \"zst\"\n"), @"");
    assert_snapshot!(refused_with("[kubernetes]\nrole = \"boss\"\n"), @"");
    assert_snapshot!(refused(&[("p.toml", "name = \"x\"\narchitecture = \"x86_64\"\n")]), @"");
    assert_snapshot!(refused_with("[[debian.repository]]\nname = \"k\"\nurl = \"https://a\"\n"), @"");
}

#[test]
fn wrong_types() {
    assert_snapshot!(refused_with("[kubernetes]\nversion = 1.34\n"), @"");
    assert_snapshot!(refused_with("packages = \"vim\"\n"), @"");
    assert_snapshot!(refused_with("security = \"yes\"\n"), @"");
    assert_snapshot!(refused_with("[image]\nlayers = \"12\"\n"), @"");
    assert_snapshot!(refused_with("[image]\ncompression = 3\n"), @"");
    assert_snapshot!(refused_with("[containerd]\nstreaming = 5\n"), @"");
    assert_snapshot!(refused_with("[sysctl]\nvm = { swappiness = true }\n"), @"");
    assert_snapshot!(refused_with("[kubelet.config]\nsince = 2026-01-01\n"), @"");
    assert_snapshot!(refused_with("[sysctl\n"), @"");
    assert_snapshot!(refused_with("suite = \"sid\"\n"), @"");
}

#[test]
fn impossible_values() {
    assert_snapshot!(refused_with("packages = [\"vim\", \"Vim\"]\n"), @"");
    assert_snapshot!(refused_with("[image]\nlayers = 128\n"), @"");
    assert_snapshot!(refused_with("[kubernetes]\nversion = \"1.17\"\n"), @"");
    assert_snapshot!(refused_with("[units]\nenable = [\"ssh\"]\n"), @"");
    assert_snapshot!(refused_with("[[files]]\npath = \"/etc/../x\"\ntext = \"\"\n"), @"");
    assert_snapshot!(refused_with("[[files]]\npath = \"/etc/x\"\ntext = \"\"\nmode = \"644\"\n"), @"");
    assert_snapshot!(refused_with("[sysctl]\nswappiness = 1\n"), @"");
    assert_snapshot!(refused_with("[proxy]\nhttp = \"proxy:3128\"\n"), @"");
    assert_snapshot!(refused_with("[kubelet.flags]\n--max-pods = 5\n"), @"");
    assert_snapshot!(refused_with("mirror = \"\"\n"), @"");
}

#[test]
fn contradictions() {
    assert_snapshot!(refused_with("[base.image]\nreference = \"registry.example/a:1\"\n"), @"");
    assert_snapshot!(refused(&[("p.toml", HEAD)]), @"");
    assert_snapshot!(refused(&[("p.toml", "[debian]\nsuite = \"sid\"\n")]), @"");
    assert_snapshot!(refused(&[("p.toml", "name = \"x\"\narchitecture = \"amd64\"\n[debian]\n")]), @"");
    assert_snapshot!(refused_with("[units]\nenable = [\"a.service\"]\nmask = [\"a.service\"]\n"), @"");
    assert_snapshot!(refused_with("[[files]]\npath = \"/a\"\ntext = \"\"\n[[files]]\npath = \"/a\"\ntext = \"\"\n"), @"");
    assert_snapshot!(refused_with("[[files]]\npath = \"/run/a\"\ntext = \"\"\n"), @"");
    assert_snapshot!(refused_with("[[files]]\npath = \"/a\"\n"), @"");
    assert_snapshot!(refused_with("[[users]]\nname = \"a\"\nuid = 7\n[[users]]\nname = \"b\"\nuid = 7\n"), @"");
    assert_snapshot!(refused_with("[kubernetes]\nrole = \"control-plane\"\n"), @"");
    assert_snapshot!(refused_with("[kubelet]\nsource = \"release\"\n"), @"");
    assert_snapshot!(refused_with("[pause]\nimage = \"pause:3.10\"\n"), @"");
    assert_snapshot!(refused_with("[proxy]\nhttps = \"http://me:secret@proxy.example\"\n"), @"");
    assert_snapshot!(refused_with("[image]\ncompression = \"gzip\"\nlevel = 12\n"), @"");
    assert_snapshot!(refused_with("packages = [\"vim\"]\nremove = [\"vim\"]\n"), @"");
    assert_snapshot!(refused_with("[[debian.repository]]\nname = \"k\"\nurl = \"https://a\"\nsuite = \"/\"\n"), @"");
}

#[test]
fn extending_goes_wrong() {
    assert_snapshot!(refused(&[("p.toml", "extends = [\n  \"b.toml\",\n]\n")]), @"");
    assert_snapshot!(refused(&[
        ("p.toml", "extends = \"b.toml\"\n"),
        ("b.toml", "extends = \"p.toml\"\n"),
    ]), @"");
    assert_snapshot!(refused(&[
        ("p.toml", &format!("extends = \"b.toml\"\n{HEAD}[debian]\nremove = [\"vin\"]\n")),
        ("b.toml", "[debian]\nsuite = \"sid\"\npackages = [\"vim\"]\n"),
    ]), @"");
    assert_snapshot!(refused(&[
        ("p.toml", &format!("extends = \"b.toml\"\n{HEAD}")),
        ("b.toml", "[debian]\nsweet = \"sid\"\n"),
    ]), @"");
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
    assert_snapshot!(said(&path), @"");
    std::fs::write(&path, b"name = \"\xff\"").unwrap();
    assert_snapshot!(said(&path), @"");
    assert_snapshot!(said(folder.path()), @"");
}
