//! A proxy that breaks three requests of ten, in every way that networks have.
//! Pushes and pulls through it end right, or fail with a clear message and leave
//! nothing wrong.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::common;
use super::docker::DockerRegistry;
use super::scene::{Scene, layer, noise};
use super::server::head;

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    /// The connection breaks before anything is passed on.
    Drop,
    /// The request is passed on, and its answer is lost.
    LoseAnswer,
    /// Half of the body is passed on, then the connection breaks.
    CutBody,
    /// Half of the answer's body comes.
    CutAnswer,
    /// Nothing comes for a long time.
    Stall,
    Status(u16),
}

/// Three of ten requests get another fate than the rest.
fn fate(random: u64) -> Fate {
    if random % 10 >= 3 {
        return Fate::Pass;
    }
    match (random / 10) % 9 {
        0 => Fate::Drop,
        1 => Fate::LoseAnswer,
        2 => Fate::CutBody,
        3 | 4 => Fate::CutAnswer,
        5 => Fate::Stall,
        6 => Fate::Status(429),
        7 => Fate::Status(500),
        _ => Fate::Status(502),
    }
}

/// A running proxy; its thread ends with the process.
struct Chaos {
    host: String,
    requests: Arc<AtomicU64>,
    broken: Arc<AtomicU64>,
}

impl Chaos {
    fn before(registry: &DockerRegistry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (requests, broken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let chaos = Self {
            host,
            requests: Arc::clone(&requests),
            broken: Arc::clone(&broken),
        };
        let to = registry.host.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = requests.fetch_add(1, Ordering::SeqCst);
                let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
                let fate = fate(random.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20);
                if fate != Fate::Pass {
                    broken.fetch_add(1, Ordering::SeqCst);
                }
                let to = to.clone();
                std::thread::spawn(move || {
                    let _ = pass(stream, &to, fate);
                });
            }
        });
        chaos
    }
}

fn pass(mut from: TcpStream, to: &str, fate: Fate) -> std::io::Result<()> {
    let mut reader = BufReader::new(from.try_clone()?);
    let Some(request) = head(&mut reader)? else {
        return Ok(());
    };
    let length: usize = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    match fate {
        Fate::Drop => return Ok(()),
        Fate::Stall => {
            std::thread::sleep(Duration::from_secs(3));
            return Ok(());
        }
        Fate::Status(status) => {
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let text = format!(
                "HTTP/1.1 {status} No\r\nConnection: close\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
            );
            return from.write_all(text.as_bytes());
        }
        _ => {}
    }
    let mut upstream = TcpStream::connect(to)?;
    let mut text = format!(
        "{} {} HTTP/1.1\r\nConnection: close\r\n",
        request.method, request.target
    );
    for (name, value) in &request.headers {
        if name != "connection" {
            text += &format!("{name}: {value}\r\n");
        }
    }
    upstream.write_all(format!("{text}\r\n").as_bytes())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if fate == Fate::CutBody {
        upstream.write_all(&body[..length / 2])?;
        return Ok(());
    }
    upstream.write_all(&body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let head = end.map_or(answer.len(), |at| at + 4);
    match fate {
        Fate::LoseAnswer => Ok(()),
        Fate::CutAnswer => from.write_all(&answer[..head + (answer.len() - head) / 2]),
        _ => from.write_all(&answer),
    }
}

/// What a failure must be: one error, of the network, with something to do about it.
fn assert_is_clear(said: &str) {
    let errors = said.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 1, "{said}");
    assert!(said.contains("hint: ") || said.contains(" says "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn pushes_and_pulls_end_right_or_leave_nothing_wrong() {
    let rounds = if common::all("50 pushes and pulls through a proxy that breaks things") {
        50
    } else {
        8
    };
    let registry = DockerRegistry::start();
    let chaos = Chaos::before(&registry);
    let quick = [
        "--retry-delay",
        "5ms",
        "--timeout",
        "400ms",
        "--retries",
        "6",
    ];
    let (mut pushed, mut pulled) = (0, 0);
    for round in 0..rounds {
        let scene = Scene::new();
        let layout = scene.layout(
            "image",
            &[
                layer("own", &noise(round, 5000)),
                layer("long", &noise(round + 1000, 1_400_000)),
                layer("shared", &noise(7, 20_000)),
            ],
        );
        let digest = common::manifest_digest(&layout);
        let name = format!("r{}/a:{round}", round % 3);
        let through = format!("{}/{name}", chaos.host);
        let mut push = scene.nodelith(&["push", "image", &through, "--chunk-size", "1"]);
        let output = common::output(push.args(quick));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => pushed += 1,
            Some(5) => assert_is_clear(&said),
            code => panic!("{code:?}: {said}"),
        }
        // Whatever the registry has by that name is whole and right.
        let direct = Scene::new();
        let name = registry.name(&name);
        let output = common::output(&mut direct.nodelith(&["pull", &name, "-o", "out"]));
        match output.status.code() {
            Some(0) => assert_eq!(common::manifest_digest(&direct.path("out")), digest),
            Some(3) => {
                assert!(!said.is_empty(), "it was said to be there");
                assert!(!direct.path("out").exists());
                run_again(&scene, &name);
            }
            code => panic!("{code:?}: {}", String::from_utf8_lossy(&output.stderr)),
        }
        let fresh = Scene::new();
        let mut pull = fresh.nodelith(&["pull", &through, "-o", "out"]);
        let output = common::output(pull.args(quick));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => {
                pulled += 1;
                assert_eq!(common::manifest_digest(&fresh.path("out")), digest);
                fresh.json(&["show", "out", "--files"]);
            }
            Some(5) => {
                assert_is_clear(&said);
                assert!(!fresh.path("out").exists());
            }
            code => panic!("{code:?}: {said}"),
        }
        fresh.assert_store_is_sound();
    }
    // That it was not easy, and that most of it was done all the same.
    let (requests, broken) = (
        chaos.requests.load(Ordering::SeqCst),
        chaos.broken.load(Ordering::SeqCst),
    );
    assert!(broken * 100 / requests > 20, "{broken} of {requests}");
    assert!(
        pushed * 10 >= rounds * 8 && pulled * 10 >= rounds * 8,
        "{pushed}, {pulled}"
    );
}

/// A push that failed can simply be run again.
fn run_again(scene: &Scene, name: &str) {
    scene.json(&["push", "image", name]);
}
