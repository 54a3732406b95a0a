//! The documentation says what is true: examples parse, lists are complete,
//! links lead somewhere.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use nodelith::digest::Digest;
use nodelith::error::Result;
use nodelith::image::annotations;
use nodelith::node::{
    self, Archive, Carried, Components, LocalFiles, OnDisk, Program, ProgramFile, RootFacts,
    SETTINGS_PATH, SharedPart,
};
use nodelith::profile::Profile;
use nodelith::profile::value::LocalFile;
use nodelith::render::Templates;
use nodelith::tree::{Content, Entry, FIXED_TIME, Node, Tree, TreePath};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

/// The files below a folder whose names end so.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(repository().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = Path::new(folder).join(path.file_name().unwrap());
        if path.is_dir() {
            found.extend(files(name.to_str().unwrap(), ending));
        } else if name.to_str().unwrap().ends_with(ending) {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn annotations_are_listed() {
    let page = read("docs/formats/image.md");
    let rest = page.split_once("<!-- annotations: ").unwrap().1;
    let table = rest.split_once("|---|---|---|\n").unwrap().1;
    let table = table.split_once("<!-- end -->").unwrap().0;
    let rows = annotations::ALL.iter();
    let wanted: String = rows
        .map(|(key, place, says)| format!("| `{key}` | {place} | {says} |\n"))
        .collect();
    assert_eq!(table, wanted, "put the right-hand side into the page");
}

#[test]
fn templates_are_listed() {
    let page = read("docs/templates.md");
    let rest = page.split_once("<!-- templates: ").unwrap().1;
    let table = rest.split_once("|---|---|---|\n").unwrap().1;
    let table = table.split_once("<!-- end -->").unwrap().0;
    let templates = Templates::default().all().unwrap();
    let rows = templates.iter().map(|template| {
        let files = template.files.iter().map(|file| format!("`{}`", file.name));
        let files = files.collect::<Vec<_>>().join(", ");
        format!(
            "| `{}` | {files} | {} |\n",
            template.name, template.description
        )
    });
    let wanted: String = rows.collect();
    assert_eq!(table, wanted, "put the right-hand side into the page");
}

/// The TOML examples of a page.
fn examples(page: &str) -> Vec<&str> {
    let blocks = page.split("```toml\n").skip(1);
    blocks
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

/// Loads an example; without `extends` or a name of its own it extends `base.toml`.
fn load(folder: &Path, example: &str) -> Result<Profile, String> {
    let file = example
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# "));
    let path = folder.join(file.unwrap_or("example.toml"));
    let top = example.lines().take_while(|line| !line.starts_with('['));
    let whole = top
        .into_iter()
        .any(|line| line.starts_with("name =") || line.starts_with("extends ="));
    let before = if whole {
        ""
    } else {
        "extends = \"base.toml\"\n"
    };
    fs::write(&path, format!("{before}{example}")).unwrap();
    Profile::load(&path).map_err(|error| format!("{error}\n{example}"))
}

#[test]
fn examples_of_profiles_load() {
    let page = read("docs/profile.md");
    let folder = tempfile::tempdir().unwrap();
    let examples = examples(&page);
    assert!(examples.len() > 8);
    for example in &examples {
        load(folder.path(), example).unwrap();
    }
    // What the page says of its second example.
    let node = Profile::load(&folder.path().join("node.toml")).unwrap();
    let packages = node.packages("amd64");
    assert!(packages.contains(&"socat".to_owned()) && !packages.contains(&"udev".to_owned()));
    assert_eq!(node.kernel.command_line.len(), 1);
    assert!(load(folder.path(), "[debian]\nremove = [\"nobody-listed-it\"]\n").is_err());
    assert!(load(folder.path(), "[debain]\n").is_err());
}

#[test]
fn every_section_of_profiles_has_an_example_or_a_word() {
    let page = read("docs/profile.md");
    let schema = nodelith::profile::schema::value();
    for key in schema["properties"].as_object().unwrap().keys() {
        let said = page.contains(&format!("[{key}"))
            || page
                .lines()
                .any(|line| line.starts_with(&format!("{key} =")));
        assert!(said, "docs/profile.md does not speak of `{key}`");
    }
}

/// The first column of the table of docs/paths.md.
fn listed_paths() -> BTreeMap<String, GlobMatcher> {
    let page = read("docs/paths.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `/"));
    rows.map(|row| row.split_once('`').unwrap().0)
        .map(|path| (path.to_owned(), pattern(path)))
        .collect()
}

/// A path of the page as a pattern: a word in capitals is one name, `…` anything.
fn pattern(path: &str) -> GlobMatcher {
    let parts = path.split('/').map(|part| {
        let words = part.split('.').map(|word| {
            let is_name = word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
            if is_name { "*" } else { word }
        });
        words.collect::<Vec<_>>().join(".").replace('…', "**")
    });
    let glob = parts.collect::<Vec<_>>().join("/");
    let glob = GlobBuilder::new(&glob).literal_separator(true).build();
    glob.unwrap().compile_matcher()
}

/// The folders of docs/paths.md that a node keeps for itself. Through those that it
/// lays over /opt/cni/bin the image's are seen.
const KEPT: [&str; 4] = ["var", "etc/machine-id", "etc/kubernetes", "etc/cni/net.d"];

#[test]
fn generated_paths_are_listed_and_nothing_else_is() {
    let listed = listed_paths();
    let mut made: BTreeSet<String> = everything_set().into_iter().collect();
    made.insert(SETTINGS_PATH.to_owned());
    for path in &made {
        let row = listed.values().find(|pattern| pattern.is_match(path));
        assert!(row.is_some(), "docs/paths.md does not list `/{path}`");
        for kept in KEPT {
            let shadowed = TreePath::from(path.as_str()).is_within(kept.as_bytes());
            assert!(!shadowed, "`/{path}` lies where kept state shadows it");
        }
    }
    for (path, pattern) in &listed {
        assert!(
            made.iter().any(|made| pattern.is_match(made)),
            "docs/paths.md lists `/{path}`, which nothing makes"
        );
    }
    assert!(!pattern("home/NAME").is_match("home/core/.profile"));
    assert!(pattern("home/NAME/…").is_match("home/core/.ssh/authorized_keys"));
    assert!(!pattern("etc/passwd").is_match("etc/group"));
}

/// The paths that node configuration makes of a profile with everything set.
fn everything_set() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("site.pem");
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=site",
        ])
        .arg("-keyout")
        .arg(folder.path().join("key.pem"))
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let profile = folder.path().join("profile.toml");
    fs::write(&profile, EVERYTHING).unwrap();
    fs::write(folder.path().join("kubelet"), "").unwrap();
    let profile = Profile::load(&profile).unwrap();

    let root = [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/group", "root:x:0:\nadm:x:4:\n"),
        ("etc/shadow", "root:*:3652:0:99999:7:::\n"),
        ("etc/gshadow", "root:*::\nadm:*::\n"),
        ("etc/subuid", ""),
        ("etc/subgid", ""),
        ("etc/skel/.profile", "skel\n"),
        ("etc/ssl/certs/ca-certificates.crt", ""),
        ("usr/bin/catatonit", ""),
        ("usr/lib/cni/bridge", ""),
        ("usr/lib/os-release", "ID=debian\n"),
        (
            "usr/lib/systemd/system/a.service",
            "[Install]\nAlias=b.service\nWantedBy=multi-user.target\n",
        ),
        ("usr/lib/systemd/system/c.service", ""),
        ("usr/lib/systemd/systemd", ""),
        // One that is old enough to need all of our units.
        (
            "usr/lib/systemd/system/systemd-tmpfiles-setup.service",
            "[Service]\nLoadCredential=tmpfiles.extra\n",
        ),
        ("usr/lib/systemd/system/ssh.service", ""),
        ("usr/bin/ssh-keygen", ""),
    ];
    let mut tree = Tree::default();
    let mut texts = BTreeMap::new();
    for (path, text) in root {
        let path = TreePath::from(path);
        let mut parent = path.parent();
        while let Some(folder) = parent {
            parent = folder.parent();
            tree.entries.entry(folder).or_insert(entry(Node::Directory));
        }
        texts.insert(path.clone(), text.to_owned());
        let content = Content::Inline(text.as_bytes().into());
        let size = text.len() as u64;
        tree.entries
            .insert(path, entry(Node::File { size, content }));
    }
    let facts = RootFacts::new(&tree, &texts);
    let components = Components::find(&profile, |_| Some("1.7.24")).with(released());
    let made = node::configure(&profile, "amd64", &components, &facts, &WithArchives).unwrap();
    made.entries.keys().map(ToString::to_string).collect()
}

/// Local files on disk, and for every image an empty archive.
struct WithArchives;

impl LocalFiles for WithArchives {
    fn content(&self, file: &LocalFile) -> Result<(u64, Content)> {
        OnDisk.content(file)
    }

    fn read(&self, file: &LocalFile) -> Result<Vec<u8>> {
        OnDisk.read(file)
    }

    fn archive(&self, _: &str) -> Result<Archive> {
        Ok(Archive {
            size: 0,
            content: Content::Inline([].into()),
            manifest: Digest::of(b""),
            stand_in: None,
        })
    }

    fn images(&self) -> Vec<Carried> {
        vec![Carried {
            name: "app".into(),
            component: "image:app".into(),
            references: vec!["r.example/app:1".into()],
            archive: self.archive("").unwrap(),
            shared: vec![SharedPart {
                name: "0123".into(),
                component: "images-shared".into(),
                size: 0,
                content: Content::Inline([].into()),
            }],
        }]
    }
}

/// Every program that the table of releases knows, made up.
fn released() -> Vec<Program> {
    [
        ("containerd", "/usr/bin/containerd"),
        ("runc", "/usr/sbin/runc"),
        ("cni-plugins", "/usr/lib/cni/loopback"),
        ("crictl", "/usr/bin/crictl"),
        ("kubeadm", "/usr/bin/kubeadm"),
        ("kubectl", "/usr/bin/kubectl"),
    ]
    .map(|(name, path)| Program {
        component: format!("release:{name}"),
        name: name.to_owned(),
        version: "2.3.4".to_owned(),
        digest: Digest::of(b""),
        files: vec![ProgramFile {
            path: path.to_owned(),
            size: 0,
            content: Content::Blob(Digest::of(b"")),
        }],
    })
    .into()
}

fn entry(node: Node) -> Entry {
    Entry {
        node,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: FIXED_TIME,
        xattrs: BTreeMap::new(),
        component: Arc::from("deb:base"),
    }
}

const EVERYTHING: &str = r#"
name = "all"
architecture = "amd64"
[kubernetes]
version = "1.33"
[debian]
suite = "trixie"
[kernel]
command-line = ["quiet"]
[containerd]
source = "release"
version = "2.3"
snapshotter = "overlayfs"
rlimits = { nofile = "1024:524288" }
[runc]
source = "release"
version = "1.4"
[cni]
source = "release"
version = "1.9"
[crictl]
source = "builtin"
timeout = 10
[pause]
preload = true
[containerd.registries."docker.io"]
mirrors = ["https://mirror.example"]
ca = "site.pem"
[kubelet]
source = "file"
file = "kubelet"
flags = { v = 2 }
config = { maxPods = 50 }
[sysctl]
vm.swappiness = 1
[modules]
load = ["overlay"]
blacklist = ["floppy"]
[units]
enable = ["a.service"]
mask = ["c.service"]
[[users]]
name = "core"
groups = ["adm"]
ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample core"]
[certificates]
authorities = ["site.pem"]
[proxy]
http = "http://proxy.example:3128"
"#;

#[test]
fn json_is_described() {
    let page = read("docs/formats/json.md");
    let described: BTreeSet<&str> = quoted(&page).collect();
    let mut sources = files("src/cli", ".rs");
    sources.extend(files("src/bundle", ".rs"));
    sources.extend(files("src/fleet", ".rs"));
    sources.push("src/check/output.rs".into());
    sources.push("src/import/report.rs".into());
    sources.extend(files("src/report", ".rs"));
    // What the cluster says in `fleet.rs` is no document of ours.
    let bench = files("examples/bench", ".rs").into_iter();
    sources.extend(bench.filter(|path| !path.ends_with("fleet.rs")));
    sources.push("src/boot/report.rs".into());
    sources.extend(files("src/boot/report", ".rs"));
    let mut fields = BTreeSet::new();
    let mut schemas = BTreeSet::new();
    for source in sources {
        let text = read(source.to_str().unwrap());
        for document in text.split("\"schema\": \"").skip(1) {
            let (name, rest) = document.split_once('"').unwrap();
            let version = rest.trim_start_matches(", \"version\": ");
            let version: String = version.chars().take_while(char::is_ascii_digit).collect();
            schemas.insert(format!("`{name}` {version}"));
        }
        // Keys in `json!` are the only text that a colon follows at once.
        for (at, _) in text.match_indices("\": ") {
            let key = text[..at].rsplit('"').next().unwrap();
            if key
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            {
                fields.insert(key.to_owned());
            }
        }
    }
    assert!(schemas.len() >= 9, "{schemas:?}");
    for schema in &schemas {
        assert!(page.contains(schema.as_str()), "{schema} is not described");
    }
    for name in quoted(&page).filter(|text| text.starts_with("nodelith.")) {
        let known = |schema: &String| schema.starts_with(&format!("`{name}`"));
        assert!(schemas.iter().any(known), "no document is `{name}`");
    }
    // The inner fields of what the bench writes about its own machine are free.
    let free = [
        "processors",
        "processor",
        "memory",
        "load",
        "packages",
        "download-bytes",
        "packed",
        "mmdebstrap",
        "tar",
        "zstd",
        "umoci",
        "mkfs-erofs",
        "mksquashfs",
        "qemu-img",
        "veritysetup",
        "entries",
        "compressed",
        "peak-memory",
        "error",
    ];
    for field in &fields {
        let said = described.contains(field.as_str()) || free.contains(&field.as_str());
        assert!(said, "docs/formats/json.md does not describe `{field}`");
    }
}

#[test]
fn links_lead_somewhere() {
    let mut pages = files("docs", ".md");
    for entry in fs::read_dir(repository()).unwrap() {
        let name = PathBuf::from(entry.unwrap().file_name());
        if name.extension().is_some_and(|ending| ending == "md") {
            pages.push(name);
        }
    }
    let mut links = 0;
    for page in pages {
        let text = read(page.to_str().unwrap());
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#', ' ']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let target = page.parent().unwrap().join(target);
            let there = repository().join(&target).exists();
            assert!(there, "{}: no `{}`", page.display(), target.display());
            links += 1;
        }
        // Files of the repository that a page names.
        for name in quoted(&text) {
            let inside = ["src/", "tests/", "ci/", "profiles/", "docs/", "examples/"];
            let plain = !name.contains([' ', '*', '…']);
            if plain && inside.iter().any(|folder| name.starts_with(folder)) {
                let there = repository().join(name).exists();
                assert!(there, "{}: no `{name}`", page.display());
            }
        }
    }
    assert!(links >= 8, "{links}");
}
