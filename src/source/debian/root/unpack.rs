//! Unpacking `data.tar` into the root, with dpkg's rules: diversions, excluded
//! paths, overridden owners, conffiles, directories that are links.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;
use tar::EntryType;

use super::claims::{Claim, Claims, Sort, Verdict};
use super::diversion::{Diversions, Override, Overrides};
use super::exclude::Excludes;
use super::incoming::Package;
use super::place::{Summing, finish_file, special};
use super::rootdir::{Directory, RootDir, create_at, split};
use super::tarball::{Entry, Tarball, normalize};
use crate::error::{Context, Error, Kind, Result};
use crate::tree::TreePath;

/// Where and how to unpack; shared by all threads.
pub(super) struct Unpacker<'a> {
    pub root: &'a RootDir,
    pub claims: &'a Claims<'a>,
    pub excludes: &'a Excludes,
    pub diversions: &'a Diversions,
    pub overrides: &'a Overrides,
    /// Packages of one stage are unpacked at the same time.
    pub stage: u32,
    /// Whether nothing but directories made by us can be there already.
    pub fresh: bool,
}

/// What came of unpacking one package.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// Paths for the `.list`, as in the archive, relative to the root, in its order.
    pub listed: Vec<Vec<u8>>,
    /// Where files went (after diversions), as triggers see them.
    pub placed: Vec<Vec<u8>>,
    /// MD5 sums in hexadecimal by listed path: of conffiles, and of all files
    /// if the package itself has no `md5sums`.
    pub sums: BTreeMap<Vec<u8>, String>,
    /// Conffiles that were put beside what a script had made; dpkg decides when configuring.
    pub beside: BTreeSet<Vec<u8>>,
}

/// The directory of the last entry: most entries follow another of the same directory.
struct Parent {
    listed: Vec<u8>,
    directory: Directory,
}

impl Unpacker<'_> {
    /// Unpacks one package; with `only`, just those paths of it (as in its archive).
    ///
    /// # Errors
    /// When the archive is malformed, a path belongs to another package, or writing fails.
    pub fn package(
        &self,
        index: usize,
        package: &Package,
        only: Option<&BTreeSet<Vec<u8>>>,
    ) -> Result<Unpacked> {
        let mut work = Work {
            unpacker: self,
            index,
            package,
            sum_all: !package.has("md5sums"),
            only,
            parent: None,
            result: Unpacked::default(),
        };
        let mut tarball = Tarball::new(package.deb.data()?);
        work.entries(&mut tarball)
            .map_err(|error| error.context(unpacking(package)))?;
        Ok(work.result)
    }
}

/// What is being done when something of a package cannot be written.
pub(super) fn unpacking(package: &Package) -> String {
    format!("unpacking package `{}`", package.name)
}

struct Work<'a> {
    unpacker: &'a Unpacker<'a>,
    index: usize,
    package: &'a Package,
    sum_all: bool,
    only: Option<&'a BTreeSet<Vec<u8>>>,
    parent: Option<Parent>,
    result: Unpacked,
}

impl Work<'_> {
    fn entries(&mut self, tarball: &mut Tarball<impl Read>) -> Result<()> {
        while let Some(entry) = tarball.next()? {
            self.entry(entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, mut entry: Entry<'_, impl Read>) -> Result<()> {
        let listed = entry.path.clone();
        if self.only.is_some_and(|only| !only.contains(&listed)) {
            return Ok(());
        }
        self.result.listed.push(listed.clone());
        if listed.is_empty() {
            return Ok(());
        }
        let target = self.divert(&listed)?;
        let sort = match entry.kind {
            EntryType::Directory => Sort::Directory,
            EntryType::Symlink => Sort::Symlink,
            _ => Sort::Other,
        };
        if self
            .unpacker
            .excludes
            .leave_out(&listed, sort != Sort::Other)
        {
            return Ok(());
        }
        self.result.placed.push(target.clone());
        let (folder, name) = split(&target);
        let parent = self.parent(folder)?;
        let path = parent.directory.path.join(name);
        let claim = Claim {
            package: self.index,
            stage: self.unpacker.stage,
            sort,
            mtime: entry.mtime,
            conffile: self.package.is_conffile(&listed),
            listed: listed.clone(),
        };
        let done = match sort {
            Sort::Directory => self.directory(&parent, &path, claim, &entry),
            _ => self.other(&parent, &path, claim, &mut entry),
        };
        self.parent = Some(parent);
        done
    }

    /// Where the file goes. Nothing may go where another package's file was diverted to.
    fn divert(&self, listed: &[u8]) -> Result<Vec<u8>> {
        let diversions = self.unpacker.diversions;
        if let Some((from, _)) = diversions.leading_to(listed) {
            return Err(Error::new(
                Kind::Resolve,
                format!(
                    "`/{}` is where `/{}` has been diverted to",
                    listed.escape_ascii(),
                    from.escape_ascii()
                ),
            ));
        }
        Ok(diversions.target(listed, &self.package.name).to_vec())
    }

    fn parent(&mut self, listed: &[u8]) -> Result<Parent> {
        match self.parent.take() {
            Some(parent) if parent.listed == listed => Ok(parent),
            _ => Ok(Parent {
                listed: listed.to_vec(),
                directory: self.unpacker.root.make_directory(listed)?,
            }),
        }
    }

    fn directory(
        &self,
        parent: &Parent,
        path: &TreePath,
        claim: Claim,
        entry: &Entry<'_, impl Read>,
    ) -> Result<()> {
        let fd = parent.directory.fd();
        let outside = || self.unpacker.root.outside(path.as_bytes());
        let made = match rustix::fs::mkdirat(fd, path.name(), Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error).io("making directory", outside()),
        };
        let mut mounted = false;
        if !made {
            let stat = rustix::fs::statat(fd, path.name(), AtFlags::SYMLINK_NOFOLLOW)
                .io("looking at", outside())?;
            match FileType::from_raw_mode(stat.st_mode) {
                // The sandbox's own /proc and /dev: not ours to change, and gone afterwards.
                FileType::Directory => {
                    let above = rustix::fs::fstat(fd).io("looking at", outside())?;
                    mounted = above.st_dev != stat.st_dev;
                }
                // A link to a directory stays, as `/bin` does.
                FileType::Symlink if self.unpacker.root.is_directory(path.as_bytes()) => {
                    return self.unpacker.claims.directory_at_link(path, &claim);
                }
                _ => {
                    let message = format!("`/{path}` is in the way of a directory");
                    return Err(Error::new(Kind::Sandbox, message));
                }
            }
        }
        let meta = self.meta(&claim.listed, entry);
        let apply = made || (self.unpacker.fresh && !mounted);
        self.unpacker.claims.directory(path, claim, || {
            if !apply {
                return Ok(());
            }
            let (uid, gid) = meta.owner();
            rustix::fs::chownat(fd, path.name(), uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .io("giving an owner to", outside())?;
            // Nothing else can have come here since: a directory is never removed.
            rustix::fs::chmodat(
                fd,
                path.name(),
                Mode::from_raw_mode(meta.mode),
                AtFlags::empty(),
            )
            .io("giving a mode to", outside())
        })
    }

    fn other(
        &mut self,
        parent: &Parent,
        path: &TreePath,
        claim: Claim,
        entry: &mut Entry<'_, impl Read>,
    ) -> Result<()> {
        let listed = claim.listed.clone();
        let conffile = claim.conffile;
        let verdict = match self.only {
            // Decided before, and put off.
            Some(_) => Verdict::Again,
            None => self.unpacker.claims.file(path, claim)?,
        };
        match verdict {
            Verdict::Unpack | Verdict::Again => {}
            Verdict::Keep | Verdict::Later => return Ok(()),
            Verdict::Yield => {
                self.result.listed.pop();
                self.result.placed.pop();
                return Ok(());
            }
        }
        let fd = parent.directory.fd();
        let outside = || self.unpacker.root.outside(path.as_bytes());
        let there = match rustix::fs::statat(fd, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error).io("looking at", outside()),
        };
        if there == Some(FileType::Directory) {
            if entry.kind == EntryType::Symlink {
                return Ok(());
            }
            let message = format!("a directory is in the way of the file `/{path}`");
            return Err(Error::new(Kind::Sandbox, message));
        }
        let mut name = path.name().to_vec();
        if there.is_some() && verdict == Verdict::Unpack {
            if conffile {
                name.extend_from_slice(b".dpkg-new");
                self.result.beside.insert(listed.clone());
            } else if entry.kind == EntryType::Symlink
                && there == Some(FileType::Symlink)
                && self.same_directory(path, &parent.directory.path, &entry.link)
            {
                return Ok(());
            }
        }
        let meta = self.meta(&listed, entry);
        match entry.kind {
            EntryType::Regular => {
                let file = create_at(fd, &name).io("creating", outside())?;
                if conffile || self.sum_all {
                    let mut writer = Summing::new(&file);
                    entry.copy_to(&mut writer)?;
                    self.result.sums.insert(listed, writer.finish());
                } else {
                    entry.copy_to(&mut &file)?;
                }
                finish_file(&file, meta, entry).io("finishing", outside())
            }
            EntryType::Link => self.hard_link(fd, &name, &listed, entry),
            _ => special(fd, &name, path, entry, meta, &outside()),
        }
    }

    fn hard_link(
        &mut self,
        fd: BorrowedFd<'_>,
        name: &[u8],
        listed: &[u8],
        entry: &Entry<'_, impl Read>,
    ) -> Result<()> {
        let link = normalize(&entry.link)?;
        if let Some(sum) = self.result.sums.get(&link).cloned() {
            self.result.sums.insert(listed.to_vec(), sum);
        }
        let mut target = self.divert(&link)?;
        if self.result.beside.contains(&link) {
            target.extend_from_slice(b".dpkg-new");
        }
        let root = self.unpacker.root;
        let (folder, target_name) = split(&target);
        let folder = root.directory(folder)?;
        let make = || rustix::fs::linkat(folder.fd(), target_name, fd, name, AtFlags::empty());
        match make() {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(fd, name, AtFlags::empty()).and_then(|()| make())
            }
            other => other,
        }
        .io("making a hard link to", root.outside(&target))
    }

    /// Whether the link at `path` and a link to `target` beside it lead to one
    /// directory; then dpkg leaves what is there.
    fn same_directory(&self, path: &TreePath, parent: &TreePath, target: &[u8]) -> bool {
        let root = self.unpacker.root;
        let target = if target.starts_with(b"/") {
            TreePath::new(target)
        } else {
            parent.join(target)
        };
        match (
            root.directory(path.as_bytes()),
            root.directory(target.as_bytes()),
        ) {
            (Ok(old), Ok(new)) => old.path == new.path,
            _ => false,
        }
    }

    /// Owner and mode: the archive's, unless overridden.
    fn meta(&self, listed: &[u8], entry: &Entry<'_, impl Read>) -> Override {
        self.unpacker.overrides.get(listed).unwrap_or(Override {
            uid: entry.uid,
            gid: entry.gid,
            mode: entry.mode,
        })
    }
}
