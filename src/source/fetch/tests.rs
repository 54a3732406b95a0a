//! Downloads from a server that misbehaves.

pub(crate) mod server;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use self::server::{Reply, Server};
use super::*;
use crate::report::{Mode, Unit};

struct World {
    folder: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        Self { folder, store }
    }

    fn fetcher(&self, change: impl FnOnce(&mut FetchOptions)) -> Fetcher {
        let mut options = FetchOptions::default();
        options.http.read_timeout = Duration::from_millis(400);
        options.http.retry_pause = Duration::from_millis(5);
        options.http.retries = 2;
        change(&mut options);
        Fetcher::new(self.store.clone(), Report::new(Mode::Silent), options)
    }

    fn get(&self, items: &[Download]) -> Result<()> {
        self.get_with(&self.fetcher(|_| {}), items)
    }

    fn get_with(&self, fetcher: &Fetcher, items: &[Download]) -> Result<()> {
        let task = Report::new(Mode::Silent).task("fetching", None, Unit::Bytes);
        fetcher.download(items, &task)
    }

    fn assert_has(&self, bytes: &[u8]) {
        let digest = Digest::of(bytes);
        let path = self.store.blob_path(&digest);
        assert_eq!(fs::read(&path).unwrap(), bytes);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o444);
        assert!(!self.store.partial_path(&digest).exists());
    }

    fn assert_nothing(&self, bytes: &[u8]) {
        let digest = Digest::of(bytes);
        assert!(!self.store.has(&digest, None));
        assert!(!self.store.partial_path(&digest).exists());
    }
}

fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn item(url: &str, body: &[u8]) -> Download {
    Download {
        urls: vec![url.to_owned()],
        digest: Digest::of(body),
        size: Some(body.len() as u64),
        name: "thing_1.0_amd64.deb".into(),
    }
}

#[test]
fn many_files_at_once_and_each_digest_once() {
    let world = World::new();
    let bodies: Vec<Vec<u8>> = (0..40).map(|n| bytes(1000 + n * 5000)).collect();
    let served = bodies.clone();
    let busy = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let seen = Arc::clone(&busy);
    let server = Server::start(move |request| {
        let now = seen.0.fetch_add(1, Ordering::SeqCst) + 1;
        seen.1.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(10));
        seen.0.fetch_sub(1, Ordering::SeqCst);
        let number: usize = request.path[1..].parse().unwrap();
        Reply::file(&served[number], request)
    });
    let mut items: Vec<Download> = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| item(&format!("{}/{n}", server.url), body))
        .collect();
    items.extend(items.clone());
    world.get(&items).unwrap();
    for body in &bodies {
        world.assert_has(body);
    }
    assert_eq!(server.requests().len(), 40);
    assert!((2..=8).contains(&busy.1.load(Ordering::SeqCst)));
    // What is there is not asked for again.
    world.get(&items).unwrap();
    assert_eq!(server.requests().len(), 40);
    let agent = server.requests()[0].header("user-agent").map(str::to_owned);
    assert_eq!(
        agent.unwrap(),
        concat!("nodelith/", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_broken_connection_goes_on_where_it_stopped() {
    let world = World::new();
    let body = bytes(300_000);
    let served = body.clone();
    let server = Server::start(move |request| {
        let reply = Reply::file(&served, request);
        match request.number {
            0 => reply.cut_after(100_000),
            1 => reply.cut_after(50_000),
            _ => reply,
        }
    });
    world.get(&[item(&server.url, &body)]).unwrap();
    world.assert_has(&body);
    let from: Vec<_> = server
        .requests()
        .iter()
        .map(server::Request::from)
        .collect();
    assert_eq!(from, [None, Some(100_000), Some(150_000)]);
}

#[test]
fn an_interrupted_download_goes_on_in_the_next_run() {
    let world = World::new();
    let body = bytes(300_000);
    let served = body.clone();
    let server = Server::start(move |request| Reply::file(&served, request));
    let partial = world.store.partial_path(&Digest::of(&body));
    fs::write(&partial, &body[..123_456]).unwrap();
    world.get(&[item(&server.url, &body)]).unwrap();
    world.assert_has(&body);
    assert_eq!(server.requests()[0].from(), Some(123_456));

    // Of unknown size, and whole already: the server has nothing to add.
    let other = World::new();
    fs::write(other.store.partial_path(&Digest::of(&body)), &body).unwrap();
    let mut unknown = item(&server.url, &body);
    unknown.size = None;
    other.get(&[unknown]).unwrap();
    other.assert_has(&body);

    // Of known size, and whole already: nobody is asked.
    let third = World::new();
    fs::write(third.store.partial_path(&Digest::of(&body)), &body).unwrap();
    let before = server.requests().len();
    third.get(&[item(&server.url, &body)]).unwrap();
    third.assert_has(&body);
    assert_eq!(server.requests().len(), before);
}

#[test]
fn wrong_bytes_of_an_earlier_run_are_fetched_again_from_zero() {
    let world = World::new();
    let body = bytes(100_000);
    let served = body.clone();
    let server = Server::start(move |request| Reply::file(&served, request));
    for left in [vec![7; 5_000], vec![7; 100_000], vec![7; 100_001]] {
        fs::write(world.store.partial_path(&Digest::of(&body)), &left).unwrap();
        world.get(&[item(&server.url, &body)]).unwrap();
        world.assert_has(&body);
        fs::remove_file(world.store.blob_path(&Digest::of(&body))).unwrap();
    }
}

#[test]
fn a_server_without_ranges_is_read_from_the_beginning() {
    let world = World::new();
    let body = bytes(200_000);
    let served = body.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::ok(&served).cut_after(70_000),
        _ => Reply::ok(&served),
    });
    world.get(&[item(&server.url, &body)]).unwrap();
    world.assert_has(&body);
    assert_eq!(server.requests()[1].from(), Some(70_000));
}

#[test]
fn an_answer_to_another_range_is_not_taken() {
    let world = World::new();
    let body = bytes(50_000);
    let served = body.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::ok(&served).cut_after(20_000),
        1 => {
            let mut other = request.clone();
            other.headers = vec![("range".into(), "bytes=30000-".into())];
            Reply::file(&served, &other)
        }
        _ => Reply::file(&served, request),
    });
    world.get(&[item(&server.url, &body)]).unwrap();
    world.assert_has(&body);
    assert_eq!(server.requests()[2].from(), None);
}

#[test]
fn a_stalled_transfer_times_out_and_goes_on() {
    let world = World::new();
    let body = bytes(100_000);
    let served = body.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::file(&served, request).stall_after(40_000),
        _ => Reply::file(&served, request),
    });
    let begun = Instant::now();
    world.get(&[item(&server.url, &body)]).unwrap();
    world.assert_has(&body);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(server.requests()[1].from(), Some(40_000));

    let silent = Server::start(|_| Reply::ok(&[0; 10]).stall_after(0));
    let error = world.get(&[item(&silent.url, &[1; 10])]).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.message().contains("timed out"), "{error}");
    assert_eq!(silent.requests().len(), 3);
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let world = World::new();
    let body = bytes(1000);
    let served = body.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::status("429 Too Many Requests").header("Retry-After: 1"),
        1 => Reply::status("500 Internal Server Error"),
        _ => Reply::file(&served, request),
    });
    let begun = Instant::now();
    world.get(&[item(&server.url, &body)]).unwrap();
    world.assert_has(&body);
    assert!(begun.elapsed() >= Duration::from_secs(1));

    let server = Server::start(|_| Reply::status("503 Service Unavailable"));
    let error = world.get(&[item(&server.url, b"never")]).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.message().contains("503"), "{error}");
    assert_eq!(server.requests().len(), 3);
    world.assert_nothing(b"never");
}

#[test]
fn wrong_bytes_are_fetched_once_more_and_never_kept() {
    let world = World::new();
    let body = bytes(50_000);
    let wrong = vec![7; 50_000];
    let server = Server::start(move |request| Reply::file(&wrong, request));
    let error = world.get(&[item(&server.url, &body)]).unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
    let message = error.message();
    assert!(message.contains("thing_1.0_amd64.deb"), "{message}");
    assert!(
        message.contains(&Digest::of(&body).to_string()),
        "{message}"
    );
    assert!(
        message.contains(&Digest::of(&[7; 50_000]).to_string()),
        "{message}"
    );
    assert!(!error.hints().is_empty());
    assert_eq!(server.requests().len(), 2);
    world.assert_nothing(&body);
}

#[test]
fn too_long_and_too_short_bodies_are_refused() {
    let body = bytes(50_000);
    let longer: Vec<u8> = [body.clone(), vec![0; 1 << 20]].concat();
    let short = body[..40_000].to_vec();
    let replies = [
        Reply::ok(&longer),
        Reply::ok(&longer).without_length(),
        Reply::ok(&short),
    ];
    for reply in replies {
        let world = World::new();
        let server = Server::start(move |_| reply.clone());
        let error = world.get(&[item(&server.url, &body)]).unwrap_err();
        assert_eq!(error.kind(), Kind::Verify, "{error}");
        assert!(error.message().contains("bytes"), "{error}");
        world.assert_nothing(&body);
    }
    // Too short with no length said may as well be a broken connection: what came is kept.
    let world = World::new();
    let server = Server::start(move |request| {
        let from = request.from().unwrap_or(0);
        Reply::ok(&short[from.min(short.len())..]).without_length()
    });
    let error = world.get(&[item(&server.url, &body)]).unwrap_err();
    assert_eq!(error.kind(), Kind::Network, "{error}");
}

#[test]
fn the_next_address_is_tried() {
    let world = World::new();
    let body = bytes(10_000);
    let served = body.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        "/gone" => Reply::status("404 Not Found"),
        "/wrong" => Reply::ok(&[9; 10_000]),
        "/forbidden" => Reply::status("403 Forbidden"),
        _ => Reply::file(&served, request),
    });
    let mut wanted = item("", &body);
    wanted.urls = ["gone", "forbidden", "wrong", "good"]
        .iter()
        .map(|path| format!("{}/{path}", server.url))
        .collect();
    wanted.urls.insert(0, "/nowhere/at/all".into());
    world.get(&[wanted]).unwrap();
    world.assert_has(&body);
}

#[test]
fn a_file_that_is_gone_everywhere_says_what_to_do() {
    let world = World::new();
    let server = Server::start(|_| Reply::status("404 Not Found"));
    let url = server.url.replace("http://", "http://me:secret@");
    let mut wanted = item(&url, b"x");
    wanted.urls.push("file:///nowhere/at/all".into());
    let error = world.get(&[wanted]).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.message().contains("404"), "{error}");
    assert!(!error.message().contains("secret"), "{error}");
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("lock --update"))
    );
    assert_eq!(server.requests().len(), 1);
    assert!(server.requests()[0].header("authorization").is_some());
}

#[test]
fn an_unreachable_server_is_a_network_error() {
    let world = World::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:secret@{}/x", port.local_addr().unwrap());
    drop(port);
    let error = world.get(&[item(&url, b"x")]).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.message().contains("refused"), "{error}");
    assert!(!error.message().contains("secret"), "{error}");
}

#[test]
fn local_files_are_copied() {
    let world = World::new();
    let body = bytes(500_000);
    let path = world.folder.path().join("a file");
    fs::write(&path, &body).unwrap();
    let offline = world.fetcher(|options| options.offline = true);
    for url in [
        format!("file://{}", path.display()).replace(' ', "%20"),
        format!("copy:{}", path.display()),
        path.display().to_string(),
    ] {
        world.get_with(&offline, &[item(&url, &body)]).unwrap();
        world.assert_has(&body);
        fs::remove_file(world.store.blob_path(&Digest::of(&body))).unwrap();
    }
    fs::write(&path, &body[..100]).unwrap();
    let error = world
        .get(&[item(&path.display().to_string(), &body)])
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
    world.assert_nothing(&body);
}

#[test]
fn offline_asks_nobody() {
    let world = World::new();
    let server = Server::start(|_| Reply::ok(b"x"));
    let offline = world.fetcher(|options| options.offline = true);
    let error = world
        .get_with(
            &offline,
            &[item(&server.url, b"x"), item(&server.url, b"y")],
        )
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.message().contains("and 1 more"), "{error}");
    assert!(
        offline
            .small(std::slice::from_ref(&server.url), 10)
            .is_err()
    );
    assert!(server.requests().is_empty());
    world.store.put(b"x").unwrap();
    world
        .get_with(&offline, &[item(&server.url, b"x")])
        .unwrap();
}

#[test]
fn two_builds_share_one_download() {
    let world = World::new();
    let body = bytes(400_000);
    let served = body.clone();
    let server = Server::start(move |request| {
        std::thread::sleep(Duration::from_millis(100));
        Reply::file(&served, request)
    });
    let wanted = [item(&server.url, &body)];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| world.get(&wanted).unwrap());
        }
    });
    world.assert_has(&body);
    assert_eq!(server.requests().len(), 1);

    // The other gives up: its lock goes, and we go on with what it had.
    let other = World::new();
    let path = other.store.partial_path(&Digest::of(&body));
    fs::write(&path, &body[..150_000]).unwrap();
    let held = fs::File::open(&path).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| other.get(&wanted).unwrap());
        std::thread::sleep(Duration::from_millis(250));
        assert_eq!(server.requests().len(), 1);
        drop(held);
    });
    other.assert_has(&body);
    assert_eq!(server.requests()[1].from(), Some(150_000));
}

#[test]
fn small_files_come_into_memory() {
    let world = World::new();
    let fetcher = world.fetcher(|_| {});
    let server = Server::start(|request| match (request.path.as_str(), request.number) {
        ("/InRelease", 0) => Reply::status("502 Bad Gateway"),
        ("/InRelease", _) => Reply::ok(b"Origin: Debian\n").without_length(),
        _ => Reply::status("404 Not Found"),
    });
    let url = |path: &str| format!("{}/{path}", server.url);
    let got = fetcher
        .small(&[url("gone"), url("InRelease")], 100)
        .unwrap();
    assert_eq!(got, b"Origin: Debian\n");
    let error = fetcher.small(&[url("InRelease")], 5).unwrap_err();
    assert!(error.message().contains("longer than 5 bytes"), "{error}");
    let error = fetcher.small(&[url("gone")], 5).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.message().contains("404"), "{error}");
}

#[test]
fn extra_authorities_must_be_certificates() {
    let world = World::new();
    let path = world.folder.path().join("ca.pem");
    let fetcher = |path: PathBuf| world.fetcher(|options| options.http.ca_files = vec![path]);
    let error = fetcher(path.clone())
        .small(&["http://127.0.0.1:9/".into()], 5)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    fs::write(&path, "not a certificate").unwrap();
    let error = fetcher(path.clone())
        .small(&["http://127.0.0.1:9/".into()], 5)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&path, broken).unwrap();
    let error = fetcher(path)
        .small(&["http://127.0.0.1:9/".into()], 5)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
}
