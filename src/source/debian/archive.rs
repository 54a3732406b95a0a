//! A suite of an archive: its signed release file, and the package lists that it names.
//!
//! `InRelease` is fetched anew each time, verified, and kept in the store, so
//! that what a lock was made from can be shown later. Package lists are blobs by
//! the digest that the release gives; what is in the store is not fetched again.

pub mod mirror;
pub mod release;
pub mod signature;

use std::io::{self, Read};

use jiff::Timestamp;

use self::mirror::Mirrors;
use self::release::{Listed, Release};
use self::signature::{Keyring, Signer, verify};
use crate::digest::{Digest, Hasher};
use crate::error::{Context, Error, Kind, Result};
use crate::report::{Task, Unit};
use crate::source::fetch::{Download, Fetcher};

/// Release files are some hundred KiB; this is where something is wrong.
const LONGEST_RELEASE: u64 = 64 << 20;
/// Package lists are some tens of MiB; this is where something is wrong.
const LONGEST_LIST: u64 = 2 << 30;
/// What the xz decoder may use: level 9 needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// What is wanted of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteSpec {
    /// The archive's id (see [`Mirrors`]).
    pub archive: String,
    /// The suite by codename or role ("trixie", "trixie-security"), or the path of a
    /// flat repository, which ends in `/`.
    pub suite: String,
    /// Components ("main"); none for a flat repository.
    pub components: Vec<String>,
    /// Architectures by Debian's names ("amd64").
    pub architectures: Vec<String>,
}

/// The time to judge by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimePolicy {
    /// The time by which keys and releases expire.
    pub now: Timestamp,
    /// Take a release past its `Valid-Until`.
    pub ignore_valid_until: bool,
}

/// A suite whose release file is verified.
#[derive(Debug, Clone)]
pub struct Suite {
    /// What was asked for.
    pub spec: SuiteSpec,
    /// What the release file says.
    pub release: Release,
    /// Digest of the `InRelease` file, which is in the store.
    pub in_release: Digest,
    /// Who signed it.
    pub signers: Vec<Signer>,
    /// It was past its `Valid-Until`, and was taken all the same.
    pub past_valid_until: bool,
    fetcher: Fetcher,
    mirrors: Mirrors,
}

/// Opens a suite: fetches its `InRelease`, verifies the signature, the name and the dates.
///
/// # Errors
/// [`Kind::Resolve`] when no mirror of the archive is known or the suite lacks a
/// component or architecture, [`Kind::Network`] when no mirror answers,
/// [`Kind::Verify`] when what comes is not to be trusted.
pub fn open(
    fetcher: &Fetcher,
    mirrors: &Mirrors,
    keyring: &Keyring,
    spec: &SuiteSpec,
    time: TimePolicy,
) -> Result<Suite> {
    let name = format!("{} {}", spec.archive, spec.suite);
    let urls = mirrors.current_urls(&spec.archive, &format!("{}InRelease", spec.folder()));
    if urls.is_empty() {
        return Err(Mirrors::unknown(&spec.archive));
    }
    let bytes = fetcher
        .small(&urls, LONGEST_RELEASE)
        .map_err(|error| error.context(format!("fetching the release file of `{name}`")))?;
    let verified = || -> Result<_> {
        let signed = verify(&bytes, "InRelease", keyring, time.now)?;
        let release = Release::parse(&signed.text)?;
        release.check_name(&spec.suite)?;
        let past = release.check_time(time.now, time.ignore_valid_until)?;
        Ok((signed.signers, release, past))
    };
    let (signers, release, past_valid_until) =
        verified().map_err(|error| error.context(format!("verifying the archive `{name}`")))?;
    if past_valid_until {
        fetcher.report().warning(&format!(
            "the release of `{name}` is past its end ({}), and is taken all the same",
            release
                .valid_until
                .map_or_else(String::new, |end| end.to_string())
        ));
    }
    let suite = Suite {
        spec: spec.clone(),
        in_release: fetcher.store().put(&bytes)?,
        release,
        signers,
        past_valid_until,
        fetcher: fetcher.clone(),
        mirrors: mirrors.clone(),
    };
    suite.check_contents()?;
    Ok(suite)
}

impl SuiteSpec {
    /// A flat repository has no components and no `dists`.
    fn is_flat(&self) -> bool {
        self.suite.ends_with('/')
    }

    /// The folder of the release file, with a slash at its end unless empty.
    fn folder(&self) -> String {
        if self.is_flat() {
            let path = self.suite.trim_matches('/');
            return match path.strip_prefix("./").unwrap_or(path) {
                "" | "." => String::new(),
                path => format!("{path}/"),
            };
        }
        format!("dists/{}/", self.suite)
    }
}

/// How a package list is packed, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Xz,
    Gzip,
    Plain,
}

impl Packing {
    const ALL: [Self; 3] = [Self::Xz, Self::Gzip, Self::Plain];

    fn extension(self) -> &'static str {
        match self {
            Self::Xz => ".xz",
            Self::Gzip => ".gz",
            Self::Plain => "",
        }
    }
}

/// A package list to be had.
struct List {
    download: Download,
    packing: Packing,
    /// The unpacked list, where the release names it too.
    plain: Option<Listed>,
}

impl Suite {
    /// The lists that the suite consists of, as architecture and component. Packages for all
    /// architectures stand in each architecture's list, or in one of their own (`all`).
    #[must_use]
    pub fn lists(&self) -> Vec<(String, String)> {
        if self.spec.is_flat() {
            return vec![(String::new(), String::new())];
        }
        let mut architectures = self.spec.architectures.clone();
        // As apt has it: a list for `all` counts only where the release counts `all` among
        // its architectures. (Debian's security archive has such files, and stale ones.)
        let named = |list: &[String]| list.iter().any(|architecture| architecture == "all");
        let all_apart = !self.release.all_in_each
            && named(&self.release.architectures)
            && !named(&architectures);
        if all_apart {
            architectures.push("all".into());
        }
        let mut lists = Vec::new();
        for architecture in &architectures {
            for component in &self.spec.components {
                let there = self.list(architecture, component).is_ok();
                // An archive may have no list for `all` alone, and then has them in each.
                if architecture != "all" || there || !all_apart {
                    lists.push((architecture.clone(), component.clone()));
                }
            }
        }
        lists
    }

    /// Fetches all [lists](Self::lists) into the store; `task` counts bytes.
    ///
    /// # Errors
    /// As for [`Fetcher::download`].
    pub fn fetch(&self, task: &Task) -> Result<()> {
        let mut downloads = Vec::new();
        for (architecture, component) in self.lists() {
            downloads.push(self.list(&architecture, &component)?.download);
        }
        self.fetcher.download(&downloads, task)
    }

    /// The text of one list (`Packages`), fetched if it is not in the store.
    /// Both arguments count for nothing in a flat repository.
    ///
    /// # Errors
    /// [`Kind::Resolve`] when the release names no such list, [`Kind::Verify`]
    /// when it is not what the release says, and as for [`Fetcher::download`].
    pub fn packages(&self, architecture: &str, component: &str) -> Result<String> {
        let list = self.list(architecture, component)?;
        let digest = list.download.digest;
        self.get(&list)?;
        let name = &list.download.name;
        let read = || {
            let file = self.fetcher.store().open_blob(&digest)?;
            unpack(file, list.packing, list.plain, name)
        };
        let bytes = match read() {
            // The store's copy may have been damaged on the disk.
            Err(_)
                if !self
                    .fetcher
                    .store()
                    .has_whole(&digest, list.download.size)? =>
            {
                self.get(&list)?;
                read()?
            }
            bytes => bytes?,
        };
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            // Descriptions of old packages are not all UTF-8; what counts is ASCII.
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// Has a list in the store.
    fn get(&self, list: &List) -> Result<()> {
        let item = &list.download;
        if self.fetcher.store().has(&item.digest, item.size) {
            return Ok(());
        }
        let report = self.fetcher.report();
        let task = report.task("fetching", item.size, Unit::Bytes);
        self.fetcher.download(std::slice::from_ref(item), &task)
    }

    /// Addresses of a file of this archive, by the path that a package list gives it.
    #[must_use]
    pub fn urls(&self, path: &str) -> Vec<String> {
        self.mirrors.urls(&self.spec.archive, path)
    }

    fn list(&self, architecture: &str, component: &str) -> Result<List> {
        let spec = &self.spec;
        let folders = if spec.is_flat() {
            vec![String::new()]
        } else {
            // Older security archives keep `main` under `updates/main`.
            vec![
                format!("{component}/binary-{architecture}/"),
                format!("updates/{component}/binary-{architecture}/"),
            ]
        };
        let files = &self.release.files;
        for folder in folders {
            for packing in Packing::ALL {
                let path = format!("{folder}Packages{}", packing.extension());
                let Some(&listed) = files.get(&path) else {
                    continue;
                };
                return Ok(List {
                    packing,
                    plain: files.get(&format!("{folder}Packages")).copied(),
                    download: Download {
                        urls: self.list_urls(&folder, &path, listed),
                        digest: listed.digest,
                        size: Some(listed.size),
                        name: format!("{} {} {path}", spec.archive, spec.suite),
                    },
                });
            }
        }
        Err(Error::new(
            Kind::Resolve,
            format!(
                "suite `{}` of `{}` has no list of packages for `{architecture}` in `{component}`",
                spec.suite, spec.archive
            ),
        ))
    }

    /// By digest first: such a file stays what it is while the archive changes.
    fn list_urls(&self, folder: &str, path: &str, listed: Listed) -> Vec<String> {
        let base = self.spec.folder();
        let mut urls = Vec::new();
        if self.release.by_hash {
            let path = format!("{base}{folder}by-hash/SHA256/{}", listed.digest.hex());
            urls.extend(self.urls(&path));
        }
        urls.extend(self.urls(&format!("{base}{path}")));
        urls
    }

    fn check_contents(&self) -> Result<()> {
        let spec = &self.spec;
        let lacks = |what: &str, name: &str, known: &[String]| {
            Error::new(
                Kind::Resolve,
                format!(
                    "suite `{}` of `{}` has no {what} `{name}`",
                    spec.suite, spec.archive
                ),
            )
            .hint(format!("it has {}", known.join(", ")))
        };
        if spec.is_flat() {
            return Ok(());
        }
        let release = &self.release;
        for component in &spec.components {
            if !release.components.is_empty() && !release.has_component(component) {
                return Err(lacks("component", component, &release.components));
            }
        }
        for architecture in &spec.architectures {
            if !release.architectures.is_empty() && !release.architectures.contains(architecture) {
                return Err(lacks("architecture", architecture, &release.architectures));
            }
        }
        Ok(())
    }
}

/// Unpacks a list, no further than it should go, and checks it where its digest is known.
fn unpack(file: impl Read, packing: Packing, plain: Option<Listed>, name: &str) -> Result<Vec<u8>> {
    let broken = |why: &str| {
        Error::new(
            Kind::Verify,
            format!("`{name}` is not what the release says: {why}"),
        )
        .hint("the archive may be in the middle of an update: try again later")
    };
    let reader: Box<dyn Read> = match packing {
        Packing::Xz => {
            let decoder = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY,
                liblzma::stream::CONCATENATED,
            )
            .io("unpacking", name)?;
            Box::new(liblzma::read::XzDecoder::new_stream(file, decoder))
        }
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Packing::Plain => Box::new(file),
    };
    let limit = plain.map_or(LONGEST_LIST, |plain| plain.size);
    let mut reader = reader.take(limit.saturating_add(1));
    let room = usize::try_from(limit.min(LONGEST_LIST)).unwrap_or(0);
    let mut hasher = Hasher::new(Vec::with_capacity(if plain.is_some() { room } else { 0 }));
    io::copy(&mut reader, &mut hasher).map_err(|error| broken(&error.to_string()))?;
    let (digest, size, bytes) = hasher.finish();
    if size > limit {
        return Err(broken(&format!("it unpacks to more than {limit} bytes")));
    }
    match plain {
        Some(plain) if plain.digest != digest => Err(broken(&format!(
            "unpacked, expected {}, got {digest}",
            plain.digest
        ))),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
