//! Secrets, by what they are for.

use crate::check::facts::Facts;
use crate::check::rule::Found;
use crate::check::subject::{Secret, secret};

/// Folders in which a line that gives a token or password is one.
const SOUGHT: [&[u8]; 6] = [
    b"etc/kubernetes",
    b"var/lib/kubelet",
    b"etc/docker",
    b"etc/cni",
    b"root",
    b"home",
];

/// What a node is given at boot by a credential of ours.
pub(super) fn credentials(facts: &Facts<'_>, found: &mut Found<'_>) {
    each(facts, found, |secret| {
        let what = match secret {
            Secret::Kubeconfig => "a kubeconfig with its login",
            Secret::Join => "a token that nodes join by",
            Secret::RegistryAuth => "logins of registries",
            Secret::PrivateKey | Secret::Token => return None,
        };
        let credential = secret.credential()?;
        Some(format!("{what}; give it at boot as `{credential}`"))
    });
}

/// All others.
pub(super) fn others(facts: &Facts<'_>, found: &mut Found<'_>) {
    each(facts, found, |secret| {
        let what = match secret {
            Secret::PrivateKey => "a private key",
            Secret::Token => "a token or password",
            Secret::Kubeconfig | Secret::Join | Secret::RegistryAuth => return None,
        };
        Some(format!(
            "{what}; give it at boot as a file by `tmpfiles.extra`"
        ))
    });
}

fn each(facts: &Facts<'_>, found: &mut Found<'_>, say: impl Fn(Secret) -> Option<String>) {
    for (path, secret) in &facts.subject.secrets {
        // Another rule speaks of these.
        let host_key = String::from_utf8_lossy(path.name()).starts_with("ssh_host_");
        if let Some(message) = say(*secret).filter(|_| !host_key) {
            found.at_path(path, message);
        }
    }
    if !facts.subject.whole {
        return;
    }
    for (number, text) in facts.subject.texts.iter().enumerate() {
        let sought = SOUGHT.iter().any(|folder| text.path.is_within(folder));
        let shipped = text.path.is_within(b"usr") && !text.path.is_within(b"usr/local");
        let secret = match (sought, shipped) {
            (true, _) => secret::secret(&text.text),
            (false, true) => None,
            (false, false) => secret::plain(&text.text),
        };
        if let Some(message) = secret.and_then(&say) {
            found.text(number, message);
        }
    }
}
