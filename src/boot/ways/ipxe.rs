//! The network card's own iPXE, from QEMU's ROM, over QEMU's user network: a server of ours
//! on this machine gives it the export for networks. No other machine reaches the guest, but
//! the guest reaches what this machine's user does: `restrict=on` would cut off the server,
//! too.
//!
//! The test's words come as those of one node, by its MAC address.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::JoinHandle;

use serde_json::Value;
use tokio::sync::oneshot;

use super::kernel::empty_var;
use crate::boot::Options;
use crate::boot::guest::Test;
use crate::boot::qemu::{Disk, Start};
use crate::boot::subject::Subject;
use crate::bundle::export::{self, Format, export, pxe};
use crate::error::{Context, Error, Kind, Result};
use crate::report::{Mode, Report};
use crate::serve::{self, Server};

/// The card's address, as QEMU is told it and as the server's files are named.
const CARD: &str = "52:54:00:12:34:56";
const NODE: &str = "52-54-00-12-34-56";

/// The memory of machines that boot in other ways, in MiB.
const MEMORY: u64 = 2048;

/// What this machine is called in QEMU's user network.
const HOST: &str = "10.0.2.2";

/// Exports what machines boot over a network, and serves it for as long as the start is
/// kept. `way` is what its scripts call it.
pub(super) fn start(
    subject: &Subject<'_>,
    test: &Test,
    options: &Options<'_>,
    folder: &Path,
    way: &str,
) -> Result<Start> {
    if !test.appended.is_empty() {
        let message = "its systemd takes no unit as a credential, which the test comes by";
        return Err(Error::new(Kind::Usage, message).hint("boot it with `--way kernel`"));
    }
    let wanted = export::Options {
        formats: BTreeSet::from([Format::Pxe]),
        init: options.init,
        threads: options.threads,
        ..export::Options::default()
    };
    let exported = folder.join("export");
    let quiet = Report::new(Mode::Quiet);
    let description = export(subject.image, &wanted, &exported, &quiet)?.description;
    if options.damage {
        change(&exported.join(pxe::ROOT))?;
    }
    let nodes = folder.join("nodes");
    fs::create_dir_all(&nodes).io("making", &nodes)?;
    let words = nodes.join(NODE);
    fs::write(&words, &test.command_line).io("writing", &words)?;
    let serving = Serving::begin(serve::Options {
        bundle: exported,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        nodes: Some(nodes),
        log: None,
    })?;
    let port = serving.port;
    let script = format!("http://{HOST}:{port}/{}?way={way}", pxe::IPXE);
    let device = format!("virtio-net-pci,netdev=net,mac={CARD},bootindex=0");
    Ok(Start {
        arguments: vec![
            // Of several sizes QEMU takes the last.
            "-m".into(),
            memory(&description, way).to_string().into(),
            "-netdev".into(),
            format!("user,id=net,bootfile={script}").into(),
            "-device".into(),
            device.into(),
        ],
        disks: vec![Disk {
            path: empty_var(folder)?,
            serial: "nodelith-var",
            writable: true,
        }],
        serving: Some(serving),
    })
}

/// How much memory the machine has, in MiB: at least what the export says that its way needs.
fn memory(description: &Value, way: &str) -> u64 {
    let needed = description["pxe"]["memory"][way].as_u64();
    needed.map_or(MEMORY, |bytes| bytes.div_ceil(1 << 20).max(MEMORY))
}

/// Changes a byte of the root, which then is another than its digest says.
fn change(root: &Path) -> Result<()> {
    let file = File::options().read(true).write(true).open(root);
    let file = file.io("opening", root)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, 0).io("reading", root)?;
    file.write_all_at(&[byte[0] ^ 1], 0).io("writing", root)
}

/// A server that runs until this is dropped.
pub struct Serving {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn begin(options: serve::Options) -> Result<Self> {
        let server = Server::bind(options, Report::new(Mode::Quiet))?;
        let port = server.address().port();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // That it does not run is seen by the machine, which then does not boot.
            let _ = server.run(async {
                let _ = stopped.await;
            });
        });
        Ok(Self {
            port,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_machine_has_the_memory_that_its_root_needs() {
        let description = json!({"pxe": {"memory": {"http": 1_u64 << 30, "initrd": 3_u64 << 30}}});
        assert_eq!(memory(&description, pxe::WAYS[0]), 2048);
        assert_eq!(memory(&description, pxe::WAYS[1]), 3072);
    }
}
