//! What workers are asked to do here.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodelith::error::{Error, Kind, Result};
use nodelith::sandbox::{Chroot, Emitter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize, Deserialize)]
pub enum Job {
    /// Says what it sees around it.
    Look,
    /// Runs programs in a chroot, one after the other.
    Scripts {
        root: PathBuf,
        log: PathBuf,
        commands: Vec<Vec<String>>,
    },
    /// Starts programs that do not end, one of them detached, and waits.
    Linger {
        root: PathBuf,
        log: PathBuf,
        marker: String,
    },
    /// Makes files of several owners in a folder.
    Own(PathBuf),
    /// Lists a tree, with owners as seen inside.
    List(PathBuf),
    Fail,
    Panic,
    Signal(i32),
}

pub fn work(job: &[u8], emitter: &mut Emitter) -> Result<Value> {
    match serde_json::from_slice(job).unwrap() {
        Job::Look => {
            emitter.event(&"looking")?;
            // Not part of the protocol, so it must not get into it.
            println!("stray output");
            Ok(look())
        }
        Job::Scripts {
            root,
            log,
            commands,
        } => {
            let mut chroot = Chroot::new(&root, emitter.inside(), &log)?;
            for command in commands {
                let argv: Vec<&str> = command.iter().map(String::as_str).collect();
                chroot.run(
                    &argv,
                    &[("PATH", "/usr/bin"), ("GREETING", "hello")],
                    Some(b"input"),
                )?;
            }
            chroot.close().map(|()| Value::Null)
        }
        Job::Linger { root, log, marker } => {
            let mut chroot = Chroot::new(&root, emitter.inside(), &log)?;
            let script = format!(
                "(setsid sleep {marker} >/dev/null 2>&1 &) ; touch /started ; sleep {marker}"
            );
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !root.join("started").exists() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    emitter.event(&"lingering")
                });
                chroot.run(&["sh", "-c", &script], &[("PATH", "/usr/bin")], None)
            })?;
            Ok(Value::Null)
        }
        Job::Own(folder) => {
            for id in [0, 1, 1000, 65_534] {
                let file = folder.join(format!("id-{id}"));
                fs::write(&file, "").unwrap();
                chown(&file, Some(id), Some(id)).unwrap();
            }
            let deep = folder.join("left/deep");
            fs::create_dir_all(&deep).unwrap();
            fs::write(deep.join("file"), "").unwrap();
            for path in [&folder.join("left"), &deep, &deep.join("file")] {
                chown(path, Some(1000), Some(1000)).unwrap();
            }
            Ok(Value::Null)
        }
        Job::List(root) => {
            let mut lines = Vec::new();
            list(&root, &root, &mut lines);
            Ok(json!(lines))
        }
        Job::Fail => Err(Error::new(Kind::Verify, "does not match").hint("look again")),
        Job::Panic => panic!("at the disco"),
        Job::Signal(signal) => {
            // SAFETY: ends this process, as the test wants.
            unsafe { libc::kill(libc::getpid(), signal) };
            std::thread::sleep(Duration::from_secs(10));
            Ok(Value::Null)
        }
    }
}

fn look() -> Value {
    let address = SocketAddr::from(([192, 0, 2, 1], 80));
    let connected = TcpStream::connect_timeout(&address, Duration::from_secs(2));
    let interfaces = fs::read_to_string("/proc/self/net/dev").unwrap();
    let names: Vec<&str> = interfaces
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    json!({
        "uid": rustix::process::getuid().as_raw(),
        "gid": rustix::process::getgid().as_raw(),
        "uid_map": fs::read_to_string("/proc/self/uid_map").unwrap(),
        "gid_map": fs::read_to_string("/proc/self/gid_map").unwrap(),
        "pid": rustix::process::getpid().as_raw_nonzero().get(),
        "host": rustix::system::uname().nodename().to_string_lossy(),
        "interfaces": names,
        "connect": connected.map_err(|error| error.raw_os_error()).map(|_| ()).err(),
    })
}

fn list(root: &Path, folder: &Path, lines: &mut Vec<String>) {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let metadata = path.symlink_metadata().unwrap();
        lines.push(format!(
            "{} {:o} {}:{} {}",
            path.strip_prefix(root).unwrap().display(),
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            if metadata.is_file() {
                metadata.len()
            } else {
                0
            }
        ));
        if metadata.is_dir() {
            list(root, &path, lines);
        }
    }
}
