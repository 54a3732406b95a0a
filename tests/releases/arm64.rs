//! Releases for arm64 become layers on a machine of any architecture: no program of
//! theirs is run.

use std::collections::BTreeMap;
use std::io::Read;

use nodelith::layer::{self, Compression, untar};
use nodelith::lock::Lock;
use nodelith::node::{self, Components, OnDisk, Program, ProgramFile, RootFacts};
use nodelith::profile::Profile;
use nodelith::report::{Mode, Report};
use nodelith::source::fetch::{FetchOptions, Fetcher};
use nodelith::source::release::{self, Builtin, LocalReleases, Provider, Releases};
use nodelith::store::Store;
use nodelith::tree::{Content, Node, Tree, TreePath};

use super::common::run;
use super::{ALL, Stage};

#[test]
fn releases_become_layers() {
    let stage = Stage::new(ALL);
    run(&mut stage.command(&["lock", "node.toml"]));
    let lock = Lock::read(&stage.scene.path("node.lock.toml")).unwrap();
    let pinned = &lock.unwrap().architecture["arm64"];
    let store = Store::open(stage.scene.path("store")).unwrap();
    let report = Report::new(Mode::Quiet);
    let fetcher = Fetcher::new(store.clone(), report.clone(), FetchOptions::default());
    let provider = Provider {
        store: &store,
        report: &report,
        fetcher: &fetcher,
        releases: &Releases::with_file(&stage.scene.path("releases.toml")).unwrap(),
        local: &LocalReleases::default(),
        builtin: &Builtin::installed(),
        vendor: None,
    };
    provider.fetch(&pinned.component, "arm64").unwrap();
    let programs = pinned.component.iter().map(|component| {
        let row = provider.row(component).unwrap();
        let files = release::files(&store, row, component, "arm64").unwrap();
        Program {
            component: format!("release:{}", component.name),
            name: component.name.clone(),
            version: component.version.clone(),
            digest: component.digest,
            files: files
                .into_iter()
                .map(|file| ProgramFile {
                    path: file.path,
                    size: file.size,
                    content: Content::Blob(file.digest),
                })
                .collect(),
        }
    });
    let profile = Profile::load(&stage.scene.path("node.toml")).unwrap();
    let components = Components::find(&profile, |_| None).with(programs.collect());
    let (root, texts) = (Tree::default(), BTreeMap::new());
    let facts = RootFacts::new(&root, &texts);
    let made = node::configure(&profile, "arm64", &components, &facts, &OnDisk).unwrap();
    let composed = nodelith::build::compose::compose(&root, made.entries, &made.removed).unwrap();
    let plan = layer::plan(&composed.added, &BTreeMap::new(), 64).unwrap();
    let mut found = BTreeMap::new();
    for planned in &plan.layers {
        let blob = layer::make(&store, planned, &composed.added, Compression::None, 1).unwrap();
        let mut reader = untar::Reader::new(store.open_blob(&blob.digest).unwrap(), blob.digest);
        while let Some((path, entry)) = reader.advance().unwrap() {
            if matches!(entry.node, Node::File { .. }) && planned.id != "configuration" {
                let mut text = String::new();
                reader.read_to_string(&mut text).unwrap();
                found.insert(path, (planned.id.clone(), text));
            }
        }
    }
    assert_eq!(found.len(), 10, "{found:#?}");
    for (id, text) in found.values() {
        assert!(
            id.starts_with("release:") && text.ends_with(" arm64\n"),
            "{id}: {text}"
        );
    }
    let kubelet = &found[&TreePath::from("usr/bin/kubelet")];
    assert_eq!(kubelet.0, "release:kubelet");
}
