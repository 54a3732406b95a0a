//! `export --initrd-from`: what boots an image that lacks it comes from a second one, as
//! far as the two go together.

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use nodelith::layer::Compression;
use nodelith::tree::{Tree, TreePath};
use rustix::fs::inotify;
use serde_json::Value;

use crate::common::{refused, run};
use crate::images::{export, largest_blob, ours};
use crate::pxe::connected;
use crate::uki::{LOADER, RELEASE, STUB, bootable, section, without};

/// Two images of the bootable tree, each changed: `image` and `second`.
fn scene(first: &dyn Fn(&mut Tree), second: &dyn Fn(&mut Tree)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, change) in [("image", first), ("second", second)] {
        let mut tree = bootable(folder.path());
        change(&mut tree);
        let image = ours(folder.path(), &tree, Compression::ZSTD, 8);
        fs::rename(image, folder.path().join(name)).unwrap();
    }
    folder
}

fn exported(folder: &Path, to: &str) -> Command {
    let mut command = export("image", "uki", Path::new(to));
    command
        .current_dir(folder)
        .args(["--initrd-from", "second", "--quiet"]);
    command
}

fn taken(folder: &Path, to: &str) -> Value {
    let text = fs::read(folder.join(to).join("export.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["boot"]["from"]["paths"].clone()
}

#[test]
fn what_the_first_lacks_is_taken_from_the_second() {
    let lacks = |tree: &mut Tree| {
        for path in ["boot/vmlinuz", "usr/lib/systemd/boot"] {
            without(path)(tree);
        }
    };
    let theirs = |tree: &mut Tree| {
        // What the second says of itself is not taken.
        without("usr/lib/kernel/cmdline")(tree);
        without("usr/lib/os-release")(tree);
    };
    let folder = scene(&lacks, &theirs);
    run(&mut exported(folder.path(), "out"));
    let paths = serde_json::json!([
        format!("/boot/vmlinuz-{RELEASE}"),
        format!("/{STUB}"),
        format!("/{LOADER}")
    ]);
    assert_eq!(taken(folder.path(), "out"), paths);
    let uki = folder.path().join("out/node.efi");
    assert!(section(&uki, ".linux").starts_with(b"the kernel"));
    assert!(section(&uki, ".osrel").starts_with(b"ID=debian"));
    assert!(section(&uki, ".cmdline").starts_with(b"console=ttyS0 roothash="));

    // Where the first has it all nothing is, and the file is the same.
    let whole = scene(&|_| {}, &without("usr/lib/systemd/boot"));
    run(&mut exported(whole.path(), "out"));
    assert_eq!(taken(whole.path(), "out"), serde_json::json!([]));
    let mut alone = export("image", "uki", Path::new("alone"));
    run(alone.current_dir(whole.path()).arg("--quiet"));
    let read = |name: &str| fs::read(whole.path().join(name).join("node.efi")).unwrap();
    assert!(read("out") == read("alone"));
    assert_eq!(taken(whole.path(), "alone"), Value::Null);
}

#[test]
fn modules_of_the_initrd_too() {
    let dep = format!("usr/lib/modules/{RELEASE}/modules.");
    let lacks = move |tree: &mut Tree| {
        tree.entries
            .retain(|path, _| !path.to_string().starts_with(&dep));
    };
    let folder = scene(&lacks, &|_| {});
    run(&mut exported(folder.path(), "out"));
    let paths = taken(folder.path(), "out");
    assert_eq!(paths.as_array().unwrap().len(), 3, "{paths}");

    // The modules themselves; what the first says of itself, or does not, stays its own.
    let erofs = format!("usr/lib/modules/{RELEASE}/kernel/erofs.ko");
    let lacks = |tree: &mut Tree| {
        tree.entries.remove(&TreePath::from(&*erofs)).unwrap();
        without("usr/lib/kernel/cmdline")(tree);
    };
    let folder = scene(&lacks, &|_| {});
    run(&mut exported(folder.path(), "out"));
    let expected = serde_json::json!([format!("/{erofs}")]);
    assert_eq!(taken(folder.path(), "out"), expected);
    let words = section(&folder.path().join("out/node.efi"), ".cmdline");
    assert!(words.starts_with(b"roothash="));
}

/// How often an export opens the only layer of an image.
fn readings(image: &Path, export: &mut Command) -> usize {
    let blob = largest_blob(image);
    let queue = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    // Events that are the same are one, unless there is another between them.
    let events = inotify::WatchFlags::OPEN | inotify::WatchFlags::CLOSE;
    inotify::add_watch(&queue, &blob, events).unwrap();
    run(export);
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(&queue, &mut buffer);
    let events = std::iter::from_fn(|| Some(reader.next().ok()?.events()));
    events
        .filter(|events| events.contains(inotify::ReadFlags::OPEN))
        .count()
}

/// For the tree, the kernel and what is beside it, the modules, and all contents.
#[test]
fn layers_are_read_four_times_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = bootable(folder.path());
    connected(&mut tree);
    let image = ours(folder.path(), &tree, Compression::ZSTD, 1);
    let out = folder.path().join("out");
    assert_eq!(readings(&image, &mut export(&image, "erofs,tar", &out)), 2);
    assert_eq!(readings(&image, &mut export(&image, "uki,pxe", &out)), 4);
}

#[test]
fn images_that_do_not_go_together_are_refused() {
    let said = |first: &dyn Fn(&mut Tree), second: &dyn Fn(&mut Tree)| {
        let folder = scene(first, second);
        let said = refused(&mut exported(folder.path(), "out"), 2);
        assert!(!folder.path().join("out").exists());
        said
    };
    let nothing: &dyn Fn(&mut Tree) = &|_| {};
    assert_snapshot!(said(&|tree| without("usr/lib/modules")(tree), nothing), @r"
    error: the image has no kernel modules, so the kernel of `second` cannot run it
    hint: a node loads modules while it runs: containerd's overlays, bridges and netfilter; put the modules of that kernel into the image
    ");
    let other = |tree: &mut Tree| {
        let entries = std::mem::take(&mut tree.entries);
        let renamed = entries.into_iter().map(|(path, entry)| {
            let path = path.to_string().replace(RELEASE, "6.2.0-other");
            (path.as_str().into(), entry)
        });
        tree.entries = renamed.collect();
    };
    assert_snapshot!(said(&|tree| without("boot/vmlinuz")(tree), &other), @r"
    error: the image has modules for the kernel 6.1.0-test and not the kernel, and `second` has the kernel 6.2.0-other
    hint: modules and kernel must be of the same release
    ");
    let bare = |tree: &mut Tree| {
        without("boot")(tree);
        without("usr/lib/modules")(tree);
    };
    let first = |tree: &mut Tree| without("boot/vmlinuz")(tree);
    assert!(said(&first, &bare).contains("`second` has no kernel\n"));
    let neither = |tree: &mut Tree| without("usr/lib/systemd/boot")(tree);
    assert_snapshot!(said(&neither, &neither), @r"
    error: the image cannot be booted: it lacks `/usr/lib/systemd/boot/efi/linuxx64.efi.stub`
    hint: in Debian it comes from systemd-boot-efi
    ");
}
