//! Debian's docker-registry, on a port of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::common::run;

/// A running registry; it ends with the test.
pub struct DockerRegistry {
    /// `127.0.0.1:PORT`
    pub host: String,
    child: Child,
    folder: tempfile::TempDir,
}

impl DockerRegistry {
    pub fn start() -> Self {
        Self::start_with(|_, _| String::new())
    }

    /// With HTTPS; gives the file of the authority that signed its certificate.
    pub fn start_secure() -> Self {
        Self::start_with(|folder, _| {
            let (key, pem) = (folder.join("key.pem"), folder.join("ca.pem"));
            run(Command::new("openssl")
                .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
                .args(["-subj", "/CN=127.0.0.1", "-days", "2"])
                .args(["-addext", "subjectAltName=IP:127.0.0.1"])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&pem));
            format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                pem.display(),
                key.display()
            )
        })
    }

    /// With more in its configuration, by its folder and port.
    pub fn start_with(more: impl FnOnce(&Path, u16) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let host = format!("127.0.0.1:{port}");
        let data = folder.path().join("data");
        let config = folder.path().join("config.yml");
        let more = more(folder.path(), port);
        let text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n\
             storage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: {host}\n  secret: not-one\n{more}",
            data.display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("docker-registry must be installed (see ci/test)");
        let registry = Self {
            host,
            child,
            folder,
        };
        let begun = Instant::now();
        while TcpStream::connect(&registry.host).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it does not start"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A name in it.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// How many bytes of blobs it keeps.
    pub fn stored(&self) -> u64 {
        fn size(folder: &Path) -> u64 {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .map(|entry| match entry.metadata() {
                    Ok(data) if data.is_dir() => size(&entry.path()),
                    Ok(data) => data.len(),
                    Err(_) => 0,
                })
                .sum()
        }
        size(&self.path().join("data/docker/registry/v2/blobs"))
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
