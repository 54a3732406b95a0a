//! The proof as a referrer of the image: in a layout, and in a registry. Judged by
//! skopeo, and by reading what is there as any client would.

use std::fs;
use std::path::Path;
use std::process::Command;

use nodelith::digest::Digest;
use nodelith::image::{ImageSpec, assemble, layout};
use nodelith::layer::LayerBlob;
use nodelith::registry::Artifact;
use nodelith::store::Store;
use serde_json::Value;

use super::common::{json, manifest_digest, nodelith, output, run};
use super::docker::DockerRegistry;
use super::scene::{Scene, said};

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A JSON document; of a layout's blob, its digest is looked at.
fn read(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap();
    if path.to_str().unwrap().contains("/blobs/") {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(Digest::of(&bytes).hex(), name);
    }
    serde_json::from_slice(&bytes).unwrap()
}

/// What a statement must say of an image.
fn judge(statement: &Value, image: &str) {
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    let digest = format!(
        "sha256:{}",
        statement["subject"][0]["digest"]["sha256"]
            .as_str()
            .unwrap()
    );
    assert_eq!(digest, image);
    let kind = "https://nodelith.io/attestation/boot/v1";
    assert_eq!(statement["predicateType"], kind);
    let predicate = &statement["predicate"];
    assert_eq!(predicate["verdict"], "passed");
    assert_eq!(predicate["proofs"][0]["way"], "kernel");
    // Where the image was is nobody's business.
    assert!(predicate["proofs"][0].get("image").is_none());
}

#[test]
fn in_a_layout() {
    let scene = Scene::new();
    let image = manifest_digest(&scene.path("image"));
    let blobs = scene.path("image/blobs/sha256");
    let blob = |digest: &Value| read(&blobs.join(&digest.as_str().unwrap()["sha256:".len()..]));
    for _ in 0..2 {
        run(&mut scene.boot("good", &["image", "--attach"]));
        let index = read(&scene.path("image/index.json"));
        let entries = index["manifests"].as_array().unwrap();
        // A second proof takes the place of the first.
        assert_eq!(entries.len(), 2, "{index:#}");
        assert_eq!(entries[0]["digest"], *image);
        assert_eq!(entries[1]["artifactType"], IN_TOTO);
        let manifest = blob(&entries[1]["digest"]);
        assert_eq!(manifest["artifactType"], IN_TOTO);
        assert_eq!(manifest["subject"]["digest"], *image);
        assert_eq!(manifest["layers"][0]["mediaType"], IN_TOTO);
        judge(&blob(&manifest["layers"][0]["digest"]), &image);
        assert_eq!(blob(&manifest["config"]["digest"]), serde_json::json!({}));
    }
    // The image is still the only one there, to this program.
    let shown = json(nodelith().arg("show").arg(scene.path("image")));
    assert_eq!(shown["digest"], *image);
    assert_eq!(shown["referrers"][0]["artifact-type"], IN_TOTO);

    // What failed is told of, and not attached.
    let bytes = fs::read(scene.path("image/index.json")).unwrap();
    let output = output(&mut scene.boot("unique", &["image", "--attach"]));
    let (_, messages) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{messages}");
    assert!(
        messages.contains("warning: the proof is not attached: it failed"),
        "{messages}"
    );
    assert_eq!(fs::read(scene.path("image/index.json")).unwrap(), bytes);
}

#[test]
fn an_image_that_is_replaced_takes_its_proof_along() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let layout = folder.path().join("image");
    let bytes = b"any";
    let layer = LayerBlob {
        id: "any".into(),
        media_type: "application/vnd.oci.image.layer.v1.tar".into(),
        digest: store.put(bytes).unwrap(),
        size: bytes.len() as u64,
        diff_id: Digest::of(bytes),
        uncompressed_size: bytes.len() as u64,
        files: 1,
        annotations: std::collections::BTreeMap::new(),
    };
    let image = |created| {
        let spec = ImageSpec {
            architecture: "amd64".into(),
            created,
            ..ImageSpec::default()
        };
        assemble(&store, &spec, std::slice::from_ref(&layer)).unwrap()
    };
    let write = |image| layout::write(&store, &layout, Some("1"), &[image]).unwrap();
    let digest = write(image(1)).digest;
    let artifact = Artifact {
        artifact_type: IN_TOTO.into(),
        blobs: Vec::new(),
        annotations: std::collections::BTreeMap::new(),
    };
    let stored = artifact.store(&store, &image(1).manifest).unwrap();
    let (manifest, blobs) = (&stored.manifest, &stored.blobs);
    layout::attach(&store, &layout, IN_TOTO, &digest, manifest, blobs).unwrap();
    let referrers = || layout::referrers(&layout, &digest).unwrap().len();
    assert_eq!(referrers(), 1);
    assert!(write(image(1)).unchanged);
    assert_eq!(referrers(), 1);
    let blob = layout.join("blobs/sha256").join(manifest.digest.hex());
    assert!(blob.exists());

    write(image(2));
    assert_eq!(referrers(), 0);
    assert!(!blob.exists());
    let index = read(&layout.join("index.json"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
}

#[test]
fn in_a_registry() {
    let registry = DockerRegistry::start();
    let scene = Scene::new();
    let name = registry.name("nodes/a:1");
    let digest = manifest_digest(&scene.path("image"));

    // Before it is there.
    let attach = format!("--attach={name}");
    let refused = output(&mut scene.boot("good", &["image", &attach]));
    let (_, messages) = said(&refused);
    assert_eq!(refused.status.code(), Some(3), "{messages}");
    assert!(messages.contains("`nodelith push` first"), "{messages}");

    run(nodelith().arg("push").arg(scene.path("image")).arg(&name));
    run(&mut scene.boot("good", &["image", &attach]));
    // Others find it by the tag that stands in for a list.
    let raw = |name: String| -> Value {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--raw", "--tls-verify=false"]);
        let name = format!("docker://{}", registry.name(&name));
        serde_json::from_slice(&run(skopeo.arg(name))).unwrap()
    };
    let index = raw(format!("nodes/a:{}", digest.replace(':', "-")));
    let entry = &index["manifests"][0];
    assert_eq!(entry["artifactType"], IN_TOTO);
    let artifact = format!("nodes/a@{}", entry["digest"].as_str().unwrap());
    let manifest = raw(artifact.clone());
    assert_eq!(manifest["subject"]["digest"], *digest);

    let copy = scene.path("copy");
    run(Command::new("skopeo")
        .args(["copy", "-q", "--src-tls-verify=false"])
        .arg(format!("docker://{}", registry.name(&artifact)))
        .arg(format!("dir:{}", copy.display())));
    let statement = manifest["layers"][0]["digest"].as_str().unwrap();
    judge(&read(&copy.join(&statement["sha256:".len()..])), &digest);
}
