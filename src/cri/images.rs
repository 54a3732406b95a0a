//! `images`, `rmi`.

use std::collections::BTreeSet;

use super::args::{ContainerFilter, Images, Output, Rmi};
use super::client::Session;
use super::filter::{Failures, Pattern};
use super::proto::{
    Image, ImageFilter, ImageSpec, ImageStatusRequest, ImageStatusResponse, ListImagesRequest,
    ListImagesResponse, RemoveImageRequest,
};
use super::table::{Table, short, size};
use super::{containers, output, say};
use crate::error::{Error, Kind, Result};

const NONE: &str = "<none>";

pub async fn list(session: &mut Session, arguments: &Images) -> Result<()> {
    let name = arguments.name.as_deref().unwrap_or_default();
    let images = found(session, name, &arguments.filter.filter).await?;
    let how = &arguments.list;
    if how.output != Output::Table {
        return output::message(&ListImagesResponse { images }, how.output);
    }
    let text = match (how.quiet, how.verbose) {
        (true, _) => images
            .iter()
            .map(|image| format!("{}\n", image.id))
            .collect(),
        (_, true) => images.iter().map(paragraph).collect(),
        _ => table(&images, arguments),
    };
    say::print(&text)
}

/// The images that a name and conditions leave, by name.
pub async fn found(session: &mut Session, name: &str, conditions: &[String]) -> Result<Vec<Image>> {
    let request = ListImagesRequest {
        filter: Some(ImageFilter {
            image: Some(spec(name)),
        }),
    };
    let answer = session.images().await?.call(request).await;
    let mut images = answer
        .map_err(|error| error.context("listing images"))?
        .images;
    // containerd answers with all of them, whatever it is asked for.
    images.retain(|image| name.is_empty() || called(image, name));
    images.sort_by_cached_key(|image| {
        let mut names = image.repo_tags.iter().chain(&image.repo_digests);
        (names.next().cloned(), image.id.clone())
    });
    for condition in conditions {
        narrow(&mut images, condition)?;
    }
    Ok(images)
}

fn spec(image: &str) -> ImageSpec {
    ImageSpec {
        image: image.to_owned(),
        ..ImageSpec::default()
    }
}

fn narrow(images: &mut Vec<Image>, condition: &str) -> Result<()> {
    let (key, value) = condition.split_once('=').unwrap_or((condition, ""));
    match key {
        "dangling" => {
            let dangling = value == "true";
            images.retain(|image| image.repo_tags.is_empty() == dangling);
        }
        "reference" => {
            let pattern = Pattern::new(Some(value))?;
            images.retain(|image| pattern.matches(&repository(image).0));
        }
        // As crictl has it, the order is that of the names, not of time.
        "since" => {
            let end = images.iter().position(|image| is(image, value));
            images.truncate(end.unwrap_or(images.len()));
        }
        "before" => {
            let end = images.iter().position(|image| is(image, value));
            images.drain(..end.map_or(0, |end| end + 1));
        }
        _ => {
            let message = format!("unknown filter flag: {condition}");
            return Err(Error::new(Kind::Usage, message)
                .hint("there are dangling=, reference=, before= and since="));
        }
    }
    Ok(())
}

/// Whether an image has this name: with or without its tag or digest, and without
/// what a runtime puts before short names.
fn called(image: &Image, name: &str) -> bool {
    let ends = |whole: &str| {
        let rest = whole.strip_suffix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    let tag = |tag: &String| {
        let repository = tag.rsplit_once(':').map_or(tag.as_str(), |pair| pair.0);
        ends(tag) || ends(repository)
    };
    let digest = |digest: &String| {
        let repository = digest.split('@').next().unwrap_or_default();
        ends(digest) || ends(repository)
    };
    image.repo_tags.iter().any(tag) || image.repo_digests.iter().any(digest) || is(image, name)
}

/// Whether a condition names this image: by tag, digest or the begin of its id.
fn is(image: &Image, name: &str) -> bool {
    let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
    image.repo_tags.iter().any(|tag| tag == name)
        || image.repo_digests.iter().any(|digest| digest == name)
        || (!name.is_empty() && (id.starts_with(name) || image.id == name))
}

/// Repository and digest.
fn repository(image: &Image) -> (String, String) {
    let first = image.repo_digests.first();
    let pair = first.and_then(|digest| digest.split_once('@'));
    let (name, digest) = pair.unwrap_or((NONE, NONE));
    (name.to_owned(), digest.to_owned())
}

fn table(images: &[Image], arguments: &Images) -> String {
    let row = |image: &str, tag: &str, digest: &str, id: &str, size: &str, pinned: &str| {
        let mut row = vec![image.to_owned(), tag.to_owned()];
        if arguments.digests {
            row.push(digest.to_owned());
        }
        row.extend([id.to_owned(), size.to_owned()]);
        if arguments.pinned {
            row.push(pinned.to_owned());
        }
        row
    };
    let mut table = Table::default();
    table.row(row("IMAGE", "TAG", "DIGEST", "IMAGE ID", "SIZE", "PINNED"));
    for image in images {
        let (name, digest) = repository(image);
        let (id, digest) = match arguments.list.no_trunc {
            true => (image.id.as_str(), digest.as_str()),
            false => (short(&image.id), short(&digest)),
        };
        let none = format!("{name}:{NONE}");
        let tags = match image.repo_tags.as_slice() {
            [] => std::slice::from_ref(&none),
            tags => tags,
        };
        for tag in tags {
            let (name, tag) = tag.rsplit_once(':').unwrap_or((tag, NONE));
            let pinned = image.pinned.to_string();
            table.row(row(name, tag, digest, id, &size(image.size), &pinned));
        }
    }
    table.text()
}

fn paragraph(image: &Image) -> String {
    let mut text = format!("ID: {}\n", image.id);
    for tag in &image.repo_tags {
        text += &format!("RepoTags: {tag}\n");
    }
    for digest in &image.repo_digests {
        text += &format!("RepoDigests: {digest}\n");
    }
    if image.size != 0 {
        text += &format!("Size: {}\n", image.size);
    }
    if let Some(uid) = &image.uid {
        text += &format!("Uid: {}\n", uid.value);
    }
    if !image.username.is_empty() {
        text += &format!("Username: {}\n", image.username);
    }
    if image.pinned {
        text += "Pinned: true\n";
    }
    text + "\n"
}

/// What the image service knows of an image; nothing if it has none such.
pub async fn status(
    session: &mut Session,
    image: &str,
    verbose: bool,
) -> Result<ImageStatusResponse> {
    let request = ImageStatusRequest {
        image: Some(spec(image)),
        verbose,
    };
    let answer = session.images().await?.call(request).await;
    answer.map_err(|error| error.context(format!("image status for {image:?} request")))
}

pub async fn remove(session: &mut Session, arguments: Rmi) -> Result<()> {
    let mut ids: BTreeSet<String> = arguments.ids.into_iter().collect();
    if arguments.all || arguments.prune {
        let images = found(session, "", &[]).await?;
        let removable = images
            .into_iter()
            .filter(|image| !(arguments.prune && image.pinned));
        ids.extend(removable.map(|image| image.id));
    }
    if arguments.prune {
        for used in used(session).await? {
            ids.remove(&used);
        }
    }
    if ids.is_empty() {
        say::info("No images to remove");
    }
    let mut failures = Failures::new();
    for id in ids {
        match remove_one(session, &id).await {
            // It may be gone already, or in use by now.
            Err(error) if arguments.prune => say::debug(|| error.message()),
            done => failures.add(done),
        }
    }
    failures.result()
}

/// Ids of the images that there are containers of.
async fn used(session: &mut Session) -> Result<BTreeSet<String>> {
    let all = ContainerFilter {
        all: true,
        ..ContainerFilter::default()
    };
    let mut used = BTreeSet::new();
    for container in containers::found(session, "", &all).await? {
        let Some(spec) = container.image else {
            continue;
        };
        used.extend(
            status(session, &spec.image, false)
                .await?
                .image
                .map(|image| image.id),
        );
    }
    Ok(used)
}

async fn remove_one(session: &mut Session, id: &str) -> Result<()> {
    let Some(image) = status(session, id, false).await?.image else {
        return Err(Error::new(Kind::Usage, format!("no such image {id}")));
    };
    let by_name = !id.starts_with("sha256:") && id.contains([':', '/']);
    if by_name && image.repo_tags.len() > 1 {
        let tags = image.repo_tags.join(" ");
        say::warning(&format!("{id:?} is removed with all its tags: {tags}"));
    }
    let request = RemoveImageRequest {
        image: Some(spec(id)),
    };
    let answer = session.images().await?.call(request).await;
    answer.map_err(|error| error.context(format!("removing image {id:?}")))?;
    let names = match image.repo_tags.as_slice() {
        [] => image.repo_digests,
        _ => image.repo_tags,
    };
    let lines: String = names
        .iter()
        .map(|name| format!("Deleted: {name}\n"))
        .collect();
    say::print(&lines)
}
