//! TOML of any kind: profiles, locks, baselines, rules of a fleet, containerd's
//! configuration of every line, hosts.toml.

use super::{choose, file, imported, judge, subject, text};
use nodelith::check::baseline::Baseline;
use nodelith::fleet::Rules;
use nodelith::lock::Lock;
use nodelith::profile::Profile;

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let (choice, rest) = choose(bytes);
    let Some(text) = text(rest) else { return };
    let subject = subject(
        choice % 2 == 0,
        choice / 2,
        &[
            ("etc/containerd/config.toml", text),
            ("etc/containerd/conf.d/one.toml", text),
            ("etc/containerd/certs.d/docker.io/hosts.toml", text),
        ],
    );
    judge(&subject);
    if choice % 4 == 0 {
        imported(&subject);
    }
    let path = file("input.toml", rest);
    // What is read can be written, and read as the same.
    if let Ok(Some(lock)) = Lock::read(&path) {
        let again = file("again.toml", b"");
        lock.write(&again).unwrap();
        assert_eq!(Lock::read(&again).unwrap(), Some(lock));
    }
    let _ = Baseline::read(&path);
    let _ = Rules::parse(text, &path);
    if let Err(error) = Profile::load(&path) {
        let _ = error.to_string();
    }
}
