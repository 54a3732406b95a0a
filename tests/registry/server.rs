//! A registry of the tests' own, in memory: by the specification if it is left
//! alone, and whatever else a test makes of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nodelith::digest::Digest;
use serde_json::{Value, json};

use super::scene::{Blobs, INDEX};

/// What came in.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A value of the query or of a form, decoded.
    pub fn value(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?').unwrap_or_default();
        let body = String::from_utf8_lossy(&self.body).into_owned();
        let url = |text: &str| reqwest::Url::parse(&format!("http://x/?{text}")).unwrap();
        let find = |text: &str| {
            let url = url(text);
            let mut pairs = url.query_pairs();
            let found = pairs.find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        find(query).or_else(|| find(&body))
    }

    fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }
}

/// What goes out.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({"errors": [{"code": code, "message": message}]});
        Self::new(status).body(body.to_string())
    }
}

/// What a test does about a request.
pub enum Act {
    /// What the specification says.
    Right,
    /// This instead.
    Reply(Reply),
    /// Take so much of the body, do what is right with that, and break the connection.
    CutBody(usize),
    /// Do what is right, and break the connection after so much of the answer's body.
    CutReply(usize),
    /// Do what is right, and change the answer.
    Change(fn(Reply) -> Reply),
    /// Say nothing for so long, then break the connection.
    Stall(Duration),
}

/// What it holds, and what it was asked.
#[derive(Default)]
pub struct State {
    pub blobs: BTreeMap<(String, Digest), Vec<u8>>,
    /// By repository and tag or digest: media type and bytes.
    pub manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    pub uploads: BTreeMap<u64, Vec<u8>>,
    pub requests: Vec<Request>,
    /// Whether it lists referrers.
    pub referrers: bool,
    next: u64,
}

/// A running registry; its thread ends with the process.
pub struct Server {
    /// `127.0.0.1:PORT`
    pub host: String,
    pub state: Arc<Mutex<State>>,
}

impl Server {
    /// One that does what it should.
    pub fn good() -> Self {
        Self::new(|_, _| Act::Right)
    }

    /// One of which every request is first shown to the test.
    pub fn new(act: impl Fn(&Request, &mut State) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let act = Arc::new(act);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, act) = (Arc::clone(&shared), Arc::clone(&act));
                std::thread::spawn(move || {
                    let _ = answer(stream, &state, &*act);
                });
            }
        });
        Self { host, state }
    }

    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// Gives it blobs in a repository, and a manifest among them its tag.
    pub fn fill(&self, repository: &str, blobs: &Blobs, tag: &str, top: &Value) {
        let mut state = self.state.lock().unwrap();
        for (digest, bytes) in &blobs.0 {
            let repository = repository.to_owned();
            let kind = serde_json::from_slice::<Value>(bytes).ok();
            let kind = kind.and_then(|kind| Some(kind["mediaType"].as_str()?.to_owned()));
            if let Some(kind) = kind {
                let entry = (kind, bytes.clone());
                let key = (repository.clone(), digest.to_string());
                state.manifests.insert(key, entry.clone());
                if top["digest"] == digest.to_string() {
                    state.manifests.insert((repository, tag.into()), entry);
                }
            } else {
                state.blobs.insert((repository, *digest), bytes.clone());
            }
        }
    }

    /// The requests whose method is this and whose target contains `part`.
    pub fn asked(&self, method: &str, part: &str) -> Vec<Request> {
        let state = self.state.lock().unwrap();
        let requests = state.requests.iter();
        requests
            .filter(|request| request.is(method, part))
            .cloned()
            .collect()
    }
}

fn answer(
    mut stream: TcpStream,
    state: &Mutex<State>,
    act: &(impl Fn(&Request, &mut State) -> Act + ?Sized),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    // TLS begins like this, and is not spoken here.
    if reader.fill_buf()?.first() == Some(&0x16) {
        return Ok(());
    }
    let Some(mut request) = head(&mut reader)? else {
        return Ok(());
    };
    let act = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        act(&request, &mut state)
    };
    let length: usize = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let wanted = match act {
        Act::CutBody(wanted) => wanted.min(length),
        _ => length,
    };
    request.body = vec![0; wanted];
    reader.read_exact(&mut request.body)?;
    if let Some(last) = state.lock().unwrap().requests.last_mut()
        && last.target == request.target
        && last.method == request.method
    {
        last.body.clone_from(&request.body);
    }
    let mut cut = usize::MAX;
    let reply = match act {
        Act::Reply(reply) => reply,
        Act::Stall(time) => {
            std::thread::sleep(time);
            return Ok(());
        }
        Act::CutBody(_) => {
            right(&request, &mut state.lock().unwrap());
            return Ok(());
        }
        Act::Change(change) => change(right(&request, &mut state.lock().unwrap())),
        Act::CutReply(bytes) => {
            cut = bytes;
            right(&request, &mut state.lock().unwrap())
        }
        Act::Right => right(&request, &mut state.lock().unwrap()),
    };
    let mut text = format!(
        "HTTP/1.1 {} Some Words\r\nConnection: close\r\n",
        reply.status
    );
    if !reply
        .headers
        .iter()
        .any(|(name, _)| name == "Content-Length")
    {
        text += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    for (name, value) in &reply.headers {
        text += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{text}\r\n").as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&reply.body[..cut.min(reply.body.len())])?;
    }
    stream.flush()
}

/// Reads a request's head.
pub fn head(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut request = Request::default();
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    request.method = words.next().unwrap_or_default().to_owned();
    // A proxy is given the whole address.
    let target = words.next().unwrap_or_default();
    request.target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
        None => target.to_owned(),
    };
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                let value = value.trim().to_owned();
                request.headers.push((name.to_ascii_lowercase(), value));
            }
            None => return Ok(Some(request)),
        }
    }
}

/// What the specification says to a request.
fn right(request: &Request, state: &mut State) -> Reply {
    let unknown = |code: &str| Reply::error(404, code, "it is not here");
    let Some(rest) = request.path().strip_prefix("/v2/") else {
        return Reply::new(404);
    };
    if rest.is_empty() {
        return Reply::new(200);
    }
    for part in ["/blobs/uploads/", "/blobs/", "/manifests/", "/referrers/"] {
        let Some((repository, name)) = rest.rsplit_once(part) else {
            continue;
        };
        let repository = repository.to_owned();
        return match part {
            "/blobs/uploads/" => upload(request, state, &repository, name),
            "/blobs/" => {
                let digest = name.parse().unwrap();
                match state.blobs.get(&(repository, digest)) {
                    Some(bytes) => part_of(request, bytes).with("Docker-Content-Digest", digest),
                    None => unknown("BLOB_UNKNOWN"),
                }
            }
            "/manifests/" if request.method == "PUT" => put(request, state, &repository, name),
            "/manifests/" => match state.manifests.get(&(repository, name.to_owned())) {
                Some((kind, bytes)) => Reply::new(200)
                    .with("Content-Type", kind)
                    .with("Docker-Content-Digest", Digest::of(bytes))
                    .body(bytes.clone()),
                None => unknown("MANIFEST_UNKNOWN"),
            },
            _ if !state.referrers => Reply::new(404),
            _ => referrers(state, &repository, name),
        };
    }
    Reply::new(404)
}

fn part_of(request: &Request, bytes: &[u8]) -> Reply {
    let from = request.header("range").and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    match from {
        None => Reply::new(200).body(bytes),
        Some(from) if from >= bytes.len() => Reply::new(416),
        Some(from) => Reply::new(206)
            .with(
                "Content-Range",
                format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
            )
            .body(&bytes[from..]),
    }
}

fn upload(request: &Request, state: &mut State, repository: &str, id: &str) -> Reply {
    let place = |id: u64| format!("/v2/{repository}/blobs/uploads/{id}?state=secret");
    let range = |bytes: &[u8]| format!("0-{}", bytes.len().saturating_sub(1));
    if request.method == "POST" {
        if let (Some(digest), Some(from)) = (request.value("mount"), request.value("from")) {
            let digest: Digest = digest.parse().unwrap();
            if let Some(bytes) = state.blobs.get(&(from, digest)).cloned() {
                state.blobs.insert((repository.to_owned(), digest), bytes);
                return Reply::new(201);
            }
        }
        state.next += 1;
        let id = state.next;
        state.uploads.insert(id, Vec::new());
        return Reply::new(202).with("Location", place(id));
    }
    let id: u64 = id.parse().unwrap();
    let Some(bytes) = state.uploads.get_mut(&id) else {
        return Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
    };
    match &*request.method {
        "GET" => Reply::new(204)
            .with("Location", place(id))
            .with("Range", range(bytes)),
        "DELETE" => {
            state.uploads.remove(&id);
            Reply::new(204)
        }
        "PATCH" => {
            let start = request
                .header("content-range")
                .and_then(|range| range.split_once('-')?.0.parse::<usize>().ok());
            if start.is_some_and(|start| start != bytes.len()) {
                return Reply::new(416).with("Range", range(bytes));
            }
            bytes.extend_from_slice(&request.body);
            Reply::new(202)
                .with("Location", place(id))
                .with("Range", range(bytes))
        }
        _ => {
            bytes.extend_from_slice(&request.body);
            let digest: Digest = request.value("digest").unwrap().parse().unwrap();
            if Digest::of(bytes) != digest {
                state.uploads.remove(&id);
                return Reply::error(400, "DIGEST_INVALID", "other bytes");
            }
            let bytes = state.uploads.remove(&id).unwrap();
            state.blobs.insert((repository.to_owned(), digest), bytes);
            Reply::new(201).with("Docker-Content-Digest", digest)
        }
    }
}

fn put(request: &Request, state: &mut State, repository: &str, name: &str) -> Reply {
    let digest = Digest::of(&request.body);
    let manifest: Value = serde_json::from_slice(&request.body).unwrap();
    let blobs = manifest["layers"].as_array().into_iter().flatten();
    for blob in blobs.chain(manifest.get("config")) {
        let digest = blob["digest"].as_str().unwrap().parse().unwrap();
        if !state.blobs.contains_key(&(repository.to_owned(), digest)) {
            return Reply::error(400, "MANIFEST_BLOB_UNKNOWN", "push its blobs first");
        }
    }
    let kind = request.header("content-type").unwrap().to_owned();
    for name in [name.to_owned(), digest.to_string()] {
        let entry = (kind.clone(), request.body.clone());
        state.manifests.insert((repository.to_owned(), name), entry);
    }
    let reply = Reply::new(201).with("Docker-Content-Digest", digest);
    match manifest["subject"]["digest"].as_str() {
        Some(subject) if state.referrers => reply.with("OCI-Subject", subject),
        _ => reply,
    }
}

fn referrers(state: &State, repository: &str, subject: &str) -> Reply {
    let mut found = BTreeMap::new();
    for ((place, _), (kind, bytes)) in &state.manifests {
        let manifest: Value = serde_json::from_slice(bytes).unwrap();
        if place == repository && manifest["subject"]["digest"] == subject {
            let digest = Digest::of(bytes);
            let referrer = json!({
                "mediaType": kind, "digest": digest, "size": bytes.len(),
                "artifactType": manifest["artifactType"], "annotations": manifest["annotations"],
            });
            found.insert(digest, referrer);
        }
    }
    let found: Vec<Value> = found.into_values().collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": found});
    Reply::new(200)
        .with("Content-Type", INDEX)
        .body(index.to_string())
}
