use insta::assert_snapshot;

use std::path::Path;

use super::file::{check_pattern, is_address, is_release};
use super::*;

fn table(text: &str) -> Result<Releases> {
    let mut table = Releases::built_in().unwrap();
    table.lay(Path::new("r.toml"), text)?;
    Ok(table)
}

#[test]
fn the_built_in_table_is_whole() {
    let table = Releases::built_in().unwrap();
    assert!(table.mirrors.is_empty());
    for (name, row) in &table.rows {
        assert!(is_address(&row.url), "{name}");
        check_pattern(&row.url).unwrap();
        check_pattern(&row.checksum).unwrap();
        assert!(row.place.starts_with("/usr/"), "{name}");
        for (version, digests) in &row.sha256 {
            assert!(is_release(version), "{name} {version}");
            // Images for both must come of the same versions.
            let archs: Vec<_> = digests.keys().map(String::as_str).collect();
            assert_eq!(archs, ["amd64", "arm64"], "{name} {version}");
        }
    }
}

#[test]
fn addresses() {
    let table = Releases::built_in().unwrap();
    let mut shown = String::new();
    for name in table.rows.keys() {
        for url in [
            table.url(name, "1.2.3", "arm64").unwrap(),
            table.checksum_url(name, "1.2.3", "arm64").unwrap(),
        ] {
            shown += &format!("{url}\n");
        }
    }
    assert_snapshot!(shown, @r"
    https://github.com/containernetworking/plugins/releases/download/v1.2.3/cni-plugins-linux-arm64-v1.2.3.tgz
    https://github.com/containernetworking/plugins/releases/download/v1.2.3/cni-plugins-linux-arm64-v1.2.3.tgz.sha256
    https://github.com/containerd/containerd/releases/download/v1.2.3/containerd-1.2.3-linux-arm64.tar.gz
    https://github.com/containerd/containerd/releases/download/v1.2.3/containerd-1.2.3-linux-arm64.tar.gz.sha256sum
    https://github.com/containerd/containerd/releases/download/v1.2.3/containerd-static-1.2.3-linux-arm64.tar.gz
    https://github.com/containerd/containerd/releases/download/v1.2.3/containerd-static-1.2.3-linux-arm64.tar.gz.sha256sum
    https://github.com/kubernetes-sigs/cri-tools/releases/download/v1.2.3/crictl-v1.2.3-linux-arm64.tar.gz
    https://github.com/kubernetes-sigs/cri-tools/releases/download/v1.2.3/crictl-v1.2.3-linux-arm64.tar.gz.sha256
    https://dl.k8s.io/release/v1.2.3/bin/linux/arm64/kubeadm
    https://dl.k8s.io/release/v1.2.3/bin/linux/arm64/kubeadm.sha256
    https://dl.k8s.io/release/v1.2.3/bin/linux/arm64/kubectl
    https://dl.k8s.io/release/v1.2.3/bin/linux/arm64/kubectl.sha256
    https://dl.k8s.io/release/v1.2.3/bin/linux/arm64/kubelet
    https://dl.k8s.io/release/v1.2.3/bin/linux/arm64/kubelet.sha256
    https://github.com/opencontainers/runc/releases/download/v1.2.3/runc.arm64
    https://github.com/opencontainers/runc/releases/download/v1.2.3/runc.sha256sum
    ");
    assert!(table.url("kubelt", "1.2.3", "arm64").is_err());
}

#[test]
fn versions_are_chosen() {
    let table = table("[crictl.sha256.\"1.37.0-rc.1\"]\n").unwrap();
    let choose = |name: &str, asked, or_older| {
        let choice = table.row(name).unwrap().choose(asked, or_older)?;
        Some((choice.version, choice.older))
    };
    let some = |version: &str, older| Some((version.to_owned(), older));
    assert_eq!(choose("kubelet", "1.34", false), some("1.34.11", false));
    assert_eq!(choose("kubelet", "1.34.1", false), some("1.34.1", false));
    assert_eq!(choose("kubelet", "1.33", false), None);
    assert_eq!(choose("containerd", "2.3", false), some("2.3.4", false));
    assert_eq!(choose("crictl", "1.35", true), some("1.35.0", false));
    assert_eq!(choose("crictl", "1.40", true), some("1.36.0", true));
    assert_eq!(choose("crictl", "1.37", false), None);
    assert_eq!(choose("crictl", "1.32", true), None);

    let newer = |name: &str, version| table.row(name).unwrap().newer(version);
    assert_eq!(newer("kubelet", "1.34.10"), Some("1.34.11"));
    assert_eq!(newer("kubelet", "1.34.11"), None);
    assert_eq!(newer("kubelet", "1.36.4-rc.0"), Some("1.36.4"));
    assert_eq!(newer("kubelet", "1.33.1"), None);
    assert_eq!(newer("kubelet", "unversioned"), None);
}

#[test]
fn a_file_goes_over_the_table() {
    let hex = "ab".repeat(32);
    let text = format!(
        "[mirror]\n\"dl.k8s.io\" = \"https://m.example/k8s/\"\n\
         [runc]\nurl = \"http://r.example/{{version}}/runc-{{arch}}\"\nlayout = \"binary\"\n\
         [runc.sha256.\"1.9.0\"]\namd64 = \"{hex}\"\n\
         [kubelet.sha256.\"1.36.4\"]\namd64 = \"{hex}\"\n"
    );
    let table = table(&text).unwrap();
    let url = |name, version| table.url(name, version, "amd64").unwrap();
    assert_eq!(
        url("kubelet", "1.36.4"),
        "https://m.example/k8s/release/v1.36.4/bin/linux/amd64/kubelet"
    );
    assert_eq!(url("runc", "1.9.0"), "http://r.example/1.9.0/runc-amd64");
    assert_eq!(
        table.checksum_url("runc", "1.9.0", "amd64").unwrap(),
        "http://r.example/1.9.0/runc.sha256sum"
    );
    assert!(url("crictl", "1.36.0").starts_with("https://github.com/"));
    let digest = |name: &str, version| {
        let row = table.row(name).unwrap();
        row.digest(version, "amd64").map(|digest| digest.hex())
    };
    assert_eq!(digest("runc", "1.9.0"), Some(hex.clone()));
    assert_eq!(digest("kubelet", "1.36.4"), Some(hex.clone()));
    assert_ne!(digest("kubelet", "1.36.3"), Some(hex));
    assert_eq!(digest("kubelet", "1.36.0"), None);
}

fn refused(text: &str) -> String {
    let error = table(text).unwrap_err();
    let place = error.place().unwrap();
    let (line, column) = place.line_column();
    let mut said = format!("{}\n{line}:{column}", error.message());
    for hint in error.hints() {
        said += &format!("\nhint: {hint}");
    }
    said
}

#[test]
fn what_a_file_cannot_say() {
    let cases = [
        "[kubelt]\nurl = \"https://x/y\"\n",
        "[helm]\nurl = \"https://x/y\"\n",
        "[kubelet]\nulr = \"https://x/y\"\n",
        "[kubelet]\nurl = \"/srv/kubelet\"\n",
        "[kubelet]\nurl = \"https://x/{verison}/y\"\n",
        "[kubelet]\nlayout = \"tar.gz: kubelet\"\n",
        "[kubelet.sha256.\"1.36.4\"]\namd64 = \"beef\"\n",
        "[kubelet.sha256.\"1.36\"]\n",
        "[mirror]\n\"dl.k8s.io\" = \"mirror.example\"\n",
        "[mirror\n",
    ];
    let said: Vec<_> = cases.map(|case| format!("{case}{}", refused(case))).into();
    assert_snapshot!(said.join("\n\n"), @r#"
    [kubelt]
    url = "https://x/y"
    there is no release of `kubelt`
    1:2
    hint: did you mean `kubelet`?

    [helm]
    url = "https://x/y"
    there is no release of `helm`
    1:2
    hint: known are `cni-plugins`, `containerd`, `containerd-static`, `crictl`, `kubeadm`, `kubectl`, `kubelet`, `runc`

    [kubelet]
    ulr = "https://x/y"
    reading the table of releases: unknown field `ulr`, expected one of `url`, `checksum`, `layout`, `place`, `without`, `sha256`
    2:1
    hint: docs/formats/releases.md describes it

    [kubelet]
    url = "/srv/kubelet"
    `/srv/kubelet` is no address
    2:8
    hint: write it like `https://mirror.example/v{version}/kubelet-{arch}`

    [kubelet]
    url = "https://x/{verison}/y"
    `https://x/{verison}/y` has the placeholder `{verison}`, which means nothing
    2:8
    hint: write it like `https://mirror.example/v{version}/kubelet-{arch}`

    [kubelet]
    layout = "tar.gz: kubelet"
    `layout`, `place` and `without` of `kubelet` cannot be changed
    1:2
    hint: the same lock leads to the same image with any table: take them out, and give files of the publisher's form

    [kubelet.sha256."1.36.4"]
    amd64 = "beef"
    reading the table of releases: `beef` is no SHA-256 of 64 hexadecimal digits
    2:9
    hint: docs/formats/releases.md describes it

    [kubelet.sha256."1.36"]
    `1.36` is no version of a release
    1:18
    hint: write all of it, like `1.36.4`

    [mirror]
    "dl.k8s.io" = "mirror.example"
    `mirror.example` cannot take the place of `dl.k8s.io`
    2:16
    hint: name a host and the base address that has the same below it: "dl.k8s.io" = "https://mirror.example/k8s"

    [mirror
    reading the table of releases: unclosed table, expected `]`
    1:8
    hint: docs/formats/releases.md describes it
    "#);
}
