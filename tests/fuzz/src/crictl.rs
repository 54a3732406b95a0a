//! crictl.yaml, as the checks read it and as `nodelith-crictl` does.

use super::{choose, judge, subject, text};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let (choice, rest) = choose(bytes);
    let Some(text) = text(rest) else { return };
    judge(&subject(
        choice % 2 == 0,
        choice / 2,
        &[("etc/crictl.yaml", text)],
    ));
    let _ = nodelith::cri::read_settings(text);
}
