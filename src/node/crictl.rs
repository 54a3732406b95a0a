//! crictl's configuration: the socket that it asks, so that it need not guess.

use serde_json::{Map, Value, json};

use super::components::Components;
use super::containerd::ENDPOINT;
use super::draft::Draft;
use super::yaml;
use crate::compat::crictl;
use crate::error::Result;
use crate::profile::file::CrictlSource;

const PATH: &str = "etc/crictl.yaml";
const PROGRAM: &str = "usr/bin/crictl";
/// Tells whoever finds the built-in crictl what it is.
const ABOUT: &str = "usr/share/doc/nodelith-crictl/README";

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    program(draft, components)?;
    if components.containerd.is_none() {
        return Ok(());
    }
    let crictl = &draft.profile.crictl;
    let said: [(&str, Option<Value>); 7] = [
        ("runtime-endpoint", Some(json!(ENDPOINT))),
        ("image-endpoint", Some(json!(ENDPOINT))),
        ("timeout", crictl.timeout.map(Value::from)),
        ("debug", crictl.debug.map(Value::from)),
        (
            "pull-image-on-create",
            crictl.pull_image_on_create.map(Value::from),
        ),
        (
            "disable-pull-on-run",
            crictl.disable_pull_on_run.map(Value::from),
        ),
        ("max-retries", crictl.max_retries.map(Value::from)),
    ];
    let mut map = Map::new();
    for (key, value) in said {
        let Some(value) = value else { continue };
        if !crictl::reads(key, components.crictl) {
            let message = format!("this crictl has no setting `{key}`");
            let error = draft.refuse(message, &["crictl", key], "");
            let born = crictl::keys().iter().find(|known| known.name == key);
            return Err(match born {
                Some(born) => error.hint(format!("it came with upstream's {}", born.from)),
                None => error,
            });
        }
        draft.set(format!("crictl.{key}"), value.to_string().trim_matches('"'));
        map.insert(key.to_owned(), value);
    }
    draft.text(PATH, &yaml::document(&map));
    Ok(())
}

/// The program, where it is a local file; what is to be said of it, where it is not
/// upstream's.
fn program(draft: &mut Draft<'_>, components: &Components) -> Result<()> {
    let crictl = &draft.profile.crictl;
    match (crictl.source, &crictl.file) {
        (Some(CrictlSource::File), Some(file)) => {
            let content = draft.local.content(file);
            let (size, content) =
                content.map_err(|error| draft.locate(error, &["crictl", "file"], ""))?;
            draft.program("crictl", PROGRAM, size, content);
            draft.set("crictl.file", format!("{size} bytes from {file}"));
        }
        (Some(CrictlSource::Builtin), _) => {
            let programs = &components.programs;
            let program = programs.iter().find(|program| program.name == "crictl");
            if let Some(program) = program {
                draft.text(ABOUT, &about(&program.version));
            }
        }
        _ => {}
    }
    Ok(())
}

fn about(version: &str) -> String {
    format!(
        "\
/{PROGRAM} is nodelith-crictl {version}, a small client of the container
runtime interface that comes with Nodelith. It is not the crictl of
kubernetes-sigs/cri-tools: it has that program's most used commands, with the
same names and flags, and no others.
"
    )
}
