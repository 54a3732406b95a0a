//! Names and passwords in addresses are used, and shown nowhere.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use super::common::mirror::{MINIMAL, Mirror, Recipe, minimal_packages};
use super::common::output;
use super::scene::{HELLO, Scene, text};

/// Serves a folder to those who know the password; gives the port.
fn serve(folder: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let folder = folder.clone();
            std::thread::spawn(move || answer(stream.unwrap(), &folder));
        }
    });
    port
}

fn answer(mut stream: TcpStream, folder: &Path) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(request)) = lines.next() {
        let headers: Vec<String> = lines
            .by_ref()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        // grace:hopper1906
        let known = headers
            .iter()
            .any(|line| line.to_lowercase() == "authorization: basic z3jhy2u6ag9wcgvymtkwng==");
        let path = request.split(' ').nth(1).unwrap().trim_start_matches('/');
        let (status, body) = match fs::read(folder.join(path)) {
            _ if !known => ("401 Unauthorized", Vec::new()),
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
        if stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&body))
            .is_err()
        {
            return;
        }
    }
}

/// Every file in which a secret stands.
fn holding(folder: &Path, secret: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, secret));
        } else if text(&fs::read(&path).unwrap()).contains(secret) {
            found.push(path);
        }
    }
    found
}

#[test]
fn stand_neither_in_lock_nor_image_nor_messages() {
    let mirror = Mirror::new(minimal_packages());
    let port = serve(mirror.path());
    let address = format!("http://grace:hopper1906@127.0.0.1:{port}");
    let scene = Scene::new(&format!("{MINIMAL}mirror = \"{address}\"\n"));
    let mut build = scene.nodelith(&[
        "build",
        "node.toml",
        "--output",
        "out",
        "--compression",
        "none",
    ]);
    let done = output(build.arg("--keyring").arg(mirror.keyring()));
    assert!(done.status.success(), "{}", text(&done.stderr));
    for secret in ["hopper1906", "Z3JhY2U6aG9wcGVyMTkwNg", "http://127.0.0.1:"] {
        assert!(
            !text(&done.stderr).contains(secret),
            "{}",
            text(&done.stderr)
        );
        assert!(!text(&done.stdout).contains(secret));
        let found = holding(&scene.path("out"), secret);
        assert!(found.is_empty(), "{found:?}");
        let lock = fs::read_to_string(scene.path("node.lock.toml")).unwrap();
        assert!(!lock.contains(secret), "{lock}");
    }
    // The one file in which it does stand.
    assert_eq!(
        holding(scene.path("").as_path(), "hopper1906"),
        [scene.path("node.toml")]
    );

    fs::remove_file(mirror.in_release()).unwrap();
    let mut lock = scene.nodelith(&["lock", "node.toml", "--update"]);
    let said = scene.failing(5, lock.arg("--keyring").arg(mirror.keyring()));
    assert_snapshot!(said.replace(&port.to_string(), "[PORT]"), @r"
    error: fetching the release file of `debian trixie`: http://127.0.0.1:[PORT]/dists/trixie/InRelease: 404 Not Found
    hint: check that the mirror has it, and that its name is spelt right
    ");

    let refused = format!("http://grace:babbage@127.0.0.1:{port}");
    let mut lock = scene.nodelith(&["lock", "node.toml", "--update", "--mirror", &refused]);
    let said = scene.failing(5, lock.arg("--keyring").arg(mirror.keyring()));
    assert_snapshot!(said.replace(&port.to_string(), "[PORT]"), @r"
    error: fetching the release file of `debian trixie`: http://127.0.0.1:[PORT]/dists/trixie/InRelease: 401 Unauthorized
    hint: check the network, the proxy settings and the mirror
    ");
}

#[test]
fn are_not_shown_when_nobody_answers() {
    let mirror = Mirror::of(&[Recipe {
        name: "hello",
        ..Recipe::default()
    }]);
    let scene = Scene::new(HELLO);
    let address = "http://grace:hopper@127.0.0.1:1/debian?token=babbage";
    let mut lock = scene.nodelith(&["lock", "node.toml", "--mirror", address]);
    let said = scene.failing(5, lock.arg("--keyring").arg(mirror.keyring()));
    assert_snapshot!(said, @r"
    error: fetching the release file of `debian trixie`: http://127.0.0.1:1/debian: Connection refused
    hint: check the network, the proxy settings and the mirror
    ");
}
