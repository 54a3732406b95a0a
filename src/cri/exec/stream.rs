//! A command with standard input: the runtime's streaming server over WebSocket.
//!
//! The runtime gives the address; frames there begin with the number of a
//! channel (`v4.channel.k8s.io` of Kubernetes' remote command protocol): 0 is
//! standard input, 1 output, 2 error output, 3 the status at the end as JSON, 4
//! the terminal's size. The end of input cannot be told in this version, which
//! is the only one that runtimes serve over WebSocket; SPDY, where it could, is
//! not spoken here.

use std::io::Read;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::Message;

use crate::cri::say;
use crate::error::{Error, Kind, Result};

const PROTOCOL: &str = "v4.channel.k8s.io";
/// How often the terminal's size is looked at.
const LOOK: Duration = Duration::from_millis(250);

const INPUT: u8 = 0;
const OUTPUT: u8 = 1;
const ERRORS: u8 = 2;
const STATUS: u8 = 3;
const SIZE: u8 = 4;

/// Joins standard input and output with the command behind `url` until it ends,
/// and returns its exit status.
pub async fn join(url: &str, terminal: bool) -> Result<u8> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Network, format!("streaming from {url}: {error}"))
    };
    let host = host(url)?;
    let connection = TcpStream::connect(&host)
        .await
        .map_err(|error| failed(&error))?;
    let address = url.replacen("http", "ws", 1);
    let address = address.parse().map_err(|error| failed(&error))?;
    let request = ClientRequestBuilder::new(address).with_sub_protocol(PROTOCOL);
    let (socket, _) = tokio_tungstenite::client_async(request, connection)
        .await
        .map_err(|error| failed(&error))?;
    let (mut to, mut from) = socket.split();
    let _raw = terminal.then(Raw::new).transpose()?;
    let mut input = standard_input();
    let (mut open, mut size, mut status) = (true, None, None);
    let mut look = tokio::time::interval(LOOK);
    loop {
        let frame = tokio::select! {
            message = from.next() => match message {
                Some(Ok(Message::Binary(frame))) => {
                    status = receive(&frame)?.or(status);
                    continue;
                }
                Some(Ok(Message::Close(_))) | None => break,
                Some(Ok(_)) => continue,
                // The server closes the connection when the command has ended.
                Some(Err(_)) if status.is_some() => break,
                Some(Err(error)) => return Err(failed(&error)),
            },
            read = input.recv(), if open => {
                let Some(read) = read else {
                    open = false;
                    say::warning("the command is not told that input has ended");
                    continue;
                };
                frame(INPUT, &read)
            }
            _ = look.tick(), if terminal => {
                let now = tcgetwinsize(std::io::stdout()).ok();
                let now = now.map(|now| (now.ws_col, now.ws_row));
                if now == size {
                    continue;
                }
                size = now;
                let Some((width, height)) = now else { continue };
                frame(SIZE, json!({"Width": width, "Height": height}).to_string().as_bytes())
            }
        };
        // What cannot be sent any more, the other direction tells.
        let _ = to.send(Message::Binary(frame.into())).await;
    }
    status.ok_or_else(|| failed(&"the connection ended before the command did"))
}

/// Standard input, read by a thread that ends with the process.
fn standard_input() -> mpsc::Receiver<Vec<u8>> {
    let (to, from) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut buffer = vec![0; 8192];
        while let Ok(read @ 1..) = input.read(&mut buffer) {
            if to.blocking_send(buffer[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    from
}

/// Host and port of the streaming server.
fn host(url: &str) -> Result<String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        let message = format!("streaming from {url} is not supported");
        Error::new(Kind::Usage, message)
            .hint("only plain HTTP is; without -i and -t a command needs no streaming")
    })?;
    let host = rest.split('/').next().unwrap_or_default();
    Ok(host.to_owned())
}

fn frame(channel: u8, content: &[u8]) -> Vec<u8> {
    [&[channel], content].concat()
}

/// Prints what came, or returns the status if it was that.
fn receive(frame: &[u8]) -> Result<Option<u8>> {
    match frame.split_first() {
        Some((&OUTPUT, text)) => say::bytes(&mut std::io::stdout().lock(), text)?,
        Some((&ERRORS, text)) => say::bytes(&mut std::io::stderr().lock(), text)?,
        Some((&STATUS, text)) if !text.is_empty() => return ended(text).map(Some),
        _ => {}
    }
    Ok(None)
}

/// The exit status in a Kubernetes `Status`.
fn ended(text: &[u8]) -> Result<u8> {
    let status: Value = serde_json::from_slice(text).unwrap_or_default();
    if status["status"] == "Success" {
        return Ok(0);
    }
    let causes = status["details"]["causes"].as_array();
    let mut causes = causes.into_iter().flatten();
    let code = causes.find(|cause| cause["reason"] == "ExitCode");
    let code = code.and_then(|cause| cause["message"].as_str()?.parse::<i64>().ok());
    match code {
        Some(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
        None => {
            let message = status["message"].as_str().unwrap_or("the command failed");
            Err(Error::new(Kind::Network, message))
        }
    }
}

/// A terminal that passes each key on, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn new() -> Result<Self> {
        let failed = |error| Error::new(Kind::Io, format!("setting up the terminal: {error}"));
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        assert_eq!(ended(br#"{"status":"Success"}"#).unwrap(), 0);
        let failure = br#"{"status":"Failure","reason":"NonZeroExitCode","message":"x",
            "details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        assert_eq!(ended(failure).unwrap(), 3);
        let other = br#"{"status":"Failure","message":"no such program"}"#;
        assert_eq!(ended(other).unwrap_err().message(), "no such program");
        assert!(ended(b"?").is_err());
    }

    #[test]
    fn servers_are_plain() {
        assert_eq!(host("http://127.0.0.1:1/exec/a").unwrap(), "127.0.0.1:1");
        assert!(host("https://127.0.0.1:1/exec/a").is_err());
    }
}
