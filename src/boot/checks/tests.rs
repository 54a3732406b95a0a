//! Each check passes on what a good node says, and fails on what is wrong with it.

use super::*;

/// What a good node says, without what the two pods do.
const NODE: &str = include_str!("node.txt");

/// What is said of a pod.
const POD: &str = include_str!("pod.txt");

fn good() -> String {
    let pods = ["own-pod", "node-pod"].map(|name| POD.replace("POD", name));
    // The state of a sandbox is no name of ours.
    let pods = pods
        .concat()
        .replace("own-pod-sandbox_READY", "SANDBOX_READY");
    format!("{NODE}{pods}=== DONE\n")
}

/// A boot in which the guest said this.
fn boot(said: &str) -> Boot {
    Boot::read(Outcome {
        results: said.to_owned(),
        console: "[  OK  ] Unmounted /var\n".to_owned(),
        ..Outcome::default()
    })
}

/// The checks that fail, with what they say.
fn failing(boot: &Boot) -> Vec<(&'static str, String)> {
    let checks = EACH.iter();
    checks
        .filter_map(|(name, check)| Some((*name, check(boot).err()?)))
        .collect()
}

#[test]
fn a_good_node_passes() {
    assert_eq!(failing(&boot(&good())), []);
}

/// What is changed in what a good node says, the check that fails, and why.
const WRONG: &[(&str, &str, &str, &str)] = &[
    (
        "=== END identity 0",
        "=== END identity 1",
        "identity",
        "`identity` failed with 1: (nothing said)",
    ),
    (
        "=== DONE",
        "",
        "test ran",
        "the machine stopped, before the test was done",
    ),
    (
        "running\n=== END state",
        "starting\n=== END state",
        "system state",
        "it is `starting`",
    ),
    (
        "=== BEGIN failed\n",
        "=== BEGIN failed\na.service loaded failed failed A\n",
        "system state",
        "running; failed: a.service",
    ),
    (
        "=== BEGIN failed-after\n",
        "=== BEGIN failed-after\nb.service loaded failed failed B\n",
        "system state",
        "running; failed: b.service",
    ),
    (
        "=== BEGIN unique\n",
        "=== BEGIN unique\n/etc/machine-id\n/etc/ssh/ssh_host_rsa_key\n",
        "nothing unique",
        "in the image: /etc/machine-id, /etc/ssh/ssh_host_rsa_key",
    ),
    (
        "kubelet-version 0",
        "kubelet-version 1",
        "kubelet",
        "`kubelet-version` failed with 1: Kubernetes v1.34.1",
    ),
    (
        "kubelet-takes\n=== END kubelet-takes 0",
        "kubelet-takes\nunknown flag: --v\n=== END kubelet-takes 1",
        "kubelet",
        "`kubelet-takes` failed with 1: unknown flag: --v",
    ),
    (
        "kubelet-flags\n/usr/bin/kubelet\n",
        "kubelet-flags\n",
        "kubelet",
        "its unit does not start it",
    ),
    (
        r#""erofs", "options": "ro,relatime"}"#,
        r#""ext4", "options": "rw"}"#,
        "mounts",
        r#"/ is "ext4", rw"#,
    ),
    (
        r#""/opt/cni/bin", "fstype""#,
        r#""/opt", "fstype""#,
        "mounts",
        "nothing is mounted at /opt/cni/bin",
    ),
    (
        "/usr no",
        "/usr yes",
        "writable places",
        "/usr can be written: yes, not no",
    ),
    (
        "/etc yes",
        "/etc no",
        "writable places",
        "/etc can be written: no, not yes",
    ),
    (
        "/tmp yes\n",
        "",
        "writable places",
        "nothing is said of /tmp",
    ),
    (
        "install ok installed",
        "install ok unpacked",
        "dpkg database",
        "base-files install ok unpacked",
    ),
    (
        "base-files install ok installed",
        "",
        "dpkg database",
        "it is empty",
    ),
    (
        "enabled 0",
        "enabled 3",
        "containerd",
        "`enabled` failed with 3: active",
    ),
    (
        "SystemdCgroup = true",
        "SystemdCgroup = false",
        "containerd",
        "its configuration has not `SystemdCgroup = true`",
    ),
    (
        "portmap\n",
        "",
        "CNI plug-ins",
        "`portmap` is not in /opt/cni/bin",
    ),
    (
        "/usr/bin/crictl\n",
        "",
        "crictl info",
        "the image carries no crictl",
    ),
    (
        r#""RuntimeReady", "status": true"#,
        r#""RuntimeReady", "status": false, "message": "why""#,
        "crictl info",
        r#"RuntimeReady is false: "why""#,
    ),
    (
        "NetworkReady",
        "Network",
        "crictl info",
        "nothing is said of NetworkReady",
    ),
    (
        r#"sandbox_image = "registry.k8s.io/pause:3.10""#,
        "    sandbox = 'other/pause:1'",
        "sandbox image",
        "`other/pause:1` is not in the node",
    ),
    (
        r#""pinned": true"#,
        r#""pinned": false"#,
        "sandbox image",
        "`registry.k8s.io/pause:3.10` is not pinned",
    ),
    (
        "io.cri-containerd.pinned=pinned",
        "-",
        "sandbox image",
        "`registry.k8s.io/pause:3.10` is not pinned",
    ),
    (
        "own-pod 0",
        "own-pod 1",
        "pod, own network",
        "`own-pod` failed with 1: 123",
    ),
    (
        "SANDBOX_READY",
        "SANDBOX_NOTREADY",
        "pod, own network",
        r#"the sandbox is "SANDBOX_NOTREADY""#,
    ),
    (
        "10.88.0.2",
        "",
        "pod, own network",
        "its address is ``, not one of its network's",
    ),
    (
        "own-pod-start 0",
        "own-pod-start 1",
        "pod, own network",
        "`own-pod-start` failed with 1: 456",
    ),
    (
        "CONTAINER_RUNNING",
        "CONTAINER_EXITED",
        "pod, own network",
        "its container does not run",
    ),
    (
        "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/",
        "0::/system.slice/kubepods-besteffort-pod1.slice:",
        "pod, own network",
        "its container is in /system.slice/kubepods-besteffort-pod1.slice:cri-containerd-456.scope /catatonit -P, outside of the pod's slice",
    ),
    (
        "node-pod-remove 0",
        "node-pod-remove 1",
        "pod, node's network",
        "`node-pod-remove` failed with 1: (nothing said)",
    ),
    (
        r#"{"items": []}"#,
        r#"{"items": [{}]}"#,
        "nothing left of pods",
        "1 pods are left",
    ),
    (
        "=== BEGIN processes-after\n",
        "=== BEGIN processes-after\n0::/kubepods.slice/x sleep\n",
        "nothing left of pods",
        "processes are left: 0::/kubepods.slice/x sleep",
    ),
];

#[test]
fn a_containerd_that_does_not_tell_pins() {
    let said = good().replace(r#""pinned": true"#, r#""pinned": false"#);
    let old = said.replace("1.7.24", "1.6.20");
    assert_eq!(failing(&boot(&old)), []);
    assert_eq!(failing(&boot(&said)).len(), 1);
}

#[test]
fn each_check_fails_on_what_is_wrong() {
    for (good_text, bad_text, check, wanted) in WRONG {
        let good = good();
        assert!(good.contains(good_text), "{good_text}");
        let found = failing(&boot(&good.replacen(good_text, bad_text, 1)));
        let wanted = (*check, (*wanted).to_owned());
        assert!(found.contains(&wanted), "{wanted:?} is not in {found:?}");
    }
    let without: Vec<_> = EACH
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !WRONG.iter().any(|(_, _, check, _)| check == name))
        .collect();
    assert_eq!(without, ["shutdown"]);
}

#[test]
fn a_machine_that_does_not_stop_or_not_cleanly() {
    let mut machine = boot(&good());
    machine.outcome.console += "[FAILED] Failed to start broken.service.\r\n";
    assert_eq!(failing(&machine), []);
    machine.outcome.console += "[\u{1b}[0;1;31mFAILED\u{1b}[0m] Failed unmounting var.mount.\r\n";
    let wanted = [(
        "shutdown",
        "[FAILED] Failed unmounting var.mount.".to_owned(),
    )];
    assert_eq!(failing(&machine), wanted);

    // The device that the root is on stays to the end; any other must go.
    let left = "systemd-shutdown[1]: Unable to finalize remaining DM devices, ignoring.";
    for (device, clean) in [("/dev/dm-0", true), ("/dev/vda", false)] {
        let place = "{\"target\": \"/\", ";
        let mut machine =
            boot(&good().replace(place, &format!("{place}\"source\": \"{device}\", ")));
        machine.outcome.console += &format!("{left}\r\n");
        assert_eq!(failing(&machine).is_empty(), clean, "{device}");
    }

    let mut machine = boot("=== BEGIN info\n");
    machine.outcome.end = End::Deadline(std::time::Duration::from_secs(60));
    assert!(!machine.is_whole());
    let found = failing(&machine);
    assert_eq!(found.len(), EACH.len());
    assert_eq!(
        found[0].1,
        "it was ended at the deadline of 60 s, while at `info`"
    );
    assert_eq!(
        found.last().map(|(_, why)| &**why),
        Some("the machine did not power off")
    );
}

#[test]
fn what_is_kept_over_a_reboot() {
    let first = Sections::parse(&good());
    let found = |marks: &str| {
        let begin = "=== BEGIN marks-found\n";
        let second = good().replace(begin, &format!("{begin}{marks}"));
        let second = Sections::parse(&second);
        REBOOT
            .iter()
            .map(|(_, check)| check(&first, &second))
            .collect::<Vec<_>>()
    };
    let all = "/etc/kubernetes/nodelith-test aa\n/etc/cni/net.d/10-test.conflist bb\n\
               /etc/ssh/ssh_host_test_key cc\n/etc/machine-id ee\n";
    assert!(found(all).iter().all(Result::is_ok));
    let wrong = [
        (all.replace("ee", "ff"), 0, "/etc/machine-id is another"),
        (
            all.replace("/etc/ssh/ssh_host_test_key cc\n", ""),
            0,
            "/etc/ssh/ssh_host_test_key is gone",
        ),
        (
            format!("{all}/etc/nodelith-test dd\n"),
            1,
            "a file written elsewhere in /etc is still there",
        ),
    ];
    for (marks, check, why) in wrong {
        assert_eq!(found(&marks)[check], Err(why.to_owned()));
    }
}
