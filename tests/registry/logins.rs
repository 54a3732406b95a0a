//! Who we are to registries: tokens, names and passwords; and that nobody else learns it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use insta::assert_snapshot;
use serde_json::json;

use super::common;
use super::scene::{Blobs, QUICK, Scene, layer, noise, without_ports};
use super::server::{Act, Reply, Request, Server, State};

const PASSWORD: &str = "hopper1906";
/// `grace:hopper1906`
const BASIC: &str = "Z3JhY2U6aG9wcGVyMTkwNg==";

/// Everything that must not be shown or kept.
const SECRETS: [&str; 4] = [PASSWORD, BASIC, "token-for-", "babbage-identity"];

/// Puts a file of credentials for a registry into the scene's home.
fn login(scene: &Scene, host: &str, entry: &serde_json::Value) {
    let folder = scene.path(".docker");
    fs::create_dir_all(&folder).unwrap();
    let file = json!({"auths": {host: entry}}).to_string();
    fs::write(folder.join("config.json"), file).unwrap();
}

/// Every file of the scene but the login itself in which a secret stands.
fn holding(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with(".docker") {
            found.extend(holding(&path));
        } else if path.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            if SECRETS.iter().any(|secret| text.contains(secret)) {
                found.push(path);
            }
        }
    }
    found
}

/// Runs a verb that must end so; what it said, in which no secret is.
fn silent(scene: &Scene, status: i32, arguments: &[&str]) -> String {
    let output = common::output(scene.nodelith(arguments).args(QUICK));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    for secret in SECRETS {
        assert!(!said.contains(secret), "{said}");
    }
    let found = holding(scene.folder.path());
    assert!(found.is_empty(), "{found:?}");
    without_ports(&said)
}

/// A registry that wants tokens, and is its own token server: `anonymous` may pull,
/// whoever knows the password or the identity token may push.
fn with_tokens(request: &Request, _: &mut State) -> Act {
    let host = request.header("host").unwrap();
    let authorization = request.header("authorization");
    if request.path() == "/token" {
        let known = authorization == Some(&format!("Basic {BASIC}"));
        // The body is not here yet: whoever posts is asked for by the test.
        let known = known || request.method == "POST";
        if authorization.is_some() && !known {
            return Act::Reply(Reply::error(401, "UNAUTHORIZED", "wrong password"));
        }
        let url = reqwest::Url::parse(&format!("http://x{}", request.target)).unwrap();
        let scopes: Vec<String> = url
            .query_pairs()
            .filter(|(key, _)| key == "scope")
            .map(|(_, scope)| match known {
                true => scope.into_owned(),
                false => scope.replace(",push", ""),
            })
            .collect();
        let scopes = match request.method == "POST" {
            true => "everything".to_owned(),
            false => scopes.join(" "),
        };
        let token = format!("token-for-{}", scopes.replace(' ', ";"));
        let answer = json!({"token": token, "expires_in": 300});
        return Act::Reply(Reply::new(200).body(answer.to_string()));
    }
    let token = authorization.and_then(|text| text.strip_prefix("Bearer token-for-"));
    let repository = request.path().trim_start_matches("/v2/");
    let repository = repository
        .split("/blobs/")
        .next()
        .and_then(|rest| rest.split("/manifests/").next())
        .unwrap();
    let action = match &*request.method {
        "GET" | "HEAD" => "pull",
        _ => "pull,push",
    };
    let mut needed = vec![format!("repository:{repository}:{action}")];
    if let Some(from) = request.value("from") {
        needed.push(format!("repository:{from}:pull"));
    }
    let has = |needed: &String| {
        token.is_some_and(|token| {
            token == "everything" || token.split(';').any(|scope| scope.starts_with(&**needed))
        })
    };
    if needed.iter().all(has) {
        return Act::Right;
    }
    let challenge = format!(
        "Bearer realm=\"http://{host}/token\",service=\"tests\",scope=\"{}\"",
        needed[0]
    );
    let reply = Reply::error(401, "UNAUTHORIZED", "authentication required");
    Act::Reply(reply.with("WWW-Authenticate", challenge))
}

fn image() -> Vec<Vec<u8>> {
    vec![layer("x", &noise(1, 5000)), layer("y", &noise(2, 3000))]
}

#[test]
fn a_token_for_each_scope_and_for_both_repositories_of_a_mount() {
    let server = Server::new(with_tokens);
    let scene = Scene::new();
    scene.layout("image", &image());
    login(&scene, &server.host, &json!({"auth": BASIC}));
    silent(&scene, 0, &["push", "image", &server.name("one/a:1")]);
    let asked = server.asked("GET", "/token");
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].value("service").as_deref(), Some("tests"));
    assert_eq!(
        asked[0].value("scope").as_deref(),
        Some("repository:one/a:pull,push")
    );
    assert_eq!(asked[0].value("account").as_deref(), Some("grace"));
    let pushed = scene.json(&["push", "image", &server.name("two/b:1")]);
    assert_eq!(
        pushed["repositories"][0]["mounted"]["blobs"], 3,
        "{pushed:#}"
    );
    let mounts = server.asked(
        "GET",
        "scope=repository%3Aone%2Fa%3Apull&scope=repository%3Atwo",
    );
    assert_eq!(mounts.len(), 1);

    // Nobody in particular may pull.
    let fresh = Scene::new();
    silent(&fresh, 0, &["pull", &server.name("one/a:1")]);
    fresh.layout("image", &image());
    let said = silent(&fresh, 5, &["push", "image", &server.name("one/a:2")]);
    assert_snapshot!(said);
}

#[test]
fn an_identity_token_is_changed_for_a_token() {
    let server = Server::new(with_tokens);
    let scene = Scene::new();
    scene.layout("image", &image());
    login(
        &scene,
        &server.host,
        &json!({"identitytoken": "babbage-identity"}),
    );
    silent(&scene, 0, &["push", "image", &server.name("a:1")]);
    let asked = &server.asked("POST", "/token")[0];
    for (key, value) in [
        ("grant_type", "refresh_token"),
        ("refresh_token", "babbage-identity"),
        ("service", "tests"),
        ("scope", "repository:a:pull,push"),
    ] {
        assert_eq!(asked.value(key).as_deref(), Some(value));
    }
}

#[test]
fn a_wrong_password_is_said_once_and_clearly() {
    let server = Server::new(with_tokens);
    let scene = Scene::new();
    scene.layout("image", &image());
    // grace:lovelace
    login(
        &scene,
        &server.host,
        &json!({"auth": "Z3JhY2U6bG92ZWxhY2U="}),
    );
    let said = silent(&scene, 5, &["push", "image", &server.name("a:1")]);
    assert!(!said.contains("lovelace"));
    // Which blob comes first is chance.
    let (before, after) = said.split_once("sha256:").unwrap();
    assert_snapshot!(format!("{before}sha256:HEX{}", &after[64..]));
}

fn with_password(request: &Request, _: &mut State) -> Act {
    match request.header("authorization") {
        Some(shown) if shown == format!("Basic {BASIC}") => Act::Right,
        // A registry that says who it took one for.
        shown => Act::Reply(
            Reply::error(
                401,
                "UNAUTHORIZED",
                &format!("not {}", shown.unwrap_or("nobody")),
            )
            .with("WWW-Authenticate", "Basic realm=\"tests\""),
        ),
    }
}

#[test]
fn name_and_password() {
    let server = Server::new(with_password);
    let scene = Scene::new();
    scene.layout("image", &image());
    login(
        &scene,
        &server.host,
        &json!({"username": "grace", "password": PASSWORD}),
    );
    silent(&scene, 0, &["push", "image", &server.name("a:1")]);
    let file = scene.path(".docker/config.json");
    let fresh = Scene::new();
    let pull = [
        "pull",
        &server.name("a:1"),
        "--auth-file",
        file.to_str().unwrap(),
    ];
    silent(&fresh, 0, &pull);
    let fresh = Scene::new();
    let said = silent(&fresh, 5, &["pull", &server.name("a:1")]);
    assert_snapshot!(said);
    // grace:lovelace, which the registry repeats.
    login(
        &fresh,
        &server.host,
        &json!({"auth": "Z3JhY2U6bG92ZWxhY2U="}),
    );
    let said = silent(&fresh, 5, &["--json", "pull", &server.name("a:1")]);
    assert!(said.contains("do not allow this"), "{said}");
    let missing = ["pull", &server.name("a:1"), "--auth-file", "nowhere.json"];
    assert_snapshot!(silent(&fresh, 2, &missing));
}

#[test]
fn a_credential_helper_is_asked() {
    let server = Server::new(with_password);
    let scene = Scene::new();
    scene.layout("image", &image());
    let helper = scene.path("bin/docker-credential-tests");
    fs::create_dir_all(scene.path("bin")).unwrap();
    let script = "#!/bin/sh\nread -r host\ncase $host in 127.*) ;; *) exit 1 ;; esac\n\
        printf '{\"Username\": \"grace\", \"Secret\": \"hopper%s\"}' 1906\n";
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir_all(scene.path(".docker")).unwrap();
    let file = json!({"credHelpers": {&server.host: "tests"}}).to_string();
    fs::write(scene.path(".docker/config.json"), file).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut push = scene.nodelith(&["push", "image", &server.name("a:1")]);
    push.env("PATH", format!("{}:{path}", scene.path("bin").display()));
    common::run(&mut push);
    // One that is not there is said, and nobody in particular is tried.
    let said = silent(&scene, 5, &["pull", &server.name("a:1")]);
    assert!(
        said.contains("its credential helper cannot be run"),
        "{said}"
    );
}

#[test]
fn a_token_that_expires_on_the_way_is_got_anew() {
    let used = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&used);
    let server = Server::new(move |request, state| {
        if request.path() != "/token"
            && request.header("authorization").is_some()
            && count.fetch_add(1, Ordering::SeqCst) == 4
        {
            let host = request.header("host").unwrap();
            let challenge = format!("Bearer realm=\"http://{host}/token\",error=\"invalid_token\"");
            return Act::Reply(Reply::new(401).with("WWW-Authenticate", challenge));
        }
        with_tokens(request, state)
    });
    let scene = Scene::new();
    scene.layout("image", &image());
    login(&scene, &server.host, &json!({"auth": BASIC}));
    silent(&scene, 0, &["push", "image", &server.name("a:1")]);
    assert!(used.load(Ordering::SeqCst) > 5);
    assert_eq!(server.asked("GET", "/token").len(), 2);
}

#[test]
fn where_a_registry_redirects_learns_nothing() {
    // Where blobs are kept; it would like to know who asks.
    let other = Arc::new(Server::new(|request, _| {
        match request.path().contains("deny") {
            true => Act::Reply(Reply::new(401).with("WWW-Authenticate", "Basic realm=\"mine\"")),
            false => Act::Right,
        }
    }));
    let mut blobs = Blobs::default();
    let top = blobs.image("amd64", &image());
    other.fill("kept", &blobs, "1", &top);
    let to = other.host.clone();
    let server = Server::new(move |request, state| {
        let act = with_password(request, state);
        let path = request.path().replace("/v2/a/", "/v2/kept/");
        match (act, request.path().contains("/blobs/")) {
            (Act::Right, true) if request.method == "GET" => {
                Act::Reply(Reply::new(307).with("Location", format!("http://{to}{path}?X-Sig=s")))
            }
            (act, _) => act,
        }
    });
    server.fill("a", &blobs, "1", &top);
    let scene = Scene::new();
    login(&scene, &server.host, &json!({"auth": BASIC}));
    silent(&scene, 0, &["pull", &server.name("a:1")]);
    let asked = other.asked("GET", "");
    assert_eq!(asked.len(), 3);
    for request in &asked {
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("referer"), None);
    }
    assert!(!server.asked("GET", "/blobs/").is_empty());

    // It asks for a password, and is not given one.
    let to = other.host.clone();
    let server = Server::new(move |request, state| {
        match (
            with_password(request, state),
            request.path().contains("/blobs/"),
        ) {
            (Act::Right, true) => {
                Act::Reply(Reply::new(307).with("Location", format!("http://{to}/deny")))
            }
            (act, _) => act,
        }
    });
    server.fill("a", &blobs, "1", &top);
    let fresh = Scene::new();
    login(&fresh, &server.host, &json!({"auth": BASIC}));
    silent(&fresh, 5, &["pull", &server.name("a:1")]);
    assert!(!other.asked("GET", "deny").is_empty());
    for request in other.asked("GET", "deny") {
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn where_an_upload_goes_on_elsewhere_learns_nothing() {
    let other = Server::new(|_, _| Act::Reply(Reply::new(201)));
    let to = other.host.clone();
    let server = Server::new(move |request, state| match with_password(request, state) {
        Act::Right if request.method == "POST" => {
            let location = format!("http://{to}/elsewhere?X-Sig=s");
            Act::Reply(Reply::new(202).with("Location", location))
        }
        Act::Right if request.target.contains("/manifests/") && request.method == "PUT" => {
            Act::Reply(Reply::new(201))
        }
        act => act,
    });
    let scene = Scene::new();
    scene.layout("image", &image());
    login(&scene, &server.host, &json!({"auth": BASIC}));
    silent(&scene, 0, &["push", "image", &server.name("a:1")]);
    let asked = other.asked("PUT", "elsewhere");
    assert_eq!(asked.len(), 3);
    for request in asked {
        assert_eq!(request.header("authorization"), None);
        assert!(
            request.target.contains("X-Sig=s&digest=sha256"),
            "{}",
            request.target
        );
    }
}
