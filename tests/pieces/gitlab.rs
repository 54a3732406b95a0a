//! GitLab's component, its jobs run as a runner runs them: `before_script` and `script` in one
//! shell, with the variables of the job and those that GitLab sets.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::common::json;
use super::document::{documents, joined, read};
use super::shell::{Shell, changed, origin, variables};
use super::team::Team;

/// The component's jobs, its inputs filled in.
fn component(inputs: &[(&str, &str)]) -> Value {
    let parts = documents(&read("ci/gitlab/templates/node-images.yml"));
    let mut text = parts[1].to_string();
    for (name, input) in parts[0]["spec"]["inputs"].as_object().unwrap() {
        let default = input["default"].as_str();
        let given = inputs.iter().find(|(given, _)| given == name);
        let value = given.map(|(_, value)| *value).or(default).unwrap();
        let mark = format!("$[[ inputs.{name} ]]");
        // An array is put in as such, not as a text.
        text = match input["type"] == "array" {
            true => text.replace(&format!("\"{mark}\""), value),
            false => text.replace(&mark, value),
        };
    }
    serde_json::from_str(&text).unwrap()
}

/// Runs a job, which must succeed; what it prints.
fn job(shell: &Shell, jobs: &Value, name: &str, more: &BTreeMap<String, String>) -> String {
    let mut set = more.clone();
    let (job, base) = (&jobs[name], &jobs[jobs[name]["extends"].as_str().unwrap()]);
    let mut own = Vec::new();
    for part in [base, job] {
        for (name, value) in part["variables"].as_object().into_iter().flatten() {
            own.push((name.clone(), value.as_str().unwrap().to_owned()));
        }
    }
    // Variables may speak of others.
    for (name, value) in own {
        let mut value = value;
        for (other, text) in set.iter().rev() {
            value = value.replace(&format!("${other}"), text);
        }
        set.insert(name, value);
    }
    let script =
        [&base["before_script"], &job["script"]].map(|lines| joined(lines.as_array().unwrap()));
    shell.must(&script.concat(), &set)
}

/// What GitLab sets.
fn predefined(shell: &Shell, team: &Team) -> BTreeMap<String, String> {
    let (builds, checkout) = (shell.path("temp"), shell.checkout());
    variables([
        ("CI_BUILDS_DIR", builds.to_str().unwrap()),
        ("CI_PROJECT_DIR", checkout.to_str().unwrap()),
        ("CI_REGISTRY", &team.registry.host),
        ("CI_REGISTRY_USER", "somebody"),
        ("CI_REGISTRY_PASSWORD", "s3cret"),
        ("CI_REGISTRY_IMAGE", &team.registry.name("nodes")),
        ("CI_SERVER_HOST", "gitlab.example"),
        ("CI_PROJECT_PATH", "team/nodes"),
        ("CI_DEFAULT_BRANCH", "main"),
        ("RENEW_TOKEN", "t0ken"),
    ])
}

#[test]
fn jobs_build_check_and_publish() {
    let team = Team::new();
    let origin = origin(&team, "nodes");
    let shell = Shell::of_debian(&team, &origin);
    let matrix = shell.must(
        "nodelith matrix nodes/*.toml --format gitlab",
        &BTreeMap::new(),
    );
    let jobs = component(&[("image", "nodelith"), ("matrix", matrix.trim_end())]);
    let rows = jobs["node-image"]["parallel"]["matrix"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    let mut set = predefined(&shell, &team);
    for (name, value) in rows[0].as_object().unwrap() {
        set.insert(name.clone(), value.as_str().unwrap().to_owned());
    }
    // The runner kept its store from another day.
    let store = shell.checkout().join(".nodelith-store");
    super::common::copy_store(&team.first().path("store"), &store);
    // An unprotected branch does not write to the cache.
    job(&shell, &jobs, "node-image", &set);
    assert_eq!(team.registry.stored(), 0);
    set.insert("CI_COMMIT_REF_PROTECTED".to_owned(), "true".to_owned());
    job(&shell, &jobs, "node-image", &set);
    assert!(team.registry.stored() > 0);
    let junit = fs::read_to_string(shell.checkout().join("nodelith.xml")).unwrap();
    assert!(junit.contains("<testsuite"), "{junit}");

    // Another runner publishes: nothing but the cache.
    let mut other = Shell::of_debian(&team, &origin);
    other
        .variables
        .insert("NODELITH_MIRROR".to_owned(), "file:///nowhere".to_owned());
    job(
        &other,
        &jobs,
        "node-images-publish",
        &predefined(&other, &team),
    );
    let machine = team.machine("reader");
    let image = format!("docker://{}", team.registry.name("nodes/minimal:1"));
    let shown = json(&mut machine.nodelith(&["show", &image]));
    assert_eq!(shown["annotations"]["io.nodelith.profile"], "minimal");
}

#[test]
fn locks_are_renewed_by_a_merge_request() {
    let team = Team::new();
    let origin = origin(&team, "nodes");
    // As GitLab does, it takes options that come with a push.
    let mut options = std::process::Command::new("git");
    options.args([
        "-c",
        "safe.directory=*",
        "config",
        "receive.advertisePushOptions",
        "true",
    ]);
    super::common::run(options.current_dir(&origin));
    let jobs = component(&[("image", "nodelith"), ("matrix", "[]")]);
    let renew = || {
        let shell = Shell::of_debian(&team, &origin);
        // The address of the project leads to the bare repository.
        let from = format!("url.{}.insteadOf", origin.display());
        let address = "https://oauth2:t0ken@gitlab.example/team/nodes.git";
        super::common::run(&mut shell.git(&["config", "--global", &from, address]));
        job(
            &shell,
            &jobs,
            "node-images-renew",
            &predefined(&shell, &team),
        )
    };
    assert!(renew().contains("all locks have the newest of everything"));
    assert_eq!(changed(&origin, "main", "nodelith/locks"), None);
    let package = team.newer();
    assert!(renew().contains(&package));
    let changed = changed(&origin, "main", "nodelith/locks");
    assert_eq!(changed.as_deref(), Some("nodes/minimal.lock.toml"));
}
