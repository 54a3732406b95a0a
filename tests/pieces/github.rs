//! GitHub's pieces, run as GitHub runs them: each step with its variables, and the files in
//! which steps leave variables, folders of programs and outputs for later ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::common::{json, refused};
use super::document::document;
use super::shell::{Shell, changed, origin, program, variables};
use super::team::Team;

/// A job that is under way.
struct Job {
    shell: Shell,
    /// Outputs of steps: `steps.ID.outputs.NAME`.
    outputs: BTreeMap<String, String>,
    failed: bool,
    /// Steps that are other people's actions.
    others: Vec<String>,
}

impl Job {
    fn new(shell: Shell) -> Self {
        Self {
            shell,
            outputs: BTreeMap::new(),
            failed: false,
            others: Vec::new(),
        }
    }

    /// Runs an action of ours; gives its outputs.
    fn action(&mut self, path: &str, inputs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let action = document(&format!("{path}/action.yml"));
        let mut context = BTreeMap::from([(
            "github.action_path".to_owned(),
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(path)
                .display()
                .to_string(),
        )]);
        for (name, input) in action["inputs"].as_object().unwrap() {
            let default = input["default"].as_str().unwrap_or_default();
            let given = inputs.iter().find(|(given, _)| given == name);
            let value = given.map_or(default, |(_, value)| value);
            context.insert(format!("inputs.{name}"), value.to_owned());
        }
        for step in action["runs"]["steps"].as_array().unwrap() {
            self.step(step, &mut context);
        }
        let outputs = action["outputs"].as_object().into_iter().flatten();
        outputs
            .map(|(name, output)| {
                let value = output["value"].as_str().unwrap();
                (name.clone(), filled(value, &context))
            })
            .collect()
    }

    fn step(&mut self, step: &Value, context: &mut BTreeMap<String, String>) {
        let condition = step["if"].as_str().unwrap_or("success()");
        if !self.holds(condition, context) {
            return;
        }
        if let Some(other) = step["uses"].as_str() {
            return self.others.push(other.to_owned());
        }
        let temp = self.shell.path("temp");
        let files = ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH"];
        let mut set = BTreeMap::from([("RUNNER_TEMP".to_owned(), temp.display().to_string())]);
        for file in files {
            fs::write(temp.join(file), "").unwrap();
            set.insert(file.to_owned(), temp.join(file).display().to_string());
        }
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            set.insert(name.clone(), filled(value.as_str().unwrap(), context));
        }
        let done = self.shell.run(step["run"].as_str().unwrap(), &set);
        let [outputs, variables, path] =
            files.map(|file| fs::read_to_string(temp.join(file)).unwrap());
        for line in outputs.lines() {
            let (name, value) = line.split_once('=').unwrap();
            let id = step["id"].as_str().unwrap();
            context.insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
            self.outputs.insert(name.to_owned(), value.to_owned());
        }
        for line in variables.lines() {
            let (name, value) = line.split_once('=').unwrap();
            self.shell
                .variables
                .insert(name.to_owned(), value.to_owned());
        }
        self.shell
            .programs
            .splice(0..0, path.lines().map(Into::into));
        if !done.status.success() {
            self.failed = true;
        }
    }

    /// Whether a condition holds, of the kinds that there are here.
    fn holds(&self, condition: &str, context: &BTreeMap<String, String>) -> bool {
        let condition = condition
            .trim_start_matches("${{")
            .trim_end_matches("}}")
            .trim();
        let value = |text: &str| match text.trim().strip_prefix('\'') {
            Some(text) => text.strip_suffix('\'').unwrap().to_owned(),
            None => context.get(text.trim()).cloned().unwrap_or_default(),
        };
        let says_when = ["!cancelled()", "success()"]
            .iter()
            .any(|word| condition.contains(word));
        let parts = condition.split("&&").map(str::trim);
        (says_when || !self.failed)
            && parts.into_iter().all(|part| match part {
                "!cancelled()" => true,
                "success()" => !self.failed,
                _ => match (part.split_once("=="), part.split_once("!=")) {
                    (Some((one, other)), _) => value(one) == value(other),
                    (_, Some((one, other))) => value(one) != value(other),
                    _ => panic!("a condition of another kind: {part}"),
                },
            })
    }

    /// Sets the machine up with what the workflow's job says.
    fn set_up(&mut self, team: &Team, job: &str) {
        let repository = BTreeMap::from([
            ("vars.NODE_MIRROR", team.mirror.url()),
            ("vars.NODE_REGISTRY", team.registry.host.clone()),
            ("secrets.NODE_REGISTRY_USERNAME", "somebody".to_owned()),
            ("secrets.NODE_REGISTRY_PASSWORD", "s3cret".to_owned()),
        ]);
        let repository = repository.into_iter();
        let context = repository.map(|(name, value)| (name.to_owned(), value));
        let context = context.collect();
        let workflow = document("ci/github/node-images.yml");
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        let setup = "OWNER/nodelith/ci/github/setup@REF";
        let step = steps.iter().find(|step| step["uses"] == setup).unwrap();
        let given = step["with"].as_object().into_iter().flatten();
        let given: Vec<_> = given
            .map(|(name, value)| (name.as_str(), filled(value.as_str().unwrap(), &context)))
            .collect();
        let program = program();
        let mut inputs = vec![("program", program.to_str().unwrap())];
        inputs.extend(given.iter().map(|(name, value)| (*name, value.as_str())));
        self.action("ci/github/setup", &inputs);
        assert!(!self.failed);
    }

    /// Runs a step of the workflow's own.
    fn own(&mut self, job: &str, name: &str) {
        let workflow = document("ci/github/node-images.yml");
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        self.step(step, &mut BTreeMap::new());
    }
}

/// A text with its expressions filled in.
fn filled(text: &str, context: &BTreeMap<String, String>) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (expression, after) = after.split_once("}}").unwrap();
        done.push_str(before);
        let value = context.get(expression.trim());
        done.push_str(value.map_or("", String::as_str));
        rest = after;
    }
    done + rest
}

#[test]
fn a_matrix_is_built_checked_and_published() {
    let team = Team::new();
    let origin = origin(&team, "nodes");
    let mut list = Job::new(Shell::new(&team, &origin));
    list.shell
        .variables
        .insert("PROFILES".to_owned(), "nodes/*.toml".to_owned());
    list.set_up(&team, "matrix");
    list.own("matrix", "List what there is to build");
    let rows = |name: &str| -> Vec<Value> {
        let matrix: Value = serde_json::from_str(&list.outputs[name]).unwrap();
        matrix["include"].as_array().unwrap().clone()
    };
    let images = rows("images");
    assert_eq!((images.len(), rows("profiles").len()), (1, 1));
    assert_eq!(images[0]["runner"], "ubuntu-24.04");
    let (profile, architecture) = ("profile", "architecture");
    let of = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();

    // The machine that builds, its store warm from another day.
    let cache = team.cache();
    let mut build = Job::new(Shell::new(&team, &origin));
    let store = team.first().path("store").display().to_string();
    build
        .shell
        .variables
        .insert("NODELITH_STORE".to_owned(), store);
    build.set_up(&team, "build");
    let auth = &build.shell.variables["NODELITH_AUTH_FILE"];
    let auth: Value = serde_json::from_slice(&fs::read(auth).unwrap()).unwrap();
    assert_eq!(
        auth["auths"][&team.registry.host]["auth"],
        "c29tZWJvZHk6czNjcmV0"
    );
    let (row_profile, row_architecture) = (of(&images[0], profile), of(&images[0], architecture));
    let inputs = [
        (profile, row_profile.as_str()),
        (architecture, row_architecture.as_str()),
        ("cache-from", &cache),
        ("cache-to", &cache),
    ];
    let built = build.action("ci/github/build", &inputs);
    assert!(!build.failed);
    assert!(built["digest"].starts_with("sha256:"), "{built:?}");
    let sarif: Value = serde_json::from_slice(&fs::read(&built["sarif"]).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(build.others, ["github/codeql-action/upload-sarif@v4"]);

    // The machine that publishes: nothing but the cache.
    let mut publish = Job::new(Shell::new(&team, &origin));
    publish.set_up(&team, "publish");
    publish
        .shell
        .variables
        .insert("NODELITH_MIRROR".to_owned(), "file:///nowhere".to_owned());
    let row = &rows("profiles")[0];
    let target = team
        .registry
        .name(&format!("{}:{}", of(row, "name"), of(row, "tag")));
    let (row_profile, row_architecture) = (of(row, profile), of(row, architecture));
    let inputs = [
        (profile, row_profile.as_str()),
        (architecture, row_architecture.as_str()),
        ("cache-from", &cache),
        ("check", "false"),
        ("push", &target),
    ];
    let published = publish.action("ci/github/build", &inputs);
    assert!(!publish.failed);
    assert_eq!(published["digest"], built["digest"]);
    assert!(publish.others.is_empty());
    let machine = team.machine("reader");
    let shown = json(&mut machine.nodelith(&["show", &format!("docker://{target}")]));
    assert_eq!(shown["digest"], built["digest"]);
}

/// Adds a file to the profile of a checkout.
fn with_file(job: &Job, path: &str, text: &str) {
    let profile = job.shell.checkout().join("nodes/minimal.toml");
    let file = format!("\n[[files]]\npath = \"{path}\"\ntext = \"{text}\\n\"\n");
    let before = fs::read_to_string(&profile).unwrap();
    fs::write(profile, before + &file).unwrap();
}

#[test]
fn findings_are_handed_on_and_fail() {
    let team = Team::new();
    let origin = origin(&team, "nodes");
    let machine = team.machine("reader");
    for (path, text, rule, is_built) in [
        ("/etc/hostname", "golden", "ND-HYG-005", true),
        // What the build itself refuses.
        (
            "/etc/machine-id",
            "0123456789abcdef0123456789abcdef",
            "ND-HYG-001",
            false,
        ),
    ] {
        let mut job = Job::new(Shell::new(&team, &origin));
        let store = team.first().path("store").display().to_string();
        job.shell
            .variables
            .insert("NODELITH_STORE".to_owned(), store);
        job.set_up(&team, "build");
        with_file(&job, path, text);
        let target = team.registry.name("minimal:1");
        let inputs = [
            ("profile", "nodes/minimal.toml"),
            ("architecture", "amd64"),
            ("fail-on", "warning"),
            ("push", &target),
        ];
        let built = job.action("ci/github/build", &inputs);
        assert!(job.failed, "{path}");
        assert_eq!(!built["digest"].is_empty(), is_built, "{path}");
        let sarif: Value = serde_json::from_slice(&fs::read(&built["sarif"]).unwrap()).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert!(results.iter().any(|one| one["ruleId"] == rule), "{sarif:#}");
        assert_eq!(job.others.len(), 1);
        // Nothing was pushed.
        refused(
            &mut machine.nodelith(&["show", &format!("docker://{target}")]),
            3,
        );
    }

    // No profile at all: nothing to hand on, either.
    let mut job = Job::new(Shell::new(&team, &origin));
    job.set_up(&team, "build");
    let built = job.action("ci/github/build", &[("profile", "nodes/none.toml")]);
    assert!(job.failed && job.others.is_empty() && built["sarif"].is_empty());
}

#[test]
fn locks_are_renewed_by_a_pull_request() {
    let team = Team::new();
    let origin = origin(&team, "nodes");
    let start = || {
        let mut shell = Shell::new(&team, &origin);
        shell.stub("gh");
        shell
            .variables
            .extend(variables([("PROFILES", "nodes/*.toml")]));
        let mut job = Job::new(shell);
        job.set_up(&team, "renew");
        job
    };
    let mut job = start();
    job.own("renew", "Renew the locks");
    assert!(!job.failed);
    // Nothing is newer.
    assert_eq!(changed(&origin, "main", "nodelith/locks"), None);
    assert!(!job.shell.path("gh.calls").exists());

    let package = team.newer();
    let mut job = start();
    job.own("renew", "Renew the locks");
    assert!(!job.failed);
    let changed = changed(&origin, "main", "nodelith/locks");
    assert_eq!(changed.as_deref(), Some("nodes/minimal.lock.toml"));
    let calls = fs::read_to_string(job.shell.path("gh.calls")).unwrap();
    assert!(calls.contains("pr create --head nodelith/locks"), "{calls}");
    let body = fs::read_to_string(job.shell.path("temp/changes.md")).unwrap();
    assert!(
        body.contains("## minimal") && body.contains(&package),
        "{body}"
    );
}
