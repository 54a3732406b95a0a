//! A NixOS system (`system.build.toplevel`) as a node's root: its init and kernel
//! where a boot loader, an initrd and a person look for them.

use super::path::StorePath;
use super::place::{Placed, Placing, inline};
use crate::error::{Error, Kind, Result};
use crate::tree::{Content, Node, TreePath};

/// Where the system's kernel arguments stand, for tools that make boot entries.
const COMMAND_LINE: &str = "usr/lib/kernel/cmdline";

/// Places the links of the only root of a closure, which is a system.
pub(super) fn place(
    placed: &mut Placed,
    placing: &Placing,
    text: &dyn Fn(&TreePath, &Content) -> Result<Vec<u8>>,
) -> Result<()> {
    let mut roots = placing.closure.roots.iter();
    let (Some(root), None) = (roots.next(), roots.next()) else {
        let count = placing.closure.roots.len();
        let message = format!("the system `{}` has {count} roots", placing.name);
        return Err(Error::new(Kind::Resolve, message)
            .hint("give the closure of `system.build.toplevel` alone"));
    };
    for (name, what) in [("init", "init"), ("kernel", "kernel")] {
        let found = placed.find(&root.in_tree().join(name));
        if !found.is_some_and(|(_, entry)| matches!(entry.node, Node::File { .. })) {
            let message = format!("`{root}` is no NixOS system: it has no {what}");
            return Err(Error::new(Kind::Resolve, message).hint(
                "give the closure of `config.system.build.toplevel` of a system that boots \
                 (`boot.isContainer = false`)",
            ));
        }
    }
    for init in ["init", "sbin/init"] {
        link(placed, init, &format!("{root}/init"));
    }
    link(placed, "nix/var/nix/profiles/system", root.as_str());
    kernels(placed, root);
    command_line(placed, root, text)?;
    release(placed, root, text)?;
    Ok(())
}

fn link(placed: &mut Placed, path: &str, target: &str) {
    placed.add(path.into(), Node::Symlink(target.into()), 0o777);
}

/// Links the kernel and its modules below /usr/lib/modules, where the release names it.
fn kernels(placed: &mut Placed, root: &StorePath) {
    let modules = root.in_tree().join("kernel-modules/lib/modules");
    let Some((folder, _)) = placed.find(&modules) else {
        link(placed, "boot/vmlinuz", &format!("{root}/kernel"));
        return;
    };
    for release in placed.children(&folder) {
        let Some((modules, _)) = placed.find(&release) else {
            continue;
        };
        let at = TreePath::from("usr/lib/modules").join(release.name());
        for child in placed.children(&modules) {
            let target = TreePath::new([b"/", child.as_bytes()].concat());
            placed.add(at.join(child.name()), Node::Symlink(target), 0o777);
        }
        for (name, target) in [("vmlinuz", "kernel"), ("initrd", "initrd")] {
            if placed.find(&root.in_tree().join(target)).is_some() {
                let target = TreePath::from(format!("{root}/{target}").as_str());
                placed.add(at.join(name), Node::Symlink(target), 0o777);
            }
        }
    }
}

/// The system's os-release, where the node's name and version are added to it.
fn release(
    placed: &mut Placed,
    root: &StorePath,
    text: &dyn Fn(&TreePath, &Content) -> Result<Vec<u8>>,
) -> Result<()> {
    let found = placed.find(&root.in_tree().join("etc/os-release"));
    if let Some((path, entry)) = found
        && let Node::File { content, .. } = &entry.node
    {
        let text = text(&path, content)?;
        placed.add("usr/lib/os-release".into(), inline(text), 0o644);
        link(placed, "etc/os-release", "../usr/lib/os-release");
    }
    Ok(())
}

/// The system's own kernel arguments, and its init, as NixOS' boot loaders write them.
fn command_line(
    placed: &mut Placed,
    root: &StorePath,
    text: &dyn Fn(&TreePath, &Content) -> Result<Vec<u8>>,
) -> Result<()> {
    let mut line = format!("init={root}/init");
    if let Some((path, entry)) = placed.find(&root.in_tree().join("kernel-params"))
        && let Node::File { content, .. } = &entry.node
    {
        let text = text(&path, content)?;
        let arguments = String::from_utf8_lossy(&text).trim().to_owned();
        if !arguments.is_empty() {
            line = format!("{line} {arguments}");
        }
    }
    placed.add(
        COMMAND_LINE.into(),
        inline(format!("{line}\n").into_bytes()),
        0o644,
    );
    Ok(())
}
