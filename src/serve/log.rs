//! The access log: a line for each answer, when it is whole or broken off.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use serde_json::json;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Client, method, path, status, bytes sent.
    Text,
    /// The Common Log Format of web servers, with the time.
    Common,
    /// One JSON object.
    Json,
}

/// Where lines go, if anywhere.
pub struct Log {
    format: Option<Format>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Entry {
    pub client: IpAddr,
    pub method: String,
    /// Path and query, as they were asked for.
    pub target: String,
    pub status: u16,
    /// How many bytes the content has.
    pub length: u64,
    /// How many of them were sent.
    pub sent: u64,
}

impl Entry {
    /// Of an answer that is yet to come.
    pub fn new(client: SocketAddr, method: &str, target: &str) -> Self {
        Self {
            client: client.ip(),
            method: method.to_owned(),
            target: target.to_owned(),
            status: 0,
            length: 0,
            sent: 0,
        }
    }
}

impl Log {
    pub fn new(format: Option<Format>) -> Self {
        Self { format }
    }

    /// Writes a line.
    pub fn write(&self, entry: &Entry) {
        if let Some(format) = self.format {
            let now = jiff::Zoned::now()
                .strftime("%d/%b/%Y:%H:%M:%S %z")
                .to_string();
            // A closed standard error must not stop a server.
            let _ = writeln!(std::io::stderr().lock(), "{}", line(format, entry, &now));
        }
    }
}

fn line(format: Format, entry: &Entry, now: &str) -> String {
    let Entry {
        client,
        method,
        status,
        length,
        sent,
        ..
    } = entry;
    // Parsers of requests let more letters through than stand in URLs.
    let target: String = entry.target.escape_default().collect();
    match format {
        Format::Text if sent < length => {
            format!("{client} {method} {target} {status} {sent} of {length}, broken off")
        }
        Format::Text => format!("{client} {method} {target} {status} {sent}"),
        Format::Common => {
            format!("{client} - - [{now}] \"{method} {target} HTTP/1.1\" {status} {sent}")
        }
        Format::Json => json!({
            "event": "request", "client": client.to_string(), "method": method,
            "target": entry.target, "status": status, "length": length, "sent": sent,
        })
        .to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let client = "10.0.2.15:4711".parse().unwrap();
        let mut entry = Entry::new(client, "GET", "/a\"b");
        (entry.status, entry.length, entry.sent) = (206, 10, 10);
        let of = |format, entry: &Entry| line(format, entry, "26/Nov/2026:02:30:00 +0000");
        assert_eq!(of(Format::Text, &entry), r#"10.0.2.15 GET /a\"b 206 10"#);
        assert_eq!(
            of(Format::Common, &entry),
            r#"10.0.2.15 - - [26/Nov/2026:02:30:00 +0000] "GET /a\"b HTTP/1.1" 206 10"#
        );
        assert_eq!(
            of(Format::Json, &entry),
            r#"{"client":"10.0.2.15","event":"request","length":10,"method":"GET","sent":10,"status":206,"target":"/a\"b"}"#
        );
        entry.sent = 5;
        let broken = r#"10.0.2.15 GET /a\"b 206 5 of 10, broken off"#;
        assert_eq!(of(Format::Text, &entry), broken);
    }
}
