//! An HTTP server that misbehaves on demand.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What came in.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// How many requests came before it.
    pub number: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first byte asked for.
    pub fn from(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }
}

/// What goes out.
#[derive(Debug, Clone)]
pub struct Reply {
    status: &'static str,
    headers: Vec<String>,
    body: Vec<u8>,
    length: bool,
    cut: Option<usize>,
    stall: Option<usize>,
}

impl Reply {
    pub fn status(status: &'static str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: b"not what you want".to_vec(),
            length: true,
            cut: None,
            stall: None,
        }
    }

    pub fn ok(body: &[u8]) -> Self {
        Self {
            body: body.to_vec(),
            ..Self::status("200 OK")
        }
    }

    /// The body, or its part where a part was asked for.
    pub fn file(body: &[u8], request: &Request) -> Self {
        match request.from() {
            None => Self::ok(body),
            Some(from) if from >= body.len() => Self::status("416 Range Not Satisfiable"),
            Some(from) => Self {
                status: "206 Partial Content",
                ..Self::ok(&body[from..])
            }
            .header(&format!(
                "Content-Range: bytes {from}-{}/{}",
                body.len() - 1,
                body.len()
            )),
        }
    }

    pub fn header(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    /// Says nothing of the length; the connection's end is the body's.
    pub fn without_length(mut self) -> Self {
        self.length = false;
        self
    }

    /// Breaks the connection after so many bytes.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Goes silent after so many bytes.
    pub fn stall_after(mut self, bytes: usize) -> Self {
        self.stall = Some(bytes);
        self
    }
}

/// A running server; its thread ends with the process.
pub struct Server {
    pub url: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&log);
        let handler = Arc::new(handler);
        let count = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, log) = (Arc::clone(&handler), Arc::clone(&requests));
                let count = Arc::clone(&count);
                std::thread::spawn(move || {
                    let _ = answer(stream, &*handler, &log, &count);
                });
            }
        });
        Self { url, log }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    handler: &(impl Fn(&Request) -> Reply + ?Sized),
    log: &Mutex<Vec<Request>>,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    let request = Request {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        headers,
        number: count.fetch_add(1, Ordering::SeqCst),
    };
    log.lock().unwrap().push(request.clone());
    let reply = handler(&request);
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", reply.status);
    if reply.length {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    for header in &reply.headers {
        head += &format!("{header}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    let end = reply.cut.or(reply.stall).unwrap_or(reply.body.len());
    stream.write_all(&reply.body[..end])?;
    stream.flush()?;
    if reply.stall.is_some() {
        std::thread::sleep(Duration::from_secs(20));
    }
    Ok(())
}
