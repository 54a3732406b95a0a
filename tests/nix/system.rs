//! A NixOS system as the node's root: made up, since nixpkgs is not at hand, with the
//! files that `system.build.toplevel` has.

use std::fs;
use std::path::Path;

use crate::common::{refused, run};
use crate::store::{Store, able};
use crate::{PROFILE, accepted, build, nodelith, unpacked};

/// `system.build.toplevel` of a system with a kernel, its modules and a release file.
const SYSTEM: &str = r##"let
  kernel = run "linux-6.12.9" ''
    mkdir -p $out/lib/modules/6.12.9/kernel
    echo kernel > $out/bzImage
    echo module > $out/lib/modules/6.12.9/kernel/overlay.ko
    echo dep > $out/lib/modules/6.12.9/modules.dep
  '';
  etc = run "etc" ''
    mkdir -p $out/etc
    echo ID=nixos > $out/etc/os-release
  '';
in run "nixos-system-node-24.05" ''
  mkdir $out
  ln -s ${kernel}/bzImage $out/kernel
  ln -s ${kernel} $out/kernel-modules
  ln -s ${etc}/etc $out/etc
  echo "#!${tools}/bin/sh" > $out/init
  chmod +x $out/init
  printf 'loglevel=4 root=fstab' > $out/kernel-params
''"##;

#[test]
fn init_and_kernel_are_found() {
    if !able() {
        return;
    }
    let store = Store::new();
    let system = store.build(&SYSTEM.replace("printf", "${tools}/bin/busybox printf"));
    let profile = format!("{PROFILE}system = true\n");
    build(&store, &profile, &[]);
    let root = unpacked(&store);
    accepted(&store, &root, &[&system]);
    let link = |path: &str| fs::read_link(root.join(path)).unwrap();
    assert_eq!(link("sbin/init"), Path::new(&format!("{system}/init")));
    assert_eq!(link("init"), Path::new(&format!("{system}/init")));
    assert_eq!(link("nix/var/nix/profiles/system"), Path::new(&system));
    // As seen from inside, where absolute links lead into the root.
    let inside = |path: &str| {
        let mut cat = std::process::Command::new("chroot");
        let tools = store.ask(&["--query", "--references", &system]);
        let tools = tools
            .lines()
            .find(|path| path.ends_with("-tools"))
            .unwrap()
            .to_owned();
        cat.arg(&root).arg(format!("{tools}/bin/cat")).arg(path);
        String::from_utf8(run(&mut cat)).unwrap()
    };
    assert_eq!(inside("/usr/lib/modules/6.12.9/vmlinuz"), "kernel\n");
    assert_eq!(
        inside("/usr/lib/modules/6.12.9/kernel/overlay.ko"),
        "module\n"
    );
    assert_eq!(
        inside("/usr/lib/kernel/cmdline"),
        format!("init={system}/init loglevel=4 root=fstab\n")
    );
    let release = inside("/etc/os-release");
    assert!(
        release.contains("ID=nixos\n") && release.contains("IMAGE_ID=node\n"),
        "{release}"
    );
}

#[test]
fn what_is_no_system_is_refused() {
    if !able() {
        return;
    }
    let store = Store::new();
    let hello = store.build(crate::HELLO);
    let profile = format!("{PROFILE}system = true\n");
    let said = refused(&mut nodelith(&store, &profile), 3);
    assert!(
        said.contains(&format!("`{hello}` is no NixOS system: it has no init")),
        "{said}"
    );
}
