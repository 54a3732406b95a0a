//! Site certificate authorities, as update-ca-certificates(8) would add them:
//! a file each under /usr/local/share/ca-certificates, a link in /etc/ssl/certs
//! with the hash links of `openssl rehash`, and the text at the end of the bundle.

use std::collections::{BTreeMap, BTreeSet};

use super::der;
use super::draft::Draft;
use crate::digest::Digest;
use crate::error::Result;
use crate::profile::file::Authority;
use crate::tree::Node;

const LOCAL: &str = "usr/local/share/ca-certificates";
const FOLDER: &str = "etc/ssl/certs";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

pub(super) fn configure(draft: &mut Draft<'_>) -> Result<()> {
    if draft.profile.authorities.is_empty() {
        return Ok(());
    }
    let Some(bundle) = draft.facts.text(BUNDLE) else {
        let message = "the node has no certificate bundle to add authorities to";
        return Err(draft
            .refuse(message, &["certificates", "authorities"], "")
            .hint(match draft.profile.base_image {
                Some(_) => "no program of a base image is run: add the authorities to the base",
                None => "add `ca-certificates` to the packages",
            }));
    };
    let mut bundle = bundle.to_owned();
    let mut known: BTreeSet<Vec<u8>> = der::certificates(&bundle)
        .unwrap_or_default()
        .into_iter()
        .collect();
    // By file name, which is the order in the bundle.
    let mut added = BTreeMap::new();
    for authority in &draft.profile.authorities {
        let (stem, text, item) = read(draft, authority)?;
        let certificates = der::certificates(&text).map_err(|why| {
            let message = format!("`{stem}` cannot be an authority: {why}");
            let error = draft.refuse(message, &["certificates", "authorities"], &item);
            error.hint("give certificates in PEM form (`openssl x509 -inform der` converts them)")
        })?;
        let several = certificates.len() > 1;
        for (number, certificate) in certificates.into_iter().enumerate() {
            // What is trusted already, or was given twice, is not added again.
            if !known.insert(certificate.clone()) {
                continue;
            }
            let mut name = match several {
                true => format!("{stem}-{}", number + 1),
                false => stem.clone(),
            };
            if added.contains_key(&name) || taken(draft, &name) {
                name = format!("{name}-{}", &Digest::of(&certificate).hex()[..8]);
            }
            added.insert(name, certificate);
        }
    }
    let mut links = hash_links(draft);
    for (name, certificate) in &added {
        let pem = der::to_pem(certificate);
        draft.text(&format!("{LOCAL}/{name}.crt"), &pem);
        draft.link(
            &format!("{FOLDER}/{name}.pem"),
            &format!("/{LOCAL}/{name}.crt"),
        );
        if !bundle.is_empty() && !bundle.ends_with('\n') {
            bundle.push('\n');
        }
        bundle += &pem;
        if let Some(hash) = der::subject_hash(certificate) {
            let number = (0_u32..).find(|number| links.insert(format!("{hash}.{number}")));
            let link = format!("{FOLDER}/{hash}.{}", number.unwrap_or_default());
            draft.link(&link, &format!("{name}.pem"));
        }
        draft.set(
            format!("certificate {name}"),
            Digest::of(certificate).to_string(),
        );
    }
    if !added.is_empty() {
        draft.replace(BUNDLE, &bundle, 0o644);
    }
    Ok(())
}

/// An authority's name, its text, and how the profile wrote it.
fn read(draft: &Draft<'_>, authority: &Authority) -> Result<(String, String, String)> {
    match authority {
        Authority::Inline(text) => {
            let name = format!("site-{}", &Digest::of(text.as_bytes()).hex()[..8]);
            Ok((name, text.to_string(), text.to_string()))
        }
        Authority::File(file) => {
            let keys = ["certificates", "authorities"];
            let bytes = draft
                .local
                .read(file)
                .map_err(|error| draft.locate(error, &keys, file.path()))?;
            let text = String::from_utf8(bytes).map_err(|_| {
                let message = format!("`{file}` is not text");
                draft.refuse(message, &keys, file.path()).hint(
                    "give certificates in PEM form (`openssl x509 -inform der` converts them)",
                )
            })?;
            let name = file.path().rsplit('/').next().unwrap_or_default();
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            let plain = |c: char| {
                if c.is_ascii_alphanumeric() || "._-".contains(c) {
                    c
                } else {
                    '_'
                }
            };
            Ok((
                stem.chars().map(plain).collect(),
                text,
                file.path().to_owned(),
            ))
        }
    }
}

/// Whether the root has a certificate of that name.
fn taken(draft: &Draft<'_>, name: &str) -> bool {
    draft.facts.node(&format!("{LOCAL}/{name}.crt")).is_some()
        || draft.facts.node(&format!("{FOLDER}/{name}.pem")).is_some()
}

/// The names of the root's hash links.
fn hash_links(draft: &Draft<'_>) -> BTreeSet<String> {
    let is_hash = |name: &str| {
        name.split_once('.').is_some_and(|(hash, number)| {
            hash.len() == 8
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    draft
        .facts
        .below(FOLDER)
        .filter(|(name, node)| matches!(node, Node::Symlink(_)) && is_hash(name))
        .map(|(name, _)| name)
        .collect()
}
