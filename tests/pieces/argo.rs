//! Argo's templates, their scripts run as the controller would have them run: parameters filled
//! in, results of one task handed to others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::common::json;
use super::docker::DockerRegistry;
use super::document::document;
use super::shell::{Shell, changed, origin};
use super::team::Team;

/// A text with `{{…}}` filled in; what is not known stays.
fn filled(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut done = text.to_owned();
    for (name, value) in known {
        done = done.replace(&format!("{{{{{name}}}}}"), value);
    }
    done
}

fn parameters(owner: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let list = owner["parameters"].as_array().into_iter().flatten();
    list.map(|one| (one["name"].as_str().unwrap(), &one["value"]))
}

/// Runs a template's script; what it prints. Folders of the pod are in the shell's.
fn run(shell: &Shell, template: &Value, known: &BTreeMap<String, String>) -> String {
    let script = &template["script"];
    assert_eq!(
        script["command"],
        serde_json::json!(["bash", "-e", "-o", "pipefail"])
    );
    let mut set = BTreeMap::new();
    for variable in script["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap().to_owned();
        let value = match variable["value"].as_str() {
            Some(value) => filled(value, known),
            None => known[&name].clone(),
        };
        let value = match value.strip_prefix("/work/") {
            Some(rest) => shell.path(rest).display().to_string(),
            // The secret is optional, and where there is none the folder is empty.
            None if value == "/registry" => shell.path("registry").display().to_string(),
            None => value,
        };
        set.insert(name, value);
    }
    shell.must(script["source"].as_str().unwrap(), &set)
}

/// Whether the controller runs a task, by its condition.
fn is_run(task: &Value, known: &BTreeMap<String, String>) -> bool {
    let Some(when) = task["when"].as_str() else {
        return true;
    };
    let when = filled(when, known);
    let (one, other) = when.split_once("==").unwrap();
    one.trim() == other.trim()
}

/// Runs a workflow's tasks in their order, each item on a machine of its own; `secret` is
/// the registry's login, if there is one.
fn workflow(team: &Team, origin: &Path, known: &BTreeMap<String, String>, secret: Option<&str>) {
    let resource = document("ci/argo/node-images.yaml");
    let templates = resource["spec"]["templates"].as_array().unwrap();
    let template = |name: &Value| templates.iter().find(|one| one["name"] == *name).unwrap();
    let mut known = known.clone();
    for task in template(&"main".into())["dag"]["tasks"].as_array().unwrap() {
        if !is_run(task, &known) {
            continue;
        }
        let items: Vec<Value> = match task["withParam"].as_str() {
            Some(list) => serde_json::from_str(&filled(list, &known)).unwrap(),
            None => vec![Value::Null],
        };
        for item in items {
            let mut mine = known.clone();
            for (name, value) in item.as_object().into_iter().flatten() {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                mine.insert(format!("item.{name}"), text);
            }
            let given: Vec<_> = parameters(&task["arguments"])
                .map(|(name, value)| {
                    let value = filled(value.as_str().unwrap(), &mine);
                    (format!("inputs.parameters.{name}"), value)
                })
                .collect();
            mine.extend(given);
            let mut shell = Shell::of_debian(team, origin);
            fs::create_dir(shell.path("registry")).unwrap();
            if let Some(login) = secret {
                fs::write(shell.path("registry/config.json"), login).unwrap();
            }
            let name = task["name"].as_str().unwrap();
            match name {
                // Its store is warm.
                "build" => {
                    super::common::copy_store(&team.first().path("store"), &shell.path("store"));
                }
                "publish" => {
                    let nowhere = "file:///nowhere".to_owned();
                    shell
                        .variables
                        .insert("NODELITH_MIRROR".to_owned(), nowhere);
                }
                _ => {}
            }
            let printed = run(&shell, template(&task["template"]), &mine);
            known.insert(
                format!("tasks.{name}.outputs.result"),
                printed.trim_end().to_owned(),
            );
        }
    }
}

/// What a workflow is given: the template's defaults, and the team's repository.
fn arguments(team: &Team) -> BTreeMap<String, String> {
    let resource = document("ci/argo/node-images.yaml");
    let mut known: BTreeMap<String, String> = parameters(&resource["spec"]["arguments"])
        .map(|(name, value)| (name, value.as_str().unwrap()))
        .map(|(name, value)| (format!("workflow.parameters.{name}"), value.to_owned()))
        .collect();
    known.insert(
        "workflow.parameters.repository".to_owned(),
        team.registry.name("nodes"),
    );
    known
}

#[test]
fn what_is_proposed_is_written_nowhere() {
    let team = Team::new();
    let origin = origin(&team, "nodes");
    let mut known = arguments(&team);
    known.insert("workflow.parameters.trusted".to_owned(), String::new());
    workflow(&team, &origin, &known, None);
    assert_eq!(team.registry.stored(), 0);
}

/// A registry that takes nothing from strangers, and the secret with a login to it.
#[test]
fn the_secret_is_the_login() {
    let mut team = Team::new();
    team.registry = DockerRegistry::start_with(|folder, _| {
        let users = folder.join("htpasswd");
        let hash = "$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK";
        fs::write(&users, format!("somebody:{hash}\n")).unwrap();
        let users = users.display();
        format!("auth:\n  htpasswd:\n    realm: team\n    path: {users}\n")
    });
    let origin = origin(&team, "nodes");
    let login = serde_json::json!({"auth": "c29tZWJvZHk6czNjcmV0"});
    let login = serde_json::json!({"auths": {&team.registry.host: login}}).to_string();
    let known = arguments(&team);
    workflow(&team, &origin, &known, Some(&login));
    let machine = team.machine("reader");
    fs::write(machine.path("login.json"), login).unwrap();
    let image = format!("docker://{}", team.registry.name("nodes/minimal:1"));
    let show = ["show", "--auth-file", "login.json", &image];
    let shown = json(&mut machine.nodelith(&show));
    assert_eq!(shown["annotations"]["io.nodelith.profile"], "minimal");
}

#[test]
fn tasks_build_check_and_publish() {
    let team = Team::new();
    let origin = origin(&team, "nodes");
    let known = arguments(&team);
    workflow(&team, &origin, &known, None);
    let machine = team.machine("reader");
    let image = format!("docker://{}", team.registry.name("nodes/minimal:1"));
    let shown = json(&mut machine.nodelith(&["show", &image]));
    assert_eq!(shown["annotations"]["io.nodelith.profile"], "minimal");
}

#[test]
fn locks_are_renewed_on_a_branch() {
    let team = Team::new();
    let origin = origin(&team, "nodes");
    let resource = document("ci/argo/renew-locks.yaml");
    let spec = &resource["spec"]["workflowSpec"];
    let known = BTreeMap::from([
        ("REMOTE".to_owned(), format!("file://{}", origin.display())),
        ("workflow.parameters.revision".to_owned(), "main".to_owned()),
        (
            "workflow.parameters.profiles".to_owned(),
            "nodes/*.toml".to_owned(),
        ),
    ]);
    let renew = || {
        run(
            &Shell::of_debian(&team, &origin),
            &spec["templates"][0],
            &known,
        )
    };
    assert!(renew().contains("all locks have the newest of everything"));
    team.newer();
    renew();
    let changed = changed(&origin, "main", "nodelith/locks");
    assert_eq!(changed.as_deref(), Some("nodes/minimal.lock.toml"));
}
