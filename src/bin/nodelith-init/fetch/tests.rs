use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

const ROOT: &[u8] = &[7; 300_000];

/// What is answered to a request.
type Answer = Box<dyn Fn(&mut TcpStream) + Send>;

/// Answers requests in order; returns what was asked.
fn serve(answers: Vec<Answer>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/b/root.erofs", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map(Result::unwrap)
                .take_while(|line| !line.is_empty())
                .collect();
            let has = |name: &str| {
                let line = head.iter().find(|line| line.starts_with(name));
                line.cloned().unwrap_or_default()
            };
            asked.push(format!(
                "{} {} {}",
                head[0],
                has("range: "),
                has("if-range: ")
            ));
            answer(&mut stream);
        }
        asked
    });
    (url, server)
}

fn says(text: impl Into<String>, body: &'static [u8]) -> Box<dyn Fn(&mut TcpStream) + Send> {
    let text = text.into();
    Box::new(move |stream| {
        // Whoever asks may have heard enough.
        let _ = stream.write_all(text.replace('\n', "\r\n").as_bytes());
        let _ = stream.write_all(body);
    })
}

fn get(url: &str) -> Result<Vec<u8>, String> {
    let digest = Sha256::digest(ROOT).into();
    let mut file = fetch(url, &[], &digest).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut file).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

#[test]
fn what_breaks_off_goes_on() {
    let whole = format!(
        "HTTP/1.1 200 OK\nContent-Length: {}\nETag: \"a\"\n\n",
        ROOT.len()
    );
    let (from, end) = (100_000, ROOT.len());
    let part = format!(
        "HTTP/1.1 206 Partial Content\nContent-Length: {}\nContent-Range: bytes {from}-{}/{end}\n\n",
        end - from,
        end - 1,
    );
    let (url, server) = serve(vec![says(whole, &ROOT[..from]), says(part, &ROOT[from..])]);
    assert_eq!(get(&url).unwrap(), ROOT);
    let asked = server.join().unwrap();
    assert_eq!(
        asked,
        [
            "GET /b/root.erofs HTTP/1.1  ",
            "GET /b/root.erofs HTTP/1.1 range: bytes=100000- if-range: \"a\"",
        ]
    );
}

#[test]
fn what_cannot_go_on_begins_again() {
    let whole = format!("HTTP/1.1 200 OK\nContent-Length: {}\n\n", ROOT.len());
    let other = "HTTP/1.1 206 Partial Content\nContent-Range: bytes 5-9/10\n\n";
    let gone = "HTTP/1.1 416 Range Not Satisfiable\nContent-Length: 0\n\n";
    let (url, server) = serve(vec![
        says(whole.clone(), &ROOT[..10]),
        says(other, b""),
        says("HTTP/1.1 503 Busy\nContent-Length: 0\n\n", b""),
        says(whole.clone(), &ROOT[..10]),
        says(gone, b""),
        says(whole, ROOT),
    ]);
    assert_eq!(get(&url).unwrap(), ROOT);
    let ranges: Vec<bool> = server
        .join()
        .unwrap()
        .iter()
        .map(|asked| asked.contains("range: "))
        .collect();
    assert_eq!(ranges, [false, true, false, false, true, false]);
}

#[test]
fn chunks_and_one_redirection() {
    let chunked = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n493e0\n";
    let elsewhere = "HTTP/1.1 302 Found\nLocation: ../c/root\nContent-Length: 0\n\n";
    let (url, server) = serve(vec![
        says(elsewhere, b""),
        Box::new(move |stream| {
            says(chunked, ROOT)(stream);
            says("\n0\n\n", b"")(stream);
        }),
    ]);
    assert_eq!(get(&url).unwrap(), ROOT);
    assert!(server.join().unwrap()[1].starts_with("GET /c/root "));

    let (url, server) = serve(vec![says(elsewhere, b""), says(elsewhere, b"")]);
    let said = get(&url).unwrap_err();
    assert!(said.ends_with("the server says 302 Found"), "{said}");
    server.join().unwrap();
}

#[test]
fn what_is_not_the_root_is_refused() {
    for (head, body, words) in [
        (
            "HTTP/1.1 200 OK\nContent-Length: 4\n\n",
            &b"root"[..],
            "its SHA-256 is 4813494d",
        ),
        (
            "HTTP/1.1 404 Not Found\nContent-Length: 0\n\n",
            b"",
            "the server says 404 Not Found",
        ),
        (
            "HTTP/1.1 200 OK\nContent-Length: 99999999999999\n\n",
            b"",
            "give the machine more",
        ),
        (
            "HTTP/1.1 301 Moved\nLocation: https://a/\nContent-Length: 0\n\n",
            b"",
            "https is not spoken here",
        ),
    ] {
        let (url, server) = serve(vec![says(head, body)]);
        let said = get(&url).unwrap_err();
        assert!(said.contains(words), "{said}");
        assert!(said.contains(&url), "{said}");
        server.join().unwrap();
    }
}

#[test]
fn parts_as_servers_name_them() {
    assert_eq!(content_range("bytes 5-9/10"), Some((5, 10)));
    for text in [
        "",
        "bytes 5-9/*",
        "bytes 9-5/10",
        "bytes 5-10/10",
        "bytes */10",
        "5-9/10",
    ] {
        assert_eq!(content_range(text), None, "{text}");
    }
}
