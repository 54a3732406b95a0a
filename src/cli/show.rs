//! `nodelith show`: what an image is made of.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::args::Show;
use super::registry::{self, Needs};
use super::{Context, Outcome};
use crate::error::{Error, Kind, Result};
use crate::image::read::Image;
use crate::image::{annotations, layout};
use crate::report::{Table, human_bytes};
use crate::source::base::packages;
use crate::tree::image::{ImageTree, read, read_files};
use crate::tree::{Node, TreePath};

pub(super) fn run(context: &Context, arguments: &Show) -> Result<Outcome> {
    let needs = match arguments.packages || arguments.files {
        true => Needs::All,
        false => Needs::Metadata,
    };
    let image = registry::open(
        context,
        &arguments.image,
        arguments.arch.as_deref(),
        &arguments.registry,
        needs,
    )?;
    let mut json = json!({
        "schema": "nodelith.show", "version": 1, "image": arguments.image,
        "digest": image.manifest.digest, "architecture": image.config.architecture().to_string(),
        "annotations": image.annotations, "layers": layers_json(&image),
        "components": components_json(&image), "preloaded": preloaded_json(&image),
    });
    let mut text = format!("{}\n\n{}", heading(&image), layers_text(&image));
    if let Some(components) = components_text(&image) {
        text = format!("{text}\n\n{components}");
    }
    if let Some(preloaded) = preloaded_text(&image) {
        text = format!("{text}\n\n{preloaded}");
    }
    let referrers = referrers(&image)?;
    if let Some(text_of) = referrers_text(&referrers) {
        text = format!("{text}\n\n{text_of}");
    }
    json["referrers"] = referrers_json(&referrers);
    if arguments.packages || arguments.files {
        let tree = read(&image)?;
        if arguments.packages {
            let packages = packages(&image, &tree)?;
            let mut table = Table::new(&["PACKAGE", "VERSION"]);
            for (name, version) in &packages {
                table.row([name, version]);
            }
            text = format!("{text}\n\n{}", table.render());
            json["packages"] = json!(packages);
        }
        if arguments.files {
            let (lines, list) = files(&tree);
            text = format!("{text}\n\n{lines}");
            json["files"] = list;
        }
    }
    context.print(&json, &text)?;
    Ok(Outcome::Done)
}

fn heading(image: &Image) -> String {
    let said = |key: &str| image.annotations.get(key).map_or("-", String::as_str);
    let base = [annotations::BASE_NAME, annotations::BASE_DIGEST];
    let base = base.iter().find_map(|key| image.annotations.get(*key));
    let mut rows = vec![
        ("image", said(annotations::TITLE).to_owned()),
        ("version", said(annotations::VERSION).to_owned()),
        ("architecture", image.config.architecture().to_string()),
        ("kubernetes", said(annotations::KUBERNETES).to_owned()),
        ("created", said(annotations::CREATED).to_owned()),
        ("digest", image.manifest.digest.to_string()),
    ];
    rows.extend(base.map(|base| ("base", base.clone())));
    let rows = rows
        .iter()
        .map(|(name, value)| format!("{name:<13} {value}"));
    rows.collect::<Vec<_>>().join("\n")
}

fn layers_text(image: &Image) -> String {
    let mut table = Table::new(&["LAYER", ">FILES", ">SIZE", ">COMPRESSED", "DIGEST"]);
    for layer in &image.layers {
        let said = |key: &str| layer.descriptor.annotations.get(key).cloned();
        let size = said(annotations::LAYER_SIZE).and_then(|size| size.parse().ok());
        let hex = layer.descriptor.digest.hex();
        table.row([
            said(annotations::LAYER).unwrap_or_else(|| "-".to_owned()),
            said(annotations::LAYER_FILES).unwrap_or_else(|| "-".to_owned()),
            size.map_or_else(|| "-".to_owned(), human_bytes),
            human_bytes(layer.descriptor.size),
            hex[..12].to_owned(),
        ]);
    }
    table.render()
}

fn layers_json(image: &Image) -> Value {
    let layers = image.layers.iter().map(|layer| {
        json!({
            "id": layer.id(), "digest": layer.descriptor.digest, "diff-id": layer.diff_id,
            "size": layer.descriptor.size, "media-type": layer.descriptor.media_type,
        })
    });
    layers.collect()
}

/// The releases in an image: name, version, digest.
fn components(image: &Image) -> Vec<[&str; 3]> {
    let said = image.annotations.get(annotations::COMPONENTS);
    let one = |text| -> Option<[&str; 3]> {
        let (name, rest) = str::split_once(text, '=')?;
        let (version, digest) = rest.split_once('@')?;
        Some([name, version, digest])
    };
    let said = said.map(String::as_str).unwrap_or_default();
    said.split(',').filter_map(one).collect()
}

fn components_text(image: &Image) -> Option<String> {
    let components = components(image);
    let mut table = Table::new(&["COMPONENT", "VERSION", "DIGEST"]);
    for component in &components {
        table.row(component.map(str::to_owned));
    }
    (!components.is_empty()).then(|| table.render())
}

fn components_json(image: &Image) -> Value {
    let components = components(image).into_iter();
    components
        .map(|[name, version, digest]| json!({"name": name, "version": version, "digest": digest}))
        .collect()
}

/// The images that an image has its nodes carry: reference, digest.
fn preloaded(image: &Image) -> Vec<(&str, &str)> {
    let said = image.annotations.get(annotations::IMAGES);
    let said = said.map(String::as_str).unwrap_or_default();
    let images = said.split(',');
    images.filter_map(|text| text.rsplit_once('=')).collect()
}

fn preloaded_text(image: &Image) -> Option<String> {
    let images = preloaded(image);
    let mut table = Table::new(&["PRELOADED", "DIGEST"]);
    for (reference, digest) in &images {
        table.row([reference, digest].map(ToString::to_string));
    }
    (!images.is_empty()).then(|| table.render())
}

fn preloaded_json(image: &Image) -> Value {
    let images = preloaded(image).into_iter();
    images
        .map(|(reference, digest)| json!({"reference": reference, "digest": digest}))
        .collect()
}

/// What the image's layout lists that refers to it, like proofs.
fn referrers(image: &Image) -> Result<Vec<Value>> {
    let listed = |folder| layout::referrers(folder, &image.manifest.digest);
    image.layout().map_or(Ok(Vec::new()), listed)
}

/// What kind of thing a referrer is, more closely than its type says where it can be known.
fn kind(referrer: &Value) -> Option<&str> {
    referrer["annotations"]["in-toto.io/predicate-type"].as_str()
}

fn referrers_text(referrers: &[Value]) -> Option<String> {
    let mut table = Table::new(&["REFERRER", "DIGEST"]);
    for referrer in referrers {
        let name = kind(referrer).or(referrer["artifactType"].as_str());
        table.row([name, referrer["digest"].as_str()].map(Option::unwrap_or_default));
    }
    (!referrers.is_empty()).then(|| table.render())
}

fn referrers_json(referrers: &[Value]) -> Value {
    let one = |referrer: &Value| {
        json!({
            "digest": referrer["digest"], "artifact-type": referrer["artifactType"],
            "predicate-type": kind(referrer),
        })
    };
    referrers.iter().map(one).collect()
}

/// The installed packages of an image by name, from the databases that it has.
pub(super) fn packages(image: &Image, tree: &ImageTree) -> Result<BTreeMap<String, String>> {
    let places: Vec<TreePath> = packages::places().map(|(path, _)| path.into()).collect();
    let found = read_files(image, tree, &places, packages::LONGEST)?;
    let mut installed = BTreeMap::new();
    for (path, bytes) in found {
        let Some(database) = packages::database(path.as_bytes()) else {
            continue;
        };
        let read = packages::installed(database, &bytes);
        installed.extend(read.map_err(|why| {
            let message = format!("reading `/{path}` of `{}`: {why}", image.reference);
            Error::new(Kind::Verify, message)
        })?);
    }
    Ok(installed)
}

fn files(tree: &ImageTree) -> (String, Value) {
    let mut lines = Vec::new();
    let mut list = Vec::new();
    for (path, entry) in &tree.tree.entries {
        let (kind, size, target) = match &entry.node {
            Node::Directory => ('d', 0, None),
            Node::File { size, .. } => ('-', *size, None),
            Node::Symlink(target) => ('l', 0, Some(target)),
            Node::Hardlink(target) => ('h', 0, Some(target)),
            Node::CharDevice(..) => ('c', 0, None),
            Node::BlockDevice(..) => ('b', 0, None),
            Node::Fifo => ('p', 0, None),
        };
        let arrow = target
            .map(|target| format!(" -> {target}"))
            .unwrap_or_default();
        lines.push(format!(
            "{kind}{:04o} {:>5}:{:<5} {size:>10} /{path}{arrow}",
            entry.mode, entry.uid, entry.gid
        ));
        list.push(json!({
            "path": path, "type": kind, "mode": entry.mode, "uid": entry.uid, "gid": entry.gid,
            "size": size, "target": target, "layer": entry.component,
            "digest": tree.files.get(path).map(|file| file.digest),
        }));
    }
    (lines.join("\n"), Value::Array(list))
}
