//! `nodelith-crictl` against containerd 1.6, 1.7 and 2.1, as Debian's suites have
//! them, with real pods; and what it says when there is no runtime to ask.
//!
//! The daemons need root. containerd 1.7 is asked always, the others with
//! `NODELITH_TEST_ALL=1`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod containers;
mod images;
mod node;
mod offline;
mod pods;

use common::containerd::{Daemon, Suite};
use node::Node;

/// Every verb, in the order of a pod's life.
fn holds(suite: Suite) {
    if !common::root("containerd runs as root") {
        return;
    }
    let mut node = Node::start(suite);
    pods::runtime(&node);
    images::local(&node);
    let pods = pods::run(&node);
    pods::looked_at(&node, &pods);
    containers::life(&node, &pods);
    containers::logs(&node, &pods);
    containers::exec(&node, &pods);
    pods::unknown(&node);
    images::pulled(&mut node);
    pods::ended(&node, &pods);
}

#[test]
fn containerd_1_7() {
    holds(Suite::Trixie);
}

#[test]
fn containerd_1_6() {
    if common::all("containerd 1.6") {
        holds(Suite::Bookworm);
    }
}

#[test]
fn containerd_2_1() {
    if common::all("containerd 2.1") {
        holds(Suite::Forky);
    }
}

/// A containerd whose CRI is off serves no CRI, and that is what is said.
#[test]
fn no_cri() {
    if !common::root("containerd runs as root") {
        return;
    }
    let config = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
    let daemon = Daemon::start(Suite::Trixie, config).unwrap_or_else(|log| panic!("{log}"));
    let endpoint = format!("unix://{}", node::SOCKET);
    let mut version = daemon.crictl();
    version.args(["-r", endpoint.as_str(), "version"]);
    let said = common::refused(&mut version, 1);
    assert!(said.contains("code = Unimplemented"), "{said}");
    assert!(said.contains("hint: "), "{said}");
}
