//! How a node's root is laid out: the one list of it. Paths are the node's.

/// The folder in `/var` with what is kept, and with upper layers of overlays.
pub const STATE: &str = "/var/lib/nodelith";

/// Parts of `/var` that are the image's own: bound from it, read-only, so that they
/// are at every boot what the running image has.
pub const IMAGE_PARTS: &[&str] = &["/var/lib/dpkg"];

/// The same, if the image says that systemd's caches are made; else systemd renews
/// them where it finds them.
pub const IMAGE_CACHES: &[&str] = &["/var/lib/systemd/catalog"];

/// What an image says that by (systemd-update-done.service(8)).
pub const UPDATED: &str = "/etc/.updated";

/// Where writes to an overlay go.
pub enum Upper {
    /// To memory: every boot starts from the image.
    Memory,
    /// To `/var`.
    Var,
}

/// A folder of the image that can be written.
pub struct Overlay {
    /// The folder; nothing is done where the image has none.
    pub path: &'static str,
    /// Where writes go.
    pub upper: Upper,
    /// Folders of the image, the topmost first; those that are not there are left out.
    pub lower: &'static [&'static str],
}

/// In this order.
pub const OVERLAYS: &[Overlay] = &[
    Overlay {
        path: "/etc",
        upper: Upper::Memory,
        lower: &["/etc"],
    },
    // Root's home, which systemd puts root's SSH keys into.
    Overlay {
        path: "/root",
        upper: Upper::Memory,
        lower: &["/root"],
    },
    // Programs before the links to them: an add-on that sees this folder from a
    // container finds what it can run.
    Overlay {
        path: "/opt/cni/bin",
        upper: Upper::Var,
        lower: &["/usr/lib/cni", "/opt/cni/bin"],
    },
];

/// Folders of `/etc` that are kept: in `/var`, bound to their places.
pub const KEPT_FOLDERS: &[&str] = &["/etc/kubernetes", "/etc/cni/net.d"];

/// Files that are kept, as copies: put back at each boot, copied when they change.
/// The last component may end in `*`. They cannot be bound: programs replace them by
/// renaming, and systemd takes a machine-id that is mounted for one to be stored.
pub const KEPT_FILES: &[&str] = &[MACHINE_ID, "/etc/ssh/ssh_host_*"];

/// Made at the first boot if the image has none.
pub const MACHINE_ID: &str = "/etc/machine-id";
