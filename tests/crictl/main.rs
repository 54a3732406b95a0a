//! `nodelith-crictl` against containerd 1.6, 1.7 and 2.1.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/containerd.rs"]
mod containerd;

use containerd::{Daemon, Suite};

#[test]
fn try_it() {
    for suite in Suite::ALL {
        let daemon = match Daemon::start(suite, &suite.config()) { Ok(d) => d, Err(e) => panic!("{e}") };
        let o = daemon.crictl().args(["-r", "unix:///run/containerd/containerd.sock", "version"]).output().unwrap();
        println!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
        let o = daemon.crictl().args(["info"]).output().unwrap();
        println!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
        println!("{}", daemon.log());
    }
}
