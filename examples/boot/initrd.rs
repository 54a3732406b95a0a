//! The initrd: `examples/boot-init` as `/init`, and the modules that it needs.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::cpio::Archive;
use crate::unpack::Unpacked;

/// Modules for the disks and file systems of a boot, unless the kernel has them built in.
const MODULES: &[&str] = &["virtio_pci", "virtio_blk", "erofs", "overlay", "ext4"];

/// Makes the initrd of an image; `appended` is a second one that follows it.
pub fn make(unpacked: &Unpacked, folder: &Path, appended: &[u8]) -> Result<PathBuf> {
    let release = unpacked.kernel_release()?;
    let modules = unpacked.root.join("usr/lib/modules").join(release);
    let mut archive = Archive::default();
    archive.file("init", 0o755, &fs::read(init()?)?);
    let mut order = String::new();
    for path in needed(&modules)? {
        let name = name(&path);
        let file = modules.join(&path);
        archive.file(&format!("modules/{name}"), 0o644, &plain(&file)?);
        order += &format!("{name}\n");
    }
    archive.file("modules/order", 0o644, order.as_bytes());
    let initrd = folder.join("initrd");
    fs::write(&initrd, [&archive.finish(), appended].concat())?;
    Ok(initrd)
}

/// The program that was built with this one.
fn init() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let beside = this.with_file_name("boot-init");
    match beside.exists() {
        true => Ok(beside),
        false => Err("there is no `boot-init` beside this program: use `ci/boot`".into()),
    }
}

/// The wanted modules' files with what they depend on, in the order of loading.
fn needed(folder: &Path) -> Result<Vec<String>> {
    let dependencies = fs::read_to_string(folder.join("modules.dep"))?;
    let builtin = fs::read_to_string(folder.join("modules.builtin"))?;
    order(&dependencies, &builtin).map_err(Into::into)
}

/// The same from the text of `modules.dep`(5), whose lines are a file and what it
/// needs, the deepest last, and of `modules.builtin`.
fn order(dependencies: &str, builtin: &str) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for &wanted in MODULES {
        let lines = dependencies.lines().filter_map(|line| line.split_once(':'));
        let mut lines = lines.filter(|(file, _)| is(file, wanted));
        let Some((file, needs)) = lines.next() else {
            match builtin.lines().any(|file| is(file, wanted)) {
                true => continue,
                false => return Err(format!("the kernel has no module `{wanted}`")),
            }
        };
        let needs = needs.split_whitespace().rev();
        for file in needs.chain([file]) {
            if !files.iter().any(|known| known == file) {
                files.push(file.to_owned());
            }
        }
    }
    Ok(files)
}

fn is(file: &str, module: &str) -> bool {
    let stem = name(file).trim_end_matches(".ko").replace('-', "_");
    stem == module
}

/// A module's file name without its compression's ending.
fn name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.trim_end_matches(".xz").trim_end_matches(".zst")
}

/// A module's bytes, decompressed.
fn plain(file: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(file)?;
    let mut plain = Vec::new();
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("xz") => liblzma::read::XzDecoder::new(&bytes[..]).read_to_end(&mut plain)?,
        Some("zst") => zstd::Decoder::new(&bytes[..])?.read_to_end(&mut plain)?,
        _ => return Ok(bytes),
    };
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/virtio_blk.ko.xz:
kernel/erofs.ko.xz: kernel/a.ko.xz kernel/b.ko.xz
kernel/overlay.ko.xz:
kernel/virtio_pci.ko.xz: kernel/b.ko.xz
";

    #[test]
    fn modules_come_after_what_they_need() {
        let files = order(DEPENDENCIES, "kernel/fs/ext4/ext4.ko\n").unwrap();
        let names: Vec<_> = files.iter().map(|file| name(file)).collect();
        let wanted = [
            "b.ko",
            "virtio_pci.ko",
            "virtio_blk.ko",
            "a.ko",
            "erofs.ko",
            "overlay.ko",
        ];
        assert_eq!(names, wanted);
    }

    #[test]
    fn a_kernel_without_a_module_is_refused() {
        let error = order(DEPENDENCIES, "kernel/fs/other.ko\n").unwrap_err();
        assert_eq!(error, "the kernel has no module `ext4`");
    }
}
