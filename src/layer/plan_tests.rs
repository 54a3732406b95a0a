use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::tree::{Content, FIXED_TIME};

fn entry(node: Node, component: &str) -> Entry {
    Entry {
        node,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: FIXED_TIME,
        xattrs: BTreeMap::new(),
        component: component.into(),
    }
}

fn file(size: u64) -> Node {
    Node::File {
        size,
        content: Content::Inline(Arc::from([])),
    }
}

/// Adds a path with the directories above it, which belong to nobody in particular.
fn add(tree: &mut Tree, path: &str, node: Node, component: &str) {
    let path = TreePath::from(path);
    let mut above = path.parent();
    while let Some(folder) = above {
        above = folder.parent();
        tree.entries
            .entry(folder)
            .or_insert_with(|| entry(Node::Directory, "generated"));
    }
    tree.entries.insert(path, entry(node, component));
}

fn names(sources: &[(&str, &str)]) -> BTreeMap<Arc<str>, Arc<str>> {
    sources.iter().map(|&(a, b)| (a.into(), b.into())).collect()
}

fn layer<'a>(plan: &'a Plan, id: &str) -> &'a PlannedLayer {
    plan.layers.iter().find(|layer| layer.id == id).unwrap()
}

fn holds(layer: &PlannedLayer, path: &str) -> bool {
    layer.entries.contains(&TreePath::from(path))
}

#[test]
fn large_sources_stand_alone_small_ones_in_bins_specials_last() {
    let mut tree = Tree::default();
    add(&mut tree, "usr/lib/a", file(ALONE / 2), "deb:libsystemd0");
    add(&mut tree, "usr/lib/b", file(ALONE / 2), "deb:systemd");
    add(&mut tree, "usr/lib/c", file(ALONE - 1), "deb:small");
    add(&mut tree, "etc/x", file(5), "configuration");
    add(&mut tree, "etc/y", file(5), "conffiles");
    add(&mut tree, "usr/bin/kubelet", file(5), "kubelet");
    add(
        &mut tree,
        "var/lib/dpkg/status",
        file(5),
        "package-database",
    );
    add(&mut tree, "etc/ld.so.cache", file(5), "generated");
    let sources = names(&[("deb:libsystemd0", "systemd")]);
    let plan = plan(&tree, &sources, DEFAULT_LIMIT).unwrap();
    let ids: Vec<_> = plan.layers.iter().map(|layer| layer.id.as_str()).collect();
    let bin = bin("deb:small", BINS);
    assert_eq!(
        ids,
        [
            "deb:systemd",
            &bin,
            "conffiles",
            "kubelet",
            "generated",
            "configuration"
        ]
    );
    assert!(holds(layer(&plan, "generated"), "var/lib/dpkg/status"));
    assert!(holds(layer(&plan, "configuration"), "etc"));
    assert!(!holds(layer(&plan, "configuration"), "usr"));
    assert_eq!(layer(&plan, "deb:systemd").content_size, ALONE);
}

#[test]
fn a_link_goes_where_its_file_is() {
    let mut tree = Tree::default();
    add(&mut tree, "usr/bin/perl", file(ALONE), "deb:perl");
    add(
        &mut tree,
        "usr/bin/perl5",
        Node::Hardlink("usr/bin/perl".into()),
        "generated",
    );
    let plan = plan(&tree, &BTreeMap::new(), 64).unwrap();
    assert!(holds(layer(&plan, "deb:perl"), "usr/bin/perl5"));
    assert!(!holds(layer(&plan, "generated"), "usr/bin/perl5"));
}

#[test]
fn an_empty_directory_is_in_its_components_layer() {
    let mut tree = Tree::default();
    add(&mut tree, "etc/big", file(ALONE), "deb:big");
    add(&mut tree, "etc/big.d", Node::Directory, "deb:big");
    let before = plan(&tree, &BTreeMap::new(), 64).unwrap();
    assert!(holds(layer(&before, "deb:big"), "etc/big.d"));
    // Another layer's file in it does not change the layer that brought it.
    add(&mut tree, "etc/big.d/x", file(1), "configuration");
    let after = plan(&tree, &BTreeMap::new(), 64).unwrap();
    assert_eq!(layer(&before, "deb:big"), layer(&after, "deb:big"));
    assert!(holds(layer(&after, "configuration"), "etc/big.d"));
}

#[test]
fn limits_are_kept_or_refused() {
    let mut tree = Tree::default();
    for number in 0..100 {
        add(
            &mut tree,
            &format!("f{number}"),
            file(ALONE + number),
            &format!("deb:p{number}"),
        );
    }
    add(&mut tree, "c", file(1), "configuration");
    add(&mut tree, "k", file(1), "kubelet");
    for limit in [1, 4, 10, 20, 64, 127] {
        let plan = plan(&tree, &BTreeMap::new(), limit).unwrap();
        assert!(plan.layers.len() <= limit, "{limit}: {}", plan.layers.len());
    }
    // The largest keep their place.
    assert!(
        plan(&tree, &BTreeMap::new(), 64)
            .unwrap()
            .layers
            .iter()
            .any(|l| l.id == "deb:p99")
    );
    for limit in [0, 2, 128] {
        assert_eq!(
            plan(&tree, &BTreeMap::new(), limit).unwrap_err().kind(),
            Kind::Usage
        );
    }
}

#[test]
fn broken_trees_are_refused() {
    let mut tree = Tree::default();
    tree.entries
        .insert("a/b".into(), entry(file(1), "generated"));
    assert!(plan(&tree, &BTreeMap::new(), 64).is_err());
    let mut tree = Tree::default();
    add(&mut tree, "a", Node::Hardlink("b".into()), "generated");
    assert!(plan(&tree, &BTreeMap::new(), 64).is_err());
}

/// Paths of up to three parts, in components of which some are special.
fn trees() -> impl Strategy<Value = Tree> {
    let name = "[a-d]{1,2}";
    let path = prop::collection::vec(name, 1..4);
    let component = prop::sample::select(vec![
        "deb:a",
        "deb:b",
        "deb:c",
        "deb:d",
        "configuration",
        "generated",
        "conffiles",
        "kubelet",
    ]);
    let size = prop::sample::select(vec![0, 1, 4096, ALONE / 2, ALONE]);
    prop::collection::vec((path, component, size), 0..40).prop_map(|files| {
        let mut tree = Tree::default();
        for (path, component, size) in files {
            // Files end in a dot, so that none is another's directory.
            add(
                &mut tree,
                &format!("{}.", path.join("/")),
                file(size),
                component,
            );
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_file_is_in_one_layer_with_its_directories(tree in trees(), limit in 6_usize..=127) {
        let plan = plan(&tree, &BTreeMap::new(), limit).unwrap();
        prop_assert!(plan.layers.len() <= limit);
        let mut seen = BTreeSet::new();
        for layer in &plan.layers {
            prop_assert!(layer.entries.is_sorted());
            for path in &layer.entries {
                let once = tree.entries[path].node == Node::Directory || seen.insert(path.clone());
                prop_assert!(once, "{} is in two layers", path);
                if let Some(parent) = path.parent() {
                    prop_assert!(layer.entries.contains(&parent));
                }
            }
            seen.extend(layer.entries.iter().cloned());
        }
        prop_assert_eq!(seen.len(), tree.entries.len());
    }

    #[test]
    fn a_new_component_changes_only_its_own_layer(
        tree in trees(),
        size in prop::sample::select(vec![1, ALONE]),
    ) {
        let before = plan(&tree, &BTreeMap::new(), DEFAULT_LIMIT).unwrap();
        let mut more = tree.clone();
        add(&mut more, "new/folder/file", file(size), "deb:new");
        let after = plan(&more, &BTreeMap::new(), DEFAULT_LIMIT).unwrap();
        let own = if size == ALONE { "deb:new".into() } else { bin("deb:new", BINS) };
        for old in &before.layers {
            let new = layer(&after, &old.id);
            // Its directories belong to "generated" here, as unowned ones do.
            if old.id != own && old.id != "generated" {
                prop_assert_eq!(old, new);
            }
        }
    }
}
