//! What a profile makes of a small root, and what is said where it cannot.

mod identity;
mod images;
mod judged;
mod kubelet;
mod matrix;
mod refusals;
mod registries;
mod runtime;
#[path = "../../../tests/common/skip.rs"]
mod skip;

use std::collections::BTreeMap;
use std::sync::Arc;

use insta::assert_snapshot;

use super::facts::wanted;
use super::{Components, Configuration, RootFacts, configure};
use crate::error::Error;
use crate::profile::Profile;
use crate::tree::{Content, Entry, FIXED_TIME, Node, Tree, TreePath};

/// A root made of texts, links (`-> target`) and folders (a trailing slash);
/// `package:NAME` is no path but a package's version.
fn root(paths: &[(&str, &str)]) -> (Tree, BTreeMap<TreePath, String>) {
    let mut tree = Tree::default();
    let mut texts = BTreeMap::new();
    let paths = paths
        .iter()
        .filter(|(path, _)| !path.starts_with("package:"));
    for (path, text) in paths {
        let folder = path.ends_with('/');
        let path = TreePath::from(path.trim_end_matches('/'));
        let mut parent = path.parent();
        while let Some(above) = parent {
            parent = above.parent();
            tree.entries
                .entry(above)
                .or_insert_with(|| entry(Node::Directory, 0o755));
        }
        let node = match text.strip_prefix("-> ") {
            _ if folder => Node::Directory,
            Some(target) => Node::Symlink(target.into()),
            None => Node::File {
                size: text.len() as u64,
                content: Content::Inline(text.as_bytes().into()),
            },
        };
        if wanted(path.as_bytes()) && matches!(node, Node::File { .. }) {
            texts.insert(path.clone(), (*text).to_owned());
        }
        tree.entries
            .insert(path, entry(node, if folder { 0o755 } else { 0o644 }));
    }
    (tree, texts)
}

fn entry(node: Node, mode: u32) -> Entry {
    Entry {
        node,
        mode,
        uid: 0,
        gid: 0,
        mtime: FIXED_TIME,
        xattrs: BTreeMap::new(),
        component: Arc::from("deb:x"),
    }
}

/// Loads a profile with a Debian root and `rest`, and configures a node with it.
fn configured(rest: &str, paths: &[(&str, &str)]) -> Result<Configuration, Error> {
    configured_beside(rest, paths, &[])
}

fn configured_beside(
    rest: &str,
    paths: &[(&str, &str)],
    files: &[(&str, &[u8])],
) -> Result<Configuration, Error> {
    configured_on("[debian]\nsuite = \"sid\"\n", rest, paths, files)
}

fn configured_on(
    base: &str,
    rest: &str,
    paths: &[(&str, &str)],
    files: &[(&str, &[u8])],
) -> Result<Configuration, Error> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let path = folder.path().join("p.toml");
    let text = format!("name = \"node\"\nversion = \"7\"\narchitecture = \"amd64\"\n{base}{rest}");
    std::fs::write(&path, text).unwrap();
    let profile = Profile::load(&path)?;
    let (tree, texts) = root(paths);
    let facts = RootFacts::new(&tree, &texts);
    let versions = paths.iter().filter_map(|(path, version)| {
        let package = path.strip_prefix("package:")?;
        Some((package, *version))
    });
    let versions: BTreeMap<_, _> = versions.collect();
    let components = Components::find(&profile, |name| versions.get(name).copied());
    configure(
        &profile,
        "amd64",
        &components,
        &facts,
        &images::WithArchives,
    )
}

/// All entries with their contents, as a person reads them.
fn shown(configuration: &Configuration) -> String {
    let mut text = String::new();
    for (path, entry) in &configuration.entries {
        let owner = format!("{:04o} {}:{}", entry.mode, entry.uid, entry.gid);
        match &entry.node {
            Node::File {
                content: Content::Inline(bytes),
                ..
            } => {
                let Ok(lines) = std::str::from_utf8(bytes) else {
                    text += &format!("{path} {owner} {} bytes\n", bytes.len());
                    continue;
                };
                text += &format!("{path} {owner}\n");
                for line in lines.lines() {
                    text += &format!("  {line}\n");
                }
            }
            Node::File { size, .. } => text += &format!("{path} {owner} {size} bytes on disk\n"),
            Node::Symlink(target) => text += &format!("{path} -> {target}\n"),
            other => text += &format!("{path} {owner} {other:?}\n"),
        }
    }
    for path in &configuration.removed {
        text += &format!("{path} removed\n");
    }
    text
}

fn refused(rest: &str, paths: &[(&str, &str)]) -> String {
    let error = configured(rest, paths).unwrap_err();
    let mut said = error.message();
    if let Some(place) = error.place() {
        let (line, column) = place.line_column();
        said += &format!("\n{line}:{column}: {}", &place.text[place.span.clone()]);
    }
    for hint in error.hints() {
        said += &format!("\nhint: {hint}");
    }
    said
}

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nadm:x:4:\nsudo:x:27:\n";
const SHADOW: &str = "root:*:3652:0:99999:7:::\ndaemon:*:3652:0:99999:7:::\n";
const GSHADOW: &str = "root:*::\ndaemon:*::\nadm:*::\nsudo:*::\n";
const ACCOUNTS: [(&str, &str); 8] = [
    ("etc/passwd", PASSWD),
    ("etc/group", GROUP),
    ("etc/shadow", SHADOW),
    ("etc/gshadow", GSHADOW),
    ("etc/subuid", ""),
    ("etc/subgid", ""),
    ("etc/skel/.profile", "skel\n"),
    ("root/", ""),
];

#[test]
fn system_settings() {
    let made = configured(
        "[sysctl]\nnet.ipv4.ip_forward = 1\n\"kernel.pid_max\" = \"4194304\"\n\
         [modules]\nload = [\"overlay\", \"br_netfilter\"]\nblacklist = [\"floppy\"]\n\
         [kernel]\ncommand-line = [\"console=ttyS0\", \"quiet\"]\n\
         [proxy]\nhttp = \"http://proxy.example:3128/a%20b\"\nno-proxy = [\".svc\", \"10.0.0.0/8\"]\n",
        &[("usr/lib/os-release", "ID=debian\nIMAGE_ID=old\n")],
    )
    .unwrap();
    assert_snapshot!(shown(&made), @r#"
        usr/lib/environment.d/50-proxy.conf 0644 0:0
          HTTP_PROXY="http://proxy.example:3128/a%20b"
          http_proxy="http://proxy.example:3128/a%20b"
          NO_PROXY=".svc,10.0.0.0/8"
          no_proxy=".svc,10.0.0.0/8"
        usr/lib/kernel/cmdline 0644 0:0
          console=ttyS0 quiet
        usr/lib/modprobe.d/nodelith.conf 0644 0:0
          blacklist floppy
        usr/lib/modules-load.d/nodelith.conf 0644 0:0
          br_netfilter
          overlay
        usr/lib/os-release 0644 0:0
          ID=debian
          IMAGE_ID=node
          IMAGE_VERSION=7
        usr/lib/sysctl.d/90-nodelith.conf 0644 0:0
          kernel.pid_max = 4194304
          net.ipv4.ip_forward = 1
        usr/lib/systemd/system-preset/00-nodelith.preset 0644 0:0
          # What is enabled in this image stays so, and nothing else becomes so.
          disable *
        usr/lib/systemd/system/containerd.service.d/50-proxy.conf 0644 0:0
          [Service]
          Environment="HTTP_PROXY=http://proxy.example:3128/a%%20b"
          Environment="http_proxy=http://proxy.example:3128/a%%20b"
          Environment="NO_PROXY=.svc,10.0.0.0/8"
          Environment="no_proxy=.svc,10.0.0.0/8"
        usr/lib/systemd/system/kubelet.service.d/50-proxy.conf 0644 0:0
          [Service]
          Environment="HTTP_PROXY=http://proxy.example:3128/a%%20b"
          Environment="http_proxy=http://proxy.example:3128/a%%20b"
          Environment="NO_PROXY=.svc,10.0.0.0/8"
          Environment="no_proxy=.svc,10.0.0.0/8"
        "#);
    assert_snapshot!(format!("{:#?}", made.settings), @r#"
        {
            "architecture": "amd64",
            "image": "node 7",
            "kernel command line": "console=ttyS0 quiet",
            "module br_netfilter": "loaded",
            "module floppy": "blacklisted",
            "module overlay": "loaded",
            "proxy HTTP_PROXY": "http://proxy.example:3128/a%20b",
            "proxy NO_PROXY": ".svc,10.0.0.0/8",
            "sysctl kernel.pid_max": "4194304",
            "sysctl net.ipv4.ip_forward": "1",
        }
        "#);
}

#[test]
fn files_of_all_kinds() {
    let mut paths = ACCOUNTS.to_vec();
    paths.extend([("lib", "-> usr/lib"), ("usr/bin/vi", "x")]);
    let made = configured_beside(
        "[[files]]\npath = \"/etc/motd\"\ntext = \"hello\"\nmode = \"0640\"\nowner = \"root:adm\"\n\
         [[files]]\npath = \"/lib/systemd/system/a.service\"\nsource = \"unit\"\n\
         [[files]]\npath = \"/opt/data\"\nsource = \"data\"\nmode = \"4755\"\nowner = \"7:8\"\n\
         [[files]]\npath = \"/etc/localtime\"\nlink = \"../usr/share/zoneinfo/UTC\"\n\
         [[files]]\npath = \"/usr/bin/vi\"\nremove = true\n\
         [units]\nenable = [\"a.service\"]\n",
        &paths,
        &[
            ("unit", b"[Install]\nWantedBy=multi-user.target\n"),
            ("data", b"\0\xff"),
        ],
    )
    .unwrap();
    assert_snapshot!(shown(&made), @r#"
        etc/localtime -> ../usr/share/zoneinfo/UTC
        etc/motd 0640 0:4
          hello
        etc/systemd/system/multi-user.target.wants/a.service -> /usr/lib/systemd/system/a.service
        opt/data 4755 7:8 2 bytes
        usr/lib/os-release 0644 0:0
          IMAGE_ID=node
          IMAGE_VERSION=7
        usr/lib/systemd/system-preset/00-nodelith.preset 0644 0:0
          # What is enabled in this image stays so, and nothing else becomes so.
          enable a.service
          disable *
        usr/lib/systemd/system/a.service 0644 0:0
          [Install]
          WantedBy=multi-user.target
        usr/bin/vi removed
        "#);
}

#[test]
fn files_that_cannot_be() {
    assert_snapshot!(refused("[[files]]\npath = \"/root\"\ntext = \"\"\n", &ACCOUNTS), @r#"
        `/root` is a directory in the root
        7:8: "/root"
        hint: name a file in it
        "#);
    assert_snapshot!(refused("[[files]]\npath = \"/etc/x\"\ntext = \"\"\nowner = \"root:amd\"\n", &ACCOUNTS), @r#"
        the group `amd` of `/etc/x` is not in the node
        9:9: "root:amd"
        hint: did you mean `adm`?
        "#);
    assert_snapshot!(refused("[[files]]\npath = \"/etc/x\"\nremove = true\n", &ACCOUNTS), @r#"
        there is no `/etc/x` to remove
        7:8: "/etc/x"
        hint: take the removal out of the profile
        "#);
    assert_snapshot!(refused("[sysctl]\nvm.swappiness = 1\n[[files]]\npath = \"/usr/lib/sysctl.d/90-nodelith.conf\"\ntext = \"\"\n", &[]), @r#"
        `/usr/lib/sysctl.d/90-nodelith.conf` is made from other settings of the profile
        9:8: "/usr/lib/sysctl.d/90-nodelith.conf"
        hint: take the file out, or the settings that it comes from
        "#);
    for later in [super::units::PRESET, super::SETTINGS_PATH] {
        let said = refused(
            &format!("[[files]]\npath = \"/{later}\"\ntext = \"\"\n"),
            &[],
        );
        assert!(said.contains("is made from other settings"), "{said}");
    }
    let missing = refused(
        "[[files]]\npath = \"/etc/x\"\nsource = \"nothing\"\n",
        &ACCOUNTS,
    );
    assert!(
        missing.contains("No such file") && missing.contains("8:10: \"nothing\""),
        "{missing}"
    );
}

#[test]
fn users_and_keys() {
    let made = configured(
        "[[users]]\nname = \"core\"\ngroups = [\"sudo\", \"adm\"]\ngecos = \"Core\"\nssh-keys = [\"ssh-ed25519 AAAAC3 me\"]\n\
         [[users]]\nname = \"agent\"\nsystem = true\n\
         [[users]]\nname = \"root\"\npassword-hash = \"$y$j9T$salt$hash\"\nlocked = true\nssh-keys = [\"ssh-rsa AAAAB3\"]\n",
        &ACCOUNTS,
    )
    .unwrap();
    assert_snapshot!(shown(&made), @r#"
        etc/group 0644 0:0
          root:x:0:
          daemon:x:1:
          adm:x:4:core
          sudo:x:27:core
          core:x:1000:
          agent:x:999:
        etc/gshadow 0644 0:0
          root:*::
          daemon:*::
          adm:*::core
          sudo:*::core
          core:!::
          agent:!::
        etc/passwd 0644 0:0
          root:x:0:0:root:/root:/bin/bash
          daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
          core:x:1000:1000:Core:/home/core:/bin/bash
          agent:x:999:999::/nonexistent:/usr/sbin/nologin
        etc/shadow 0644 0:0
          root:!$y$j9T$salt$hash:3652:0:99999:7:::
          daemon:*:3652:0:99999:7:::
          core:!:3652:0:99999:7:::
          agent:!:3652::::::
        etc/subgid 0644 0:0
          core:100000:65536
        etc/subuid 0644 0:0
          core:100000:65536
        home/core 0700 1000:1000 Directory
        home/core/.profile 0644 1000:1000
          skel
        home/core/.ssh 0700 1000:1000 Directory
        home/core/.ssh/authorized_keys 0600 1000:1000
          ssh-ed25519 AAAAC3 me
        root/.ssh 0700 0:0 Directory
        root/.ssh/authorized_keys 0600 0:0
          ssh-rsa AAAAB3
        usr/lib/os-release 0644 0:0
          IMAGE_ID=node
          IMAGE_VERSION=7
        "#);
}

#[test]
fn users_that_cannot_be() {
    assert_snapshot!(refused("[[users]]\nname = \"a\"\nuid = 1\n", &ACCOUNTS), @r#"
        the number 1 of the user `a` is taken
        7:8: "a"
        hint: choose another `uid`, or none
        "#);
    assert_snapshot!(refused("[[users]]\nname = \"daemon\"\nuid = 7\n", &ACCOUNTS), @r#"
        the user `daemon` is in the node already, with the uid 1
        7:8: "daemon"
        hint: take `uid` out, or choose another name
        "#);
    assert_snapshot!(refused("[[users]]\nname = \"a\"\ngroups = [\"sudoo\"]\n", &ACCOUNTS), @r#"
        the group `sudoo` of the user `a` is not in the node
        8:11: "sudoo"
        hint: did you mean `sudo`?
        "#);
    assert_snapshot!(refused("[[users]]\nname = \"a\"\nhome = \"/etc/passwd\"\nssh-keys = [\"ssh-rsa AAAAB3\"]\n", &ACCOUNTS), @r#"
        the home folder `/etc/passwd` of `a` is no directory
        7:8: "a"
        hint: set another `home`
        "#);
}

const UNITS: [(&str, &str); 9] = [
    (
        "usr/lib/systemd/system/a.service",
        "[Unit]\n[Install]\nWantedBy=multi-user.target\nAlias=b.service\nAlso=a.socket\n",
    ),
    (
        "usr/lib/systemd/system/a.socket",
        "[Install]\nWantedBy=sockets.target\nRequiredBy=x@.target\n",
    ),
    ("usr/lib/systemd/system/static.service", "[Service]\n"),
    (
        "usr/lib/systemd/system/t@.service",
        "[Install]\nWantedBy=multi-user.target\nDefaultInstance=one\n",
    ),
    (
        "usr/lib/systemd/system/u@.service",
        "[Install]\nWantedBy=w@%i.target\n",
    ),
    ("usr/lib/systemd/system/other.service", "-> a.service"),
    ("etc/systemd/system/gone.service", "-> /dev/null"),
    (
        "etc/systemd/system/multi-user.target.wants/on.service",
        "-> /usr/lib/systemd/system/on.service",
    ),
    (
        "usr/lib/systemd/system/on.service",
        "[Install]\nWantedBy=multi-user.target\n",
    ),
];

#[test]
fn units_in_all_states() {
    let made = configured(
        "[units]\nenable = [\"a.service\", \"t@.service\", \"u@two.service\"]\ndisable = [\"on.service\"]\nmask = [\"static.service\"]\n",
        &UNITS,
    )
    .unwrap();
    assert_snapshot!(shown(&made), @r#"
        etc/systemd/system/b.service -> /usr/lib/systemd/system/a.service
        etc/systemd/system/multi-user.target.wants/a.service -> /usr/lib/systemd/system/a.service
        etc/systemd/system/multi-user.target.wants/t@one.service -> /usr/lib/systemd/system/t@.service
        etc/systemd/system/sockets.target.wants/a.socket -> /usr/lib/systemd/system/a.socket
        etc/systemd/system/static.service -> /dev/null
        etc/systemd/system/w@two.target.wants/u@two.service -> /usr/lib/systemd/system/u@.service
        etc/systemd/system/x@.target.requires/a.socket -> /usr/lib/systemd/system/a.socket
        usr/lib/os-release 0644 0:0
          IMAGE_ID=node
          IMAGE_VERSION=7
        usr/lib/systemd/system-preset/00-nodelith.preset 0644 0:0
          # What is enabled in this image stays so, and nothing else becomes so.
          enable a.service
          enable a.socket
          enable t@.service one
          enable u@.service two
          disable *
        etc/systemd/system/multi-user.target.wants/on.service removed
        "#);
}

#[test]
fn units_that_cannot_be() {
    assert_snapshot!(refused("[units]\nenable = [\"a.sockt.service\"]\n", &UNITS), @r#"
        the node has no unit `a.sockt.service`
        7:11: "a.sockt.service"
        hint: did you mean `a.socket`?
        "#);
    assert_snapshot!(refused("[units]\nmask = [\"onn.service\"]\n", &UNITS), @r#"
        the node has no unit `onn.service`
        7:9: "onn.service"
        hint: did you mean `on.service`?
        "#);
    assert_snapshot!(refused("[units]\nenable = [\"static.service\"]\n", &UNITS), @r#"
        `static.service` has no [Install] section, so there is nothing to enable
        7:11: "static.service"
        hint: units that need it start it; or give it a drop-in with WantedBy=
        "#);
    assert_snapshot!(refused("[units]\nenable = [\"other.service\"]\n", &UNITS), @r#"
        `other.service` is another name of `a.service`
        7:11: "other.service"
        hint: enable `a.service`
        "#);
    assert_snapshot!(refused("[units]\nenable = [\"gone.service\"]\n", &UNITS), @r#"
        `gone.service` is masked by `/etc/systemd/system/gone.service`
        7:11: "gone.service"
        hint: remove that link: `[[files]]` with its path and `remove = true`
        "#);
    assert_snapshot!(refused("[units]\nenable = [\"u@.service\"]\n", &UNITS), @r#"
        `u@.service` is a template without a default instance
        7:11: "u@.service"
        hint: name an instance, like `u@NAME.service`
        "#);
}

#[test]
fn certificates_that_cannot_be() {
    let bundle = [("etc/ssl/certs/ca-certificates.crt", "")];
    let rest = "[certificates]\nauthorities = [\"ca.pem\"]\n";
    let said = |bytes: &[u8]| {
        let error = configured_beside(rest, &bundle, &[("ca.pem", bytes)]).unwrap_err();
        format!(
            "{} {:?}",
            error.message(),
            error.place().map(crate::error::Place::line_column)
        )
    };
    assert_snapshot!(said(b"nothing"), @r#"`ca` cannot be an authority: it holds no certificate in PEM form Some((7, 16))"#);
    assert_snapshot!(said(b"\xff"), @r#"`ca.pem` is not text Some((7, 16))"#);
    assert_snapshot!(said(b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"), @r#"`ca` cannot be an authority: it holds a private key, which must not be in an image Some((7, 16))"#);
    assert_snapshot!(refused("[certificates]\nauthorities = [\"ca.pem\"]\n", &[]), @r#"
        the node has no certificate bundle to add authorities to
        7:15: ["ca.pem"]
        hint: add `ca-certificates` to the packages
        "#);
}
