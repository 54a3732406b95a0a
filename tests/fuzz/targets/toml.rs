//! TOML of any kind: profiles, locks, baselines, containerd's configuration of
//! every line, hosts.toml.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nodelith::check::baseline::Baseline;
use nodelith::lock::Lock;
use nodelith::profile::Profile;
use nodelith_fuzz::{choose, file, judge, subject, text};

fuzz_target!(|bytes: &[u8]| {
    let (choice, rest) = choose(bytes);
    let Some(text) = text(rest) else { return };
    judge(&subject(
        choice % 2 == 0,
        choice / 2,
        &[
            ("etc/containerd/config.toml", text),
            ("etc/containerd/conf.d/one.toml", text),
            ("etc/containerd/certs.d/docker.io/hosts.toml", text),
        ],
    ));
    let path = file("input.toml", rest);
    if let Ok(lock) = Lock::read(&path) {
        // What is read can be written, and read as the same.
        if let Some(lock) = lock {
            let again = file("again.toml", b"");
            lock.write(&again).unwrap();
            assert_eq!(Lock::read(&again).unwrap(), Some(lock));
        }
    }
    let _ = Baseline::read(&path);
    if let Err(error) = Profile::load(&path) {
        let _ = error.to_string();
    }
});
