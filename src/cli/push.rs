//! `nodelith push`: an image to registries.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::{Format, Push};
use super::registry::registries;
use super::{Context, Outcome, print};
use crate::error::Result;
use crate::image::contents::{Contents, named};
use crate::image::{annotations, is_manifest};
use crate::registry::{BlobState, Pushed, PushedBlob};
use crate::report::{Table, human_bytes};

pub(super) fn run(context: &Context, arguments: &Push) -> Result<Outcome> {
    let contents = Arc::new(Contents::open(&arguments.image, arguments.arch.as_deref())?);
    let registries = registries(
        context,
        &arguments.registry,
        Some(arguments.chunk_size << 20),
    )?;
    let pushed = registries.push(&contents, &arguments.references, &arguments.mount_from)?;
    let summary = Summary {
        image: &arguments.image,
        contents: &contents,
        pushed: &pushed,
    };
    if context.global.json || arguments.format == Format::Json {
        print(&format!("{:#}", summary.json()))?;
    } else if context.global.quiet || arguments.format == Format::Digest {
        print(&summary.digest())?;
    } else {
        print(&summary.text())?;
    }
    Ok(Outcome::Done)
}

/// What is told at the end.
struct Summary<'a> {
    image: &'a str,
    contents: &'a Contents,
    pushed: &'a [Pushed],
}

/// Number and bytes of blobs.
#[derive(Clone, Copy, Default)]
struct Sum {
    blobs: usize,
    bytes: u64,
}

impl Sum {
    fn of(pushed: &Pushed, is: impl Fn(&BlobState) -> bool) -> Self {
        let blobs = pushed.blobs.iter().filter(|blob| is(&blob.state));
        blobs.fold(Self::default(), |sum, blob| Self {
            blobs: sum.blobs + 1,
            bytes: sum.bytes + blob.descriptor.size,
        })
    }

    fn text(self) -> String {
        match self.blobs {
            0 => "-".to_owned(),
            blobs => format!("{blobs} ({})", human_bytes(self.bytes)),
        }
    }

    fn json(self) -> Value {
        json!({"blobs": self.blobs, "bytes": self.bytes})
    }
}

fn sums(pushed: &Pushed) -> [Sum; 3] {
    [
        Sum::of(pushed, |state| *state == BlobState::Uploaded),
        Sum::of(pushed, |state| matches!(state, BlobState::Mounted(_))),
        Sum::of(pushed, |state| *state == BlobState::Existing),
    ]
}

impl Summary<'_> {
    fn digest(&self) -> String {
        let top = self.contents.top();
        top.map_or(String::new(), |top| top.descriptor.digest.to_string())
    }

    fn text(&self) -> String {
        let names = names(self.contents);
        let mut parts = Vec::new();
        for pushed in self.pushed {
            let mut table = Table::new(&["BLOB", ">SIZE", ""]);
            for blob in &pushed.blobs {
                let state = match &blob.state {
                    BlobState::Existing => "existing".to_owned(),
                    BlobState::Mounted(from) => format!("mounted from {from}"),
                    BlobState::Uploaded => "uploaded".to_owned(),
                };
                table.row([name(&names, blob), human_bytes(blob.descriptor.size), state]);
            }
            parts.push(table.render());
        }
        let mut table = Table::new(&["REPOSITORY", "TAG", "UPLOADED", "MOUNTED", "EXISTING"]);
        for pushed in self.pushed {
            let [uploaded, mounted, existing] = sums(pushed).map(Sum::text);
            let tags: Vec<&str> = pushed
                .references
                .iter()
                .filter_map(|reference| reference.tag.as_deref())
                .collect();
            let tags = match tags.is_empty() {
                true => "-".to_owned(),
                false => tags.join(", "),
            };
            table.row([pushed.name.clone(), tags, uploaded, mounted, existing]);
        }
        parts.push(table.render());
        parts.push(self.digest());
        parts.join("\n\n")
    }

    fn json(&self) -> Value {
        let names = names(self.contents);
        let repositories = self.pushed.iter().map(|pushed| {
            let [uploaded, mounted, existing] = sums(pushed).map(Sum::json);
            let blobs = pushed.blobs.iter().map(|blob| {
                let (state, from) = match &blob.state {
                    BlobState::Existing => ("existing", None),
                    BlobState::Mounted(from) => ("mounted", Some(from)),
                    BlobState::Uploaded => ("uploaded", None),
                };
                let digest = blob.descriptor.digest.to_string();
                json!({
                    "id": names.get(&digest), "digest": digest, "size": blob.descriptor.size,
                    "state": state, "from": from,
                })
            });
            let references = pushed.references.iter().map(ToString::to_string);
            json!({
                "name": pushed.name, "references": references.collect::<Vec<_>>(),
                "uploaded": uploaded, "mounted": mounted, "existing": existing,
                "manifests": pushed.manifests, "blobs": blobs.collect::<Vec<_>>(),
            })
        });
        json!({
            "schema": "nodelith.push", "version": 1, "image": self.image,
            "digest": self.digest(), "repositories": repositories.collect::<Vec<_>>(),
        })
    }
}

/// What people call blobs, by digest: layers by our ids, configurations as such.
fn names(contents: &Contents) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for blob in &contents.blobs {
        if let Some(id) = blob.annotations.get(annotations::LAYER) {
            names.insert(blob.digest.to_string(), id.clone());
        }
    }
    for document in &contents.documents {
        if is_manifest(&document.descriptor.media_type)
            && let Ok(named) = named(&document.descriptor.media_type, &document.bytes)
            && let Some(config) = named.blobs.first()
        {
            names.insert(config.digest.to_string(), "config".to_owned());
        }
    }
    names
}

fn name(names: &BTreeMap<String, String>, blob: &PushedBlob) -> String {
    let digest = &blob.descriptor.digest;
    names
        .get(&digest.to_string())
        .cloned()
        .unwrap_or_else(|| digest.hex()[..12].to_owned())
}
