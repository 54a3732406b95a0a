//! The one program of an initrd, a static `/init`: finds the root, lays it and `/var` out
//! as [`plumbing`] says, and hands over to the root's own init. docs/boot.md tells more.
//!
//! The kernel's command line says where the root is: with `roothash=` in two partitions
//! whose UUIDs are the halves of it, checked by dm-verity; with `nodelith.root=` on a
//! server; else on the disk whose serial number is `nodelith-root`. Or it is in the
//! initrd, put there by a second one.
//!
//! ```text
//! source    where the root is: what the command line says (pure)
//! address   how the network is set up: the same (pure)
//! network   cards on, an address by `dhcp` or as given, all off again; by `link`
//! fetch     the root by HTTP into memory, names by `names`
//! memory    a root that is in memory: checked, and made a block device
//! ```
//!
//! *root* is where the image is mounted, read-only, until it becomes `/`; *image* is
//! the same seen without what is mounted over it; *kept* is the folder in `/var` with
//! what is kept of `/etc`.

#![expect(clippy::print_stderr, reason = "what it says goes to the console")]

mod address;
mod copy;
mod credentials;
mod devices;
mod dhcp;
mod fetch;
mod grow;
mod handover;
mod keep;
mod lay;
mod link;
mod memory;
mod modules;
mod names;
mod network;
mod plumbing;
mod repart;
mod source;
mod units;
mod update;
mod verity;

use std::fs::{self, File};
use std::path::Path;

use std::thread::sleep;
use std::time::Duration;

use nodelith::bundle::disk::gpt::Uuid;
use rustix::mount::MountFlags;
use rustix::process::getpid;
use rustix::system::{RebootCommand, reboot};

use devices::Disk;
use lay::mount;
use modules::Modules;
use network::Network;
use source::{Asked, CARRIED, Source};

type Error = Box<dyn std::error::Error>;
type Result<T, E = Error> = std::result::Result<T, E>;

/// The serial number of the disk that has the root image.
const ROOT_DISK: &str = "nodelith-root";
/// The name of the partition for `/var`, on the disk of the root; or the label of the ext4
/// file system on a disk of its own. Without one it is in memory.
const VAR_LABEL: &str = "nodelith-var";

/// Where the root is mounted.
const ROOT: &str = "/root";
/// The same, bare.
const IMAGE: &str = "/image";
/// The memory that writes to `/etc` go to.
const MEMORY: &str = "/memory";
/// What becomes `/run`.
const RUN: &str = "/next-run";

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

fn main() {
    if !getpid().is_init() {
        eprintln!("this is the init program of an initrd, for nothing else");
        std::process::exit(2);
    }
    let Err(error) = boot();
    eprintln!("nodelith: initrd failed: {error}");
    rustix::fs::sync();
    // Time to read it. Then the firmware has another try, with an older version if there is one.
    sleep(Duration::from_secs(10));
    // Nothing is left to be done if this fails: the kernel panics when we end.
    let _ = reboot(RebootCommand::Restart);
}

fn boot() -> Result<std::convert::Infallible> {
    system()?;
    let mut modules = Modules::load()?;
    let words = fs::read_to_string("/proc/cmdline")?;
    match source::asked(&words, Path::new(CARRIED).exists())? {
        Source::Partitions(hash) => roots_of_disk(&mut modules, &hash)?,
        Source::Disk => roots(&mut modules)?,
        Source::Carried(digest) => {
            eprintln!("nodelith: the root came with the initrd");
            let mut file = File::open(CARRIED)?;
            memory::check(&mut file, CARRIED, &digest)?;
            roots_in_memory(&mut modules, &file)?;
        }
        Source::Network(asked) => {
            let file = fetched(&mut modules, &asked)?;
            roots_in_memory(&mut modules, &file)?;
        }
    }
    mount("upper", MEMORY, "tmpfs", QUIET, "mode=755,size=20%")?;
    fs::create_dir_all(lay::in_root(plumbing::STATE))?;
    lay::var()?;
    lay::overlays()?;
    lay::kept_folders()?;
    keep::put_back()?;
    units::write()?;
    // A node without them can be helped, one that does not boot cannot.
    let environment = credentials::pass_on().unwrap_or_else(|error| {
        eprintln!("nodelith: credentials: {error}");
        credentials::Environment::new()
    });
    handover::clear_away()?;
    handover::switch(&environment)
}

/// The kernel's own file systems, and `/run`, into which a further initrd may have
/// put something.
fn system() -> Result<()> {
    let quiet = QUIET | MountFlags::NOEXEC;
    mount("dev", "/dev", "devtmpfs", MountFlags::NOSUID, "mode=755")?;
    mount("proc", "/proc", "proc", quiet, "")?;
    mount("sysfs", "/sys", "sysfs", quiet, "")?;
    mount(
        "run",
        RUN,
        "tmpfs",
        QUIET,
        "mode=755,size=20%,nr_inodes=800k",
    )?;
    if Path::new("/run").is_dir() {
        copy::fill(Path::new("/run"), Path::new(RUN), &[])?;
    }
    Ok(())
}

/// The UUIDs of root and root-verity for a root hash (Discoverable Partitions
/// Specification, "Partition Types").
fn halves(hash: &str) -> Option<[Uuid; 2]> {
    let digits = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hash.len() != 64 || !digits {
        return None;
    }
    let half =
        |from: usize| u128::from_str_radix(&hash[from..from + 32], 16).map(u128::to_be_bytes);
    Some([half(0).ok()?, half(32).ok()?])
}

/// Mounts root and `/var` of a disk with partitions.
fn roots_of_disk(modules: &mut Modules, hash: &str) -> Result<()> {
    let [root, verity] = halves(hash).unwrap_or_default();
    let what = format!("disk with the root {hash}");
    let disk = devices::wait(modules, &what, || devices::by_uuids(&root, &verity))?;
    let device = |uuid: Uuid| {
        disk.find(|partition| partition.uuid == uuid)
            .unwrap_or_default()
    };
    let checked = verity::open(&device(root), &device(verity), hash)?;
    mount_root(&checked)?;
    let var = |disk: &Disk| disk.find(|partition| partition.name == VAR_LABEL);
    let mut found = match var(&disk) {
        Some(device) => Some(device),
        None => devices::by_label(VAR_LABEL)?,
    };
    if found.is_none() {
        repart::run(&disk, "/var is in memory")?;
        found = var(&disk.again()?);
    } else if grow::has_room(&disk, disk.size()?) {
        repart::run(&disk, "/var does not grow with its disk")?;
    }
    mount_var(found)?;
    update::write(&disk)
}

/// Mounts the root image of a disk of its own, and `/var`.
fn roots(modules: &mut Modules) -> Result<()> {
    let what = format!("disk `{ROOT_DISK}`");
    let disk = devices::wait(modules, &what, || devices::by_serial(ROOT_DISK))?;
    mount_root(&disk)?;
    mount_var(devices::by_label(VAR_LABEL)?)
}

/// Fetches the root; the network is down again afterwards.
fn fetched(modules: &mut Modules, asked: &Asked) -> Result<File> {
    let network = Network::up(modules, asked)?;
    let url = fetch::locate(&asked.url, network.boot_file.as_deref())?;
    let file = fetch::fetch(&url, &network.names, &asked.digest)?;
    network.down();
    Ok(file)
}

/// Mounts a root image that is in memory, and was checked; and `/var`.
fn roots_in_memory(modules: &mut Modules, file: &File) -> Result<()> {
    mount_root(&memory::attach(file)?)?;
    devices::settle(modules)?;
    mount_var(devices::by_label(VAR_LABEL)?)
}

fn mount_root(device: &str) -> Result<()> {
    mount(device, ROOT, "erofs", MountFlags::RDONLY, "")?;
    mount(device, IMAGE, "erofs", MountFlags::RDONLY, "")
}

fn mount_var(device: Option<String>) -> Result<()> {
    let var = format!("{ROOT}/var");
    match device {
        Some(device) => {
            repart::check(&device)?;
            mount(&device, &var, "ext4", MountFlags::empty(), "")?;
            grow::file_system(&device, &var);
            Ok(())
        }
        None => mount(
            "var",
            &var,
            "tmpfs",
            MountFlags::empty(),
            "mode=755,size=80%",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_a_root_hash() {
        let hash = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";
        let [root, verity] = halves(hash).unwrap();
        assert_eq!((root[..2].to_vec(), verity[15]), (vec![0, 0x11], 0xef));
        for bad in ["", &hash[1..], &format!("{}g", &hash[1..])] {
            assert_eq!(halves(bad), None);
        }
    }
}
