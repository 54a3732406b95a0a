//! Running what packages bring along: preinsts by ourselves, everything else
//! through the root's own dpkg.

use super::assemble::Runner;
use super::guard::Guards;
use super::incoming::Package;
use super::rootdir::RootDir;
use crate::error::Result;
use crate::tree::FIXED_TIME;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where dpkg has the control files of the package it is unpacking; debconf
/// looks for them there.
const TEMPORARY: &str = "var/lib/dpkg/tmp.ci";

/// `fsync` is of no use in a root that is thrown away if the machine dies, and a
/// conffile that a preinst has made is kept, as an answer given beforehand.
const DPKG: [&str; 4] = [
    "dpkg",
    "--force-unsafe-io",
    "--force-confdef",
    "--force-confold",
];

/// Runs scripts in a root. The guards stand only while something runs.
pub(super) struct Scripts<'a> {
    pub root: &'a RootDir,
    pub runner: &'a mut dyn Runner,
    /// The version of the root's dpkg, as it tells its scripts.
    pub dpkg_version: String,
}

impl Scripts<'_> {
    /// Runs `preinst install` of a package, as dpkg does before it unpacks one.
    pub fn preinst(&mut self, package: &Package) -> Result<()> {
        let run = |scripts: &mut Self| scripts.preinst_unguarded(package);
        self.guarded(run).map_err(|error| {
            error.context(format!("running the preinst of package `{}`", package.name))
        })
    }

    /// Configures these packages, or with none given all that are not configured.
    pub fn configure(&mut self, packages: &[&Package], force: bool) -> Result<()> {
        let names: Vec<String> = packages.iter().map(|one| one.database_name()).collect();
        let mut command = DPKG.to_vec();
        if force {
            command.push("--force-depends");
        }
        command.push("--configure");
        if names.is_empty() {
            command.push("--pending");
        }
        command.extend(names.iter().map(String::as_str));
        self.guarded(|scripts| scripts.runner.run(&command, &environment(), None))
            .map_err(|error| error.context("configuring packages"))
    }

    /// Lets dpkg look for packages that are not as they should be.
    pub fn audit(&mut self) -> Result<()> {
        let script = "found=$(dpkg --audit) && test -z \"$found\" || { echo \"$found\"; exit 1; }";
        self.runner
            .run(&["sh", "-c", script], &environment(), None)
            .map_err(|error| error.context("looking for packages that are not fully installed"))
    }

    fn guarded(&mut self, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let guards = Guards::raise(self.root)?;
        let done = run(self);
        let lowered = guards.lower(self.root);
        done.and(lowered)
    }

    fn preinst_unguarded(&mut self, package: &Package) -> Result<()> {
        let path = |name: &str| format!("{TEMPORARY}/{name}").into_bytes();
        self.root.make_directory(TEMPORARY.as_bytes())?;
        let mut control = String::new();
        for (name, value) in package.control.stanza.fields() {
            control.push_str(&format!("{name}: {value}\n"));
        }
        self.root
            .write(&path("control"), control.as_bytes(), 0o644)?;
        for (name, file) in &package.control.files {
            self.root.write(&path(name), &file.bytes, file.mode)?;
        }
        let script = format!("/{TEMPORARY}/preinst");
        let mut environment = environment();
        environment.extend([
            ("DPKG_MAINTSCRIPT_PACKAGE", &*package.name),
            ("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1"),
            ("DPKG_MAINTSCRIPT_ARCH", &package.architecture),
            ("DPKG_MAINTSCRIPT_NAME", "preinst"),
            ("DPKG_MAINTSCRIPT_DEBUG", "0"),
            ("DPKG_RUNNING_VERSION", &self.dpkg_version),
            ("DPKG_ADMINDIR", "/var/lib/dpkg"),
            ("DPKG_ROOT", ""),
        ]);
        self.runner.run(&[&script, "install"], &environment, None)?;
        for name in package.control.files.keys() {
            self.root.remove(&path(name))?;
        }
        self.root.remove(&path("control"))?;
        self.root.remove_directory(TEMPORARY.as_bytes())
    }
}

/// What every program in the root is given.
fn environment() -> Vec<(&'static str, &'static str)> {
    vec![
        ("PATH", PATH),
        ("HOME", "/root"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        ("SOURCE_DATE_EPOCH", EPOCH),
    ]
}

/// [`FIXED_TIME`] in decimal: scripts that honour it write the same on every day.
const EPOCH: &str = "315532800";
const _: () = assert!(FIXED_TIME == 315_532_800);
