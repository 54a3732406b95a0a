//! The proxy for what pulls images, and for people's sessions.

use super::draft::Draft;
use crate::error::Result;
use crate::profile::value::credentials;

/// Services that talk to the outside.
const SERVICES: [&str; 2] = ["containerd", "kubelet"];

pub(super) fn configure(draft: &mut Draft<'_>) -> Result<()> {
    let proxy = &draft.profile.proxy;
    let mut variables = Vec::new();
    for (name, value) in [("HTTP_PROXY", &proxy.http), ("HTTPS_PROXY", &proxy.https)] {
        let Some(url) = value else { continue };
        if credentials(url) {
            let message =
                "the proxy's address holds a password, which everyone who has the image could read";
            return Err(draft
                .refuse(message, &["proxy"], url)
                .hint("give it to the node at boot, as a systemd credential or drop-in"));
        }
        variables.push((name, url.to_string()));
    }
    if !proxy.no_proxy.is_empty() {
        variables.push(("NO_PROXY", proxy.no_proxy.join(",")));
    }
    if variables.is_empty() {
        return Ok(());
    }
    // Some programs read only the one spelling, some only the other.
    let both = variables
        .iter()
        .flat_map(|(name, value)| [((*name).to_owned(), value), (name.to_lowercase(), value)]);
    let mut unit = "[Service]\n".to_owned();
    let mut environment = String::new();
    for (name, value) in both {
        // systemd.unit(5): a percent sign begins a specifier.
        let escaped = value
            .replace('%', "%%")
            .replace('\\', "\\\\")
            .replace('"', "\\\"");
        unit += &format!("Environment=\"{name}={escaped}\"\n");
        let quoted = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('$', "\\$");
        environment += &format!("{name}=\"{quoted}\"\n");
    }
    for service in SERVICES {
        draft.text(
            &format!("usr/lib/systemd/system/{service}.service.d/50-proxy.conf"),
            &unit,
        );
    }
    draft.text("usr/lib/environment.d/50-proxy.conf", &environment);
    for (name, value) in variables {
        draft.set(format!("proxy {name}"), value);
    }
    Ok(())
}
