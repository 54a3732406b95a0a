//! Scenes: each is played in one process, whoever that runs as.

use std::fs;
use std::path::Path;

use nodelith::error::{Error, Kind, Result};
use nodelith::sandbox::{self, Chosen, Facts, Mode};
use serde_json::Value;

use super::jobs::Job;
use super::place::make_root;

/// Seconds that lingering programs sleep; a number by which to find them.
pub const MARKER: &str = "98765.4321";

/// Plays a scene, named by its words, the mode last, in `folder`.
pub fn play(name: &str, folder: &Path) {
    let mut words: Vec<&str> = name.split(' ').collect();
    if words[0] == "contained" {
        contain();
        words.remove(0);
    }
    let mode: Mode = words[1].parse().unwrap();
    match words[0] {
        "apart" => apart(&chosen(mode)),
        "auto" => auto(mode),
        "refused" => {
            let error = sandbox::choose(mode, architecture(), &Facts::gather()).unwrap_err();
            assert_eq!(error.kind(), Kind::Sandbox);
            assert!(error.message().contains("needs root"), "{error}");
        }
        "scripts" => scripts(&chosen(mode), folder),
        "owners" => run(&chosen(mode), &Job::Own(folder.to_owned()))
            .map(drop)
            .unwrap(),
        "remove" => remove(&chosen(mode), folder),
        "deaths" => deaths(&chosen(mode)),
        "nodev" => nodev(&chosen(mode), folder),
        "linger" => linger(&chosen(mode), folder),
        other => panic!("no scene `{other}`"),
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn chosen(mode: Mode) -> Chosen {
    let chosen = sandbox::choose(mode, architecture(), &Facts::gather()).unwrap();
    assert_eq!(chosen.mode(), mode);
    chosen
}

fn run(chosen: &Chosen, job: &Job) -> Result<Value> {
    sandbox::run(chosen, job, &mut |_| {})
}

fn auto(expected: Mode) {
    let chosen = sandbox::choose(Mode::Auto, architecture(), &Facts::gather()).unwrap();
    assert_eq!(chosen.mode(), expected);
    assert_eq!(chosen.warnings().is_empty(), expected != Mode::Chroot);
    run(&chosen, &Job::Look).unwrap();
}

/// As docker's default filter does: no mounts, no new namespaces.
fn contain() {
    use seccompiler::{SeccompAction, SeccompFilter};
    let calls = [
        libc::SYS_unshare,
        libc::SYS_mount,
        libc::SYS_setns,
        libc::SYS_umount2,
    ];
    let filter = SeccompFilter::new(
        calls.into_iter().map(|call| (call, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

fn apart(chosen: &Chosen) {
    let mut events = Vec::new();
    let seen: Value = sandbox::run(chosen, &Job::Look, &mut |event| events.push(event)).unwrap();
    assert_eq!(events, ["looking"]);
    assert_eq!(seen["uid"], 0);
    assert_eq!(seen["gid"], 0);
    assert_eq!(seen["pid"], 2);
    assert_eq!(seen["host"], "localhost");
    assert_eq!(seen["interfaces"], serde_json::json!(["lo"]));
    assert_eq!(seen["connect"], libc::ENETUNREACH);
    if chosen.mode() == Mode::Userns {
        for map in ["uid_map", "gid_map"] {
            let lines = seen[map].as_str().unwrap();
            let count: u32 = lines
                .lines()
                .map(|line| {
                    line.split_whitespace()
                        .nth(2)
                        .unwrap()
                        .parse::<u32>()
                        .unwrap()
                })
                .sum();
            assert_eq!(count, 65_536, "{lines}");
        }
        let own = rustix::process::getuid().as_raw().to_string();
        let first = seen["uid_map"].as_str().unwrap().lines().next().unwrap();
        assert_eq!(
            first.split_whitespace().collect::<Vec<_>>(),
            ["0", &own, "1"]
        );
    }
}

/// What any script may do, may not do, and finds.
const SCRIPT: &str = r#"
set -e
test "$GREETING" = hello
test "$(pwd)" = /
test "$(umask)" = 0022
test "$(cat)" = input
test "$(id -u):$(id -g):$(id -G)" = 0:0:0
test "$(ulimit -n)" = 1024
test "$(ulimit -c)" = 0
echo lost > /dev/null
test -z "$(cat /dev/null)"
test -c /dev/zero && test -c /dev/full && test -c /dev/random
perl -e 'open F, "<", "/dev/urandom" or die; read F, $x, 16; exit(length $x != 16)'
touch /made-by-script /dev/shm/gone /dev/gone /run/kept
perl -e 'chown 7, 8, "/made-by-script" or die; chmod 02755, "/made-by-script" or die'
echo "the script has run" >&2
"#;

/// Each call that must fail, with the error it must give.
const REFUSALS: &str = r#"
sub refused { my ($what, $errno, $done) = @_;
  die "$what was allowed\n" if $done && $done != -1;
  die "$what: $!\n" unless $! == $errno }
refused("an INET socket", 97, socket(S, 2, 1, 0));
refused("an INET6 socket", 97, socket(S, 10, 2, 0));
refused("a NETLINK socket", 97, socket(S, 16, 3, 0));
die "no UNIX socket: $!\n" unless socket(S, 1, 1, 0);
"#;

/// (name, x86-64 number, aarch64 number, arguments)
const CALLS: &[(&str, u32, u32, &str)] = &[
    ("ptrace", 101, 117, "0, 0, 0, 0"),
    ("mount", 165, 40, "'none', '/tmp', 'tmpfs', 0, 0"),
    ("umount2", 166, 39, "'/dev', 2"),
    ("unshare", 272, 97, "0x10000000"),
    ("bpf", 321, 280, "0, 0, 0"),
    ("reboot", 169, 142, "0, 0, 0, 0"),
    ("sethostname", 170, 161, "'evil', 4"),
    ("init_module", 175, 105, "0, 0, 0"),
    ("io_uring_setup", 425, 425, "1, 0"),
];

fn scripts(chosen: &Chosen, folder: &Path) {
    let root = folder.join("root");
    let log = folder.join("log");
    make_root(&root);
    let mut refusals = REFUSALS.to_owned();
    for (name, x86, arm, arguments) in CALLS {
        let number = if cfg!(target_arch = "x86_64") {
            x86
        } else {
            arm
        };
        refusals.push_str(&format!(
            "refused('{name}', 1, syscall({number}, @{{[{arguments}]}}));\n"
        ));
    }
    let command = |argv: &[&str]| argv.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let mut commands = vec![
        command(&["sh", "-c", SCRIPT]),
        command(&["perl", "-e", &refusals]),
        // Left running: must not hinder the end.
        command(&["sh", "-c", "(setsid sleep 98765.1 >/dev/null 2>&1 &)"]),
    ];
    if chosen.mode() != Mode::Chroot {
        let script = "test -d /proc/self && test -e /dev/pts/ptmx && echo again >/dev/stderr && ! (echo evil > /proc/sys/kernel/core_pattern)";
        commands.push(command(&["sh", "-c", script]));
    }
    let ask = |commands| Job::Scripts {
        root: root.clone(),
        log: log.clone(),
        commands,
    };
    run(chosen, &ask(commands)).unwrap();
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("the script has run"), "{said}");

    let listing = run(chosen, &Job::List(root.clone())).unwrap();
    let lines: Vec<&str> = listing
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert!(lines.contains(&"made-by-script 102755 7:8 0"), "{lines:?}");
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("dev/") || line.starts_with("proc/")),
        "{lines:?}"
    );
    fs::write(folder.join("listing"), lines.join("\n")).unwrap();

    let failing = command(&[
        "sh",
        "-c",
        "echo first; echo 'dpkg: error processing package foo (--configure):' >&2; exit 7",
    ]);
    let error = run(chosen, &ask(vec![failing])).unwrap_err();
    assert_eq!(error.kind(), Kind::Sandbox);
    assert!(
        error
            .message()
            .contains("failed with status 7, for package `foo`\n  first\n"),
        "{error}"
    );
    let error = run(chosen, &ask(vec![command(&["no-such-program"])])).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("starting `no-such-program` in the root: No such file"),
        "{error}"
    );
    sandbox::remove_tree(chosen, &root).unwrap();
    assert!(!root.exists());
}

fn remove(chosen: &Chosen, folder: &Path) {
    run(chosen, &Job::Own(folder.to_owned())).unwrap();
    let left = folder.join("left");
    assert!(
        fs::remove_dir_all(&left).is_err(),
        "this user could remove it anyway"
    );
    sandbox::remove_tree(chosen, &left).unwrap();
    assert!(!left.exists());
    sandbox::remove_tree(chosen, &left).unwrap();

    let store = nodelith::store::Store::open(folder.join("store")).unwrap();
    let abandoned = store.root().join("scratch/work-killed");
    fs::create_dir_all(&abandoned).unwrap();
    fs::write(abandoned.join("lock"), "").unwrap();
    run(chosen, &Job::Own(abandoned.clone())).unwrap();
    let living = store.scratch().unwrap();
    assert_eq!(sandbox::clear_abandoned(&store, chosen).unwrap(), 1);
    assert!(!abandoned.exists() && living.path().exists());
}

fn deaths(chosen: &Chosen) {
    let error = run(chosen, &Job::Fail).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (Kind::Verify, "does not match".to_owned())
    );
    assert_eq!(error.hints(), ["look again"]);
    let death = |job| -> Error { run(chosen, &job).unwrap_err() };
    let error = death(Job::Panic);
    assert!(error.message().contains("ended with status 101"), "{error}");
    assert!(error.message().contains("at the disco"), "{error}");
    let error = death(Job::Signal(libc::SIGKILL));
    assert!(
        error.message().contains("was killed by signal 9 (SIGKILL)"),
        "{error}"
    );
    let error = death(Job::Signal(libc::SIGABRT));
    assert!(error.message().contains("(SIGABRT)"), "{error}");
    let nobody = chosen.clone().with_program("/no/such/program");
    let error = run(&nobody, &Job::Look).unwrap_err();
    assert!(
        error.message().starts_with("starting the sandbox worker"),
        "{error}"
    );
    let stranger = chosen.clone().with_program("/bin/false");
    let error = run(&stranger, &Job::Look).unwrap_err();
    assert!(
        error
            .message()
            .contains("ended with status 1 and no answer"),
        "{error}"
    );
}

fn nodev(chosen: &Chosen, folder: &Path) {
    let root = folder.join("root");
    make_root(&root);
    let job = Job::Scripts {
        root: root.clone(),
        log: folder.join("log"),
        commands: Vec::new(),
    };
    let error = run(chosen, &job).unwrap_err();
    assert!(error.message().contains("/dev/null"), "{error}");
    assert!(error.hints()[0].contains("nodev"), "{:?}", error.hints());
    assert_eq!(fs::read_dir(root.join("dev")).unwrap().count(), 0);
}

fn linger(chosen: &Chosen, folder: &Path) {
    let root = folder.join("root");
    make_root(&root);
    let job = Job::Linger {
        root,
        log: folder.join("log"),
        marker: MARKER.to_owned(),
    };
    let _: Value = sandbox::run(chosen, &job, &mut |event| {
        println!("{}", event.as_str().unwrap());
    })
    .unwrap();
}
