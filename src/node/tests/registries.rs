//! Registries: what is written for each, and what is refused.

use insta::assert_snapshot;

use super::runtime::{CONTAINERD, refused_with, text, with};
use super::{configured_beside, shown};
use crate::node::der;

#[test]
fn registries() {
    let rest = "\
[containerd]
source = \"package\"
[containerd.registries.\"docker.io\"]
mirrors = [\"https://z.example\", \"http://a.example:5000/v2/hub\"]
override-path = true
[containerd.registries.\"registry.k8s.io\"]
mirrors = [\"https://m.example\"]
only-mirrors = true
ca = \"ca.pem\"
[containerd.registries.\"own.example:5000\"]
server = \"http://own.example:5000\"
skip-verify = true
[containerd.registries._default]
";
    // A certificate's outline: number, algorithm, issuer, validity, subject.
    let outline = [48, 13, 48, 11, 2, 1, 1, 48, 0, 48, 0, 48, 0, 48, 0];
    let pem = der::to_pem(&outline);
    let root = [("package:containerd", "1.7.24~ds1")];
    let made = configured_beside(rest, &root, &[("ca.pem", pem.as_bytes())]).unwrap();
    let mut rest = made.clone();
    rest.entries
        .retain(|path, _| path.to_string().contains("certs.d"));
    assert_snapshot!(shown(&rest));
}

#[test]
fn registries_with_everything() {
    let rest = "\
[containerd]
source = \"package\"
[containerd.registries.\"docker.io\"]
mirrors = [\"https://a.example\", \"https://b.example\"]
capabilities = [\"pull\", \"referrers\"]
client-certificate = \"/etc/pki/client.crt\"
client-key = \"/etc/pki/client.key\"
headers = { X-Site = \"north\", \"X-Number\" = 7 }
dial-timeout = \"5s\"
skip-verify = true
[containerd.registries.\"registry.k8s.io\"]
mirrors = [\"https://m.example\"]
only-mirrors = true
headers = { X-Site = \"south\" }
";
    let made = with(rest, "2.3.4");
    let hosts = |host| text(&made, &format!("etc/containerd/certs.d/{host}/hosts.toml"));
    for host in ["docker.io", "registry.k8s.io"] {
        let parsed: toml::Table = hosts(host).parse().unwrap();
        for (key, value) in &parsed {
            let key = crate::compat::hosts::key(key).unwrap();
            assert!(key.fits(&serde_json::to_value(value).unwrap()));
        }
    }
    assert_snapshot!(hosts("docker.io"));
    assert_snapshot!(hosts("registry.k8s.io"));
}

#[test]
fn registries_that_cannot_be() {
    let one = |keys: &str| {
        let rest = format!("{CONTAINERD}[containerd.registries.\"r.example\"]\n{keys}\n");
        refused_with(&rest, "1.7.24~ds1")
    };
    assert_snapshot!(one("only-mirrors = true"), @r"
    `r.example` is reached by its mirrors alone, and has none
    9:16: true
    hint: set `mirrors`
    ");
    assert_snapshot!(one("mirrors = [\"file:///srv\"]"), @r#"
    `file:///srv` is not a registry
    9:12: "file:///srv"
    hint: write it like `https://mirror.example`
    "#);
    assert_snapshot!(one("mirrors = [\"https://m\"]\ndial-timeout = \"5s\""), @r#"
    containerd 1.7.24 has no setting for `dial-timeout`
    10:16: "5s"
    hint: it came with 2.0.7: take it out, or use that
    "#);
    assert_snapshot!(one("mirrors = [\"https://m\"]\ncapabilities = [\"pull\", \"referrers\"]"), @r#"
    containerd 1.7.24 passes over a file with the capability `referrers`
    10:25: "referrers"
    hint: it came with 2.2.0: take it out, or use that
    "#);
    assert_snapshot!(one("mirrors = [\"https://m\"]\ncapabilities = []"), @r"
    the mirrors of `r.example` are asked for nothing
    10:16: []
    hint: name `pull`, or take it out
    ");
    assert_snapshot!(one("client-key = \"/k\""), @r#"
    a client of `r.example` needs a certificate and its key
    8:1: [containerd.registries."r.example"]
    hint: set both `client-certificate` and `client-key`, or neither
    "#);
    assert_snapshot!(one("headers = { Authorization = \"Basic eA==\" }"), @r"
    the header `Authorization` would hold a secret, which everyone who has the image could read
    9:13: Authorization
    hint: give pods a pull secret
    ");
    assert_snapshot!(one("server = \"https://me:secret@r.example\""), @r#"
    the address of a registry for `r.example` holds a password, which everyone who has the image could read
    9:10: "https://me:secret@r.example"
    hint: give pods a pull secret
    "#);
}
