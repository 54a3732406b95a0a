//! What of its images is in a node: archives, parts, the unit; and that a change
//! changes little.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodelith::image::Image;
use serde_json::json;

use super::blobs::{Blobs, MANIFEST, layer, noise};
use super::common::{json, output, run};
use super::{Stage, digest};

/// Two images that share a layer, one by a digest, one under two names.
const IMAGES: &str = "
[[images]]
reference = \"REGISTRY/team/one:1\"
[[images]]
reference = \"REGISTRY/team/two:1\"
[[images]]
reference = \"r.example/again:1\"
source = \"REGISTRY/team/two:1\"
";

/// The images in the registry: of two architectures, the second in docker's format.
pub fn publish(stage: &Stage) {
    stage.layout("one", &["amd64", "arm64"], "one");
    stage.push("one", "team/one:1");
    let mut blobs = Blobs::default();
    let own = layer("other", &noise(7, 100_000));
    let image = blobs.image("amd64", &[layer("shared", b"shared"), own]);
    let folder = stage.scene.path("two");
    blobs.write(&folder, &[image]);
    let target = format!("docker://{}", stage.registry.name("team/two:1"));
    run(Command::new("skopeo")
        .args(["copy", "--format", "v2s2", "--dest-tls-verify=false"])
        .arg(format!("oci:{}", folder.display()))
        .arg(target));
}

/// Builds without compression and unpacks; the root.
pub fn unpacked(stage: &Stage) -> PathBuf {
    run(&mut stage.build("out"));
    let bundle = stage.scene.path("bundle");
    let _ = fs::remove_dir_all(&bundle);
    let image = format!("{}:1", stage.scene.path("out").display());
    run(Command::new("umoci")
        .args(["unpack", "--image", &image])
        .arg(&bundle));
    bundle.join("rootfs")
}

/// What the unit runs, word by word.
pub fn commands(root: &Path) -> Vec<Vec<String>> {
    let unit = root.join("usr/lib/systemd/system/nodelith-images.service");
    let unit = fs::read_to_string(unit).unwrap();
    let commands = unit
        .lines()
        .filter_map(|line| line.strip_prefix("ExecStart="));
    let words = |command: &str| command.split(' ').map(str::to_owned).collect();
    commands.map(words).collect()
}

fn layers(stage: &Stage, output: &str) -> BTreeMap<String, (String, u64)> {
    let built = json(&mut stage.build(output));
    let layers = built["images"][0]["layers"].as_array().unwrap();
    let layers = layers.iter().map(|layer| {
        let text = |key: &str| layer[key].as_str().unwrap().to_owned();
        (
            text("id"),
            (text("digest"), layer["size"].as_u64().unwrap()),
        )
    });
    layers.collect()
}

#[test]
fn every_blob_is_in_the_node_once() {
    let stage = Stage::node("1.7.24", IMAGES);
    publish(&stage);
    let root = unpacked(&stage);
    let mut seen = BTreeMap::new();
    for command in commands(&root) {
        let archive = whole(&stage, &root, &command);
        for reference in command[2].split(',') {
            let name = format!("oci-archive:{}:{reference}", archive.display());
            let image = Image::open(&name, Some("amd64")).unwrap();
            for layer in &image.layers {
                let mut layer = image.layer(layer).unwrap();
                std::io::copy(&mut layer, &mut std::io::sink()).unwrap();
            }
            if image.manifest.media_type != MANIFEST {
                continue; // skopeo reads no docker manifest in a layout
            }
            let said = run(Command::new("skopeo").args(["inspect", "--raw", &name]));
            let found = nodelith::digest::Digest::of(&said).to_string();
            assert_eq!(found, command[3], "{reference}");
            // What is there for this architecture can be copied.
            let copy = format!("oci:{}", stage.scene.path("copy").display());
            run(Command::new("skopeo").args(["copy", "--override-arch", "amd64", &name, &copy]));
        }
    }
    let folder = root.join("usr/share/nodelith/images");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let listed = run(Command::new("tar").arg("-tf").arg(&path));
        for line in String::from_utf8(listed).unwrap().lines() {
            if line.starts_with("blobs/sha256/") && !line.ends_with('/') {
                assert!(
                    seen.insert(line.to_owned(), path.clone()).is_none(),
                    "{line} twice"
                );
            }
        }
    }
    // Index, and twice manifest, configuration, own layer; the shared layer in one format
    // and in the other are one blob only if neither is compressed.
    assert!(seen.len() >= 8, "{seen:?}");
}

/// The archive as the script puts it together.
fn whole(stage: &Stage, root: &Path, command: &[String]) -> PathBuf {
    let mut bytes = Vec::new();
    for part in command[4..].iter().chain([&command[1]]) {
        bytes.extend(fs::read(root.join(&part[1..])).unwrap());
    }
    let path = stage.scene.path("whole.tar");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_unit_names_references_word_for_word() {
    let stage = Stage::node("1.7.24", IMAGES);
    publish(&stage);
    let root = unpacked(&stage);
    let commands = commands(&root);
    let references: Vec<&str> = commands.iter().map(|words| &*words[2]).collect();
    let registry = &stage.registry.host;
    let both = format!("{registry}/team/two:1,r.example/again:1");
    assert_eq!(references, [&*format!("{registry}/team/one:1"), &both]);
    assert_eq!(commands[0][3], digest(&stage.scene.path("one")));
    let shown = json(
        stage
            .scene
            .nodelith(&["show", "oci:out"])
            .arg("--arch")
            .arg("amd64"),
    );
    let images = shown["preloaded"].as_array().unwrap();
    assert_eq!(images.len(), 3);
    assert_eq!(images[0]["reference"], format!("{registry}/team/one:1"));
    assert_eq!(images[0]["digest"], commands[0][3]);
}

#[test]
fn the_same_from_any_registry_and_store() {
    let stage = Stage::node("1.7.24", IMAGES);
    publish(&stage);
    let first = layers(&stage, "out");
    let again = json(&mut stage.build("out"));
    assert_eq!(again["unchanged"], true);
    // From layouts in place of registries, with another store.
    let profile = fs::read_to_string(stage.scene.path("node.toml")).unwrap();
    let source = "/team/one:1\"\nsource = \"oci:one\"";
    let changed = profile.replacen("/team/one:1\"", source, 1);
    stage.scene.write("node.toml", changed);
    stage.renew_store("1.7.24");
    assert_eq!(layers(&stage, "other"), first);
}

/// What tells which archives an image needs is kept as long as the lock is built.
#[test]
fn pruning_leaves_what_a_changed_setting_needs() {
    let stage = Stage::node("1.7.24", IMAGES);
    publish(&stage);
    let first = layers(&stage, "out");
    // No blob was used for long, but what records name.
    let mut old = Command::new("find");
    old.arg(stage.scene.path("store/blobs"));
    run(old.args([
        "-type",
        "f",
        "-exec",
        "touch",
        "-d",
        "2020-01-01",
        "{}",
        "+",
    ]));
    run(&mut stage.scene.nodelith(&["store", "prune"]));
    let profile = fs::read_to_string(stage.scene.path("node.toml")).unwrap();
    stage.scene.write(
        "node.toml",
        format!("{profile}[sysctl]\nvm.swappiness = 1\n").trim_start(),
    );
    let mut build = stage.build("out");
    let built = json(build.arg("--offline"));
    let made = built["images"][0]["layers"].as_array().unwrap();
    let made = made.iter().filter(|layer| layer["reused"] == false);
    assert_eq!(made.count(), 1);
    assert_eq!(layers(&stage, "out").len(), first.len());
}

#[test]
fn a_changed_image_or_setting_changes_its_own_layer() {
    let stage = Stage::node("1.7.24", IMAGES);
    publish(&stage);
    let first = layers(&stage, "out");
    stage.layout("one", &["amd64", "arm64"], "one, changed");
    stage.push("one", "team/one:1");
    let one = stage.registry.name("team/one:1");
    run(&mut stage.command(&["lock", "node.toml", "--update", &one]));
    let second = layers(&stage, "out");
    let changed: Vec<_> = first
        .keys()
        .filter(|id| first[*id] != second[*id])
        .collect();
    assert_eq!(changed, ["configuration", "image:one"]);

    // A setting touches no image.
    let profile = fs::read_to_string(stage.scene.path("node.toml")).unwrap();
    stage.scene.write(
        "node.toml",
        format!("{profile}[sysctl]\n\"vm.swappiness\" = 1\n"),
    );
    let built = json(&mut stage.build("out"));
    let layers = built["images"][0]["layers"].as_array().unwrap();
    let made: Vec<_> = layers
        .iter()
        .filter(|layer| layer["reused"] == json!(false))
        .collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0]["id"], "configuration");
}

#[test]
fn from_a_vendor_folder_it_is_the_same() {
    let stage = Stage::node("1.7.24", IMAGES);
    publish(&stage);
    run(&mut stage.build("out"));
    run(&mut stage.command(&["vendor", "node.toml", "--output", "vendor"]));
    let first = digest(&stage.scene.path("out"));
    stage.renew_store("1.7.24");
    let mut build = stage.build("other");
    build.args(["--vendor", "vendor", "--locked"]);
    let said = output(&mut build);
    assert!(said.status.success(), "{said:?}");
    assert_eq!(digest(&stage.scene.path("other")), first);
}
