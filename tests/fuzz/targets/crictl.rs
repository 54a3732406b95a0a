//! crictl.yaml, as the checks read it and as `nodelith-crictl` does.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nodelith_fuzz::{choose, judge, subject, text};

fuzz_target!(|bytes: &[u8]| {
    let (choice, rest) = choose(bytes);
    let Some(text) = text(rest) else { return };
    judge(&subject(
        choice % 2 == 0,
        choice / 2,
        &[("etc/crictl.yaml", text)],
    ));
    let _ = nodelith::cri::read_settings(text);
});
