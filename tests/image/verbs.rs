//! What the other verbs say of images, stores, and themselves.

use std::fs;
use std::process::Command;

use crate::common::{document, json, nodelith, output, refused, run};
use crate::{fresh, small};

#[test]
fn show_tells_what_an_image_is_made_of() {
    let image = small();
    let shown = json(nodelith().args(["show", "--packages"]).arg(&image.layout));
    assert_eq!(shown["schema"], "nodelith.show");
    assert_eq!(shown["digest"], image.digest);
    assert_eq!(shown["architecture"], "amd64");
    let packages = shown["packages"].as_object().unwrap();
    assert_eq!(packages.len(), image.package_digests().len());
    assert!(packages.contains_key("openssh-server"), "{packages:?}");
    let text = run(nodelith().args(["show", "--packages"]).arg(&image.layout));
    let text = String::from_utf8(text).unwrap();
    for part in ["small", &image.digest, "configuration", "openssh-server"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // An archive of the layout is the same image.
    let folder = fresh("show");
    let archive = folder.join("image.tar");
    run(Command::new("tar")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(&image.layout)
        .arg("."));
    let shown = json(
        nodelith()
            .arg("show")
            .arg(format!("oci-archive:{}", archive.display())),
    );
    assert_eq!(shown["digest"], image.digest);
    refused(nodelith().arg("show").arg(folder.join("nothing")), 2);
}

#[test]
fn diff_tells_what_one_file_comes_to() {
    let image = small();
    let other = image.variant("diff", "hello", "bonjour").build();
    let diff = |more: &[&str]| {
        let mut command = nodelith();
        command
            .arg("diff")
            .arg(&image.layout)
            .arg(&other.layout)
            .args(more);
        command
    };
    let told = json(&mut diff(&[]));
    assert_eq!(told["same"], false);
    assert_eq!(told["packages"].as_array().unwrap().len(), 0);
    let settings = told["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 1, "{told:#}");
    assert_eq!(settings[0]["name"], "file /etc/motd");
    let files: Vec<_> = told["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["path"])
        .collect();
    assert_eq!(files, ["etc/motd", "usr/share/nodelith/settings.json"]);
    assert_eq!(told["download"]["layers"], 1);
    let bytes = told["download"]["bytes"].as_u64().unwrap();
    assert!((100..10_000).contains(&bytes), "{bytes}");
    assert_eq!(output(&mut diff(&["--exit-code"])).status.code(), Some(1));

    let text = String::from_utf8(run(&mut diff(&[]))).unwrap();
    assert!(
        text.contains("~ /etc/motd") && text.contains("download: 1 of "),
        "{text}"
    );
    let mut same = nodelith();
    same.arg("diff")
        .arg(&image.layout)
        .arg(&image.layout)
        .arg("--exit-code");
    let told = json(&mut same);
    assert_eq!(
        (&told["same"], &told["download"]["bytes"]),
        (&true.into(), &0.into())
    );
}

#[test]
fn build_tells_its_layers_and_events_as_json() {
    let image = small();
    let mut command = nodelith();
    command
        .args(["--json", "build", "--locked", "--lock"])
        .arg(&image.lock);
    let store = image.packages_only("store-events");
    command
        .arg("--store")
        .arg(&store)
        .arg("-o")
        .arg(image.folder.join("events"))
        .arg(&image.profile);
    let done = output(&mut command);
    let told = document(&done.stdout);
    assert_eq!(told["digest"], image.digest);
    let layers = told["images"][0]["layers"].as_array().unwrap();
    assert!(
        layers.iter().all(|layer| layer["reused"] == false),
        "{told:#}"
    );
    let events = String::from_utf8(done.stderr).unwrap();
    assert!(events.lines().count() > 5, "{events}");
    for line in events.lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
    prune(&image.package_digests(), &store);
    fs::remove_dir_all(store).unwrap();
}

/// `store show` and `store prune` of a store that has a build's blobs.
fn prune(packages: &[String], store: &std::path::Path) {
    let run_store = |arguments: &[&str]| {
        let mut command = nodelith();
        command
            .arg("--store")
            .arg(store)
            .arg("store")
            .args(arguments);
        json(&mut command)
    };
    let before = run_store(&["show"]);
    let blobs = &before["kinds"][0];
    assert_eq!(blobs["kind"], "blobs");
    let files = blobs["files"].as_u64().unwrap();
    assert!(files > packages.len() as u64, "{before:#}");
    let nothing = run_store(&["prune", "--older-than", "1"]);
    assert_eq!(nothing["removed"][0]["files"], 0, "{nothing:#}");
    let dry = run_store(&["prune", "--older-than", "0", "--dry-run"]);
    assert_eq!(run_store(&["show"]), before);
    let done = run_store(&["prune", "--older-than", "0"]);
    assert_eq!(dry["removed"], done["removed"]);
    assert_eq!(done["removed"][0]["files"], files);
    assert_eq!(run_store(&["show"])["kinds"][0]["files"], 0);
}

#[test]
fn a_profile_made_by_init_can_be_locked() {
    let folder = fresh("init");
    let profile = folder.join("fresh.toml");
    run(nodelith().arg("init").arg(&profile));
    let text = fs::read_to_string(&profile).unwrap();
    assert!(text.contains("name = \"fresh\""), "{text}");
    let said = refused(nodelith().arg("init").arg(&profile), 2);
    assert!(said.contains("exists already"), "{said}");
    let told = json(nodelith().arg("lock").arg(&profile));
    assert!(told["changes"].as_array().unwrap().len() > 100, "{told:#}");
    assert!(folder.join("fresh.lock.toml").exists());
    if crate::common::all("building what init wrote") {
        run(nodelith()
            .arg("build")
            .arg(&profile)
            .arg("-o")
            .arg(folder.join("out")));
    }
}

#[test]
fn it_documents_itself() {
    let schema: serde_json::Value = serde_json::from_slice(&run(nodelith().arg("schema"))).unwrap();
    assert!(schema["properties"]["debian"].is_object());

    let folder = fresh("man");
    run(nodelith().arg("man").arg(&folder));
    let page = fs::read_to_string(folder.join("nodelith-build.1")).unwrap();
    assert!(page.contains("sandbox"), "{page}");
    for verb in [
        "",
        "-lock",
        "-vendor",
        "-show",
        "-diff",
        "-init",
        "-schema",
        "-store-prune",
    ] {
        assert!(folder.join(format!("nodelith{verb}.1")).exists(), "{verb}");
    }
    let script = run(nodelith().args(["completions", "bash"]));
    let script_file = folder.join("completion.bash");
    fs::write(&script_file, script).unwrap();
    let ask = "source \"$0\"; COMP_WORDS=(nodelith st); COMP_CWORD=1; \
               _nodelith nodelith st nodelith; echo \"${COMPREPLY[@]}\"";
    let told = run(Command::new("bash").args(["-c", ask]).arg(&script_file));
    assert_eq!(String::from_utf8_lossy(&told).trim(), "store");
}
