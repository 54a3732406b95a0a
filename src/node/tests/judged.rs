//! Held against the tools that node configuration stands in for: useradd,
//! systemctl, update-ca-certificates, openssl.

#![expect(clippy::print_stderr, reason = "says which judge is missing")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::skip::skip;
use super::{ACCOUNTS, UNITS, configured, configured_beside};
use crate::node::der;
use crate::tree::{Content, Node};

/// `useradd` writes the same lines, but for the date.
#[test]
fn users_as_useradd_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in ACCOUNTS
        .iter()
        .filter(|(path, _)| path.starts_with("etc/") && !path.contains("skel"))
    {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let defaults = Path::new("/etc/login.defs");
    let tool = Path::new("/usr/sbin/useradd");
    if !tool.exists() || !defaults.exists() || !rustix::process::geteuid().is_root() {
        skip("accounts beside useradd (needs it, and root)");
        return;
    }
    std::fs::copy(defaults, folder.path().join("etc/login.defs")).unwrap();
    let commands: [&[&str]; 4] = [
        &["-s", "/bin/bash", "-G", "sudo,adm", "-c", "Core", "core"],
        &[
            "-r",
            "-s",
            "/usr/sbin/nologin",
            "-U",
            "-d",
            "/nonexistent",
            "agent",
        ],
        &["-s", "/bin/bash", "-u", "2000", "fixed"],
        &["-s", "/bin/bash", "second"],
    ];
    for command in commands {
        let status = Command::new(tool)
            .arg("-P")
            .arg(folder.path())
            .args(command)
            .output()
            .unwrap();
        assert!(
            status.status.success(),
            "{}",
            String::from_utf8_lossy(&status.stderr)
        );
    }
    let made = configured(
        "[[users]]\nname = \"core\"\ngroups = [\"sudo\", \"adm\"]\ngecos = \"Core\"\n\
         [[users]]\nname = \"agent\"\nsystem = true\n\
         [[users]]\nname = \"fixed\"\nuid = 2000\n[[users]]\nname = \"second\"\nuid = 2001\n",
        &ACCOUNTS,
    )
    .unwrap();
    for file in ["passwd", "group", "shadow", "gshadow", "subuid", "subgid"] {
        let theirs = std::fs::read_to_string(folder.path().join("etc").join(file)).unwrap();
        let Node::File {
            content: Content::Inline(ours),
            ..
        } = &made.entries[format!("etc/{file}").as_bytes()].node
        else {
            panic!()
        };
        let undated = |text: &str| -> Vec<String> {
            let mut lines: Vec<String> = text
                .lines()
                .map(|line| match file {
                    "shadow" => line
                        .split(':')
                        .enumerate()
                        .filter(|(at, _)| *at != 2)
                        .map(|(_, part)| part)
                        .collect::<Vec<_>>()
                        .join(":"),
                    _ => line.to_owned(),
                })
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(
            undated(&String::from_utf8_lossy(ours)),
            undated(&theirs),
            "{file}"
        );
    }
}

/// Each unit of this machine, enabled and disabled by `systemctl` and by us.
#[test]
fn units_as_systemctl_makes_them() {
    let host = Path::new("/usr/lib/systemd/system");
    if Command::new("systemctl").arg("--version").output().is_err() || !host.exists() {
        skip("units beside systemctl (needs it)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let units = folder.path().join("usr/lib/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    let mut paths: Vec<(String, String)> = Vec::new();
    for entry in std::fs::read_dir(host).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().unwrap();
        let path = format!("usr/lib/systemd/system/{name}");
        if kind.is_file()
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            paths.push((path, text));
        }
    }
    paths.extend(
        UNITS
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
    );
    for (path, text) in &paths {
        let real = folder.path().join(path);
        std::fs::create_dir_all(real.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            Some(target) => std::os::unix::fs::symlink(target, real).unwrap(),
            None => std::fs::write(real, text).unwrap(),
        }
    }
    let borrowed: Vec<_> = paths.iter().map(|(a, b)| (&**a, &**b)).collect();
    let named = |text: &str| text.contains("[Install]");
    let mut tried = 0;
    let mut names: Vec<String> = paths
        .iter()
        .filter(|(path, text)| path.starts_with("usr/lib/") && named(text))
        .map(|(path, _)| path.rsplit('/').next().unwrap().to_owned())
        .collect();
    names.push("u@two.service".to_owned());
    for name in names.into_iter().filter(|name| name != "u@.service") {
        let Ok(ours) = configured(&format!("[units]\nenable = [\"{name}\"]\n"), &borrowed) else {
            continue;
        };
        let links = folder.path().join("etc/systemd/system");
        let before = links_below(&links);
        let run = |verb: &str| {
            Command::new("systemctl")
                .arg("--root")
                .arg(folder.path())
                .args([verb, &name])
                .output()
                .unwrap()
        };
        let output = run("enable");
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let theirs = links_below(&links);
        let mut both: BTreeMap<String, String> = before.clone();
        for (path, entry) in &ours.entries {
            if let (Some(name), Node::Symlink(target)) = (
                path.to_string().strip_prefix("etc/systemd/system/"),
                &entry.node,
            ) && !name.contains("/nodelith-")
            {
                both.insert(name.to_owned(), target.to_string());
            }
        }
        assert_eq!(both, theirs, "enabling {name}");
        // And back: what we would remove is what systemctl removes.
        let mut enabled = borrowed.clone();
        let linked: Vec<_> = theirs
            .iter()
            .map(|(name, target)| (format!("etc/systemd/system/{name}"), format!("-> {target}")))
            .collect();
        enabled.extend(linked.iter().map(|(a, b)| (&**a, &**b)));
        let ours = configured(&format!("[units]\ndisable = [\"{name}\"]\n"), &enabled).unwrap();
        assert!(run("disable").status.success());
        let after = links_below(&links);
        let kept: BTreeMap<_, _> = theirs
            .into_iter()
            .filter(|(name, _)| {
                !ours
                    .removed
                    .contains(format!("etc/systemd/system/{name}").as_bytes())
            })
            .collect();
        assert_eq!(kept, after, "disabling {name}");
        std::fs::remove_dir_all(&links).unwrap();
        for (path, text) in UNITS.iter().filter(|(path, _)| path.starts_with("etc/")) {
            let real = folder.path().join(path);
            std::fs::create_dir_all(real.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(text.trim_start_matches("-> "), real).unwrap();
        }
        tried += 1;
    }
    eprintln!("{tried} units enabled and disabled");
    assert!(tried > 5);
}

fn links_below(folder: &Path) -> BTreeMap<String, String> {
    fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map(Result::unwrap)
        {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else if kind.is_symlink() {
                let target = std::fs::read_link(entry.path()).unwrap();
                let target = target.to_string_lossy().into_owned();
                // systemd of before merged /usr speaks of /lib.
                let target = target
                    .strip_prefix("/lib/")
                    .map_or(target.clone(), |rest| format!("/usr/lib/{rest}"));
                found.insert(name, target);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, "", &mut found);
    found
}

/// Authorities with odd names, added by `update-ca-certificates` and by us.
#[test]
fn certificates_as_debian_adds_them() {
    let tool = Path::new("/usr/sbin/update-ca-certificates");
    if !tool.exists() || Command::new("openssl").arg("version").output().is_err() {
        skip("certificates beside update-ca-certificates (needs it, and openssl)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let subjects = [
        "/C=DE/O=Site  Wide   CA/CN=  Mixed Case ROOT ",
        "/CN=plain",
        "/C=HU/O=Főtanúsítvány/CN=Árvíztűrő",
        // The same subject twice: hash links are numbered.
        "/CN=plain",
        "/DC=example/DC=site/emailAddress=Someone@Example.COM/CN=multi+OU=Part",
    ];
    let mut files = Vec::new();
    for (number, subject) in subjects.iter().enumerate() {
        let pem = at(&format!("ca-{number}.pem"));
        let output = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-utf8",
                "-multivalue-rdn",
                "-days",
                "9",
                "-keyout",
                "/dev/null",
                "-subj",
                subject,
                "-out",
            ])
            .arg(&pem)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        files.push((format!("ca-{number}.pem"), std::fs::read(&pem).unwrap()));
    }
    for name in ["local", "certs", "empty"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    for (name, bytes) in &files {
        std::fs::write(at("local").join(name.replace(".pem", ".crt")), bytes).unwrap();
    }
    std::fs::write(at("conf"), "#\n").unwrap();
    let output = Command::new(tool)
        .args([
            "--certsconf",
            at("conf").to_str().unwrap(),
            "--certsdir",
            at("empty").to_str().unwrap(),
        ])
        .args([
            "--localcertsdir",
            at("local").to_str().unwrap(),
            "--etccertsdir",
            at("certs").to_str().unwrap(),
        ])
        .args(["--hooksdir", at("empty").to_str().unwrap()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let list = files
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(",");
    let beside: Vec<_> = files
        .iter()
        .map(|(name, bytes)| (&**name, &**bytes))
        .collect();
    let bundle = ("etc/ssl/certs/ca-certificates.crt", "");
    let made = configured_beside(
        &format!("[certificates]\nauthorities = [{list}]\n"),
        &[bundle],
        &beside,
    )
    .unwrap();
    let mut ours = BTreeMap::new();
    for (path, entry) in &made.entries {
        if let (Some(name), Node::Symlink(target)) =
            (path.to_string().strip_prefix("etc/ssl/certs/"), &entry.node)
        {
            ours.insert(name.to_owned(), target.to_string());
        }
    }
    let local = at("local").to_string_lossy().into_owned();
    let theirs: BTreeMap<_, _> = links_below(&at("certs"))
        .into_iter()
        .map(|(name, target)| {
            (
                name,
                target.replace(&local, "/usr/local/share/ca-certificates"),
            )
        })
        .collect();
    assert_eq!(ours, theirs);
    let Node::File {
        content: Content::Inline(bundle),
        ..
    } = &made.entries[&b"etc/ssl/certs/ca-certificates.crt"[..]].node
    else {
        panic!()
    };
    assert_eq!(
        &bundle[..],
        std::fs::read(at("certs/ca-certificates.crt")).unwrap()
    );
}

/// Every authority of this machine has the hash that its link says.
#[test]
fn subject_hashes_of_the_worlds_authorities() {
    let folder = Path::new("/etc/ssl/certs");
    let mut tried = 0;
    for entry in std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(Result::unwrap)
    {
        let name = entry.file_name();
        let Some((hash, number)) = name.to_str().and_then(|name| name.split_once('.')) else {
            continue;
        };
        if hash.len() != 8 || number.parse::<u32>().is_err() {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(entry.path()) else {
            continue;
        };
        let certificates = der::certificates(&text).unwrap();
        assert_eq!(
            der::subject_hash(&certificates[0]).unwrap(),
            hash,
            "{name:?}"
        );
        let again = der::certificates(&der::to_pem(&certificates[0])).unwrap();
        assert_eq!(again, certificates);
        tried += 1;
    }
    eprintln!("{tried} authorities");
}
