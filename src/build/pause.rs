//! The pause image where no registry is at hand: Debian's catatonit as an image of one file.
//!
//! It is a stand-in: it has the reference that pods' sandboxes ask for, and does what
//! the image of that name does (hold namespaces, reap orphans), but it is made from
//! the root's own static `catatonit`, run as `catatonit -P`. Its annotations say so.
//! Its bytes follow from that program, the reference and the architecture alone.
//! Changing anything here changes the digest of every image that has one.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::image::{ImageSpec, Run, annotations, archive, assemble};
use crate::layer::{self, Compression, PlannedLayer};
use crate::node::Archive;
use crate::store::Store;
use crate::tree::{Content, Entry, FIXED_TIME, Node, Tree};

/// Where Debian's package has the program.
pub(super) const PROGRAM: &str = "usr/bin/catatonit";
/// What the image is made from, and its only file.
pub(super) const NAME: &str = "catatonit";
/// The user that upstream's image has, by numbers: nobody.
const USER: &str = "65535:65535";

/// Makes the image `reference` from a root's catatonit and puts its archive into the store.
///
/// # Errors
/// When the root has no catatonit, or the store cannot be written.
pub fn stand_in(
    store: &Store,
    root: &Tree,
    architecture: &str,
    reference: &str,
) -> Result<Archive> {
    let program = match root.file(&PROGRAM.into()) {
        Some((
            path,
            Entry {
                node: Node::File { content, .. },
                ..
            },
        )) => layer::read_file(store, path, content)?,
        _ => {
            let message = format!("the root has no program `/{PROGRAM}`");
            return Err(Error::new(Kind::Usage, message));
        }
    };
    let mut tree = Tree::default();
    let file = Node::File {
        size: program.len() as u64,
        content: Content::Inline(program.into()),
    };
    for (path, node) in [("", Node::Directory), (NAME, file)] {
        let entry = Entry {
            node,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: FIXED_TIME,
            xattrs: BTreeMap::new(),
            component: NAME.into(),
        };
        tree.entries.insert(path.into(), entry);
    }
    let whole = PlannedLayer {
        id: NAME.into(),
        components: vec![NAME.into()],
        entries: tree.entries.keys().cloned().collect(),
        content_size: 0,
    };
    let layer = layer::make(store, &whole, &tree, Compression::None, 1)?;
    let image = assemble(store, &spec(architecture, reference), &[layer])?;
    let (digest, size) = {
        let blobs: Vec<_> = image.blobs().collect();
        archive::write(store, &[(reference, &image.manifest)], &blobs)?
    };
    Ok(Archive {
        size,
        content: Content::Blob(digest),
        manifest: image.manifest.digest,
        stand_in: Some(NAME.into()),
    })
}

fn spec(architecture: &str, reference: &str) -> ImageSpec {
    let said = format!("A stand-in for {reference}, made from Debian's catatonit");
    ImageSpec {
        architecture: architecture.to_owned(),
        // The lock's time would make another image of the same program.
        created: FIXED_TIME,
        labels: BTreeMap::new(),
        annotations: BTreeMap::from([
            (annotations::DESCRIPTION.into(), said),
            (annotations::PAUSE.into(), NAME.into()),
        ]),
        run: Run::Program {
            entrypoint: vec![format!("/{NAME}"), "-P".into()],
            user: USER.into(),
        },
        base: None,
    }
}
