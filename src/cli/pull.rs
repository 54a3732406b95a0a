//! `nodelith pull`: an image from a registry into a layout.

use std::path::PathBuf;

use serde_json::json;

use super::args::Pull;
use super::registry::registries;
use super::{Context, Outcome, print};
use crate::error::Result;
use crate::image::layout;
use crate::image::manifest::Descriptor;
use crate::registry::Wanted;
use crate::report::{counted, human_bytes};

pub(super) fn run(context: &Context, arguments: &Pull) -> Result<Outcome> {
    let reference = &arguments.reference;
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => {
            let name = reference.repository.rsplit('/').next();
            PathBuf::from("out").join(name.unwrap_or("image"))
        }
    };
    layout::check(&output)?;
    let store = context.store()?;
    let _use = store.in_use()?;
    let wanted = Wanted {
        architectures: arguments.arch.clone(),
        without_layers: false,
    };
    let pulled = registries(context, &arguments.registry, None)?.pull(reference, &wanted)?;
    let blobs: Vec<Descriptor> = pulled
        .documents
        .iter()
        .chain(pulled.blobs.iter().map(|(blob, _)| blob))
        .cloned()
        .collect();
    let tag = reference.tag.as_deref();
    let unchanged = layout::write_as_is(&store, &output, tag, &pulled.images, &blobs)?;

    let sum = |wanted: bool| {
        let blobs = pulled.blobs.iter().filter(|(_, came)| *came == wanted);
        blobs.fold((0, 0), |(count, bytes), (blob, _)| {
            (count + 1, bytes + blob.size)
        })
    };
    let ((received, received_bytes), (known, known_bytes)) = (sum(true), sum(false));
    let digests: Vec<String> = pulled
        .images
        .iter()
        .map(|image| image.digest.to_string())
        .collect();
    if context.global.json {
        let document = json!({
            "schema": "nodelith.pull", "version": 1, "reference": reference.to_string(),
            "output": output, "digest": digests.first(), "digests": digests, "unchanged": unchanged,
            "received": {"blobs": received, "bytes": received_bytes},
            "known": {"blobs": known, "bytes": known_bytes},
        });
        print(&format!("{document:#}"))?;
    } else if context.global.quiet {
        print(&digests.join("\n"))?;
    } else {
        print(&format!(
            "{}: received {}, {}; had {}, {}\n{}",
            output.display(),
            counted(received, "blob"),
            human_bytes(received_bytes),
            counted(known, "blob"),
            human_bytes(known_bytes),
            digests.join("\n"),
        ))?;
    }
    Ok(Outcome::Done)
}
