//! A subject from an OCI image.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Seen, Subject, look};
use crate::error::Result;
use crate::image::read::Image;
use crate::image::source::reading;
use crate::tree::image::{Taker, read_taking};

/// What is seen in layers may come to this much, in bytes; the rest is not kept.
const MOST_SEEN: usize = 96 << 20;

/// Reads a subject from an opened image.
///
/// # Errors
/// When a layer cannot be read.
pub fn read(image: &Image) -> Result<Subject> {
    // Of what layers hide, nothing is a finding.
    let bytes = AtomicUsize::new(0);
    let taker = Taker {
        wants: &|path, size| look::wants(path.as_bytes(), size),
        take: &|path, size, reader| {
            let seen = look::look(path, size, reader).map_err(|error| reading(&error))?;
            Ok(seen.filter(|one| {
                let one = self::size(one);
                bytes.fetch_add(one, Ordering::Relaxed) + one <= MOST_SEEN
            }))
        },
    };
    let read = read_taking(image, &taker)?;
    let mut subject = Subject::new(&image.reference, true);
    for (path, one) in read.seen {
        subject.add(path, one);
    }
    subject.tree = read.tree;
    subject.limit(bytes.into_inner());
    subject.labels = labels(image);
    let created = image.config.created().as_deref();
    subject.epoch = created
        .and_then(|text| text.parse::<jiff::Timestamp>().ok())
        .map(jiff::Timestamp::as_second)
        .filter(|second| *second > 0);
    Ok(subject)
}

impl Subject {
    /// Says so where more was seen than is kept.
    pub(super) fn limit(&mut self, bytes: usize) {
        if bytes > MOST_SEEN {
            let what = format!(
                "{}: its configuration files are too many to read them all",
                self.name
            );
            self.unread.insert(what);
        }
    }
}

/// About how much memory it takes.
pub(super) fn size(seen: &Seen) -> usize {
    match seen {
        Seen::Text(text) | Seen::Unread(text) => text.len(),
        Seen::Packages(packages) => packages
            .iter()
            .map(|(name, version)| name.len() + version.len())
            .sum(),
        Seen::Images(names) => names.iter().map(|image| image.name.len() + 80).sum(),
        Seen::Program(_) | Seen::Secret(_) => 64,
    }
}

pub(super) fn is_full(bytes: usize) -> bool {
    bytes > MOST_SEEN
}

fn labels(image: &Image) -> BTreeMap<String, String> {
    let config = image.config.config().as_ref();
    let mut labels: BTreeMap<String, String> = config
        .and_then(|config| config.labels().clone())
        .into_iter()
        .flatten()
        .collect();
    labels.extend(image.annotations.clone());
    labels
}
