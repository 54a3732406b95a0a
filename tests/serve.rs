//! `nodelith serve`: what it answers, and what it does not. Judges: `reqwest` and `curl`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{nodelith, output, refused, run};
use insta::assert_snapshot;
use nodelith::digest::Digest;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::json;

const SCRIPT: &str = "#!ipxe\nboot\n";
const MAC: &str = "52-54-00-12-34-56";
const UUID: &str = "00112233-4455-6677-8899-aabbccddeeff";

/// A folder as an export leaves it, and things that are not of it.
fn bundle() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root: Vec<u8> = (0..4_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut files = Vec::new();
    let mut described = |name: &str, bytes: &[u8]| {
        let (size, digest) = (bytes.len(), Digest::of(bytes));
        files.push(json!({"name": name, "format": "pxe", "size": size, "digest": digest}));
    };
    described("root.erofs", &root);
    described("boot.ipxe", SCRIPT.as_bytes());
    described("link", b"secret");
    described("changed", b"secret");
    let description = json!({"schema": "nodelith.export", "version": 1, "files": files});
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("export.json", description.to_string().as_bytes());
    write("root.erofs", &root);
    write("boot.ipxe", SCRIPT.as_bytes());
    write("secret", b"secret");
    write("changed", b"changed");
    symlink("secret", folder.path().join("link")).unwrap();
    folder
}

/// A server, ended with the test.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(bundle: &Path, arguments: &[&str]) -> Self {
        let mut child = nodelith()
            .arg("serve")
            .arg(bundle)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        let url = url.trim_end().trim_end_matches('/').to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self { child, url }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        self.ask(Method::GET, path, headers)
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut request = client.request(method, format!("{}{path}", self.url));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            (status, headers, answer.bytes().await.unwrap().to_vec())
        })
    }

    fn text(&self, path: &str) -> (u16, String) {
        let (status, _, bytes) = self.get(path, &[]);
        (status.as_u16(), String::from_utf8(bytes).unwrap())
    }

    /// Sends what clients do not send; returns the answer's first line.
    fn raw(&self, target: &str) -> String {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Ends it as systemd would, and returns what it said.
    fn end(mut self) -> String {
        self.signal(rustix::process::Signal::TERM);
        let mut said = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{said}");
        said.replace(&self.url, "http://HOST")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn parts_and_versions() {
    let bundle = bundle();
    let served = Served::start(bundle.path(), &[]);
    let root = fs::read(bundle.path().join("root.erofs")).unwrap();
    let tag = format!("\"{}\"", Digest::of(&root));
    let (status, headers, bytes) = served.get("/root.erofs", &[]);
    assert_eq!(status, StatusCode::OK);
    assert!(bytes == root);
    assert_eq!(headers["etag"], *tag);
    assert_eq!(headers["content-length"], *root.len().to_string());
    assert_eq!(headers["accept-ranges"], "bytes");
    let sum = run(Command::new("sh").args([
        "-c",
        &format!(
            "openssl dgst -sha256 -binary '{}' | openssl base64",
            bundle.path().join("root.erofs").display()
        ),
    ]));
    let sum = String::from_utf8(sum).unwrap();
    assert_eq!(
        headers["repr-digest"],
        *format!("sha-256=:{}:", sum.trim_end())
    );

    let (status, headers, bytes) =
        served.ask(Method::HEAD, "/root.erofs", &[("Range", "bytes=0-9")]);
    assert_eq!((status, bytes.len()), (StatusCode::OK, 0));
    assert_eq!(headers["content-length"], *root.len().to_string());

    let last = root.len() - 1;
    for (range, first, last) in [
        ("bytes=0-9".to_owned(), 0, 9),
        (format!("bytes={last}-"), last, last),
        ("bytes=-5".to_owned(), last - 4, last),
    ] {
        let (status, headers, bytes) = served.get("/root.erofs", &[("Range", &range)]);
        assert_eq!(status, StatusCode::PARTIAL_CONTENT);
        let wanted = format!("bytes {first}-{last}/{}", root.len());
        assert_eq!(headers["content-range"], *wanted);
        assert!(bytes == root[first..=last], "{range}");
    }
    let beyond = format!("bytes={}-", root.len());
    let (status, headers, _) = served.get("/root.erofs", &[("Range", &beyond)]);
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(headers["content-range"], *format!("bytes */{}", root.len()));

    // Parts of this version alone; and nothing where it is known already.
    for (known, status) in [(&*tag, 206), ("\"other\"", 200)] {
        let headers = [("Range", "bytes=0-9"), ("If-Range", known)];
        assert_eq!(served.get("/root.erofs", &headers).0, status);
    }
    let known = format!("\"a\", W/{tag}");
    let (status, _, bytes) = served.get("/root.erofs", &[("If-None-Match", &known)]);
    assert_eq!((status, bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    let (status, headers, _) = served.ask(Method::POST, "/root.erofs", &[]);
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers["allow"], "GET, HEAD");

    // curl goes on where it was broken off.
    let part = bundle.path().join("part");
    fs::write(&part, &root[..1_234_567]).unwrap();
    run(Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--noproxy",
            "*",
            "--continue-at",
            "-",
        ])
        .arg("--output")
        .arg(&part)
        .arg(format!("{}/root.erofs", served.url)));
    assert!(fs::read(&part).unwrap() == root);
    served.end();
}

#[test]
fn nothing_but_the_export() {
    let bundle = bundle();
    let served = Served::start(bundle.path(), &[]);
    let list = "boot.ipxe\nchanged\nexport.json\nlink\nroot.erofs\n";
    assert_eq!(served.text("/"), (200, list.to_owned()));
    assert_eq!(served.text("/boot.ipxe"), (200, SCRIPT.to_owned()));
    assert!(served.text("/export.json").1.contains("nodelith.export"));
    for target in [
        "/secret",
        "/../secret",
        "/%2e%2e/secret",
        "/./root.erofs",
        "//etc/passwd",
        "/etc/passwd",
        "/root.erofs/",
        "/root.erofs/../secret",
        "/root%2eerofs",
        "/.",
        "http://a/secret",
    ] {
        let said = served.raw(target);
        assert_eq!(said, "HTTP/1.1 404 Not Found", "{target}");
    }
    for target in ["secret", "*", "/a b", "/\0"] {
        let said = served.raw(target);
        assert!(said.starts_with("HTTP/1.1 4"), "{target}: {said}");
    }
    // What is not as it was described.
    for name in ["link", "changed"] {
        assert_eq!(
            served.raw(&format!("/{name}")),
            "HTTP/1.1 500 Internal Server Error"
        );
    }
    let said = served.end();
    assert!(
        said.contains("/changed` is not as `export.json` says"),
        "{said}"
    );
}

#[test]
fn words_for_one_node() {
    let bundle = bundle();
    let nodes = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(nodes.path().join(name), text).unwrap();
    write(MAC, "# rack 1\nsystemd.hostname=node-1\nquiet\n");
    write(UUID, "systemd.hostname=by-uuid\n");
    write("52-54-00-00-00-01", "quiet || shell\n");
    let served = Served::start(bundle.path(), &["--nodes", nodes.path().to_str().unwrap()]);
    let base = format!("set nodelith-base {}/\n", served.url);
    let ask = "#!ipxe\nchain boot.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid}\n";
    assert_eq!(served.text("/boot.ipxe"), (200, ask.to_owned()));
    let ask = ask.replace("${uuid}", "${uuid}&way=initrd");
    assert_eq!(served.text("/boot.ipxe?way=initrd"), (200, ask));
    for (query, words) in [
        (
            format!("mac={MAC}&uuid={UUID}"),
            "set nodelith-words systemd.hostname=node-1 quiet\n",
        ),
        (
            "mac=52:54:00:12:34:56&way=initrd".to_owned(),
            "set nodelith-way initrd\nset nodelith-words systemd.hostname=node-1 quiet\n",
        ),
        (
            format!("mac=52-54-00-ff-ff-ff&uuid={}", UUID.to_uppercase()),
            "set nodelith-words systemd.hostname=by-uuid\n",
        ),
        ("mac=52-54-00-ff-ff-ff".to_owned(), ""),
    ] {
        let (status, text) = served.text(&format!("/boot.ipxe?{query}"));
        assert_eq!(
            (status, text),
            (200, format!("#!ipxe\n{base}{words}boot\n")),
            "{query}"
        );
    }
    for query in ["mac=../secret", "uuid=..%2fsecret", "mac=%00", "words=a"] {
        assert_eq!(
            served.text(&format!("/boot.ipxe?{query}")).0,
            400,
            "{query}"
        );
    }
    // Words that would be commands: the node gets nothing, and the log says why.
    assert_eq!(served.text("/boot.ipxe?mac=52-54-00-00-00-01").0, 500);
    let said = served.end();
    assert!(
        said.contains("52-54-00-00-00-01`: the word `||` for the kernel"),
        "{said}"
    );
}

#[test]
fn the_log() {
    let bundle = bundle();
    let requests = |served: &Served| {
        served.get("/boot.ipxe", &[]);
        served.get("/root.erofs", &[("Range", "bytes=0-999")]);
        served.ask(Method::HEAD, "/root.erofs", &[]);
        served.get("/nothing?a=%22", &[]);
    };
    let said = |arguments: &[&str]| {
        let served = Served::start(bundle.path(), arguments);
        requests(&served);
        served.end()
    };
    assert_snapshot!(said(&[]), @r"
    127.0.0.1 GET /boot.ipxe 200 12
    127.0.0.1 GET /root.erofs 206 1000
    127.0.0.1 HEAD /root.erofs 200 0
    127.0.0.1 GET /nothing?a=%22 404 9
    ");
    assert_snapshot!(said(&["--log", "json"]), @r#"
    {"client":"127.0.0.1","event":"request","length":12,"method":"GET","sent":12,"status":200,"target":"/boot.ipxe"}
    {"client":"127.0.0.1","event":"request","length":1000,"method":"GET","sent":1000,"status":206,"target":"/root.erofs"}
    {"client":"127.0.0.1","event":"request","length":0,"method":"HEAD","sent":0,"status":200,"target":"/root.erofs"}
    {"client":"127.0.0.1","event":"request","length":9,"method":"GET","sent":9,"status":404,"target":"/nothing?a=%22"}
    "#);
    let common = said(&["--log", "common"]);
    let line = common.lines().next().unwrap();
    let shape = regex_lite::Regex::new(
        r#"^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /boot\.ipxe HTTP/1\.1" 200 12$"#,
    );
    assert!(shape.unwrap().is_match(line), "{line}");
    assert_eq!(said(&["--quiet"]), "");
}

#[test]
fn what_was_begun_is_ended() {
    let bundle = bundle();
    let mut served = Served::start(bundle.path(), &[]);
    let host = served.url.strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&host).unwrap();
    stream
        .write_all(b"GET /root.erofs HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut begin = [0; 1000];
    stream.read_exact(&mut begin).unwrap();
    served.signal(rustix::process::Signal::INT);
    // Nobody new; but who has begun gets all of it, and then the end.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(TcpStream::connect(&host).is_err());
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    let root = fs::read(bundle.path().join("root.erofs")).unwrap();
    assert!(rest.ends_with(&root[root.len() - 1000..]));
    assert_eq!(served.child.wait().unwrap().code(), Some(0));

    // Who goes away in the middle is in the log.
    let served = Served::start(bundle.path(), &[]);
    let host = served.url.strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&host).unwrap();
    stream
        .write_all(b"GET /root.erofs HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    stream.read_exact(&mut begin).unwrap();
    drop(stream);
    let said = served.end();
    assert!(
        said.trim_end().ends_with("of 16000000, broken off"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_served() {
    let bundle = bundle();
    let place = bundle.path();
    let said = |arguments: &[&str], status| {
        let mut command = nodelith();
        command.current_dir(place).arg("serve").args(arguments);
        refused(&mut command, status)
    };
    fs::create_dir(place.join("empty")).unwrap();
    assert_snapshot!(said(&["empty"], 2), @r"
    error: `empty` is no export: it has no `export.json`
    hint: make one with `nodelith export IMAGE --to pxe --output DIR`
    ");
    fs::write(place.join("empty/export.json"), "{}").unwrap();
    assert_snapshot!(said(&["empty"], 2), @r"
    error: `empty` is no export: its `export.json` is not one of ours
    hint: make one with `nodelith export IMAGE --to pxe --output DIR`
    ");
    let none = r#"{"schema": "nodelith.export", "files": []}"#;
    fs::write(place.join("empty/export.json"), none).unwrap();
    assert_snapshot!(said(&["empty"], 2), @r"
    error: `empty` has nothing to boot over a network
    hint: export it once more, with `pxe` among the formats of `--to`
    ");
    assert_snapshot!(said(&[".", "--nodes", "secret"], 2), @r"
    error: `secret` is not a folder
    hint: it has a file for each node, named by its MAC address or UUID
    ");
    let other = Served::start(place, &[]);
    let address = other.url.strip_prefix("http://").unwrap();
    let said = said(&[".", "--listen", address], 5).replace(address, "ADDRESS");
    assert_snapshot!(said, @r"
    error: listening on ADDRESS: Address already in use
    hint: choose another address with `--listen`
    ");
    let json = output(
        nodelith()
            .current_dir(place)
            .args(["--json", "serve", "empty"]),
    );
    let event: serde_json::Value = serde_json::from_slice(&json.stderr).unwrap();
    assert_eq!(event["kind"], "usage");
}
