//! The program that pushes an image which Nix built.

use std::fs;
use std::process::Command;

use crate::common::{output, run};
use crate::docker::DockerRegistry;
use crate::functions::{expression, with_package};
use crate::store::{Store, able};

#[test]
fn what_the_registry_has_is_not_sent_again() {
    if !able() {
        return;
    }
    let store = with_package(Store::new());
    let file = store.write("image.nix", &expression("node"));
    let built = |attribute: &str| {
        let mut build = store.nix("nix-build");
        build
            .arg("--no-out-link")
            .arg(&file)
            .args(["-A", attribute]);
        String::from_utf8(run(&mut build))
            .unwrap()
            .trim()
            .to_owned()
    };
    let digest = fs::read_to_string(store.on_disk(&built("digest"))).unwrap();
    let script = store.on_disk(&format!("{}/bin/push", built("push")));
    // The store of a test is not at `/`, where the program's words lead.
    let script = fs::read_to_string(script).unwrap();
    let script = script.replace(
        "/nix/store",
        &store.on_disk("/nix/store").display().to_string(),
    );
    let push = |registry: &DockerRegistry, tag: &str| {
        let reference = format!("docker://{}", registry.name(&format!("node:{tag}")));
        let mut push = Command::new("sh");
        push.args([
            "-euc",
            &script,
            "push",
            &reference,
            "--plain-http",
            "--json",
        ]);
        push.env("NODELITH_STORE", store.path("cache"));
        let output = output(&mut push);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let registry = DockerRegistry::start();
    let first = push(&registry, "1");
    let again = push(&registry, "2");
    for pushed in [&first, &again] {
        assert_eq!(pushed["digest"], digest, "{pushed:#}");
    }
    let sent = |pushed: &serde_json::Value| pushed["repositories"][0]["uploaded"]["blobs"].clone();
    assert_eq!(sent(&first), 5, "{first:#}");
    assert_eq!(sent(&again), 0, "{again:#}");
}
