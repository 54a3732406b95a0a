//! Lists of images: tables and JSON lines of `docker images`, JSON and YAML of
//! `crictl images`, its table.

use serde::Deserialize;

use crate::check::document::Node;
use crate::digest::Digest;

/// What stands where there is nothing.
const NONE: &str = "<none>";

/// Whether a list says which digests registries know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digests {
    /// An image without one is in no registry.
    Told,
    /// Nothing follows from there being none.
    Untold,
}

/// A list that was read.
#[derive(Debug)]
pub(super) struct List {
    pub(super) images: Vec<Listed>,
    pub(super) digests: Digests,
}

/// An image by one of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Registry and repository, as they are shown.
    repository: Option<String>,
    tag: Option<String>,
    /// What its registry calls it by.
    pub(super) digest: Option<Digest>,
    /// Byte of its place in the list.
    pub(super) at: usize,
}

impl Listed {
    /// The reference, by tag or else by digest.
    pub(super) fn name(&self) -> Option<String> {
        let repository = self.repository.as_ref()?;
        match (&self.tag, self.digest) {
            (Some(tag), _) => Some(format!("{repository}:{tag}")),
            (None, Some(digest)) => Some(format!("{repository}@{digest}")),
            (None, None) => None,
        }
    }
}

/// Reads a list, whichever program made it.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn read(source: &str, text: usize) -> Result<List, String> {
    let first = source.trim_start();
    if first.is_empty() {
        return Ok(List {
            images: Vec::new(),
            digests: Digests::Untold,
        });
    }
    if first.starts_with('{') && first.lines().next().is_some_and(is_line) {
        return lines(source).map(docker);
    }
    if first.starts_with('{') || first.starts_with("images:") {
        return cri(source, text);
    }
    table(source)
}

fn is_line(line: &str) -> bool {
    serde_json::from_str::<Line>(line).is_ok_and(|line| line.repository.is_some())
}

/// What `docker images` says of an image in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
}

fn lines(source: &str) -> Result<Vec<Listed>, String> {
    let mut images = Vec::new();
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        if !line.trim().is_empty() {
            let said: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
            images.push(Listed {
                repository: said.repository.and_then(there),
                tag: said.tag.and_then(there),
                digest: digest(said.digest.as_deref()),
                at,
            });
        }
        at += line.len();
    }
    Ok(images)
}

/// Without `--digests` Docker shows none of any image.
fn docker(images: Vec<Listed>) -> List {
    let told = images.iter().any(|image| image.digest.is_some());
    List {
        images,
        digests: if told { Digests::Told } else { Digests::Untold },
    }
}

fn there(text: String) -> Option<String> {
    (!text.is_empty() && text != NONE).then_some(text)
}

fn digest(text: Option<&str>) -> Option<Digest> {
    text?.parse().ok()
}

/// `ListImagesResponse` of the CRI: names and digests of each image.
fn cri(source: &str, text: usize) -> Result<List, String> {
    let documents = Node::yaml(source, text).map_err(|broken| broken.why)?;
    let all = documents.first().and_then(|root| root.get("images"));
    let all = all.ok_or("it has no `images`")?;
    let mut images = Vec::new();
    for image in all.items() {
        let texts = |key: &str| -> Vec<&str> {
            let list = image.get(key).map_or(&[][..], Node::items);
            list.iter().filter_map(Node::text).collect()
        };
        let digests: Vec<(&str, Digest)> = texts("repoDigests")
            .iter()
            .filter_map(|name| name.split_once('@'))
            .filter_map(|(name, digest)| Some((name, digest.parse().ok()?)))
            .collect();
        let listed = |repository: Option<&str>, tag: Option<&str>, digest| Listed {
            repository: repository.map(str::to_owned),
            tag: tag.map(str::to_owned),
            digest,
            at: image.span.start,
        };
        let tags = texts("repoTags");
        let before = images.len();
        for name in tags {
            if let Some((repository, tag)) = parted(name) {
                let digest = digests.iter().find(|(other, _)| *other == repository);
                let digest = digest.or(digests.first()).map(|(_, digest)| *digest);
                images.push(listed(Some(repository), Some(tag), digest));
            }
        }
        if images.len() == before {
            let (name, digest) = digests.first().copied().unzip();
            images.push(listed(name.filter(|name| *name != NONE), None, digest));
        }
    }
    Ok(List {
        images,
        digests: Digests::Told,
    })
}

/// Repository and tag of a name.
fn parted(name: &str) -> Option<(&str, &str)> {
    let (repository, tag) = name.rsplit_once(':')?;
    (!tag.contains('/') && repository != NONE && tag != NONE).then_some((repository, tag))
}

/// A table: columns begin where their headings do.
fn table(source: &str) -> Result<List, String> {
    let mut columns: Option<Vec<(String, usize)>> = None;
    let mut images = Vec::new();
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let row = line.trim_end();
        match &columns {
            _ if row.trim().is_empty() => {}
            None => columns = Some(headings(row)?),
            Some(columns) => {
                let cell = |name: &str| cell(row, columns, name);
                let (repository, tag) = match cell("REPOSITORY") {
                    Some(repository) => (there(repository), cell("TAG").and_then(there)),
                    // Of crictl's tables the repository is headed IMAGE; of docker's since
                    // release 29 the whole name is.
                    None => match (cell("IMAGE"), cell("TAG")) {
                        (Some(image), Some(tag)) => (there(image), there(tag)),
                        (Some(image), None) => match parted(&image) {
                            Some((name, tag)) => (Some(name.to_owned()), Some(tag.to_owned())),
                            None => (None, None),
                        },
                        (None, _) => (None, None),
                    },
                };
                images.push(Listed {
                    repository,
                    tag,
                    digest: digest(cell("DIGEST").as_deref()),
                    at,
                });
            }
        }
        at += line.len();
    }
    Ok(docker(images))
}

fn headings(row: &str) -> Result<Vec<(String, usize)>, String> {
    let mut columns: Vec<(String, usize)> = Vec::new();
    let characters: Vec<char> = row.chars().collect();
    for (at, &c) in characters.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).and_then(|at| characters.get(at));
        let begins = c != ' '
            && (at == 0 || (before(1) == Some(&' ') && before(2).is_none_or(|c| *c == ' ')));
        match columns.last_mut() {
            _ if begins => columns.push((c.to_string(), at)),
            Some((name, _)) => name.push(c),
            None => {}
        }
    }
    for (name, _) in &mut columns {
        name.truncate(name.trim_end().len());
    }
    let first = columns.first().map(|(name, _)| name.as_str());
    match first {
        Some("REPOSITORY" | "IMAGE") => Ok(columns),
        _ => Err("it is no list that `docker images` or `crictl images` prints".into()),
    }
}

fn cell(row: &str, columns: &[(String, usize)], name: &str) -> Option<String> {
    let at = columns.iter().position(|(known, _)| known == name)?;
    let begin = columns[at].1;
    let end = columns.get(at + 1).map_or(usize::MAX, |(_, next)| *next);
    let text: String = row.chars().skip(begin).take(end - begin).collect();
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0d17b565c37bcbd895e9d92315a05c1c3c9a29f762b011a10c54a66cd53c9b31";

    fn names(source: &str) -> (Vec<Option<String>>, Digests) {
        let list = read(source, 0).unwrap();
        let names = list.images.iter().map(Listed::name).collect();
        (names, list.digests)
    }

    fn some(names: &[&str]) -> Vec<Option<String>> {
        let name = |name: &&str| (!name.is_empty()).then(|| (*name).to_owned());
        names.iter().map(name).collect()
    }

    #[test]
    fn tables_of_every_program() {
        let docker = "REPOSITORY          TAG       IMAGE ID       CREATED        SIZE
nginx               1.19      f6d0b4767a6c   5 years ago    133MB
registry.example:5000/site/app   7   0123456789ab   2 days ago     1.2GB
<none>              <none>    5f70bf18a086   3 weeks ago    0B
";
        // A row that is longer than its heading is cut at the heading's column.
        assert_eq!(names(docker).0[0], Some("nginx:1.19".into()));
        assert_eq!(names(docker).0[2], None);
        assert_eq!(names(docker).1, Digests::Untold);

        let digests = format!(
            "REPOSITORY   TAG      DIGEST{}IMAGE ID\nnginx        1.19     {DIGEST}   f6d0b4767a6c\nsite/tool    dev      <none>{}0123456789ab\nnginx        <none>   {DIGEST}   f6d0b4767a6c\n",
            " ".repeat(68),
            " ".repeat(68),
        );
        let by_digest = format!("nginx@{DIGEST}");
        assert_eq!(
            names(&digests),
            (
                some(&["nginx:1.19", "site/tool:dev", &by_digest]),
                Digests::Told
            )
        );

        let crictl = "IMAGE                      TAG       IMAGE ID        SIZE
registry.k8s.io/pause      3.8       4873874c08efc   311kB
docker.io/library/nginx    1.27      f6d0b4767a6c4   72MB
";
        let wanted = ["registry.k8s.io/pause:3.8", "docker.io/library/nginx:1.27"];
        assert_eq!(names(crictl), (some(&wanted), Digests::Untold));

        let since_29 = "IMAGE           ID             DISK USAGE   CONTENT SIZE   EXTRA
nginx:1.29      f6d0b4767a6c        192MB         67MB    U
<untagged>      5f70bf18a086        192MB         67MB
";
        assert_eq!(names(since_29).0, some(&["nginx:1.29", ""]));
        assert!(read("Hello\n", 0).is_err());
        assert!(names("").0.is_empty());
    }

    #[test]
    fn json_of_every_program() {
        let docker = format!(
            "{{\"Repository\":\"nginx\",\"Tag\":\"1.19\",\"Digest\":\"{DIGEST}\"}}\n{{\"Repository\":\"site/tool\",\"Tag\":\"dev\",\"Digest\":\"<none>\"}}\n",
        );
        let wanted = some(&["nginx:1.19", "site/tool:dev"]);
        assert_eq!(names(&docker), (wanted.clone(), Digests::Told));
        let untold = docker.replace(DIGEST, NONE);
        assert_eq!(names(&untold), (wanted, Digests::Untold));
        assert!(read(&format!("{docker}{{"), 0).is_err());

        let crictl = format!(
            "{{\"images\": [\n{{\"id\": \"sha256:1\", \"repoTags\": [\"a.example/b:1\", \"a.example/c:1\"], \"repoDigests\": [\"a.example/b@{DIGEST}\"]}},\n{{\"repoTags\": [], \"repoDigests\": [\"d@{DIGEST}\"]}}, {{\"repoTags\": [\"e:1\"]}}, {{}}]}}",
        );
        let list = read(&crictl, 0).unwrap();
        let has_digest = list.images.iter().map(|image| image.digest.is_some());
        assert_eq!(
            has_digest.collect::<Vec<_>>(),
            [true, true, true, false, false]
        );
        let by_digest = format!("d@{DIGEST}");
        let wanted = ["a.example/b:1", "a.example/c:1", &by_digest, "e:1", ""];
        assert_eq!(names(&crictl), (some(&wanted), Digests::Told));
        assert!(read("{\"items\": []}", 0).is_err());
    }
}
