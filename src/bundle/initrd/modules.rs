//! Which of the kernel's modules are in the initrd, and what asks for them.
//! From the texts of `modules.dep`, `modules.softdep`, `modules.alias` and
//! `modules.builtin` (depmod(8), modules.dep(5), modprobe.d(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use crate::error::{Context, Error, Kind, Result};

/// Without one of these no root can be laid out; the kernel may have them built in.
const REQUIRED: &[&str] = &["erofs", "overlay", "dm_verity", "ext4"];

/// The same for a root in memory.
const REQUIRED_IN_MEMORY: &[&str] = &["loop"];

/// Loaded at once too, where they are modules: the hash of dm-verity and the checksum of
/// ext4, which the kernel asks for by name, what systemd-repart makes file systems with, and
/// what shows the firmware's strings, in which credentials are.
const HELPING: &[&str] = &[
    "sha256_generic",
    "sha256_ssse3",
    "sha2_ce",
    "crc32c_generic",
    "crc32c_intel",
    "loop",
    "dmi_sysfs",
];

/// Drivers of disks, and of what they hang on. Loaded where the hardware asks for them.
const DISKS: &[&str] = &[
    // Virtual machines.
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_scsi",
    "vmw_pvscsi",
    "hv_vmbus",
    "hv_storvsc",
    "pci_hyperv",
    "xen_blkfront",
    // What tells a virtual machine its credentials.
    "qemu_fw_cfg",
    // NVMe and SATA.
    "nvme",
    "vmd",
    "ahci",
    "ahci_platform",
    "ata_piix",
    "ata_generic",
    // Controllers of servers.
    "megaraid_sas",
    "mpt3sas",
    "mpi3mr",
    "aacraid",
    "hpsa",
    "smartpqi",
    "arcmsr",
    "isci",
    // What is on them.
    "sd_mod",
    "sr_mod",
    // USB and cards.
    "xhci_pci",
    "ehci_pci",
    "usb_storage",
    "uas",
    "mmc_block",
    "sdhci_pci",
    "sdhci_acpi",
];

/// Drivers of network cards, for an initrd that fetches its root. Loaded where the hardware
/// asks for them. Those of which it is said want firmware, which no initrd of ours has.
const CARDS: &[&str] = &[
    // Virtual machines and clouds.
    "virtio_net",
    "vmxnet3",
    "hv_netvsc",
    "xen_netfront",
    "ena",
    "gve",
    "mana",
    // Intel.
    "e1000",
    "e1000e",
    "igb",
    "igbvf",
    "igc",
    "ixgbe",
    "ixgbevf",
    "i40e",
    "iavf",
    "ice",
    "idpf",
    // Mellanox, Broadcom, Chelsio, Solarflare, Marvell, Cisco, Pensando and others.
    "mlx4_en",
    "mlx5_core",
    "bnxt_en",
    "tg3",
    "bnx2",  // firmware
    "bnx2x", // firmware
    "cxgb4",
    "sfc",
    "sfc_siena",
    "qede", // firmware
    "be2net",
    "enic",
    "ionic",
    "atlantic",
    "nfp", // firmware
    "txgbe",
    "ngbe",
    // On boards.
    "amd_xgbe",
    "r8169",
    "alx",
    "sky2",
    "forcedeth",
    "8139cp",
    // Servers of other architectures.
    "hns3",
    "hclge",
    "thunder_bgx",
    "nicvf",
    "nicpf",
    "mvpp2",
    "mvneta",
    "dwmac_generic",
    "macb",
    "bcmgenet",
    "fsl_dpaa2_eth",
    // USB, as on servers' management boards and small machines.
    "cdc_ether",
    "r8152",
    "ax88179_178a",
    "lan78xx",
];

/// What the kernel's own files say of its modules.
#[derive(Debug, Default, Clone, Copy)]
pub struct Texts<'a> {
    /// `modules.dep`: a file, and the files that it needs, the deepest last.
    pub dependencies: &'a str,
    /// `modules.softdep`.
    pub soft: &'a str,
    /// `modules.alias`.
    pub aliases: &'a str,
    /// `modules.builtin`.
    pub builtin: &'a str,
}

/// The modules of an initrd.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Name to file (as `modules.dep` has it), of all.
    pub files: BTreeMap<String, String>,
    /// Those that are loaded at once, in this order.
    at_once: Vec<String>,
    /// A line for each alias: the pattern, and the modules that are to be loaded, in order.
    pub aliases: String,
    /// Whether drivers of network cards are among them.
    pub network: bool,
}

impl Chosen {
    /// Those that are loaded at once, one a line.
    #[must_use]
    pub fn order(&self) -> String {
        self.at_once
            .iter()
            .map(|name| format!("{name}\n"))
            .collect()
    }
}

/// Chooses; with drivers of network cards if `network` says so.
///
/// # Errors
/// When the kernel has not what every initrd needs.
pub fn choose(texts: &Texts<'_>, network: bool) -> Result<Chosen> {
    let all = Modules::read(texts);
    let builtin: BTreeSet<String> = texts.builtin.lines().map(name).collect();
    let mut chosen = Chosen {
        network,
        ..Chosen::default()
    };
    let in_memory = if network { REQUIRED_IN_MEMORY } else { &[] };
    for &wanted in REQUIRED.iter().chain(in_memory) {
        if !all.files.contains_key(wanted) && !builtin.contains(wanted) {
            let message = format!("the image's kernel has no module `{wanted}`");
            return Err(Error::new(Kind::Usage, message)
                .hint("Debian's linux-image-amd64 and linux-image-cloud-amd64 have it"));
        }
    }
    for wanted in REQUIRED.iter().chain(HELPING) {
        all.add(wanted, &mut chosen.at_once);
    }
    let mut drivers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let cards = if network { CARDS } else { &[] };
    for &driver in DISKS.iter().chain(cards) {
        let mut order = Vec::new();
        all.add(driver, &mut order);
        if !order.is_empty() {
            drivers.insert(driver, order);
        }
    }
    let names = chosen.at_once.iter().chain(drivers.values().flatten());
    for name in names {
        chosen
            .files
            .insert(name.clone(), all.files[name].to_owned());
    }
    for line in texts.aliases.lines() {
        let mut words = line.split_whitespace();
        if let (Some("alias"), Some(pattern), Some(module)) =
            (words.next(), words.next(), words.next())
            && let Some(order) = drivers.get(&*normal(module))
        {
            chosen.aliases += &format!("{pattern} {}\n", order.join(" "));
        }
    }
    Ok(chosen)
}

/// A kernel's modules.
struct Modules<'a> {
    /// Name to file.
    files: BTreeMap<String, &'a str>,
    /// Name to the names of what must be loaded before, in that order.
    needs: BTreeMap<String, Vec<String>>,
    /// The same of what should be.
    wants: BTreeMap<String, Vec<String>>,
}

impl<'a> Modules<'a> {
    fn read(texts: &Texts<'a>) -> Self {
        let mut modules = Self {
            files: BTreeMap::new(),
            needs: BTreeMap::new(),
            wants: BTreeMap::new(),
        };
        for (file, needs) in texts
            .dependencies
            .lines()
            .filter_map(|line| line.split_once(':'))
        {
            let needs = needs.split_whitespace().rev().map(name).collect();
            modules.needs.insert(name(file), needs);
            modules.files.insert(name(file), file);
        }
        for line in texts.soft.lines() {
            let mut words = line.split_whitespace();
            let (Some("softdep"), Some(module)) = (words.next(), words.next()) else {
                continue;
            };
            let wants = modules.wants.entry(normal(module)).or_default();
            let before = words.skip_while(|word| *word != "pre:").skip(1);
            wants.extend(before.take_while(|word| *word != "post:").map(normal));
        }
        modules
    }

    /// Adds a module to an order of loading, after what it needs; nothing if there
    /// is none.
    fn add(&self, module: &str, order: &mut Vec<String>) {
        let mut open = BTreeSet::new();
        self.add_open(module, order, &mut open);
    }

    fn add_open(&self, module: &str, order: &mut Vec<String>, open: &mut BTreeSet<String>) {
        let known = order.iter().any(|name| name == module);
        // What should be there may go in a circle.
        if known || !self.files.contains_key(module) || !open.insert(module.to_owned()) {
            return;
        }
        for before in [&self.wants, &self.needs] {
            for name in before.get(module).into_iter().flatten() {
                self.add_open(name, order, open);
            }
        }
        order.push(module.to_owned());
    }
}

/// The name of the module in a file.
fn name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    normal(name.split(".ko").next().unwrap_or(name))
}

/// A module's name as the kernel has it.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// A module's bytes, decompressed if the name of its file says so; `most` bytes of them.
///
/// # Errors
/// When they are not what the name says, or are more.
pub fn plain(file: &str, bytes: Vec<u8>, most: u64) -> Result<Vec<u8>> {
    let mut decoder: Box<dyn Read> = match file.rsplit('.').next() {
        Some("xz") => Box::new(liblzma::read::XzDecoder::new(&bytes[..])),
        Some("gz") => Box::new(flate2::read::GzDecoder::new(&bytes[..])),
        Some("zst") => Box::new(zstd::Decoder::new(&bytes[..]).io("decompressing", file)?),
        _ => return Ok(bytes),
    };
    let mut plain = Vec::new();
    let read = decoder.by_ref().take(most).read_to_end(&mut plain);
    read.io("decompressing", file)?;
    if plain.len() as u64 == most && decoder.read(&mut [0]).io("decompressing", file)? > 0 {
        let message = format!("`/{file}` of the image is too large when decompressed");
        return Err(Error::new(Kind::Verify, message));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: Texts<'_> = Texts {
        dependencies: "\
kernel/drivers/virtio_blk.ko.xz:
kernel/fs/erofs.ko.xz: kernel/a.ko.xz kernel/b.ko.xz
kernel/fs/overlay.ko.xz:
kernel/drivers/md/dm-verity.ko.xz: kernel/dm-mod.ko.xz
kernel/dm-mod.ko.xz:
kernel/a.ko.xz: kernel/b.ko.xz
kernel/b.ko.xz:
kernel/crc.ko.xz:
kernel/nvme.ko.xz: kernel/nvme-core.ko.xz
kernel/nvme-core.ko.xz:
kernel/other.ko.xz:
kernel/virtio_net.ko.xz:
kernel/drivers/firmware/dmi-sysfs.ko.xz:
",
        soft: "softdep dm-verity pre: crc none post: other\n",
        aliases: "\
# Aliases extracted from modules themselves.
alias virtio:d00000002v* virtio_blk
alias pci:v*d*sv*sd*bc01sc08i02* nvme
alias fs-erofs erofs
alias other other
alias virtio:d00000001v* virtio_net
",
        builtin: "kernel/fs/ext4/ext4.ko\n",
    };

    #[test]
    fn modules_come_after_what_they_need() {
        let chosen = choose(&TEXTS, false).unwrap();
        let order = "b\na\nerofs\noverlay\ncrc\ndm_mod\ndm_verity\ndmi_sysfs\n";
        assert_eq!(chosen.order(), order);
        let aliases = "virtio:d00000002v* virtio_blk\npci:v*d*sv*sd*bc01sc08i02* nvme_core nvme\n";
        assert_eq!(chosen.aliases, aliases);
        assert_eq!(
            chosen.files["dm_verity"],
            "kernel/drivers/md/dm-verity.ko.xz"
        );
        // Nothing in it uses a network.
        for name in ["other", "virtio_net"] {
            assert!(!chosen.files.contains_key(name), "{name}");
        }
        assert_eq!(chosen.files.len(), 11);
    }

    #[test]
    fn drivers_of_cards_come_where_there_is_a_network() {
        let texts = Texts {
            dependencies: &TEXTS.dependencies.replace(
                "virtio_net.ko.xz:",
                "virtio_net.ko.xz: kernel/net_failover.ko.xz\nkernel/net_failover.ko.xz:",
            ),
            builtin: "kernel/fs/ext4/ext4.ko\nkernel/drivers/block/loop.ko\n",
            ..TEXTS
        };
        let chosen = choose(&texts, true).unwrap();
        assert_eq!(chosen.order(), choose(&texts, false).unwrap().order());
        let alias = "virtio:d00000001v* net_failover virtio_net\n";
        assert!(chosen.aliases.ends_with(alias), "{}", chosen.aliases);
        assert!(chosen.files.contains_key("net_failover"));
        let error = choose(&TEXTS, true).unwrap_err();
        assert_eq!(error.message(), "the image's kernel has no module `loop`");
    }

    #[test]
    fn a_kernel_without_a_module_is_refused() {
        let texts = Texts {
            builtin: "kernel/fs/other.ko\n",
            ..TEXTS
        };
        let error = choose(&texts, false).unwrap_err();
        assert_eq!(error.message(), "the image's kernel has no module `ext4`");
    }

    #[test]
    fn wishes_may_go_in_a_circle() {
        let texts = Texts {
            soft: "softdep a pre: overlay\nsoftdep overlay pre: a\n",
            ..TEXTS
        };
        let order = choose(&texts, false).unwrap().order();
        assert!(order.starts_with("b\noverlay\na\nerofs\n"), "{order}");
    }

    #[test]
    fn modules_are_decompressed_by_their_names() {
        let zst = zstd::encode_all(&b"module"[..], 1).unwrap();
        assert_eq!(plain("a.ko.zst", zst.clone(), 6).unwrap(), b"module");
        assert_eq!(plain("a.ko", zst.clone(), 6).unwrap(), zst);
        assert!(plain("a.ko.xz", zst.clone(), 6).is_err());
        let error = plain("a.ko.zst", zst, 5).unwrap_err();
        let message = "`/a.ko.zst` of the image is too large when decompressed";
        assert_eq!((error.kind(), &*error.message()), (Kind::Verify, message));
    }
}
