//! Each check passes on what a good node says, and fails on what is wrong with it.

use super::*;

/// What a good node says, without what the two pods do.
const NODE: &str = r#"
=== BEGIN state
running
=== END state 0
=== BEGIN failed
=== END failed 0
=== BEGIN times
Startup finished in 3.4s (kernel) + 14.5s (userspace) = 17.9s
=== END times 0
=== BEGIN marks-found
=== END marks-found 0
=== BEGIN mounts
{"filesystems": [
 {"target": "/", "fstype": "erofs", "options": "ro,relatime"},
 {"target": "/var", "fstype": "ext4", "options": "rw,relatime"},
 {"target": "/var/lib/dpkg", "fstype": "erofs", "options": "ro,relatime"},
 {"target": "/etc", "fstype": "overlay", "options": "rw,lowerdir=x"},
 {"target": "/opt/cni/bin", "fstype": "overlay", "options": "rw,lowerdir=x"},
 {"target": "/etc/kubernetes", "fstype": "ext4", "options": "rw"},
 {"target": "/etc/cni/net.d", "fstype": "ext4", "options": "rw"},
 {"target": "/run", "fstype": "tmpfs", "options": "rw,nosuid"},
 {"target": "/tmp", "fstype": "tmpfs", "options": "rw,nosuid"}]}
=== END mounts 0
=== BEGIN writable
/ no
/usr no
/etc yes
/var yes
/tmp yes
/run yes
/opt/cni/bin yes
/etc/kubernetes yes
/etc/cni/net.d yes
/var/lib/dpkg no
=== END writable 0
=== BEGIN packages
base-files install ok installed
=== END packages 0
=== BEGIN plugins
bridge
host-local
loopback
portmap
=== END plugins 0
=== BEGIN tools
/usr/bin/containerd
/usr/bin/runc
/usr/bin/crictl
=== END tools 1
=== BEGIN containerd
containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6
=== END containerd 0
=== BEGIN enabled
active
=== END enabled 0
=== BEGIN config
    sandbox_image = "registry.k8s.io/pause:3.10"
            SystemdCgroup = true
=== END config 0
=== BEGIN marks-written
/etc/kubernetes/nodelith-test aa
/etc/cni/net.d/10-test.conflist bb
/etc/ssh/ssh_host_test_key cc
/etc/nodelith-test dd
/etc/machine-id ee
=== END marks-written 0
=== BEGIN info
{"status": {"conditions": [
 {"type": "RuntimeReady", "status": true}, {"type": "NetworkReady", "status": true}]}}
=== END info 0
=== BEGIN images
{"images": [{"repoTags": ["registry.k8s.io/pause:3.10"], "pinned": true}]}
=== END images 0
=== BEGIN labels
REF TYPE DIGEST SIZE PLATFORMS LABELS
registry.k8s.io/pause:3.10 application/x sha256:aa 1 MiB linux/amd64 io.cri-containerd.pinned=pinned
=== END labels 0
=== BEGIN pods-after
{"items": []}
=== END pods-after 0
=== BEGIN processes-after
=== END processes-after 0
=== BEGIN failed-after
=== END failed-after 0
"#;

/// What is said of a pod.
const POD: &str = r#"
=== BEGIN POD
123
=== END POD 0
=== BEGIN POD-inspect
{"status": {"state": "SANDBOX_READY", "network": {"ip": "10.88.0.2"}}}
=== END POD-inspect 0
=== BEGIN POD-container
456
=== END POD-container 0
=== BEGIN POD-start
456
=== END POD-start 0
=== BEGIN POD-containers
{"containers": [{"id": "456", "state": "CONTAINER_RUNNING"}]}
=== END POD-containers 0
=== BEGIN POD-cgroups
0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-456.scope /catatonit -P
=== END POD-cgroups 0
=== BEGIN POD-stop
=== END POD-stop 0
=== BEGIN POD-remove
=== END POD-remove 0
=== BEGIN POD-sandbox-stop
=== END POD-sandbox-stop 0
=== BEGIN POD-sandbox-remove
=== END POD-sandbox-remove 0
"#;

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
        ended: true,
        seconds: 60.0,
        qemu: String::new(),
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
        "=== DONE",
        "",
        "test ran",
        "the machine stopped after 60 s, before the test was done",
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
        "times 0",
        "times 1",
        "boot time",
        "`times` failed with 1: Startup finished in 3.4s (kernel) + 14.5s (userspace) = 17.9s",
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
    machine.outcome.ended = false;
    assert!(!machine.is_whole());
    let found = failing(&machine);
    assert_eq!(found.len(), EACH.len());
    assert_eq!(found[0].1, "it was ended after 60 s, while at `info`");
    assert_eq!(
        found.last().map(|(_, why)| &**why),
        Some("the machine did not power off in time")
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
