//! Running package scripts apart from the machine they run on.
//!
//! The program starts itself again as a **worker** inside a **sandbox**, gives
//! it one job, hears events while it works, and takes one reply. The sandbox is
//! one of three [`Mode`]s, best first for who has the right to it:
//!
//! - `userns`: new user, mount, pid, network, IPC and UTS namespaces. For users
//!   without privilege; needs subordinate ids. Root inside is the user outside,
//!   the other ids are the user's subordinate ones.
//! - `mountns`: the same namespaces but for the user namespace. For root.
//! - `chroot`: no namespace at all, for root in a plain container. Only the
//!   system call filter stands between scripts and the network.
//!
//! ```text
//! parent ── monitor ── init (pid 1) ── worker ── dpkg …      userns, mountns
//! parent ── monitor (subreaper) ────── worker ── dpkg …      chroot
//! ```
//!
//! The monitor holds the parent's pipe: when the parent goes, however it goes,
//! everything below goes. Package scripts themselves run in a [`Chroot`], which
//! is the same in every mode as far as the mode allows: same devices, same
//! environment, same [filter of system calls](seccomp), nothing of the host's
//! `/sys`. What differs in `chroot` mode: there is no `/proc`, and `uname -n`
//! says the host's name.

mod binfmt;
mod choose;
mod chroot;
mod devices;
mod facts;
mod ids;
mod output;
mod parent;
mod protocol;
mod remove;
mod seccomp;
mod worker;

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Kind};

pub use choose::{Chosen, choose};
pub use chroot::Chroot;
pub use facts::Facts;
pub use parent::run;
pub use protocol::Emitter;
pub use remove::{clear_abandoned, remove_tree};
pub use worker::{Inside, worker_main};

/// The hidden verb with which the program starts itself as a worker: `__sandbox MODE`.
pub const VERB: &str = "__sandbox";

/// How package scripts are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The best that this user may use here.
    #[default]
    Auto,
    /// User namespace with subordinate ids.
    Userns,
    /// Mount, pid, network, IPC and UTS namespaces, as root.
    Mountns,
    /// Bare chroot with a system call filter, as root.
    Chroot,
}

impl Mode {
    /// All modes, in the order in which help shows them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Userns, Self::Mountns, Self::Chroot];

    /// The mode's name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Userns => "userns",
            Self::Mountns => "mountns",
            Self::Chroot => "chroot",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| {
                Error::new(Kind::Usage, format!("unknown sandbox mode `{text}`"))
                    .hint("the modes are `auto`, `userns`, `mountns` and `chroot`")
            })
    }
}
