//! The pieces are what their systems take, as far as that can be told without them: fields that
//! exist, references that lead somewhere, scripts that a shell and `shellcheck` accept.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::common::{output, run, skip};
use super::document::{ALL, between, document, documents, read, scripts};

#[test]
fn scripts_are_sound() {
    let folder = tempfile::tempdir().unwrap();
    let shellcheck = Command::new("shellcheck").arg("--version").output().is_ok();
    if !shellcheck {
        skip("ShellCheck on the pieces for CI (it is not installed)");
    }
    let mut count = 0;
    for path in ALL {
        for document in documents(&read(path)) {
            for (place, script) in scripts(&document) {
                // Text of others would become part of the program: it comes by variables.
                for mark in ["${{", "$[[", "{{"] {
                    assert!(!script.contains(mark), "{path}{place} has {mark}");
                }
                let file = folder.path().join("script");
                fs::write(&file, format!("#!/bin/bash\nset -eo pipefail\n{script}")).unwrap();
                run(Command::new("bash").arg("-n").arg(&file));
                let lines = script.lines().count();
                assert!(lines < 50, "{path}{place} has {lines} lines");
                if shellcheck {
                    // Variables come from outside; PROFILES is a pattern.
                    let mut check = Command::new("shellcheck");
                    check.args(["--exclude", "SC2154,SC2153,SC2086"]).arg(&file);
                    let done = output(&mut check);
                    let said = String::from_utf8_lossy(&done.stdout).into_owned();
                    assert!(done.status.success(), "{path}{place}\n{said}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 12, "{count}");
}

/// The keys of an object, all of which must be among `known`.
fn fields(place: &str, value: &Value, known: &[&str]) {
    for key in value
        .as_object()
        .unwrap_or_else(|| panic!("{place}"))
        .keys()
    {
        assert!(known.contains(&key.as_str()), "{place} has `{key}`");
    }
}

/// What GitHub's metadata syntax for actions knows, of what we use.
#[test]
fn actions_of_github() {
    for path in ["ci/github/setup/action.yml", "ci/github/build/action.yml"] {
        let action = document(path);
        fields(
            path,
            &action,
            &["name", "description", "inputs", "outputs", "runs"],
        );
        assert_eq!(action["runs"]["using"], "composite");
        for (name, input) in action["inputs"].as_object().unwrap() {
            fields(name, input, &["description", "required", "default"]);
            assert!(input["description"].is_string(), "{name}");
            assert!(
                input["required"] == true || input["default"].is_string(),
                "{name}"
            );
        }
        let mut ids = BTreeSet::new();
        for step in action["runs"]["steps"].as_array().unwrap() {
            fields(
                path,
                step,
                &["name", "id", "if", "shell", "env", "run", "uses", "with"],
            );
            assert_eq!(step["run"].is_string(), step["shell"] == "bash", "{step}");
            assert!(
                step["run"].is_string() != step["uses"].is_string(),
                "{step}"
            );
            resolve(path, &action, step, &ids);
            ids.extend(step["id"].as_str().map(str::to_owned));
        }
        if let Some(outputs) = action["outputs"].as_object() {
            for output in outputs.values() {
                resolve(path, &action, output, &ids);
            }
        }
    }
}

/// Every expression below `value` names an input that there is, and steps before it.
fn resolve(path: &str, action: &Value, value: &Value, ids: &BTreeSet<String>) {
    let text = value.to_string();
    let condition = value["if"].as_str().unwrap_or_default();
    let words = |text: &str| {
        let is_end = |letter: char| !(letter.is_ascii_alphanumeric() || "._-".contains(letter));
        text.split(is_end).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut named = words(condition);
    named.extend(between(&text, "${{", "}}").into_iter().flat_map(words));
    for name in named {
        let parts: Vec<&str> = name.split('.').collect();
        match parts[..] {
            ["inputs", input] => assert!(!action["inputs"][input].is_null(), "{path}: {name}"),
            ["steps", step, "outputs", output] => {
                assert!(ids.contains(step), "{path}: {name}");
                let steps = action["runs"]["steps"].as_array().unwrap();
                let step = steps.iter().find(|one| one["id"] == step).unwrap();
                let script = step["run"].as_str().unwrap();
                assert!(script.contains(&format!("{output}=$")), "{path}: {name}");
            }
            _ => {}
        }
    }
}

#[test]
fn the_workflow_of_github() {
    let path = "ci/github/node-images.yml";
    let workflow = document(path);
    fields(
        path,
        &workflow,
        &["name", "on", "permissions", "env", "jobs"],
    );
    assert_eq!(
        workflow["permissions"],
        serde_json::json!({"contents": "read"})
    );
    let jobs = workflow["jobs"].as_object().unwrap();
    for (name, job) in jobs {
        let known = [
            "needs",
            "if",
            "strategy",
            "runs-on",
            "permissions",
            "outputs",
            "steps",
        ];
        fields(name, job, &known);
        let needs = match &job["needs"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(all) => all.iter().map(|one| one.as_str().unwrap()).collect(),
            _ => Vec::new(),
        };
        assert!(
            needs.iter().all(|needed| jobs.contains_key(*needed)),
            "{name}"
        );
        for reference in between(&job.to_string(), "needs.", ")") {
            let (needed, output) = reference.split_once(".outputs.").unwrap();
            assert!(needs.contains(&needed), "{name}: {reference}");
            assert!(
                jobs[needed]["outputs"][output].is_string(),
                "{name}: {reference}"
            );
        }
        for step in job["steps"].as_array().unwrap() {
            let Some(action) = step["uses"].as_str() else {
                continue;
            };
            let Some(ours) = action.strip_prefix("OWNER/nodelith/") else {
                // GitHub's own alone, by version.
                assert!(action.starts_with("actions/checkout@v"), "{action}");
                continue;
            };
            let inputs = document(&format!(
                "{}/action.yml",
                ours.strip_suffix("@REF").unwrap()
            ));
            let given = step["with"].as_object().into_iter().flatten();
            for (input, _) in given {
                assert!(
                    !inputs["inputs"][input].is_null(),
                    "{name}: {action} has no `{input}`"
                );
            }
        }
    }
    // Whoever resolves, builds or pushes has an archive and the registry.
    for (name, job) in jobs.iter().filter(|(name, _)| *name != "matrix") {
        let steps = job["steps"].as_array().unwrap();
        let setup = "OWNER/nodelith/ci/github/setup@REF";
        let setup = steps.iter().find(|step| step["uses"] == setup).unwrap();
        for (input, value) in [
            ("registry", "${{ vars.NODE_REGISTRY }}"),
            ("username", "${{ secrets.NODE_REGISTRY_USERNAME }}"),
            ("password", "${{ secrets.NODE_REGISTRY_PASSWORD }}"),
            ("mirror", "${{ vars.NODE_MIRROR }}"),
        ] {
            assert_eq!(setup["with"][input], value, "{name}: {input}");
        }
    }
    // What is proposed by anyone does not get to write.
    let build = &jobs["build"]["steps"][2]["with"]["cache-to"];
    assert!(
        build.as_str().unwrap().contains("!= 'pull_request' &&"),
        "{build}"
    );
    assert_eq!(jobs["publish"]["if"], "github.event_name == 'push'");
}

#[test]
fn the_component_of_gitlab() {
    let path = "ci/gitlab/templates/node-images.yml";
    let parts = documents(&read(path));
    let [spec, jobs] = &parts[..] else {
        panic!("a component has a header and jobs");
    };
    let inputs = spec["spec"]["inputs"].as_object().unwrap();
    for (name, input) in inputs {
        fields(name, input, &["description", "type", "default", "options"]);
    }
    let used: BTreeSet<_> = between(&jobs.to_string(), "$[[ inputs.", "]]")
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(used, inputs.keys().cloned().collect());
    let known = [
        "image",
        "variables",
        "before_script",
        "extends",
        "stage",
        "rules",
        "parallel",
        "tags",
        "script",
        "artifacts",
    ];
    for (name, job) in jobs.as_object().unwrap() {
        fields(name, job, &known);
        let base = job["extends"].as_str();
        assert!(base.is_none_or(|base| jobs[base].is_object()), "{name}");
    }
}

#[test]
fn the_templates_of_argo() {
    let secret = serde_json::json!({
        "secretName": "node-registry",
        "optional": true,
        "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
    });
    for (path, kind, at) in [
        ("ci/argo/node-images.yaml", "WorkflowTemplate", "/spec"),
        (
            "ci/argo/renew-locks.yaml",
            "CronWorkflow",
            "/spec/workflowSpec",
        ),
    ] {
        let resource = document(path);
        assert_eq!(resource["apiVersion"], "argoproj.io/v1alpha1");
        assert_eq!(resource["kind"], kind);
        let spec = resource.pointer(at).unwrap();
        fields(
            path,
            spec,
            &["entrypoint", "arguments", "volumes", "templates"],
        );
        let templates = spec["templates"].as_array().unwrap();
        let template = |name: &Value| {
            let found = templates.iter().find(|one| one["name"] == *name);
            found.unwrap_or_else(|| panic!("{path} has no template {name}"))
        };
        template(&spec["entrypoint"]);
        let parameters = |owner: &Value| -> BTreeSet<String> {
            let list = owner["parameters"].as_array().into_iter().flatten();
            list.map(|one| one["name"].as_str().unwrap().to_owned())
                .collect()
        };
        let global = parameters(&spec["arguments"]);
        for one in templates {
            let own = parameters(&one["inputs"]);
            for name in between(&one.to_string(), "{{", "}}") {
                let known = match name.split('.').collect::<Vec<_>>()[..] {
                    ["workflow", "parameters", name] => global.contains(name),
                    ["inputs", "parameters", name] => own.contains(name),
                    // Keys of `nodelith matrix --format argo`; the runs below use them.
                    ["item", _] | ["tasks", _, "outputs", "result"] => true,
                    _ => false,
                };
                assert!(known, "{path}: {name}");
            }
            for mount in one["script"]["volumeMounts"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let volumes = spec["volumes"].as_array().unwrap();
                assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]));
            }
            // Whoever resolves, builds or pushes has the registry's login, if there is one.
            let source = one["script"]["source"].as_str().unwrap_or_default();
            let verbs = ["nodelith lock", "nodelith build", "nodelith push"];
            if verbs.iter().any(|verb| source.contains(verb)) {
                let login = serde_json::json!({"name": "DOCKER_CONFIG", "value": "/registry"});
                let variables = one["script"]["env"].as_array().unwrap();
                assert!(variables.contains(&login), "{path}: {}", one["name"]);
                let mounts = one["script"]["volumeMounts"].as_array().unwrap();
                let mount = |mount: &Value| {
                    mount["name"] == "registry" && mount["mountPath"] == "/registry"
                };
                assert!(mounts.iter().any(mount), "{path}: {}", one["name"]);
                let volumes = spec["volumes"].as_array().unwrap();
                let volume = volumes.iter().find(|volume| volume["name"] == "registry");
                assert_eq!(volume.unwrap()["secret"], secret, "{path}");
            }
            for task in one["dag"]["tasks"].as_array().into_iter().flatten() {
                let given = parameters(&task["arguments"]);
                assert_eq!(
                    given,
                    parameters(&template(&task["template"])["inputs"]),
                    "{task}"
                );
                // Builds of proposed changes do not get to write.
                let when = match task["template"].as_str() {
                    Some("publish") => "'{{workflow.parameters.trusted}}' == 'yes'".into(),
                    _ => Value::Null,
                };
                assert_eq!(task["when"], when, "{task}");
            }
        }
    }
}

/// The official schemas, where somebody has `check-jsonschema`, which has them in it.
#[test]
fn official_schemas() {
    let Ok(_) = Command::new("check-jsonschema").arg("--version").output() else {
        return skip("the official schemas of CI systems (check-jsonschema is not installed)");
    };
    let judge = |schema: &str, file: &std::path::Path| {
        let mut judge = Command::new("check-jsonschema");
        judge.args(["--data-transform", "gitlab-ci", "--builtin-schema", schema]);
        output(judge.arg(file)).status.success()
    };
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(judge("vendor.github-actions", &root.join(ALL[0])));
    assert!(judge("vendor.github-actions", &root.join(ALL[1])));
    assert!(judge("vendor.github-workflows", &root.join(ALL[2])));
    assert!(!judge("vendor.github-workflows", &root.join(ALL[1])));
    let folder = tempfile::tempdir().unwrap();
    for (number, part) in read(ALL[3]).split("\n---\n").enumerate() {
        let file = folder.path().join(format!("{number}.yml"));
        let matrix = "[{PROFILE: nodes/a.toml, ARCHITECTURE: amd64}]";
        fs::write(&file, part.replace("$[[ inputs.matrix ]]", matrix)).unwrap();
        assert!(judge("vendor.gitlab-ci", &file));
    }
}
