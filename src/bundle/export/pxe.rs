//! What machines boot over a network: kernel, initrd, the root image, what tells iPXE and
//! GRUB of them, and a unified kernel image for UEFI's HTTP boot. docs/pxe.md tells how it goes.
//!
//! The root is not checked by dm-verity: it comes whole into memory, and its digest is
//! checked as it comes; what is in memory then changes no more.

use serde_json::{Value, json};

use super::ExportedFile;
use crate::bundle::parts::Parts;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// The kernel.
pub const KERNEL: &str = "vmlinuz";
/// The initrd, with drivers of network cards.
pub const INITRD: &str = "initrd.img";
/// The root image.
pub const ROOT: &str = "root.erofs";
/// A script for iPXE.
pub const IPXE: &str = "boot.ipxe";
/// A configuration for GRUB.
pub const GRUB: &str = "grub.cfg";
/// The unified kernel image.
pub const UKI: &str = "node-http.efi";

/// What a running node needs of memory beside its root, in bytes, before there are pods:
/// kernel, systemd, containerd, and what they write to `/run`, `/etc` and `/var`.
const SYSTEM: u64 = 640 << 20;
/// What a boot loader, the kernel and the initrd need until the root is whole.
const LOADING: u64 = 256 << 20;
/// Sizes of memory are told in whole units of this many bytes.
const UNIT: u64 = 64 << 20;

/// The script for iPXE begins so: a server may put lines of its own behind it.
pub const IPXE_HEAD: &str = "#!ipxe\n";
/// The variable of that script that says how the root comes, and what it may be.
pub const IPXE_WAY: &str = "nodelith-way";
/// See [`IPXE_WAY`].
pub const WAYS: [&str; 2] = ["http", "initrd"];
/// The variable of that script that has more words for the kernel's command line.
pub const IPXE_WORDS: &str = "nodelith-words";
/// The variable of that script that has the address of its folder, with a slash at its end.
pub const IPXE_BASE: &str = "nodelith-base";

/// Our initrd restarts a machine that has no root; the kernel does it where there is no initrd.
const WORDS: &str = "panic=10";
/// Without this the files of an initrd may take up no more than half of the memory.
const CARRIED_WORDS: &str = "rootfstype=ramfs";

/// Looks whether words can be written into scripts of iPXE and GRUB, where they mean
/// what they mean to the kernel.
///
/// # Errors
/// When one has a letter that is more than itself there.
pub fn check(words: &str) -> Result<()> {
    let special = |letter: char| "$\"'`\\;|&{}<>#".contains(letter) || !letter.is_ascii_graphic();
    match words.split(' ').find(|word| word.contains(special)) {
        None => Ok(()),
        Some(word) => {
            let message = format!(
                "the word `{}` for the kernel cannot be written into `{IPXE}` and `{GRUB}`",
                word.escape_debug()
            );
            Err(Error::new(Kind::Usage, message)
                .hint("words there have letters, digits and `!%()*+,-./:=?@[]^_~` alone"))
        }
    }
}

/// All files but the root image, whose size and digest these are. `sign` signs what
/// firmware starts.
///
/// # Errors
/// When the image's stub is none, or signing fails.
pub(super) fn files(
    parts: &Parts,
    root: (u64, Digest),
    sign: &dyn Fn(Vec<u8>) -> Result<Vec<u8>>,
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let initrd = parts.network_initrd.clone().unwrap_or_default();
    let about = About {
        title: format!("{} {}", parts.name.id, parts.name.version),
        words: command_line(&parts.command_line, &root.1),
        memory: memory(root.0, initrd.len() as u64),
    };
    let mut files = vec![
        (KERNEL, parts.kernel.clone()),
        (IPXE, about.ipxe().into_bytes()),
        (GRUB, about.grub().into_bytes()),
    ];
    if parts.efi.is_some() {
        let mut words = more(&root.1);
        // Who exports it may say where the root will be; else it is beside this file.
        if !parts.command_line.contains("nodelith.root=") {
            words = format!("nodelith.root={ROOT} {words}");
        }
        files.push((UKI, sign(parts.uki_of(&initrd, &words)?)?));
    }
    files.push((INITRD, initrd));
    Ok(files)
}

/// What the description says of them.
pub(super) fn describe(own: &str, root: &ExportedFile, initrd: u64) -> Value {
    let memory = memory(root.size, initrd);
    json!({
        "kernel": KERNEL, "initrd": INITRD, "root": ROOT,
        "command_line": command_line(own, &root.digest),
        "memory": {"http": memory.http, "initrd": memory.initrd},
    })
}

/// Words for the kernel, however the root comes.
fn command_line(own: &str, root: &Digest) -> String {
    format!("{own} {}", more(root)).trim().to_owned()
}

fn more(root: &Digest) -> String {
    format!("nodelith.root-sha256={} {WORDS}", root.hex())
}

/// How much memory a machine needs, in bytes, by the way in which its root comes.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    http: u64,
    initrd: u64,
}

/// For a root and an initrd of so many bytes. A root that comes as an initrd is there
/// twice until the kernel has unpacked it.
fn memory(root: u64, initrd: u64) -> Memory {
    let loading = LOADING + initrd;
    Memory {
        http: (root + SYSTEM.max(loading)).next_multiple_of(UNIT),
        initrd: (root + SYSTEM.max(root + loading)).next_multiple_of(UNIT),
    }
}

/// What scripts tell of.
struct About {
    title: String,
    words: String,
    memory: Memory,
}

impl About {
    /// The script for iPXE. Its addresses are relative, and so work wherever the folder is;
    /// only the kernel must be given a whole one.
    fn ipxe(&self) -> String {
        let Self { title, words, .. } = self;
        let [http, initrd] = self.sizes();
        format!(
            "{IPXE_HEAD}\
             # {title}, made by nodelith; https://ipxe.org/scripting tells of the language.\n\
             #\n\
             # Who chains this script may set before:\n\
             #   nodelith-way    http: the initrd fetches the root (the default; needs {http} of memory)\n\
             #                   initrd: iPXE fetches it (needs {initrd})\n\
             #   {IPXE_WORDS}  more words for the kernel's command line\n\
             #   {IPXE_BASE}   this folder's address with a slash at its end; iPXE knows it itself\n\
             #                   since 2024, and before that where DHCP names this script\n\
             \n\
             isset ${{nodelith-way}} || set nodelith-way http\n\
             isset ${{{IPXE_BASE}}} || set {IPXE_BASE} ${{cwduri}}\n\
             isset ${{{IPXE_BASE}}} || set {IPXE_BASE} ${{filename}}/../\n\
             iseq ${{nodelith-way}} initrd && goto initrd ||\n\
             \n\
             echo {title}: the root by HTTP\n\
             kernel {KERNEL} initrd={INITRD} {words} nodelith.root=${{{IPXE_BASE}}}{ROOT} BOOTIF=01-${{netX/mac:hexhyp}} ${{{IPXE_WORDS}}} || goto failed\n\
             initrd {INITRD} || goto failed\n\
             boot || goto failed\n\
             \n\
             :initrd\n\
             echo {title}: the root as an initrd\n\
             kernel {KERNEL} initrd=initrd.magic {CARRIED_WORDS} {words} ${{{IPXE_WORDS}}} || goto failed\n\
             initrd {INITRD} || goto failed\n\
             initrd {ROOT} /nodelith/{ROOT} || goto failed\n\
             boot || goto failed\n\
             \n\
             :failed\n\
             echo {title} did not start. Trying again in ten seconds.\n\
             sleep 10\n\
             reboot\n"
        )
    }

    /// The configuration for GRUB, which is loaded by `configfile (http,HOST)/FOLDER/grub.cfg`.
    fn grub(&self) -> String {
        let Self { title, words, .. } = self;
        let [http, initrd] = self.sizes();
        format!(
            "# {title}, made by nodelith. Load it by `configfile (http,HOST)/FOLDER/{GRUB}`.\n\
             #\n\
             # Who loads it may set before:\n\
             #   nodelith_way    http: the initrd fetches the root (the default; needs {http} of memory)\n\
             #                   initrd: GRUB fetches it (needs {initrd})\n\
             #   nodelith_words  more words for the kernel's command line\n\
             #   nodelith_base   this folder's address with a slash at its end, if GRUB has it by TFTP\n\
             \n\
             set nodelith_folder=\"$config_directory\"\n\
             if [ -z \"$nodelith_base\" ]; then\n    \
                 if regexp --set=1:nodelith_host --set=2:nodelith_path '^\\(http,([^)]*)\\)(.*)$' \"$nodelith_folder\"; then\n        \
                     set nodelith_base=\"http://$nodelith_host$nodelith_path/\"\n    \
                 elif regexp --set=1:nodelith_host --set=2:nodelith_path '^\\(http,([^)]*)\\)(.*)$' \"($root)$nodelith_folder\"; then\n        \
                     set nodelith_base=\"http://$nodelith_host$nodelith_path/\"\n    \
                 fi\n\
             fi\n\
             if [ -z \"$nodelith_way\" ]; then\n    \
                 set nodelith_way=http\n\
             fi\n\
             set default=\"$nodelith_way\"\n\
             set timeout=3\n\
             \n\
             menuentry '{title}: the root by HTTP' --id http {{\n    \
                 linux \"$nodelith_folder/{KERNEL}\" {words} \"nodelith.root=${{nodelith_base}}{ROOT}\" \"BOOTIF=01-$net_default_mac\" $nodelith_words\n    \
                 initrd \"$nodelith_folder/{INITRD}\"\n\
             }}\n\
             menuentry '{title}: the root as an initrd' --id initrd {{\n    \
                 linux \"$nodelith_folder/{KERNEL}\" {CARRIED_WORDS} {words} $nodelith_words\n    \
                 initrd \"$nodelith_folder/{INITRD}\" \"newc:nodelith/{ROOT}:$nodelith_folder/{ROOT}\"\n\
             }}\n"
        )
    }

    fn sizes(&self) -> [String; 2] {
        [self.memory.http, self.memory.initrd].map(|bytes| format!("{} MiB", bytes >> 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_scripts_would_read_otherwise() {
        for words in ["", "console=ttyS0,115200 a.b=[c]:/d?e", "a  b"] {
            check(words).unwrap();
        }
        for word in ["${a}", "a;b", "\"a", "a\\n", "a\nb", "é", "||", "a\tb"] {
            let error = check(&format!("quiet {word} c")).unwrap_err();
            let said = format!("the word `{}` for the kernel", word.escape_debug());
            assert!(error.message().starts_with(&said), "{}", error.message());
        }
    }

    #[test]
    fn memory_by_the_size_of_the_root() {
        let mib = |number: u64| number << 20;
        let wanted = Memory {
            http: mib(1024),
            initrd: mib(1024),
        };
        assert_eq!(memory(mib(372), mib(4)), wanted);
        let wanted = Memory {
            http: mib(2688),
            initrd: mib(4416),
        };
        assert_eq!(memory(mib(2048), mib(64)), wanted);
    }
}
