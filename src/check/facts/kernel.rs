//! Kernel settings, modules that are loaded, and the kernel's command line.

use std::collections::BTreeMap;

use crate::check::subject::Subject;

/// A value of a small configuration file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The value.
    pub value: String,
    /// The number of the text.
    pub text: usize,
    /// Byte of its line's start.
    pub at: usize,
}

/// What the kernel is told.
#[derive(Debug, Clone, Default)]
pub struct Kernel {
    /// Settings by name with dots (sysctl.d(5)); the last file wins.
    pub sysctl: BTreeMap<String, Said>,
    /// Modules that are loaded at boot (modules-load.d(5)).
    pub modules: BTreeMap<String, Said>,
    /// Arguments of the command line, wherever an image may keep it.
    pub arguments: Vec<Said>,
}

impl Kernel {
    /// Reads them.
    #[must_use]
    pub fn read(subject: &Subject) -> Self {
        let mut kernel = Self::default();
        for text in by_name(subject, "sysctl.d", ".conf") {
            for (line, at) in lines(&subject.texts[text].text) {
                let Some((name, value)) = line.split_once('=') else {
                    continue;
                };
                let name = name.trim().trim_start_matches('-');
                let name = match name.contains('/') {
                    true => name.replace('/', "."),
                    false => name.to_owned(),
                };
                let value = value.trim().to_owned();
                kernel.sysctl.insert(name, Said { value, text, at });
            }
        }
        for text in by_name(subject, "modules-load.d", ".conf") {
            for (line, at) in lines(&subject.texts[text].text) {
                let value = line.trim().to_owned();
                let name = value.replace('-', "_");
                kernel.modules.insert(name, Said { value, text, at });
            }
        }
        kernel.arguments = arguments(subject);
        kernel
    }

    /// The last value of an argument of the command line; empty where it has none.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&Said> {
        self.arguments.iter().rev().find(|said| {
            let word = said
                .value
                .split_once('=')
                .map_or(said.value.as_str(), |(name, _)| name);
            word == name
        })
    }
}

/// The files of a folder that several places have: the strongest of each name, sorted by name.
fn by_name(subject: &Subject, folder: &str, ending: &str) -> Vec<usize> {
    let mut found = BTreeMap::new();
    for place in ["usr/lib", "usr/local/lib", "run", "etc"] {
        let prefix = format!("{place}/{folder}/");
        for text in subject.texts_below(&prefix) {
            let name = subject.texts[text].path.name().to_vec();
            if name.ends_with(ending.as_bytes()) {
                found.insert(name, text);
            }
        }
    }
    let mut texts: Vec<usize> = found.into_values().collect();
    // Read by systemd-sysctl after all others only where a link says so; other tools do.
    if folder == "sysctl.d" {
        texts.extend(subject.text_at("etc/sysctl.conf"));
    }
    texts
}

/// Lines that say something, and where each begins.
fn lines(source: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut start = 0;
    source.split_inclusive('\n').filter_map(move |line| {
        let at = start;
        start += line.len();
        let line = line.trim();
        (!line.is_empty() && !line.starts_with(['#', ';'])).then_some((line, at))
    })
}

fn arguments(subject: &Subject) -> Vec<Said> {
    let mut found = Vec::new();
    let mut add = |text: usize, at: usize, words: &str| {
        for value in words.split_whitespace().take(1000) {
            let value = value.trim_matches('"').to_owned();
            found.push(Said { value, text, at });
        }
    };
    let whole = ["usr/lib/kernel/cmdline", "etc/kernel/cmdline"];
    let texts = whole.iter().filter_map(|path| subject.text_at(path));
    for text in texts.chain(subject.texts_below("etc/cmdline.d/")) {
        add(text, 0, &subject.texts[text].text);
    }
    for (prefix, start) in [
        ("boot/loader/entries/", "options "),
        ("etc/default/grub.d/", "GRUB_CMDLINE_LINUX"),
    ] {
        for text in subject.texts_below(prefix) {
            for (line, at) in lines(&subject.texts[text].text) {
                if let Some(rest) = line.strip_prefix(start) {
                    add(
                        text,
                        at,
                        rest.split_once("=\"").map_or(rest, |(_, rest)| rest),
                    );
                }
            }
        }
    }
    for text in subject.texts_below("usr/lib/bootc/kargs.d/") {
        if let Ok(node) = crate::check::document::Node::toml(&subject.texts[text].text, text)
            && let Some(list) = node.get("kargs")
        {
            for item in list.items() {
                add(text, item.span.start, item.text().unwrap_or_default());
            }
        }
    }
    found
}
