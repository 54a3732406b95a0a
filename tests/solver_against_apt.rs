//! The host's own apt judges the solver: same indices, same request, same choice.
//!
//! For each suite an empty root for apt is made (its own lists, an empty dpkg
//! status) from the mirror in the host's apt sources. Then each set of packages is
//! given to `apt-get --simulate install --no-install-recommends '?essential' SET`
//! and to our solver, and the names and versions must be equal; where apt finds
//! no solution, we must find none. Network is needed; without it the test fails.
//!
//! `SOLVER_SETS='vim;exim4 postfix'` asks for other sets than those of the table.

#![expect(clippy::print_stderr, reason = "the test reports its measurements")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nodelith::source::debian::choice::index::Universe;
use nodelith::source::debian::choice::solve::{Request, choose};

#[path = "solver_against_apt/sets.rs"]
mod sets;

const ARCHITECTURE: &str = "amd64";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

#[test]
fn trixie() {
    judge("trixie", 2);
}

#[test]
fn bookworm() {
    judge("bookworm", 8);
}

/// Names with versions, or what was said instead.
type Choice = Result<BTreeMap<String, String>, String>;

/// Asks apt about every set with `NODELITH_TEST_ALL`, else about each of so many:
/// apt takes a second or more for one.
fn judge(suite: &str, each: usize) {
    let each = match std::env::var_os("NODELITH_TEST_ALL") {
        Some(_) => 1,
        None => each,
    };
    let root = AptRoot::make(suite);
    let began = Instant::now();
    let universe = root.universe();
    let reading = began.elapsed();
    let mut report = String::new();
    let mut compared = 0;
    let mut solving = Duration::ZERO;
    let given = std::env::var("SOLVER_SETS").ok();
    let given: Option<Vec<&str>> = given.as_ref().map(|sets| sets.split(';').collect());
    let sets = given.unwrap_or_else(|| sets::SETS.iter().copied().step_by(each).collect());
    for set in sets {
        let (mut install, mut exclude) = (Vec::new(), Vec::new());
        for word in set.split_whitespace() {
            match word.strip_suffix('-') {
                Some(name) => exclude.push(name.to_owned()),
                None => install.push(word.to_owned()),
            }
        }
        let request = Request {
            architecture: ARCHITECTURE.to_owned(),
            install,
            exclude,
        };
        let began = Instant::now();
        let ours = choose(&universe, &request);
        solving += began.elapsed();
        let ours: Choice = match ours {
            Ok(packages) => Ok(packages
                .iter()
                .map(|package| (package.name().to_owned(), package.version().to_owned()))
                .collect()),
            Err(error) => Err(error.message()),
        };
        compare(set, &root.apt(set), &ours, &mut report);
        compared += 1;
    }
    eprintln!(
        "{suite}: {} packages read in {reading:.2?}, {compared} sets solved in {solving:.2?}",
        universe.packages().len()
    );
    assert!(
        report.is_empty(),
        "{suite}: our choice is not apt's:\n{report}"
    );
}

fn compare(set: &str, apt: &Choice, ours: &Choice, report: &mut String) {
    match (apt, ours) {
        (Ok(apt), Ok(ours)) if apt == ours => {}
        (Err(_), Err(said)) => eprintln!("both refuse `{set}`: {said}"),
        (Ok(apt), Ok(ours)) => {
            let _ = writeln!(report, "- {set}");
            for (name, version) in apt {
                match ours.get(name) {
                    None => {
                        let _ = writeln!(report, "    only apt: {name} {version}");
                    }
                    Some(other) if other != version => {
                        let _ = writeln!(report, "    {name}: apt {version}, we {other}");
                    }
                    Some(_) => {}
                }
            }
            for (name, version) in ours {
                if !apt.contains_key(name) {
                    let _ = writeln!(report, "    only we: {name} {version}");
                }
            }
        }
        (Ok(apt), Err(said)) => {
            let _ = writeln!(
                report,
                "- {set}\n    apt chooses {} packages, we say: {said}",
                apt.len()
            );
        }
        (Err(said), Ok(ours)) => {
            let _ = writeln!(
                report,
                "- {set}\n    we choose {} packages, apt says: {said}",
                ours.len()
            );
        }
    }
}

/// An empty root of apt's for one suite, with its indices downloaded.
struct AptRoot {
    directory: PathBuf,
    suite: String,
}

impl AptRoot {
    fn make(suite: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("solver-{suite}"));
        for name in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(directory.join(name)).expect("making apt's folders");
        }
        let root = Self {
            directory,
            suite: suite.to_owned(),
        };
        let sources = root.sources();
        root.write("etc/apt/sources.list", &sources);
        root.write("state/status", "");
        let own = root.directory.display();
        // Settings of the host's network (a proxy, say) stay; all else is apt's default.
        let network =
            run(Command::new("apt-config").args(["dump", "Acquire::http", "Acquire::https"]));
        let config = format!(
            "{}\nDir \"{own}\";\nDir::State \"{own}/state\";\nDir::State::status \"{own}/state/status\";\n\
             Dir::Cache \"{own}/cache\";\nDir::Log \"{own}\";\nAPT::Architecture \"{ARCHITECTURE}\";\n\
             APT::Architectures {{ \"{ARCHITECTURE}\"; }};\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n\
             pkgCacheGen::ForceEssential \",\";\nDebug::NoLocking \"true\";\n",
            String::from_utf8_lossy(&network.stdout)
        );
        root.write("apt.conf", &config);
        let update = root.apt_get(&["update", "--error-on=any"]);
        assert!(
            update.status.success(),
            "the mirror of the host's apt sources cannot be reached, or does not have `{suite}`; this test needs it:\n{}{}",
            String::from_utf8_lossy(&update.stdout),
            String::from_utf8_lossy(&update.stderr)
        );
        root
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.join(name);
        fs::write(&path, text)
            .unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
    }

    /// The host's mirrors with this suite in place of their own.
    fn sources(&self) -> String {
        let format = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(SIGNED_BY)";
        let targets = run(Command::new("apt-get").args(["indextargets", "--format", format]));
        let targets = String::from_utf8_lossy(&targets.stdout).into_owned();
        let hosts = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let codename = hosts
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .expect("the host is a Debian that names its codename");
        let mirror = |release: &str| {
            targets.lines().find_map(|line| {
                let mut words = line.split(' ');
                let (uri, found, component) = (words.next()?, words.next()?, words.next()?);
                let keyring = words
                    .next()
                    .filter(|text| text.starts_with('/'))
                    .unwrap_or(KEYRING);
                (found == release && component == "main")
                    .then(|| (uri.to_owned(), keyring.to_owned()))
            })
        };
        let (main, keyring) = mirror(codename).unwrap_or_else(|| {
            panic!("the host's apt sources have no `{codename} main`; this test needs its mirror")
        });
        let suite = &self.suite;
        let mut text = format!("deb [signed-by={keyring}] {main} {suite} main\n");
        let _ = writeln!(
            text,
            "deb [signed-by={keyring}] {main} {suite}-updates main"
        );
        if let Some((security, keyring)) = mirror(&format!("{codename}-security")) {
            let _ = writeln!(
                text,
                "deb [signed-by={keyring}] {security} {suite}-security main"
            );
        }
        text
    }

    fn apt_get(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("apt-get");
        command
            .env("APT_CONFIG", self.directory.join("apt.conf"))
            .env("LC_ALL", "C")
            .args(arguments);
        command.output().expect("running apt-get")
    }

    /// The same indices in the same order.
    fn universe(&self) -> Universe {
        let list = self.apt_get(&[
            "indextargets",
            "--format",
            "$(RELEASE) $(FILENAME)",
            "Created-By: Packages",
        ]);
        let mut universe = Universe::new(ARCHITECTURE);
        for line in String::from_utf8_lossy(&list.stdout).lines() {
            let (release, file) = line.split_once(' ').expect("a release and a file");
            let text =
                fs::read_to_string(file).unwrap_or_else(|error| panic!("reading {file}: {error}"));
            universe
                .add("debian", release, text)
                .expect("a well-formed index");
        }
        assert!(
            universe.packages().len() > 50_000,
            "apt has downloaded no full index"
        );
        universe
    }

    /// What apt would install.
    fn apt(&self, set: &str) -> Choice {
        let mut arguments = vec![
            "--simulate",
            "--no-install-recommends",
            "install",
            "?essential",
        ];
        arguments.extend(set.split_whitespace());
        let output = self.apt_get(&arguments);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().filter_map(|line| line.strip_prefix("Inst "));
        Ok(lines
            .map(|line| {
                let (name, rest) = line.split_once(' ').expect("a name");
                let version = rest
                    .trim_start_matches('(')
                    .split(' ')
                    .next()
                    .expect("a version");
                (name.to_owned(), version.to_owned())
            })
            .collect())
    }
}

fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("running {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
