//! A server with the layout of the projects' own: dl.k8s.io and github.com.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use nodelith::digest::Digest;

pub const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// What the profiles of the tests choose.
pub const PUBLISHED: [(&str, &str); 7] = [
    ("kubelet", "1.36.4"),
    ("kubeadm", "1.36.4"),
    ("kubectl", "1.36.4"),
    ("crictl", "1.36.0"),
    ("containerd", "2.3.4"),
    ("runc", "1.4.3"),
    ("cni-plugins", "1.9.1"),
];

/// A running server; its thread ends with the process.
pub struct Upstream {
    pub url: String,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Publishes all that the profiles of the tests choose.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = Self {
            url,
            files: Arc::default(),
            asked: Arc::default(),
        };
        let (files, asked) = (Arc::clone(&upstream.files), Arc::clone(&upstream.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &files, &asked);
            }
        });
        for (name, version) in PUBLISHED {
            for architecture in ARCHITECTURES {
                upstream.publish(name, version, architecture);
            }
        }
        upstream
    }

    /// Publishes a release with its checksum file.
    pub fn publish(&self, name: &str, version: &str, architecture: &str) -> Digest {
        let path = path(name, version, architecture);
        let bytes = release(name, version, architecture);
        let digest = Digest::of(&bytes);
        let (folder, file) = path.rsplit_once('/').unwrap();
        let line = format!("{}  {file}\n", digest.hex());
        let (checksum, text) = match name {
            "kubelet" | "kubeadm" | "kubectl" | "crictl" => {
                (format!("{path}.sha256"), digest.hex())
            }
            "cni-plugins" => (format!("{path}.sha256"), line),
            "runc" => (format!("{folder}/runc.sha256sum"), signed_list(version)),
            _ => (format!("{path}.sha256sum"), line),
        };
        self.put(&path, bytes);
        self.put(&checksum, text.into_bytes());
        digest
    }

    /// Puts other bytes at a path.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes);
    }

    /// Takes a path away.
    pub fn remove(&self, path: &str) {
        self.files.lock().unwrap().remove(path).unwrap();
    }

    /// Every path that was asked for since the last time.
    pub fn asked(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
            .into_iter()
            .collect()
    }

    /// A table of releases with this server in the publishers' place, and the digests
    /// of what it has of those versions that profiles choose.
    pub fn table(&self) -> String {
        let mut text = "[mirror]\n".to_owned();
        for host in ["dl.k8s.io", "github.com"] {
            text += &format!("\"{host}\" = \"{}/{host}\"\n", self.url);
        }
        for (name, version) in PUBLISHED {
            text += &format!("[{name}.sha256.\"{version}\"]\n");
            for architecture in ARCHITECTURES {
                let digest = Digest::of(&release(name, version, architecture));
                text += &format!("{architecture} = \"{}\"\n", digest.hex());
            }
        }
        text
    }
}

/// Where a project publishes a release.
pub fn path(name: &str, version: &str, architecture: &str) -> String {
    let kubernetes = format!("/dl.k8s.io/release/v{version}/bin/linux/{architecture}/{name}");
    let github = |project: &str, file: String| {
        format!("/github.com/{project}/releases/download/v{version}/{file}")
    };
    match name {
        "crictl" => github(
            "kubernetes-sigs/cri-tools",
            format!("crictl-v{version}-linux-{architecture}.tar.gz"),
        ),
        "containerd" | "containerd-static" => github(
            "containerd/containerd",
            format!("{name}-{version}-linux-{architecture}.tar.gz"),
        ),
        "runc" => github("opencontainers/runc", format!("runc.{architecture}")),
        "cni-plugins" => github(
            "containernetworking/plugins",
            format!("cni-plugins-linux-{architecture}-v{version}.tgz"),
        ),
        _ => kubernetes,
    }
}

/// The bytes of a made-up release, the same each time.
pub fn release(name: &str, version: &str, architecture: &str) -> Vec<u8> {
    let program = |name: &str| format!("#!/bin/sh\necho {name} {version} {architecture}\n");
    match name {
        "crictl" => tar(&[("crictl", &program("crictl"))], &[]),
        "containerd" | "containerd-static" => {
            let names = [
                "containerd",
                "containerd-shim-runc-v2",
                "containerd-stress",
                "ctr",
            ];
            let members = names.map(|name| (format!("bin/{name}"), program(name)));
            let members: Vec<_> = members
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str()))
                .collect();
            tar(&members, &[])
        }
        "cni-plugins" => tar(
            &[
                ("./bridge", &program("bridge")),
                ("./host-local", &program("host-local")),
                ("./loopback", &program("loopback")),
            ],
            &[("./LICENSE", "free\n")],
        ),
        _ => program(name).into_bytes(),
    }
}

/// runc's list of digests, signed in the text.
fn signed_list(version: &str) -> String {
    let lines = ARCHITECTURES.map(|architecture| {
        let digest = Digest::of(&release("runc", version, architecture));
        format!("{}  runc.{architecture}\n", digest.hex())
    });
    format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{}\
         -----BEGIN PGP SIGNATURE-----\n\nabcd\n-----END PGP SIGNATURE-----\n",
        lines.concat()
    )
}

/// A gzipped archive of programs and other files, as GNU tar and gzip make it.
pub fn tar(programs: &[(&str, &str)], others: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let write = |(name, text): &(&str, &str), mode| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&path, mode).unwrap();
    };
    programs.iter().for_each(|one| write(one, 0o755));
    others.iter().for_each(|one| write(one, 0o644));
    let mut command = Command::new("tar");
    command
        .args([
            "--create",
            "--use-compress-program=gzip -n",
            "--sort=name",
            "--mtime=@0",
        ])
        .args(["--owner=0", "--group=0", "--numeric-owner", "--directory"])
        .arg(folder.path())
        .args(programs.iter().chain(others).map(|(name, _)| name))
        .stderr(Stdio::inherit());
    let output = command.output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn answer(
    mut stream: TcpStream,
    files: &Mutex<BTreeMap<String, Vec<u8>>>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let found = files.lock().unwrap().get(&path).cloned();
    asked.lock().unwrap().push(path);
    let (status, body) = match found {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", b"<html>not here</html>".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    stream.flush()
}
