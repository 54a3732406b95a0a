//! Without a network: from the store, or from a vendor folder alone.

use std::fs;

use crate::common::{manifest_digest, nodelith, refused, run};
use crate::small;

#[test]
fn a_vendor_folder_is_all_that_a_build_needs() {
    let image = small();
    let vendor = image.folder.join("vendor");
    run(nodelith()
        .args(["vendor", "--offline", "--lock"])
        .arg(&image.lock)
        .arg("-o")
        .arg(&vendor)
        .arg(&image.profile));
    let (store, layout) = (
        image.folder.join("vendor-store"),
        image.folder.join("vendor-out"),
    );
    let build = |store: &std::path::Path| {
        let mut command = nodelith();
        // No network at all: names and addresses lead nowhere in an empty namespace.
        command.args(["build", "--locked", "--vendor"]).arg(&vendor);
        command
            .arg("--store")
            .arg(store)
            .arg("--lock")
            .arg(&image.lock);
        command.arg("-o").arg(&layout).arg(&image.profile);
        for name in [
            "http_proxy",
            "https_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "all_proxy",
        ] {
            command.env(name, "http://[::1]:9");
        }
        command
    };
    run(&mut build(&store));
    assert_eq!(manifest_digest(&layout), image.digest);

    // One file less, and it says which.
    let package = find(&vendor, "socat")
        .or_else(|| find(&vendor, "iproute2"))
        .unwrap();
    fs::remove_file(&package).unwrap();
    let said = refused(&mut build(&image.folder.join("vendor-store-2")), 5);
    assert!(said.contains("iproute2"), "{said}");
}

#[test]
fn an_empty_store_offline_says_what_is_missing() {
    let image = small();
    let store = image.folder.join("store-empty");
    let said = refused(&mut image.command(&store, &image.folder.join("never")), 5);
    assert!(said.contains("offline"), "{said}");
    assert!(!image.folder.join("never/index.json").exists());
}

/// A file below `folder` whose name begins with `name_`.
fn find(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    let prefix = format!("{name}_");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&prefix)
        {
            return Some(path);
        }
    }
    None
}
