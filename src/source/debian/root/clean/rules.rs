//! The table: what to do about which paths, and why.

use super::rewrite;

/// What /etc/machine-id holds until the first boot (machine-id(5)).
pub const MACHINE_ID: &[u8] = b"uninitialized\n";

/// One row.
pub struct Rule {
    /// Which paths; see [`super::walk::find`].
    pub pattern: &'static str,
    /// What is done about them.
    pub action: Action,
    /// Why.
    pub reason: &'static str,
}

/// What is done about a path.
#[derive(Clone, Copy)]
pub enum Action {
    /// Remove it, and all below it.
    Remove,
    /// Remove it unless it is a folder.
    RemoveFile,
    /// Remove it if it is a regular file.
    RemoveRegular,
    /// Remove it if it is a link to a file of this name.
    RemoveLinkTo(&'static str),
    /// Remove all that is in this folder.
    Empty,
    /// Remove all below this folder but folders and files of these names.
    RemoveFilesBelow {
        /// Names of files that stay.
        but: &'static [&'static str],
    },
    /// Give a regular file the content that this makes of it.
    Rewrite(fn(&[u8]) -> Vec<u8>),
    /// Remove compiled Python that embeds a time which its source has not.
    RemoveStaleBytecode,
}

use Action::{
    Empty, Remove, RemoveFile, RemoveFilesBelow, RemoveLinkTo, RemoveRegular, RemoveStaleBytecode,
    Rewrite,
};

const fn rule(pattern: &'static str, action: Action, reason: &'static str) -> Rule {
    Rule {
        pattern,
        action,
        reason,
    }
}

const ALL: Action = RemoveFilesBelow { but: &[] };

/// Programs write to these only where they exist, so they stay, empty.
const LOGIN_RECORDS: &[&str] = &["btmp", "faillog", "lastlog", "wtmp"];

/// All rows. A row may rely on those above it.
pub const RULES: &[Rule] = &[
    // Identity.
    rule(
        "etc/machine-id",
        Rewrite(rewrite::machine_id),
        "a machine id is one machine's; the first boot fills it in",
    ),
    rule(
        "var/lib/dbus/machine-id",
        RemoveRegular,
        "a machine id is one machine's; a link to /etc/machine-id may stay",
    ),
    rule("etc/hostname", Remove, "a host name is one machine's"),
    rule("etc/mailname", Remove, "the host name of the build"),
    rule("etc/hostid", Remove, "a host id is one machine's"),
    rule(
        "etc/resolv.conf",
        RemoveRegular,
        "the build machine's name servers; a link into /run may stay",
    ),
    rule("etc/kernel/entry-token", Remove, "made of the machine id"),
    rule(
        "etc/iscsi/initiatorname.iscsi",
        Rewrite(rewrite::iscsi_initiator),
        "an initiator's name is one machine's; the first start makes it",
    ),
    rule(
        "etc/nvme/host*",
        RemoveFile,
        "a host's NVMe name and id are one machine's",
    ),
    rule(
        "etc/multipath/*",
        RemoveFile,
        "names of the build machine's disks",
    ),
    rule(
        "etc/udev/rules.d/70-persistent-*",
        RemoveFile,
        "names of the build machine's devices",
    ),
    // Keys and seeds.
    rule(
        "etc/ssh/ssh_host_*",
        RemoveFile,
        "host keys shared by all copies of an image authenticate none of them",
    ),
    rule(
        "etc/ssl/private/ssl-cert-snakeoil.key",
        Remove,
        "a key made at the build, shared by all copies of the image",
    ),
    rule(
        "etc/ssl/certs/ssl-cert-snakeoil.pem",
        Remove,
        "the certificate of a key made at the build",
    ),
    rule(
        "etc/ssl/certs/*",
        RemoveLinkTo("ssl-cert-snakeoil.pem"),
        "a link to a certificate made at the build",
    ),
    rule(
        "etc/bind/rndc.key",
        Remove,
        "a key made at the build, shared by all copies of the image",
    ),
    rule(
        "etc/munge/munge.key",
        Remove,
        "a key made at the build, shared by all copies of the image",
    ),
    rule(
        "var/lib/dkms/mok.*",
        RemoveFile,
        "a signing key made at the build",
    ),
    rule(
        "var/lib/shim-signed/mok/*",
        RemoveFile,
        "a signing key made at the build",
    ),
    rule(
        "root/.gnupg",
        Remove,
        "keys and a random seed made at the build",
    ),
    rule(
        "root/.ssh/known_hosts*",
        RemoveFile,
        "hosts that the build talked to",
    ),
    rule(
        "var/lib/systemd/random-seed",
        Remove,
        "a shared seed is no seed",
    ),
    rule(
        "var/lib/systemd/credential.secret",
        Remove,
        "every copy of the image could read the credentials of all others",
    ),
    rule(
        "var/lib/systemd/tpm2-srk-public-key.*",
        RemoveFile,
        "one machine's TPM",
    ),
    rule(
        "var/lib/urandom/random-seed",
        Remove,
        "a shared seed is no seed",
    ),
    rule("var/lib/random-seed", Remove, "a shared seed is no seed"),
    rule(
        "boot/loader/random-seed",
        Remove,
        "a shared seed is no seed",
    ),
    rule("efi/loader/random-seed", Remove, "a shared seed is no seed"),
    rule(
        "boot/efi/loader/random-seed",
        Remove,
        "a shared seed is no seed",
    ),
    // State of a running system.
    rule("var/lib/systemd/timers", Empty, "clock times"),
    rule("var/lib/systemd/timesync", Empty, "a clock time"),
    rule(
        "var/lib/systemd/coredump",
        Empty,
        "a program that crashed at the build",
    ),
    rule(
        "var/lib/systemd/backlight",
        Empty,
        "the build machine's devices",
    ),
    rule(
        "var/lib/systemd/rfkill",
        Empty,
        "the build machine's devices",
    ),
    rule(
        "var/lib/systemd/pstore",
        Empty,
        "the build machine's kernel log",
    ),
    rule("etc/.updated", Remove, "a clock time"),
    rule("var/.updated", Remove, "a clock time"),
    rule(
        "var/lib/NetworkManager",
        ALL,
        "a secret key, leases and clock times",
    ),
    rule("var/lib/dhcp", ALL, "leases of the build machine"),
    rule("var/lib/cloud", Empty, "state of the build machine's cloud"),
    rule("var/lib/logrotate", ALL, "clock times"),
    rule("var/lib/plocate", ALL, "a listing of the build's files"),
    rule("var/lib/mlocate", ALL, "a listing of the build's files"),
    rule("var/crash", Empty, "programs that crashed at the build"),
    rule("core", RemoveRegular, "a program that crashed at the build"),
    rule(
        "core.*",
        RemoveRegular,
        "a program that crashed at the build",
    ),
    // Logs. Folders stay: services cannot always make them.
    rule(
        "var/log/journal",
        Empty,
        "a journal, under the name of a machine id",
    ),
    rule(
        "var/log",
        RemoveFilesBelow { but: LOGIN_RECORDS },
        "a log of the build, with clock times",
    ),
    rule(
        "var/log/btmp",
        Rewrite(rewrite::emptied),
        "log-ins at the build",
    ),
    rule(
        "var/log/faillog",
        Rewrite(rewrite::emptied),
        "log-ins at the build",
    ),
    rule(
        "var/log/lastlog",
        Rewrite(rewrite::emptied),
        "log-ins at the build",
    ),
    rule(
        "var/log/wtmp",
        Rewrite(rewrite::emptied),
        "log-ins at the build",
    ),
    // Caches.
    rule(
        "var/cache/ldconfig/aux-cache",
        Remove,
        "inode numbers and times of the build's file system",
    ),
    rule(
        "var/cache/apt",
        ALL,
        "downloads, and lists with the mirror's address",
    ),
    rule("var/lib/apt/lists", ALL, "lists with the mirror's address"),
    rule("var/lib/apt/periodic", ALL, "clock times"),
    rule(
        "var/cache/man",
        Empty,
        "an index with clock times; man works without",
    ),
    rule(
        "var/cache/fontconfig",
        Empty,
        "times of the build's file system; made again when needed",
    ),
    rule(
        "var/cache/debconf/*-old",
        RemoveFile,
        "the copy before the last change",
    ),
    rule(
        "usr/**/__pycache__/*.pyc",
        RemoveStaleBytecode,
        "compiled Python with a clock time",
    ),
    rule(
        "opt/**/__pycache__/*.pyc",
        RemoveStaleBytecode,
        "compiled Python with a clock time",
    ),
    // Accounts.
    rule(
        "etc/shadow",
        Rewrite(rewrite::shadow),
        "the day on which an account was made",
    ),
    rule("etc/passwd-", RemoveFile, "the copy before the last change"),
    rule("etc/shadow-", RemoveFile, "the copy before the last change"),
    rule("etc/group-", RemoveFile, "the copy before the last change"),
    rule(
        "etc/gshadow-",
        RemoveFile,
        "the copy before the last change",
    ),
    rule("etc/subuid-", RemoveFile, "the copy before the last change"),
    rule("etc/subgid-", RemoveFile, "the copy before the last change"),
    // What package tools leave.
    rule(
        "var/lib/dpkg/*-old",
        RemoveFile,
        "the copy before the last change",
    ),
    rule("var/lib/dpkg/updates", Empty, "changes under way"),
    rule("var/lib/dpkg/tmp.ci", Remove, "a package under way"),
    rule(
        "var/lib/ucf/hashfile.*",
        RemoveFile,
        "the copy before the last change",
    ),
    rule(
        "var/lib/ucf/registry.*",
        RemoveFile,
        "the copy before the last change",
    ),
    rule("var/backups", ALL, "copies of what the image holds anyway"),
    rule(
        "etc/**/*.dpkg-backup",
        RemoveFile,
        "a leftover of an upgrade that never was",
    ),
    rule(
        "etc/**/*.dpkg-bak",
        RemoveFile,
        "a leftover of an upgrade that never was",
    ),
    rule("etc/**/*.dpkg-new", RemoveFile, "a package under way"),
    rule(
        "etc/**/*.dpkg-old",
        RemoveFile,
        "a leftover of an upgrade that never was",
    ),
    rule("etc/**/*.dpkg-tmp", RemoveFile, "a package under way"),
    rule(
        "etc/**/*.ucf-old",
        RemoveFile,
        "a leftover of an upgrade that never was",
    ),
    // An initrd is made by us, from the image, and not by the build's hooks.
    rule(
        "boot/initrd*",
        RemoveFile,
        "an initrd of the build, with clock times",
    ),
    rule(
        "initrd.img*",
        RemoveFile,
        "a link to an initrd of the build",
    ),
    rule(
        "var/lib/initramfs-tools",
        ALL,
        "the checksum of an initrd of the build",
    ),
    // Traces of people.
    rule("root/.*_history", RemoveFile, "somebody's history"),
    rule("root/.lesshst", RemoveFile, "somebody's history"),
    rule("root/.viminfo", RemoveFile, "somebody's history"),
    rule("root/.wget-hsts", RemoveFile, "clock times"),
    rule("root/.cache", Remove, "a cache"),
    rule("home/*/.*_history", RemoveFile, "somebody's history"),
    rule("home/*/.cache", Remove, "a cache"),
    rule("var/mail", ALL, "mail of the build"),
    rule("var/spool/mail", ALL, "mail of the build"),
    // Mounted over on every machine.
    rule("dev", Empty, "devices are the kernel's"),
    rule("proc", Empty, "processes are the kernel's"),
    rule("run", Empty, "state of a running system"),
    rule("sys", Empty, "devices are the kernel's"),
    rule("tmp", Empty, "temporary"),
    rule("var/tmp", Empty, "temporary"),
];
