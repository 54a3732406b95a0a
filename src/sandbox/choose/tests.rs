use super::*;

const ALL: u32 = u32::MAX;

fn whole() -> Vec<Extent> {
    vec![Extent {
        inside: 0,
        outside: 0,
        count: ALL,
    }]
}

/// A user on a well set up machine.
fn user() -> Facts {
    let range = Range {
        start: 100_000,
        count: 65_536,
    };
    Facts {
        uid: 1000,
        gid: 1000,
        user: Some("alice".to_owned()),
        capabilities: 0,
        subuids: vec![range],
        subgids: vec![range],
        free_ids: 165_536,
        uid_map: whole(),
        gid_map: whole(),
        newuidmap: Some("/usr/bin/newuidmap".into()),
        newgidmap: Some("/usr/bin/newgidmap".into()),
        userns: Ok(()),
        mountns: Err(("unshare", libc::EPERM)),
        max_user_namespaces: Some(15_000),
        unprivileged_userns_clone: None,
        apparmor_restriction: None,
        architecture: "amd64".to_owned(),
        formats: Some(Vec::new()),
    }
}

fn root() -> Facts {
    Facts {
        uid: 0,
        gid: 0,
        user: Some("root".to_owned()),
        capabilities: u64::MAX,
        subuids: Vec::new(),
        subgids: Vec::new(),
        mountns: Ok(()),
        ..user()
    }
}

/// Root in a container of docker's defaults.
fn container() -> Facts {
    Facts {
        capabilities: 0xa804_25fb,
        userns: Err(("unshare", libc::EPERM)),
        mountns: Err(("unshare", libc::EPERM)),
        ..root()
    }
}

fn refusal(mode: Mode, facts: &Facts) -> Error {
    let error = choose(mode, "amd64", facts).unwrap_err();
    assert_eq!(error.kind(), Kind::Sandbox);
    error
}

#[test]
fn a_user_gets_a_user_namespace() {
    let chosen = choose(Mode::Auto, "amd64", &user()).unwrap();
    assert_eq!(chosen.mode(), Mode::Userns);
    assert!(chosen.warnings().is_empty());
    assert!(chosen.has_foreign_files());
    let maps = chosen.maps.unwrap();
    assert_eq!(maps.uids[0].outside, 1000);
    assert_eq!(maps.gids[1].outside, 100_000);
}

#[test]
fn root_gets_a_mount_namespace() {
    let chosen = choose(Mode::Auto, "amd64", &root()).unwrap();
    assert_eq!(chosen.mode(), Mode::Mountns);
    assert!(chosen.maps.is_none() && !chosen.has_foreign_files());
}

#[test]
fn root_in_a_plain_container_gets_a_chroot_and_a_warning() {
    let chosen = choose(Mode::Auto, "amd64", &container()).unwrap();
    assert_eq!(chosen.mode(), Mode::Chroot);
    assert!(chosen.warnings()[0].contains("bare chroot"));
}

#[test]
fn root_without_mounts_but_with_user_namespaces_gets_one() {
    let facts = Facts {
        userns: Ok(()),
        ..container()
    };
    assert_eq!(
        choose(Mode::Auto, "amd64", &facts).unwrap().mode(),
        Mode::Userns
    );
}

#[test]
fn root_may_ask_for_a_user_namespace() {
    let maps = choose(Mode::Userns, "amd64", &root())
        .unwrap()
        .maps
        .unwrap();
    assert!(maps.helpers.is_none());
    assert_eq!((maps.uids[0].outside, maps.uids[1].outside), (0, 100_000));
    let own = Range {
        start: 500_000,
        count: 65_536,
    };
    let facts = Facts {
        subuids: vec![own],
        subgids: vec![own],
        ..root()
    };
    let maps = choose(Mode::Userns, "amd64", &facts).unwrap().maps.unwrap();
    assert_eq!(maps.uids[1].outside, 500_000);
}

#[test]
fn ids_that_do_not_exist_here_are_not_passed_on() {
    let small = vec![Extent {
        inside: 0,
        outside: 100_000,
        count: 65_536,
    }];
    let facts = Facts {
        uid_map: small.clone(),
        gid_map: small,
        ..root()
    };
    let error = refusal(Mode::Userns, &facts);
    assert!(
        error.message().contains("no 65536 user ids to pass on"),
        "{error}"
    );
    assert_eq!(
        choose(Mode::Auto, "amd64", &facts).unwrap().mode(),
        Mode::Mountns
    );
}

#[test]
fn all_that_is_missing_is_listed_with_what_to_do() {
    let facts = Facts {
        subuids: Vec::new(),
        subgids: vec![Range {
            start: 100_000,
            count: 1000,
        }],
        newuidmap: None,
        newgidmap: None,
        userns: Err(("unshare", libc::ENOSPC)),
        max_user_namespaces: Some(0),
        ..user()
    };
    let error = refusal(Mode::Auto, &facts);
    insta::assert_snapshot!(format!("{error}\n{}", error.hints().join("\n")), @"
    no way to run package scripts here:
      userns: user namespaces are switched off (user.max_user_namespaces = 0); no subordinate ids for `alice` in /etc/subuid; only 1000 subordinate ids for `alice` in /etc/subgid, needed are 65536; `newuidmap` is not in PATH; `newgidmap` is not in PATH
      mountns: needs root
      chroot: needs root
    as root: sysctl -w user.max_user_namespaces=15000
    as root: usermod --add-subuids 165536-231071 --add-subgids 165536-231071 alice (or a line of your own in /etc/subuid and /etc/subgid)
    install newuidmap and newgidmap: package `uidmap` on Debian and Ubuntu, `shadow-utils` on Fedora
    ");
}

#[test]
fn each_obstacle_to_user_namespaces_is_named() {
    let denied = Facts {
        userns: Err(("mount", libc::EACCES)),
        ..user()
    };
    let apparmor = Facts {
        apparmor_restriction: Some(1),
        ..denied.clone()
    };
    let debian = Facts {
        unprivileged_userns_clone: Some(0),
        ..denied.clone()
    };
    for (facts, word) in [
        (denied, "mount: Permission denied"),
        (apparmor, "kernel.apparmor_restrict_unprivileged_userns"),
        (debian, "kernel.unprivileged_userns_clone"),
    ] {
        let error = refusal(Mode::Userns, &facts);
        assert!(error.message().contains(word), "{error}");
        assert!(!error.hints().is_empty());
    }
}

#[test]
fn a_mode_asked_for_is_not_exchanged_for_another() {
    let error = refusal(Mode::Mountns, &user());
    assert_eq!(
        error.message(),
        "sandbox mode `mountns` is not possible here: needs root"
    );
    let error = refusal(Mode::Mountns, &container());
    assert!(
        error.message().contains("unshare: Operation not permitted"),
        "{error}"
    );
    let bare = Facts {
        capabilities: 0,
        ..container()
    };
    let error = refusal(Mode::Chroot, &bare);
    assert!(
        error.message().contains("CAP_CHOWN, CAP_DAC_OVERRIDE"),
        "{error}"
    );
}

#[test]
fn foreign_architectures_need_an_emulator() {
    let error = choose(Mode::Auto, "arm64", &user()).unwrap_err();
    assert!(
        error.message().contains("`qemu-aarch64` is not registered"),
        "{error}"
    );
    assert!(error.hints()[0].contains("qemu-user-static"));
    let blind = Facts {
        formats: None,
        ..user()
    };
    let chosen = choose(Mode::Auto, "arm64", &blind).unwrap();
    assert!(chosen.warnings()[0].contains("binfmt_misc is not mounted"));
}

#[test]
fn mode_names_are_read_back() {
    for mode in Mode::ALL {
        assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
    }
    assert_eq!("docker".parse::<Mode>().unwrap_err().kind(), Kind::Usage);
}
