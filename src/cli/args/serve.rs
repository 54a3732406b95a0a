//! Arguments of the small HTTP server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Folder of an export with `pxe` among its formats
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Address and port to listen at; port 0 for any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Folder with words for the command lines of nodes, in files named by MAC address or UUID
    #[arg(long, value_name = "DIR")]
    pub nodes: Option<PathBuf>,
    /// How requests are logged on standard error [default: text, or json with --json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log: Option<ServeLog>,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServeLog {
    /// Client, method, path, status, bytes sent
    Text,
    /// The Common Log Format of web servers
    Common,
    /// One JSON object a line
    Json,
}
