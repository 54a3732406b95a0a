//! Those who say whether a file is what it should be.

use std::path::Path;
use std::process::Command;

use nodelith::render::{Format, Rendered};
use serde_json::Value;

use crate::common::{output, run, skip};

/// Has the programs look at a file that one can read by itself.
pub fn judge(file: &Rendered) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(&file.name);
    std::fs::write(&path, &file.text).unwrap();
    match file.format {
        Format::Json => drop(json(&file.text)),
        Format::Yaml => drop(yaml(&file.text)),
        Format::Shell => shellcheck(&path),
        Format::Grub => tool("grub-script-check", &[], &path),
        Format::Dnsmasq => tool("dnsmasq", &["--test", "-C"], &path),
        Format::Ipxe => ipxe(&file.text),
        Format::Systemd => systemd(&file.text),
        Format::Text => {}
    }
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}:\n{text}"))
}

/// The documents of a file.
pub fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|why| panic!("{why}:\n{text}"))
}

fn shellcheck(path: &Path) {
    tool("shellcheck", &["--severity=style"], path);
}

fn tool(name: &str, arguments: &[&str], path: &Path) {
    let there = Command::new("sh")
        .args(["-c", "PATH=$PATH:/usr/sbin; command -v \"$0\"", name])
        .output()
        .unwrap();
    if !there.status.success() {
        skip(&format!("{name} of rendered files (it is not installed)"));
        return;
    }
    let found = String::from_utf8(there.stdout).unwrap();
    run(Command::new(found.trim()).args(arguments).arg(path));
}

/// iPXE's own rules (src/core/exec.c, src/image/script.c): what a line begins with is a
/// command, a label or a comment, and where `goto` leads to there is a label.
pub fn ipxe(text: &str) {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("#!ipxe"), "{text}");
    let commands = [
        "boot", "chain", "echo", "goto", "imgfree", "initrd", "kernel", "reboot", "sleep",
    ];
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(first) = words.first() else { continue };
        if first.starts_with(['#', ':']) {
            continue;
        }
        for command in words.split(|word| *word == "||" || *word == "&&") {
            assert!(commands.contains(&command[0]), "{line}");
            if command[0] == "goto" {
                let label = format!(":{}", command[1]);
                assert!(text.lines().any(|line| line == label), "{line}");
            }
        }
    }
}

/// Sections of systemd.syntax(7), and what sysupdate.d(5) has in them.
fn systemd(text: &str) {
    let known = [
        "ProtectVersion",
        "Verify",
        "Type",
        "Path",
        "MatchPattern",
        "PathRelativeTo",
        "MatchPartitionType",
        "ReadOnly",
        "InstancesMax",
        "Mode",
        "TriesLeft",
        "TriesDone",
    ];
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut section = "";
    for line in lines {
        if line.starts_with('[') {
            section = line;
            assert!(["[Transfer]", "[Source]", "[Target]"].contains(&line));
            continue;
        }
        let (key, value) = line.split_once('=').unwrap();
        assert!(
            !section.is_empty() && known.contains(&key) && !value.is_empty(),
            "{line}"
        );
    }
}

/// The judges themselves: each refuses something.
#[test]
fn judges_judge() {
    let wrong = [
        (Format::Json, "{"),
        (Format::Yaml, "a: \"b\" c"),
        (Format::Shell, "#!/bin/sh\necho $x y"),
        (Format::Grub, "menuentry x {\n"),
        (Format::Dnsmasq, "no-such-option\n"),
        (Format::Ipxe, "#!ipxe\nkernal x\n"),
        (Format::Ipxe, "#!ipxe\ngoto nowhere\n"),
        (Format::Systemd, "Path=x\n"),
    ];
    for (format, text) in wrong {
        if format == Format::Dnsmasq
            && !output(Command::new("sh").args(["-c", "command -v dnsmasq"]))
                .status
                .success()
        {
            continue;
        }
        let file = Rendered {
            template: String::new(),
            name: "file".into(),
            format,
            text: text.into(),
            secret: false,
        };
        let judged = std::panic::catch_unwind(|| judge(&file));
        assert!(judged.is_err(), "{}: {text}", format.name());
    }
}
