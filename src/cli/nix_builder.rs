//! `nodelith nix-builder`: the builder of the derivations in `nix/`.
//!
//! Nix gives a derivation's structured attributes as JSON, in the file that
//! `NIX_ATTRS_JSON_FILE` names. Among them are the graphs that
//! `exportReferencesGraph` asks for, where the outputs belong, and `nodelith`: what
//! to build. Everything is done below `TMPDIR`, without network and without a shell.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::args::{Arguments, Verb};
use super::{Context, Outcome, build};
use crate::error::{Context as _, Error, Kind, Result};

/// Where Nix says that the attributes are.
const ATTRIBUTES: &str = "NIX_ATTRS_JSON_FILE";

/// Where they are in the folder in which a builder is started.
const IN_FOLDER: &str = ".attrs.json";

/// What a derivation asks for.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Wanted {
    /// An image as an OCI layout.
    Image(Box<Image>),
    /// A program that pushes an image.
    Push(Push),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Image {
    /// The image's name.
    name: String,
    /// Its version, and the layout's tag.
    tag: String,
    /// The architecture, by Debian's name.
    arch: String,
    /// Further keys of the profile.
    #[serde(default)]
    profile: Map<String, Value>,
    /// A profile that it extends.
    profile_file: Option<String>,
    /// An OCI layout or archive that it is built upon.
    from_image: Option<String>,
    /// The closures, by the names of their graphs.
    closures: Vec<Closure>,
    /// Why errors that the check finds are accepted.
    accept_findings: Option<String>,
}

/// A closure: as `[[nix]]` of a profile has it, but for its graph.
#[derive(Deserialize)]
struct Closure {
    /// The attribute that holds its graph.
    graph: String,
    /// The other keys.
    #[serde(flatten)]
    keys: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Push {
    /// The layout.
    image: String,
    /// The program that pushes.
    nodelith: String,
}

pub(super) fn run(context: &Context) -> Result<Outcome> {
    let named = std::env::var_os(ATTRIBUTES).map(PathBuf::from);
    let named = named.ok_or_else(|| {
        let message = format!("`{ATTRIBUTES}` is not set");
        Error::new(Kind::Usage, message)
            .hint("this verb is for Nix; `nodelith build` is for people")
    })?;
    // Nix 2.8 names the file by its path outside of the sandbox.
    let here = PathBuf::from(IN_FOLDER);
    let file = if !named.exists() && here.exists() {
        here
    } else {
        named
    };
    let text = fs::read_to_string(&file).io("reading", &file)?;
    let refused = |why: &dyn std::fmt::Display| {
        Error::new(
            Kind::Usage,
            format!("reading the derivation's attributes: {why}"),
        )
        .hint("use the functions in `nix/` of the same version as this program")
    };
    let attributes: Value = serde_json::from_str(&text).map_err(|error| refused(&error))?;
    let wanted: Wanted =
        Deserialize::deserialize(&attributes["nodelith"]).map_err(|error| refused(&error))?;
    let output = |name: &str| {
        let path = attributes["outputs"][name].as_str().map(PathBuf::from);
        path.ok_or_else(|| refused(&format!("there is no output `{name}`")))
    };
    match wanted {
        Wanted::Image(image) => {
            let (out, digest) = (output("out")?, output("digest")?);
            let built = self::image(context, &image, &attributes, &out)?;
            fs::write(&digest, built).io("writing", &digest)?;
        }
        Wanted::Push(push) => self::push(&push, &output("out")?)?,
    }
    Ok(Outcome::Done)
}

/// Builds an image into `output`; gives its digest.
fn image(context: &Context, image: &Image, attributes: &Value, output: &Path) -> Result<String> {
    let work = tempfile::tempdir().io("making a folder in", std::env::temp_dir())?;
    for closure in &image.closures {
        let path = work.path().join(format!("{}.json", closure.graph));
        let graph = &attributes[closure.graph.as_str()];
        fs::write(&path, graph.to_string()).io("writing", &path)?;
    }
    let profile = work.path().join("node.toml");
    let text = toml::to_string(&self::profile(image)).io("writing", &profile)?;
    fs::write(&profile, text).io("writing", &profile)?;

    let store = work.path().join("store");
    let words = ["nodelith", "build", "--offline", "--quiet", "--store"];
    let mut words: Vec<_> = words.map(std::ffi::OsString::from).into();
    words.push(store.clone().into());
    words.extend(["--output".into(), output.into(), profile.into()]);
    if let Some(reason) = &image.accept_findings {
        words.extend(["--accept-findings".into(), reason.into()]);
    }
    let parsed = Arguments::try_parse_from(words);
    let Ok(Arguments {
        verb: Verb::Build(arguments),
        mut global,
    }) = parsed
    else {
        return Err(Error::new(Kind::Usage, "an argument of `build` is not one"));
    };
    global.threads = context.global.threads;
    let within = Context {
        report: context.report.clone(),
        global,
    };
    build::build(&within, &arguments).map(|digest| digest.to_string())
}

/// The profile of an image, as a file has it.
fn profile(image: &Image) -> Value {
    let mut profile = image.profile.clone();
    profile.insert("name".into(), json!(image.name));
    profile.insert("version".into(), json!(image.tag));
    profile.insert("architecture".into(), json!(image.arch));
    if let Some(file) = &image.profile_file {
        profile.insert("extends".into(), json!(file));
    }
    if let Some(from) = &image.from_image {
        let kind = if Path::new(from).is_dir() {
            "oci"
        } else {
            "oci-archive"
        };
        let base = json!({"image": {"reference": format!("{kind}:{from}")}});
        profile.insert("base".into(), base);
    }
    let closures = image.closures.iter().map(|closure| {
        let mut keys = closure.keys.clone();
        keys.insert("graph".into(), json!(format!("{}.json", closure.graph)));
        Value::Object(keys)
    });
    let mut all = match profile.remove("nix") {
        Some(Value::Array(own)) => own,
        _ => Vec::new(),
    };
    all.extend(closures);
    profile.insert("nix".into(), Value::Array(all));
    without_nulls(Value::Object(profile))
}

/// The same without what is null, which TOML has no word for.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key, without_nulls(value)))
                .collect()
        }
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Writes the program `bin/push` into `output`.
fn push(push: &Push, output: &Path) -> Result<()> {
    let folder = output.join("bin");
    fs::create_dir_all(&folder).io("making", &folder)?;
    let path = folder.join("push");
    let Push { image, nodelith } = push;
    let text = format!("#!/bin/sh\nexec '{nodelith}' push 'oci:{image}' \"$@\"\n");
    fs::write(&path, text).io("writing", &path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).io("writing", &path)
}
