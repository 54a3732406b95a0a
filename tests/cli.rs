//! The command line as programs and people meet it: help, usage errors, events,
//! quietness, exit statuses. Nothing here needs an archive.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;
use insta_cmd::{assert_cmd_snapshot, get_cargo_bin};
use serde_json::Value;

/// The program in `folder`, with an environment of its own.
fn nodelith(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(get_cargo_bin("nodelith"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .current_dir(folder)
        .args(arguments);
    command
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let profile =
        "name = \"node\"\nversion = \"1\"\n\n[debian]\nsuite = \"trixie\"\npakages = []\n";
    fs::write(folder.path().join("node.toml"), profile).unwrap();
    folder
}

/// Everything that stands in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The events on standard error, one JSON object a line.
fn events(output: &Output) -> Vec<Value> {
    let lines = text(&output.stderr).lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn help() {
    let folder = folder();
    assert_cmd_snapshot!(nodelith(folder.path(), &["--help"]), @r"
    success: true
    exit_code: 0
    ----- stdout -----
    Turns a short profile into an immutable Kubernetes node image

    Usage: nodelith [OPTIONS] <COMMAND>

    Commands:
      build        Build a node image from a profile
      lock         Make or renew a profile's lock
      vendor       Keep all that a lock names in a folder that builds can use as their only source
      check        Find what is wrong with a node image, anybody's
      show         Show what an image is made of
      diff         Show what differs between two images, and what a node must download
      export       Make root images and archives from an image, for machines to boot
      same-root    Say whether images and root images have the same root
      serve        Serve what machines boot over a network, in labs and tests
      boot         Boot images in QEMU, and say whether they are nodes that run pods
      render       Render what provisions machines with an image, from templates
      push         Push an image to registries
      pull         Pull an image from a registry into an OCI image layout
      fleet        Plan the replacement of a cluster's nodes, and see how far it is
      versions     Say which containerd, pause and crictl go with which Kubernetes, and why
      matrix       List what profiles and architectures there are to build, for CI systems
      init         Write a small commented profile
      import       Make a profile of a node as it is: Docker's, kubelet's and containerd's settings
      schema       Print the JSON schema of profiles
      store        Look into the store, or make room in it
      completions  Print a completion script for a shell
      man          Write the manual pages into a folder
      help         Print this message or the help of the given subcommand(s)

    Options:
          --json              Print results as JSON on standard output and events as JSON lines on
                              standard error
      -q, --quiet             Print nothing but results, warnings and errors
          --store <DIR>       Folder of the store [default: nodelith in the user's cache folder] [env:
                              NODELITH_STORE]
          --threads <NUMBER>  Threads to use [default: one for each core]
      -h, --help              Print help
      -V, --version           Print version

    Exit status: 0 done, 1 findings, 2 usage or profile, 3 cannot resolve, 4 verification failed, 5
    network, 6 sandbox, 7 input or output.

    ----- stderr -----
    ");
    assert_cmd_snapshot!(nodelith(folder.path(), &["build", "--help"]), @r"
    success: true
    exit_code: 0
    ----- stdout -----
    Build a node image from a profile

    Usage: nodelith build [OPTIONS] <PROFILE>

    Arguments:
      <PROFILE>
              The profile

    Options:
          --lock <FILE>
              The lock [default: PROFILE with the ending `.lock.toml`]

          --arch <ARCH>
              Architectures [default: the profile's]

      -o, --output <DIR>
              Folder of the OCI image layout [default: out/NAME]

          --locked
              Refuse to make or change the lock

          --compression <NAME[:LEVEL]>
              Compression of the layers [default: the profile's, else zstd]

          --sandbox <SANDBOX>
              How package scripts are run

              Possible values:
              - auto:    The best of those that work here
              - userns:  In a user namespace with subordinate ids
              - mountns: As root, in a mount namespace
              - chroot:  As root, in a bare chroot with a system-call filter
              
              [env: NODELITH_SANDBOX]
              [default: auto]

          --accept-findings <REASON>
              Build in spite of errors that the check finds; the image carries the reason

          --json
              Print results as JSON on standard output and events as JSON lines on standard error

      -q, --quiet
              Print nothing but results, warnings and errors

          --store <DIR>
              Folder of the store [default: nodelith in the user's cache folder]
              
              [env: NODELITH_STORE]

          --threads <NUMBER>
              Threads to use [default: one for each core]

      -h, --help
              Print help (see a summary with '-h')

    Sources:
          --mirror <URL>
              Base address of the Debian archive [default: the profile's, else the host's apt sources]
              
              [env: NODELITH_MIRROR]

          --security-mirror <URL>
              Base address of the security archive [default: as for the mirror]
              
              [env: NODELITH_SECURITY_MIRROR]

          --fallback-mirror <URL>
              Mirror that still has superseded packages, asked when the first one does not (repeatable)
              
              [env: NODELITH_FALLBACK_MIRROR]

          --keyring <FILE>
              File with the archive's signing keys (repeatable) [default: the host's Debian archive
              keyring]
              
              [env: NODELITH_KEYRING]

          --ignore-valid-until
              Accept releases past their Valid-Until date; the lock records it

          --releases <FILE>
              Table of releases over the built-in one: mirrors, addresses, digests
              
              [env: NODELITH_RELEASES]

          --component <NAME=FILE>
              Local file in place of a release, `NAME:ARCH=FILE` for one architecture of several
              (repeatable)

          --nix-root <DIR>
              Root folder of the Nix store, as with Nix's own `--store` [default: /]
              
              [env: NODELITH_NIX_ROOT]

          --vendor <DIR>
              Folder made by `nodelith vendor`, used as the only source
              
              [env: NODELITH_VENDOR]

          --offline
              Use no network: everything must be in the store or the vendor folder
              
              [env: NODELITH_OFFLINE]

          --plain-http
              Speak plain HTTP to registries; one on this machine without TLS is spoken to so anyway
              
              [env: NODELITH_PLAIN_HTTP]

          --auth-file <FILE>
              File with credentials for registries [default: podman's and docker's own]
              
              [env: NODELITH_AUTH_FILE]

          --ca-file <FILE>
              File with further certificate authorities (repeatable)
              
              [env: NODELITH_CA_FILE]

          --registry-mirror <REGISTRY=URL>
              What to ask before a registry when pulling (repeatable)
              
              [env: NODELITH_REGISTRY_MIRROR]

    Cache:
          --cache-from <REF>
              Repository from which roots and layers that others made are taken (repeatable)
              
              [env: NODELITH_CACHE_FROM]

          --cache-to <REF>
              Repository to which those that this build used are given (repeatable)
              
              [env: NODELITH_CACHE_TO]

    ----- stderr -----
    ");
    assert_cmd_snapshot!(nodelith(folder.path(), &["lock", "-h"]), @r"
    success: true
    exit_code: 0
    ----- stdout -----
    Make or renew a profile's lock

    Usage: nodelith lock [OPTIONS] <PROFILE>

    Arguments:
      <PROFILE>  The profile

    Options:
          --lock <FILE>         The lock [default: PROFILE with the ending `.lock.toml`]
          --arch <ARCH>         Architectures [default: the profile's]
          --update [<NAME>...]  Renew the lock: all packages and releases, or only those named
          --outdated            Name what is newer in the archives and among releases than in the lock;
                                exit status 1 if anything is
          --json                Print results as JSON on standard output and events as JSON lines on
                                standard error
      -q, --quiet               Print nothing but results, warnings and errors
          --store <DIR>         Folder of the store [default: nodelith in the user's cache folder] [env:
                                NODELITH_STORE]
          --threads <NUMBER>    Threads to use [default: one for each core]
      -h, --help                Print help

    Sources:
          --mirror <URL>                    Base address of the Debian archive [default: the profile's,
                                            else the host's apt sources] [env: NODELITH_MIRROR]
          --security-mirror <URL>           Base address of the security archive [default: as for the
                                            mirror] [env: NODELITH_SECURITY_MIRROR]
          --fallback-mirror <URL>           Mirror that still has superseded packages, asked when the
                                            first one does not (repeatable) [env:
                                            NODELITH_FALLBACK_MIRROR]
          --keyring <FILE>                  File with the archive's signing keys (repeatable) [default:
                                            the host's Debian archive keyring] [env: NODELITH_KEYRING]
          --ignore-valid-until              Accept releases past their Valid-Until date; the lock
                                            records it
          --releases <FILE>                 Table of releases over the built-in one: mirrors, addresses,
                                            digests [env: NODELITH_RELEASES]
          --component <NAME=FILE>           Local file in place of a release, `NAME:ARCH=FILE` for one
                                            architecture of several (repeatable)
          --nix-root <DIR>                  Root folder of the Nix store, as with Nix's own `--store`
                                            [default: /] [env: NODELITH_NIX_ROOT]
          --vendor <DIR>                    Folder made by `nodelith vendor`, used as the only source
                                            [env: NODELITH_VENDOR]
          --offline                         Use no network: everything must be in the store or the
                                            vendor folder [env: NODELITH_OFFLINE]
          --plain-http                      Speak plain HTTP to registries; one on this machine without
                                            TLS is spoken to so anyway [env: NODELITH_PLAIN_HTTP]
          --auth-file <FILE>                File with credentials for registries [default: podman's and
                                            docker's own] [env: NODELITH_AUTH_FILE]
          --ca-file <FILE>                  File with further certificate authorities (repeatable) [env:
                                            NODELITH_CA_FILE]
          --registry-mirror <REGISTRY=URL>  What to ask before a registry when pulling (repeatable)
                                            [env: NODELITH_REGISTRY_MIRROR]

    ----- stderr -----
    ");
}

#[test]
fn help_on_registries() {
    let folder = folder();
    assert_cmd_snapshot!(nodelith(folder.path(), &["push", "-h"]), @r"
    success: true
    exit_code: 0
    ----- stdout -----
    Push an image to registries

    Usage: nodelith push [OPTIONS] <IMAGE> <REF>...

    Arguments:
      <IMAGE>   An image: `oci:DIR[:TAG]`, `oci-archive:FILE`, or a path
      <REF>...  What it is to be called: `HOST[:PORT]/NAME[:TAG]`

    Options:
          --arch <ARCH>        Push only the image for this architecture
          --mount-from <NAME>  Repository of the same registry that may have layers of it (repeatable)
          --chunk-size <MIB>   Send blobs that are longer than so many MiB in parts of this length
                               [default: 64]
          --format <FORMAT>    What is printed of what moved [default: table] [possible values: table,
                               json, digest]
          --json               Print results as JSON on standard output and events as JSON lines on
                               standard error
      -q, --quiet              Print nothing but results, warnings and errors
          --store <DIR>        Folder of the store [default: nodelith in the user's cache folder] [env:
                               NODELITH_STORE]
          --threads <NUMBER>   Threads to use [default: one for each core]
      -h, --help               Print help (see more with '--help')

    Registry:
          --plain-http                      Speak plain HTTP to registries; one on this machine without
                                            TLS is spoken to so anyway [env: NODELITH_PLAIN_HTTP]
          --auth-file <FILE>                File with credentials for registries [default: podman's and
                                            docker's own] [env: NODELITH_AUTH_FILE]
          --ca-file <FILE>                  File with further certificate authorities (repeatable) [env:
                                            NODELITH_CA_FILE]
          --registry-mirror <REGISTRY=URL>  What to ask before a registry when pulling (repeatable)
                                            [env: NODELITH_REGISTRY_MIRROR]
          --retries <NUMBER>                How often a request that fails is tried again [default: 5]
          --retry-delay <TIME>              The pause before the first retry; each further one is twice
                                            as long [default: 500ms]
          --timeout <TIME>                  How long a transfer may stand still [default: 30s]

    ----- stderr -----
    ");
    assert_cmd_snapshot!(nodelith(folder.path(), &["pull", "-h"]), @r"
    success: true
    exit_code: 0
    ----- stdout -----
    Pull an image from a registry into an OCI image layout

    Usage: nodelith pull [OPTIONS] <REF>

    Arguments:
      <REF>  The image: `HOST[:PORT]/NAME[:TAG][@DIGEST]`

    Options:
      -o, --output <DIR>      Folder of the OCI image layout [default: out/NAME]
          --arch <ARCH>       Pull only the images for these architectures [default: all that there are]
          --json              Print results as JSON on standard output and events as JSON lines on
                              standard error
      -q, --quiet             Print nothing but results, warnings and errors
          --store <DIR>       Folder of the store [default: nodelith in the user's cache folder] [env:
                              NODELITH_STORE]
          --threads <NUMBER>  Threads to use [default: one for each core]
      -h, --help              Print help

    Registry:
          --plain-http                      Speak plain HTTP to registries; one on this machine without
                                            TLS is spoken to so anyway [env: NODELITH_PLAIN_HTTP]
          --auth-file <FILE>                File with credentials for registries [default: podman's and
                                            docker's own] [env: NODELITH_AUTH_FILE]
          --ca-file <FILE>                  File with further certificate authorities (repeatable) [env:
                                            NODELITH_CA_FILE]
          --registry-mirror <REGISTRY=URL>  What to ask before a registry when pulling (repeatable)
                                            [env: NODELITH_REGISTRY_MIRROR]
          --retries <NUMBER>                How often a request that fails is tried again [default: 5]
          --retry-delay <TIME>              The pause before the first retry; each further one is twice
                                            as long [default: 500ms]
          --timeout <TIME>                  How long a transfer may stand still [default: 30s]

    ----- stderr -----
    ");
}

#[test]
fn help_on_fleets() {
    let folder = folder();
    assert_cmd_snapshot!(nodelith(folder.path(), &["fleet", "plan", "-h"]), @r"
    success: true
    exit_code: 0
    ----- stdout -----
    Say which nodes are reimaged in which order, and which cannot be; exit status 1 if any

    Usage: nodelith fleet plan [OPTIONS] --rules <FILE> <FILE>...

    Arguments:
      <FILE>...  What `kubectl get nodes,pods,pdb,pv -A -o json` prints, `-` for standard input

    Options:
          --rules <FILE>      The rules of the rollout
          --runbook <FILE>    Write a run book with the commands for each node (Markdown)
          --picture <FILE>    Write a picture of the waves (SVG)
          --json              Print results as JSON on standard output and events as JSON lines on
                              standard error
      -q, --quiet             Print nothing but results, warnings and errors
          --store <DIR>       Folder of the store [default: nodelith in the user's cache folder] [env:
                              NODELITH_STORE]
          --threads <NUMBER>  Threads to use [default: one for each core]
      -h, --help              Print help

    ----- stderr -----
    ");
    assert_cmd_snapshot!(nodelith(folder.path(), &["fleet", "status", "-h"]), @r"
    success: true
    exit_code: 0
    ----- stdout -----
    Show all nodes and what is wrong with them; exit status 1 until nothing is

    Usage: nodelith fleet status [OPTIONS] [FILE]...

    Arguments:
      [FILE]...  What `kubectl get nodes -o json` prints, `-` for standard input

    Options:
          --command <COMMAND>  Command that prints the nodes, run by `sh`
          --rules <FILE>       The rules of the rollout; without them nodes must be Ready and free of
                               Docker
          --ignore-cordon      Let cordoned nodes pass
          --html <FILE>        Write a page, too
          --watch              Look again and again until all is done
          --interval <TIME>    How long to wait before looking again [default: 10s]
          --timeout <TIME>     Stop watching after that time, with exit status 1; a look under way is
                               waited for
          --json               Print results as JSON on standard output and events as JSON lines on
                               standard error
      -q, --quiet              Print nothing but results, warnings and errors
          --store <DIR>        Folder of the store [default: nodelith in the user's cache folder] [env:
                               NODELITH_STORE]
          --threads <NUMBER>   Threads to use [default: one for each core]
      -h, --help               Print help

    ----- stderr -----
    ");
}

#[test]
fn the_version_is_the_packages() {
    let folder = folder();
    let output = nodelith(folder.path(), &["--version"]).output().unwrap();
    let expected = format!("nodelith {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn usage_errors() {
    let folder = folder();
    let said = |arguments: &[&str]| {
        let output = nodelith(folder.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        text(&output.stderr).to_owned()
    };
    assert_snapshot!(said(&[]), @r"
    Turns a short profile into an immutable Kubernetes node image

    Usage: nodelith [OPTIONS] <COMMAND>

    Commands:
      build        Build a node image from a profile
      lock         Make or renew a profile's lock
      vendor       Keep all that a lock names in a folder that builds can use as their only source
      check        Find what is wrong with a node image, anybody's
      show         Show what an image is made of
      diff         Show what differs between two images, and what a node must download
      export       Make root images and archives from an image, for machines to boot
      same-root    Say whether images and root images have the same root
      serve        Serve what machines boot over a network, in labs and tests
      boot         Boot images in QEMU, and say whether they are nodes that run pods
      render       Render what provisions machines with an image, from templates
      push         Push an image to registries
      pull         Pull an image from a registry into an OCI image layout
      fleet        Plan the replacement of a cluster's nodes, and see how far it is
      versions     Say which containerd, pause and crictl go with which Kubernetes, and why
      matrix       List what profiles and architectures there are to build, for CI systems
      init         Write a small commented profile
      import       Make a profile of a node as it is: Docker's, kubelet's and containerd's settings
      schema       Print the JSON schema of profiles
      store        Look into the store, or make room in it
      completions  Print a completion script for a shell
      man          Write the manual pages into a folder
      help         Print this message or the help of the given subcommand(s)

    Options:
          --json              Print results as JSON on standard output and events as JSON lines on
                              standard error
      -q, --quiet             Print nothing but results, warnings and errors
          --store <DIR>       Folder of the store [default: nodelith in the user's cache folder] [env:
                              NODELITH_STORE]
          --threads <NUMBER>  Threads to use [default: one for each core]
      -h, --help              Print help
      -V, --version           Print version

    Exit status: 0 done, 1 findings, 2 usage or profile, 3 cannot resolve, 4 verification failed, 5
    network, 6 sandbox, 7 input or output.
    ");
    assert_snapshot!(said(&["bild", "node.toml"]), @r"
    error: unrecognized subcommand 'bild'

      tip: a similar subcommand exists: 'build'

    Usage: nodelith [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(said(&["build"]), @r"
    error: the following required arguments were not provided:
      <PROFILE>

    Usage: nodelith build <PROFILE>

    For more information, try '--help'.
    ");
    assert_snapshot!(said(&["build", "node.toml", "--lockd"]), @r"
    error: unexpected argument '--lockd' found

      tip: a similar argument exists: '--locked'

    Usage: nodelith build --locked <PROFILE>

    For more information, try '--help'.
    ");
    assert_snapshot!(said(&["build", "node.toml", "--sandbox", "docker"]), @r"
    error: invalid value 'docker' for '--sandbox <SANDBOX>'
      [possible values: auto, userns, mountns, chroot]

    For more information, try '--help'.
    ");
    assert_snapshot!(said(&["--json", "--quiet", "schema"]), @r#"{"event":"error","hints":["`nodelith help` and `--help` after each verb say what there is"],"kind":"usage","message":"the argument '--json' cannot be used with '--quiet'","place":null}"#);
    assert_snapshot!(said(&["--threads", "0", "schema"]), @r"
    error: invalid value '0' for '--threads <NUMBER>': 0 is not in 1..=65535

    For more information, try '--help'.
    ");
    assert_snapshot!(said(&["lock", "node.toml", "--outdated", "--update"]), @r"
    error: the argument '--outdated' cannot be used with '--update [<NAME>...]'

    Usage: nodelith lock --outdated <PROFILE>

    For more information, try '--help'.
    ");
    assert_eq!(names(folder.path()), ["node.toml"]);
}

#[test]
fn a_wrong_compression() {
    let folder = folder();
    fs::write(
        folder.path().join("node.toml"),
        "name = \"node\"\nversion = \"1\"\narchitecture = \"amd64\"\n\n[debian]\nsuite = \"trixie\"\n",
    )
    .unwrap();
    let arguments = ["build", "node.toml", "--compression", "brotli:11"];
    assert_cmd_snapshot!(nodelith(folder.path(), &arguments), @r"
    success: false
    exit_code: 2
    ----- stdout -----

    ----- stderr -----
    error: `--compression brotli:11`: `brotli:11` is no compression: choose zstd, gzip or none
    hint: for example: --compression gzip, --compression zstd:9, --compression none
    ");
    assert_eq!(names(folder.path()), ["node.toml"]);
}

#[test]
fn an_error_is_one_event() {
    let folder = folder();
    let output = nodelith(folder.path(), &["--json", "build", "node.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let events = events(&output);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_snapshot!(format!("{:#}", events[0]), @r#"
    {
      "event": "error",
      "hints": [
        "did you mean `packages`?"
      ],
      "kind": "usage",
      "message": "unknown key `pakages`",
      "place": {
        "column": 1,
        "file": "node.toml",
        "line": 6
      }
    }
    "#);
}

#[test]
fn an_error_without_place_is_one_event_too() {
    let folder = folder();
    let output = nodelith(folder.path(), &["show", "out/node", "--json"])
        .output()
        .unwrap();
    let events = events(&output);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_snapshot!(format!("{:#}", events[0]), @r#"
    {
      "event": "error",
      "hints": [
        "name one as oci:DIR[:TAG], oci-archive:FILE, or a path that exists"
      ],
      "kind": "usage",
      "message": "there is no image `out/node`",
      "place": null
    }
    "#);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_wrong_argument_is_one_event_too() {
    let folder = folder();
    let output = nodelith(folder.path(), &["--json", "build", "node.toml", "--lockd"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let events = events(&output);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_snapshot!(format!("{:#}", events[0]), @r#"
    {
      "event": "error",
      "hints": [
        "a similar argument exists: '--locked'",
        "`nodelith help` and `--help` after each verb say what there is"
      ],
      "kind": "usage",
      "message": "unexpected argument '--lockd' found",
      "place": null
    }
    "#);
}

#[test]
fn help_tells_no_secrets() {
    let folder = folder();
    for verb in ["build", "lock", "vendor"] {
        let output = nodelith(folder.path(), &[verb, "--help"])
            .env(
                "NODELITH_MIRROR",
                "http://grace:hopper@mirror.example/debian",
            )
            .output()
            .unwrap();
        let said = text(&output.stdout);
        assert!(
            said.contains("NODELITH_MIRROR") && !said.contains("hopper"),
            "{said}"
        );
    }
}

#[test]
fn quiet_does_not_mean_silent() {
    let folder = folder();
    let output = nodelith(folder.path(), &["--quiet", "build", "node.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).starts_with("error: unknown key `pakages`"));
}

#[test]
fn results_and_messages_go_apart() {
    let folder = folder();
    for arguments in [
        &["schema"][..],
        &["completions", "bash"],
        &["store", "show", "--json"],
        &["init", "new.toml", "--quiet"],
        &["man", "pages"],
    ] {
        let output = nodelith(folder.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
    let output = nodelith(folder.path(), &["store", "show", "--json"])
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        shown["schema"].is_string() && shown["version"].is_number(),
        "{shown:#}"
    );
    // The store is in the cache folder, and nothing was put elsewhere.
    assert_eq!(
        names(folder.path()),
        [".cache", "new.toml", "node.toml", "pages"]
    );
}

#[test]
fn init_does_not_replace_a_profile() {
    let folder = folder();
    let before = fs::read(folder.path().join("node.toml")).unwrap();
    assert_cmd_snapshot!(nodelith(folder.path(), &["init", "node.toml"]), @r"
    success: false
    exit_code: 2
    ----- stdout -----

    ----- stderr -----
    error: `node.toml` exists already
    hint: give another name, or remove the file first
    ");
    assert_eq!(fs::read(folder.path().join("node.toml")).unwrap(), before);
}

#[test]
fn without_a_home_there_is_no_store() {
    let folder = folder();
    let mut command = nodelith(folder.path(), &["store", "show"]);
    assert_cmd_snapshot!(command.env_remove("HOME"), @r"
    success: false
    exit_code: 2
    ----- stdout -----

    ----- stderr -----
    error: there is no home folder to keep the store in
    hint: name a folder with `--store DIR` or NODELITH_STORE
    ");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = folder();
    let mut shell = Command::new("bash");
    shell.args([
        "-c",
        "set -o pipefail; \"$0\" schema | head -n 1 >/dev/null",
    ]);
    let status = shell
        .arg(get_cargo_bin("nodelith"))
        .current_dir(folder.path())
        .status();
    assert!(status.unwrap().success());
}
