//! Made-up packages, assembled with a runner that only pretends to configure.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::super::assemble::{Assemble, Assembled, Runner, assemble};
use super::super::deb::tests::{ar, header, tar_of};
use super::*;
use crate::error::Kind;
use crate::tree::TreePath;

/// A package to be made: name, further control fields, control files, entries.
#[derive(Default)]
struct Made {
    name: &'static str,
    fields: &'static str,
    control: Vec<(&'static str, &'static str)>,
    data: Vec<u8>,
}

fn made(name: &'static str, fields: &'static str) -> Made {
    Made {
        name,
        fields,
        ..Made::default()
    }
}

impl Made {
    fn control(mut self, name: &'static str, text: &'static str) -> Self {
        self.control.push((name, text));
        self
    }

    fn raw(mut self, header: &tar::Header, content: &[u8]) -> Self {
        self.data.extend_from_slice(header.as_bytes());
        self.data.extend_from_slice(content);
        let whole = self.data.len().next_multiple_of(512);
        self.data.resize(whole, 0);
        self
    }

    fn entry(self, name: &str, kind: EntryType, mode: u32, link: &str) -> Self {
        let mut header = header(name.as_bytes(), kind, 0);
        header.set_mode(mode);
        header.set_mtime(1_000_000_000);
        header.set_link_name_literal(link).unwrap();
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        header.set_cksum();
        self.raw(&header, b"")
    }

    fn folder(self, name: &str) -> Self {
        self.entry(name, EntryType::Directory, 0o755, "")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Symlink, 0o777, target)
    }

    fn file(self, name: &str, content: &str) -> Self {
        let mut header = header(name.as_bytes(), EntryType::Regular, content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        self.raw(&header, content.as_bytes())
    }

    fn write(&self, folder: &Path) -> PathBuf {
        let stanza = format!(
            "Package: {}\nVersion: 1.0-1\nArchitecture: all\n{}Description: made up\n",
            self.name, self.fields
        );
        let mut files = vec![("./control", stanza.as_bytes())];
        let names: Vec<String> = self
            .control
            .iter()
            .map(|(name, _)| format!("./{name}"))
            .collect();
        for (name, (_, text)) in names.iter().zip(&self.control) {
            files.push((name, text.as_bytes()));
        }
        let mut data = self.data.clone();
        data.resize(data.len() + 1024, 0);
        let bytes = ar(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar", &tar_of(&files)),
            ("data.tar", &data),
        ]);
        let path = folder.join(format!("{}.deb", self.name));
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// Calls every package installed; before a preinst "runs", `before` may do what it would.
struct Pretend<'a> {
    root: PathBuf,
    before: &'a dyn Fn(&Path, &str),
    ran: Vec<String>,
}

impl Runner for Pretend<'_> {
    fn run(&mut self, argv: &[&str], env: &[(&str, &str)], _: Option<&[u8]>) -> Result<()> {
        if argv[0].ends_with("/preinst") {
            let package = env
                .iter()
                .find(|(name, _)| *name == "DPKG_MAINTSCRIPT_PACKAGE");
            let package = package.unwrap().1;
            assert!(self.root.join("var/lib/dpkg/tmp.ci/control").exists());
            assert_eq!(
                fs::read(self.root.join("usr/sbin/policy-rc.d")).unwrap()[..9],
                *b"#!/bin/sh"
            );
            (self.before)(&self.root, package);
            self.ran.push(package.to_owned());
        } else if argv.contains(&"--configure") {
            let path = self.root.join("var/lib/dpkg/status");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(
                &path,
                text.replace("install ok unpacked", "install ok installed"),
            )
            .unwrap();
            let unincorporated = self.root.join("var/lib/dpkg/triggers/Unincorp");
            self.ran.push(format!(
                "configure {}",
                fs::read_to_string(unincorporated).unwrap()
            ));
        }
        Ok(())
    }
}

struct Outcome {
    folder: tempfile::TempDir,
    result: Result<Assembled>,
    ran: Vec<String>,
}

impl Outcome {
    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    fn owner(&self, path: &str) -> Option<&str> {
        let owned = &self.result.as_ref().unwrap().owned;
        Some(&owned.paths.get(&TreePath::from(path))?.package)
    }

    fn listed(&self, package: &str) -> Vec<String> {
        let text = self.read(&format!("var/lib/dpkg/info/{package}.list"));
        text.lines().map(str::to_owned).collect()
    }
}

/// Assembles these packages beside the two that every root has.
fn run_with(
    packages: Vec<Made>,
    excludes: &[&str],
    before: &dyn Fn(&Path, &str),
) -> Option<Outcome> {
    // Owners cannot be given otherwise; CI runs these tests as root, too.
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let merged = made("base-files", "Essential: yes\n")
        .folder("./")
        .folder("./usr/")
        .folder("./usr/bin/")
        .link("./bin", "usr/bin");
    let dpkg = made("dpkg", "Essential: yes\n")
        .folder("./var/")
        .folder("./usr/sbin/");
    let mut all = packages;
    if !all.iter().any(|package| package.name == "base-files") {
        all.push(merged);
    }
    all.push(dpkg);
    let request = Assemble {
        root: root.clone(),
        architecture: "amd64".to_owned(),
        foreign_architectures: Vec::new(),
        packages: all
            .iter()
            .map(|package| package.write(folder.path()))
            .collect(),
        excludes: excludes.iter().map(|&pattern| pattern.to_owned()).collect(),
    };
    let mut runner = Pretend {
        root,
        before,
        ran: Vec::new(),
    };
    let result = assemble(&request, &mut runner, &|_| {});
    let ran = runner.ran;
    Some(Outcome {
        folder,
        result,
        ran,
    })
}

fn run(packages: Vec<Made>) -> Option<Outcome> {
    run_with(packages, &[], &|_, _| {})
}

#[test]
fn aliases_are_honoured_and_listed_as_in_the_archive() {
    let old = made("base-files", "Essential: yes\n")
        .folder("./")
        .folder("./bin/");
    let tool = made("tool", "").folder("./bin/").file("./bin/tool", "x");
    for base in [Some(old), None] {
        let tool = Made {
            data: tool.data.clone(),
            ..made("tool", "")
        };
        let Some(done) = run(base.into_iter().chain([tool]).collect()) else {
            return;
        };
        assert_eq!(
            fs::read_link(done.root().join("bin")).unwrap(),
            Path::new("usr/bin")
        );
        assert_eq!(done.owner("usr/bin/tool"), Some("tool"));
        assert_eq!(done.owner("bin/tool"), None);
        assert_eq!(done.listed("tool"), ["/bin", "/bin/tool"]);
    }
}

#[test]
fn replaced_files_belong_to_the_one_that_replaces() {
    // In both orders of size, and so of unpacking.
    for padding in [10, 100_000] {
        let new = made("new", "Replaces: old (<< 2)\n")
            .file("./etc/x", "new")
            .file("./pad", &"p".repeat(padding));
        let old = made("old", "")
            .file("./etc/x", "old")
            .file("./etc/y", &"p".repeat(50_000));
        let Some(done) = run(vec![new, old]) else {
            return;
        };
        assert_eq!(done.read("etc/x"), "new");
        assert_eq!(done.owner("etc/x"), Some("new"));
        assert_eq!(done.listed("old"), ["/etc/y"]);
        assert_eq!(done.listed("new"), ["/etc/x", "/pad"]);
    }
}

#[test]
fn a_file_of_two_packages_is_an_error_that_names_both() {
    let one = made("one", "Replaces: two (<< 1)\n").file("./etc/x", "1");
    let two = made("two", "").file("./etc/x", "2");
    let Some(done) = run(vec![one, two]) else {
        return;
    };
    let error = done.result.unwrap_err();
    assert_eq!(error.kind(), Kind::Resolve);
    let message = error.message();
    assert!(
        message.contains("`one` and `two`") && message.contains("`/etc/x`"),
        "{message}"
    );
}

#[test]
fn a_link_and_a_directory_at_once_are_an_error() {
    let one = made("one", "").folder("./srv/").folder("./srv/x/");
    let two = made("two", "")
        .folder("./srv/")
        .link("./srv/x", "y")
        .folder("./srv/y/");
    let Some(done) = run(vec![one, two]) else {
        return;
    };
    assert!(
        done.result
            .unwrap_err()
            .message()
            .contains("`one` and `two`")
    );
}

#[test]
fn a_later_directory_keeps_the_link() {
    let one = made("one", "")
        .folder("./srv/")
        .folder("./srv/y/")
        .link("./srv/x", "y");
    let two = made("two", "").control("preinst", "#!/bin/sh\n");
    let two = two
        .folder("./srv/")
        .folder("./srv/x/")
        .file("./srv/x/f", "f");
    let Some(done) = run(vec![one, two]) else {
        return;
    };
    assert_eq!(done.owner("srv/y/f"), Some("two"));
    assert_eq!(done.listed("two"), ["/srv", "/srv/x", "/srv/x/f"]);
}

#[test]
fn nothing_is_written_outside_the_root() {
    let outside = tempfile::tempdir().unwrap();
    let target: &'static str = outside.path().to_str().unwrap().to_owned().leak();
    let one = made("one", "").folder("./srv/").link("./srv/out", target);
    let two = made("two", "").control("preinst", "#!/bin/sh\n");
    let two = two
        .folder("./srv/")
        .folder("./srv/out/")
        .file("./srv/out/f", "f");
    let Some(done) = run(vec![one, two]) else {
        return;
    };
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    // The link dangles inside the root, so there is something in a directory's way.
    assert!(done.result.unwrap_err().message().contains("in the way"));
}

#[test]
fn excluded_paths_are_listed_but_not_there() {
    let one = made("one", "")
        .folder("./usr/")
        .folder("./usr/share/")
        .folder("./usr/share/doc/");
    let one = one.folder("./usr/share/doc/one/");
    let one = one
        .file("./usr/share/doc/one/README", "r")
        .file("./usr/share/doc/one/copyright", "c");
    let Some(done) = run_with(vec![one], &["/usr/share/doc/*"], &|_, _| {}) else {
        return;
    };
    assert!(!done.root().join("usr/share/doc/one/README").exists());
    assert_eq!(done.read("usr/share/doc/one/copyright"), "c");
    assert_eq!(done.owner("usr/share/doc/one/README"), None);
    assert!(
        done.listed("one")
            .contains(&"/usr/share/doc/one/README".to_owned())
    );
}

#[test]
fn diversions_of_a_preinst_are_honoured() {
    let early = made("early", "").folder("./etc/").file("./etc/e", "early");
    let diverter = made("diverter", "").control("preinst", "#!/bin/sh\n");
    let diverter = diverter
        .folder("./etc/")
        .file("./etc/d", "diverter's")
        .file("./etc/e", "diverter's");
    let other = made("other", "").control("preinst", "#!/bin/sh\n");
    let other = other.folder("./etc/").file("./etc/d", "other's");
    let divert = |root: &Path, package: &str| {
        if package == "diverter" {
            fs::rename(root.join("etc/e"), root.join("etc/e.orig")).unwrap();
            let text = "/etc/d\n/etc/d.orig\ndiverter\n/etc/e\n/etc/e.orig\ndiverter\n";
            fs::write(root.join("var/lib/dpkg/diversions"), text).unwrap();
        }
    };
    let Some(done) = run_with(vec![early, diverter, other], &[], &divert) else {
        return;
    };
    assert_eq!(done.read("etc/d"), "diverter's");
    assert_eq!(done.read("etc/d.orig"), "other's");
    assert_eq!(done.read("etc/e.orig"), "early");
    let owners = ["etc/d", "etc/d.orig", "etc/e", "etc/e.orig"].map(|path| done.owner(path));
    assert_eq!(
        owners,
        [
            Some("diverter"),
            Some("other"),
            Some("diverter"),
            Some("early")
        ]
    );
    assert_eq!(done.listed("other"), ["/etc", "/etc/d"]);
}

#[test]
fn preinsts_run_after_what_they_predepend_on() {
    let script = "#!/bin/sh\n";
    let a = made("aa", "Pre-Depends: zz\n").control("preinst", script);
    let z = made("zz", "Depends: mm\n").control("preinst", script);
    let m = made("mm", "");
    let shell = made("shell", "Essential: yes\n").control("preinst", script);
    let Some(done) = run(vec![a, z, m, shell]) else {
        return;
    };
    done.result.as_ref().unwrap();
    let order: Vec<&str> = done
        .ran
        .iter()
        .map(|ran| ran.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        order,
        ["shell", "configure", "zz", "configure", "aa", "configure"]
    );
    assert!(!done.root().join("var/lib/dpkg/tmp.ci").exists());
    assert!(!done.root().join("usr/sbin/policy-rc.d").exists());
}

#[test]
fn conffiles_have_sums_and_yield_to_what_a_preinst_made() {
    let one = made("one", "")
        .control("conffiles", "/etc/c\n")
        .folder("./etc/")
        .file("./etc/c", "c");
    let two = made("two", "").control("preinst", "#!/bin/sh\n");
    let two = two.control("conffiles", "/etc/d\nremove-on-upgrade /etc/gone\n");
    let two = two.folder("./etc/").file("./etc/d", "shipped");
    let prepare = |root: &Path, _: &str| fs::write(root.join("etc/d"), "made").unwrap();
    let Some(done) = run_with(vec![one, two], &[], &prepare) else {
        return;
    };
    let status = done.read("var/lib/dpkg/status");
    assert!(
        status.contains("\n /etc/c 4a8a08f09d37b73795649038408b5f33\n"),
        "{status}"
    );
    assert!(status.contains("\n /etc/d newconffile\n"), "{status}");
    assert!(
        status.contains("\n /etc/gone newconffile remove-on-upgrade\n"),
        "{status}"
    );
    assert_eq!(done.read("etc/d"), "made");
    assert_eq!(done.read("etc/d.dpkg-new"), "shipped");
    let owned = done
        .result
        .as_ref()
        .unwrap()
        .owned
        .paths
        .get(&TreePath::from("etc/c"));
    assert!(owned.unwrap().conffile);
}

#[test]
fn metadata_is_kept() {
    let mut suid = header(b"./usr/bin/su", EntryType::Regular, 2);
    suid.set_mode(0o4755);
    suid.set_uid(5);
    suid.set_gid(42);
    suid.set_mtime(1_234_567_890);
    suid.set_cksum();
    let one = made("one", "").raw(&suid, b"su");
    let one = one.entry("./usr/bin/hard", EntryType::Link, 0o755, "./usr/bin/su");
    let one = one.entry("./usr/pipe", EntryType::Fifo, 0o600, "");
    let one = one.entry("./usr/null", EntryType::Char, 0o666, "");
    let one = one.entry("./usr/sticky", EntryType::Directory, 0o1777, "");
    let Some(done) = run(vec![one]) else { return };
    let about = |path: &str| fs::symlink_metadata(done.root().join(path)).unwrap();
    let su = about("usr/bin/su");
    assert_eq!((su.mode(), su.uid(), su.gid()), (0o104_755, 5, 42));
    assert_eq!((su.mtime(), su.nlink()), (1_234_567_890, 2));
    assert_eq!(about("usr/bin/hard").ino(), su.ino());
    assert_eq!(about("usr/pipe").mode(), 0o010_600);
    assert_eq!(about("usr/null").mode(), 0o020_666);
    assert_eq!(about("usr/null").rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(about("usr/sticky").mode(), 0o041_777);
    let sums = done.read("var/lib/dpkg/info/one.md5sums");
    let sum = "0b180078d994cb2b5ed89d7ce8e7eea2";
    assert_eq!(sums, format!("{sum}  usr/bin/su\n{sum}  usr/bin/hard\n"));
}

#[test]
fn overrides_and_triggers_apply_to_later_packages() {
    let man = made("man", "").control("triggers", "interest-noawait /usr/share/man\n");
    let one = made("one", "").control("preinst", "#!/bin/sh\n");
    let one = one
        .folder("./usr/share/")
        .folder("./usr/share/man/")
        .file("./usr/share/man/p", "p");
    let prepare = |root: &Path, _: &str| {
        fs::write(
            root.join("var/lib/dpkg/statoverride"),
            "#7 #8 600 /usr/share/man/p\n",
        )
        .unwrap();
    };
    let Some(done) = run_with(vec![man, one], &[], &prepare) else {
        return;
    };
    let page = fs::metadata(done.root().join("usr/share/man/p")).unwrap();
    assert_eq!(
        (page.uid(), page.gid(), page.mode() & 0o7777),
        (7, 8, 0o600)
    );
    assert_eq!(
        done.read("var/lib/dpkg/triggers/File"),
        "/usr/share/man man/noawait\n"
    );
    assert_eq!(done.ran.last().unwrap(), "configure /usr/share/man -\n");
}

#[test]
fn packages_that_cannot_make_a_root_are_refused() {
    for (package, expected) in [
        (
            made("one", "X-Own: 1\n").control("triggers", "listen x\n"),
            "triggers",
        ),
        (
            made("one", "").file("./etc", "file").folder("./etc/x/"),
            "making directory",
        ),
    ] {
        let Some(done) = run(vec![package]) else {
            return;
        };
        let message = done.result.unwrap_err().message();
        assert!(
            message.contains(expected) && message.contains("`one`"),
            "{message}"
        );
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let outcome = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let packages = ["pa", "pb", "pc", "pd", "pe", "pf"]
            .into_iter()
            .zip(0..)
            .map(|(name, at)| {
                let folder = format!("./srv/{}/", at % 2);
                let package = made(name, "").folder("./srv/");
                let package = package.entry(&folder, EntryType::Directory, 0o700 + at, "");
                package.file(&format!("{folder}{name}"), &name.repeat(1000 * at as usize))
            });
        let packages = packages.collect();
        let done = pool.install(|| run(packages))?;
        let modes =
            ["srv/0", "srv/1"].map(|path| fs::metadata(done.root().join(path)).unwrap().mode());
        let status = done.read("var/lib/dpkg/status");
        Some((done.result.unwrap().owned, modes, status))
    };
    let one = outcome(1);
    for threads in [2, 4, 8] {
        assert!(outcome(threads) == one);
    }
}
