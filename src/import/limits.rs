//! Limits: of the units of runtimes and kubelet, and those of logins, which services
//! never have.

use toml::{Table, Value};

use super::work::{Found, Where, Work, may_be_shown};

/// Files of `pam_limits` (limits.conf(5)).
const FILES: [&str; 2] = ["etc/security/limits.conf", "etc/security/limits.d/"];
/// Words of file names and domains that say whom a limit was meant for.
const RUNTIMES: [&str; 6] = ["docker", "containerd", "kube", "k8s", "container", "cri"];
/// Units whose limits count on the new node too.
const UNITS: [&str; 3] = ["docker.service", "containerd.service", "kubelet.service"];

/// Reads the limits of the node.
pub(super) fn import(work: &mut Work<'_>) {
    for unit in UNITS {
        of_unit(work, unit);
    }
    let subject = work.subject;
    for text in FILES.iter().flat_map(|path| subject.texts_below(path)) {
        of_logins(work, text);
    }
}

/// `LimitNOFILE=` and its like in a unit. Containers inherit those of the program that
/// starts their shims.
fn of_unit(work: &mut Work<'_>, name: &str) {
    let facts = work.facts;
    let Some(unit) = facts.units.units.get(name) else {
        return;
    };
    let whose = name.trim_end_matches(".service");
    let limits: Vec<_> = unit
        .settings
        .iter()
        .filter(|setting| setting.section == "Service" && setting.name.starts_with("Limit"))
        .collect();
    let own_containerd = || {
        let command = facts.units.command(work.subject, name);
        !command
            .iter()
            .any(|word| word.word.starts_with("--containerd"))
    };
    let own_containerd = whose != "docker" || own_containerd();
    let mut kept: Vec<String> = Vec::new();
    for (number, setting) in limits.iter().enumerate() {
        let found = Found {
            value: may_be_shown(&setting.name, &setting.value).then(|| setting.value.clone()),
            ..work.found(
                whose,
                &setting.name,
                Where {
                    text: setting.text,
                    at: setting.at,
                },
                None,
            )
        };
        let later = limits[number + 1..].iter();
        if later.clone().any(|later| later.name == setting.name) {
            work.same(&found, "the same setting later on counts");
            continue;
        }
        match (whose, setting.name.as_str()) {
            _ if setting.value.is_empty() => work.same(&found, "it is not set"),
            ("docker", _) if !own_containerd => work.same(
                &found,
                "it was dockerd's alone: containers had the limits of containerd's unit",
            ),
            (_, _) if setting.value == "infinity" && whose != "kubelet" => work.otherwise(
                &found,
                "containerd's own unit says what its release wants; for containers, set `[containerd.rlimits]`",
            ),
            ("docker" | "containerd", "LimitNOFILE") => open_files(work, &found, &setting.value),
            ("kubelet" | "containerd", limit) if is_plain(&setting.value) => {
                kept.push(format!("{limit}={}", setting.value));
                drop_in(work, &found, whose, &kept);
            }
            _ => work.lost(
                &found,
                "if containers need it, set it in `[containerd.rlimits]`",
            ),
        }
    }
}

/// Containers inherit it.
fn open_files(work: &mut Work<'_>, found: &Found, value: &str) {
    let hard = value.rsplit(':').next().unwrap_or(value);
    match hard.parse::<i64>() {
        Ok(number @ 1..) => work.changed(
            found,
            &["containerd", "open-files"],
            number,
            "containerd's own process has it, and containers inherit it",
        ),
        _ => work.lost(
            found,
            "it is no number of files: set `[containerd] open-files`",
        ),
    }
}

/// Whether a value stands in a unit as it is.
fn is_plain(value: &str) -> bool {
    value.chars().all(|c| c.is_ascii_alphanumeric() || c == ':')
}

/// A drop-in of the unit with all limits so far.
fn drop_in(work: &mut Work<'_>, found: &Found, whose: &str, kept: &[String]) {
    let path = format!("/usr/lib/systemd/system/{whose}.service.d/60-limits.conf");
    let table = |lines: &[String]| {
        let mut table = Table::new();
        table.insert("path".into(), path.clone().into());
        let text = format!("[Service]\n{}\n", lines.join("\n"));
        table.insert("text".into(), text.into());
        Value::Table(table)
    };
    let files = ["files"];
    work.draft.replace(
        &files,
        &table(&kept[..kept.len() - 1]),
        table(kept),
        &found.from(),
    );
    work.push(found, super::Part::Carried, &files, None);
}

/// A file of `pam_limits`: `DOMAIN TYPE ITEM VALUE` a line.
fn of_logins(work: &mut Work<'_>, text: usize) {
    let file = &work.subject.texts[text];
    let meant = |word: &str| RUNTIMES.iter().any(|name| word.contains(name));
    let by_name = meant(&String::from_utf8_lossy(file.path.name()));
    let mut at = 0;
    for line in file.text.split_inclusive('\n') {
        let here = at;
        at += line.len();
        let said = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = said.split_whitespace().collect();
        let [domain, kind, item, value] = words[..] else {
            if let [_, ..] = words[..] {
                let found = work.found("limits", words[0], Where { text, at: here }, None);
                work.same(&found, "it is no limit, so that it was passed over");
            }
            continue;
        };
        let found = Found {
            value: may_be_shown(item, value).then(|| value.to_owned()),
            ..work.found(
                "limits",
                &format!("{domain} {kind} {item}"),
                Where { text, at: here },
                None,
            )
        };
        let meant = by_name || meant(domain);
        match (meant, item, value.parse::<i64>()) {
            (true, "nofile", Ok(number @ 1..)) if kind != "soft" => {
                let path = ["containerd", "open-files"];
                match work.draft.has(&path) {
                    true => work.otherwise(&found, "it was of logins alone; the limit of the runtime's unit counts"),
                    false => work.changed(
                        &found,
                        &path,
                        number,
                        "it was of logins alone, and no service had it: now containers inherit it from containerd",
                    ),
                }
            }
            (true, _, _) => work.otherwise(
                &found,
                "it was of logins alone, and no service had it: for containers, set `[containerd.rlimits]`",
            ),
            (false, _, _) => work.otherwise(
                &found,
                "it is of logins alone: no service has it, and nobody works on a node; for containers, set `[containerd.rlimits]`",
            ),
        }
    }
}
