//! Proxies: of daemon.json, and in the environment of the units.

use super::work::{Found, Where, Work};
use crate::check::facts::units::{Word, assignments, split};
use crate::profile::value::credentials;

const UNITS: [&str; 3] = ["docker.service", "containerd.service", "kubelet.service"];

/// Reads the proxies that units are told of.
pub(super) fn import(work: &mut Work<'_>) {
    for unit in UNITS {
        let whose = unit.trim_end_matches(".service");
        for (name, word) in environment(work, unit) {
            let found = |value: Option<&str>| Found {
                value: value.map(str::to_owned),
                ..work.found(
                    whose,
                    &name,
                    Where {
                        text: word.text,
                        at: word.at,
                    },
                    None,
                )
            };
            let key = match name.to_ascii_lowercase().as_str() {
                "http_proxy" => "http",
                "https_proxy" => "https",
                "no_proxy" => "no-proxy",
                _ => continue,
            };
            let shown = super::work::may_be_shown(key, &word.word).then_some(word.word.as_str());
            let found = found(shown);
            set(work, &found, key, &word.word);
        }
    }
}

/// Sets a proxy of the profile, unless its address holds a password.
pub(super) fn set(work: &mut Work<'_>, found: &Found, key: &str, value: &str) {
    if value.is_empty() {
        work.same(found, "it is empty, there and here");
        return;
    }
    if key == "no-proxy" {
        for item in value
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            work.draft.add(&["proxy", key], item, &found.from());
        }
        work.push(found, super::Part::Carried, &["proxy", key], None);
        return;
    }
    let whole = match value.contains("://") {
        true => value.to_owned(),
        false => format!("http://{value}"),
    };
    if credentials(&whole) {
        let found = Found {
            value: None,
            ..found.clone()
        };
        work.lost(
            &found,
            "the address holds a password, which everyone who has the image could read: give it to the node when it boots",
        );
    } else {
        work.carried(found, &["proxy", key], whole);
    }
}

/// The variables of a unit and of the files that it names.
fn environment(work: &Work<'_>, name: &str) -> Vec<(String, Word)> {
    let Some(unit) = work.facts.units.units.get(name) else {
        return Vec::new();
    };
    let mut variables = Vec::new();
    for setting in unit.all("Service", "Environment") {
        let line = Word {
            word: setting.value.clone(),
            text: setting.text,
            at: setting.at,
        };
        for word in split(&line) {
            if let Some((name, value)) = word.word.split_once('=') {
                let value = Word {
                    word: value.to_owned(),
                    ..word.clone()
                };
                variables.push((name.to_owned(), value));
            }
        }
    }
    for setting in unit.all("Service", "EnvironmentFile") {
        if let Some(text) = work.subject.text_at(setting.value.trim_start_matches('-')) {
            variables.extend(assignments(&work.subject.texts[text].text, text));
        }
    }
    variables
}
