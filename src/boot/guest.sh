# Runs in the guest. Says what it sees between `=== BEGIN NAME` and
# `=== END NAME STATUS`; what it means is judged outside.
# Everything that it calls is the image's.

export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin

work=$(mktemp -d)

# section NAME COMMAND…
section() {
    name=$1
    shift
    echo "=== BEGIN $name"
    "$@" 2>&1
    status=$?
    echo
    echo "=== END $name $status"
}

# As patient as kubelet: emulation is slow.
crictl() { command crictl --timeout 2m "$@"; }

tools() { for tool in containerd runc crictl kubelet; do command -v "/usr/bin/$tool" || command -v "/usr/sbin/$tool" || command -v "/usr/local/bin/$tool"; done; }

# When the kernel started the initrd's program.
init_time() { dmesg | grep -m 1 'as init process'; }

# Whether each folder can be written.
writable() {
    for folder in "$@"; do
        if echo x >"$folder/.nodelith-test" 2>/dev/null && rm "$folder/.nodelith-test"; then
            echo "$folder yes"
        else
            echo "$folder no"
        fi
    done
}

# What in the image itself is one machine's: seen below all that is mounted over it.
unique() {
    below=$work/image
    mkdir "$below" && mount --bind / "$below" || return
    for path in "$below/etc/machine-id" "$below/var/lib/dbus/machine-id"; do
        [ -L "$path" ] || ! grep -qs '^[0-9a-f]\{32\}' "$path" || echo "${path#"$below"}"
    done
    for path in "$below"/etc/ssh/ssh_host_*key "$below"/etc/hostid \
        "$below"/var/lib/systemd/random-seed "$below"/var/lib/systemd/credential.secret \
        "$below"/etc/kubernetes/kubelet.conf "$below"/etc/kubernetes/bootstrap-kubelet.conf \
        "$below"/etc/kubernetes/admin.conf "$below"/var/lib/kubelet/pki/* \
        "$below"/var/lib/cloud/instance "$below"/var/lib/NetworkManager/secret_key; do
        [ ! -e "$path" ] || echo "${path#"$below"}"
    done
    umount "$below"
}

# kubelet's program and flags, one a line, as systemd expands what its unit says: by a unit
# like it whose program only tells them. (kubelet itself may start again and again.)
kubelet_flags() {
    {
        systemctl cat kubelet.service |
            sed 's|^ExecStart=[-:+!@]*\(/.*\)$|ExecStart=/usr/bin/printf "%%s\\n" \1|'
        printf '%s\n' '' '[Unit]' ConditionPathExists= '[Service]' Type=oneshot Restart=no \
            ExecStartPre= ExecStartPost= "StandardOutput=truncate:$work/flags"
    } >/run/systemd/system/nodelith-kubelet.service
    systemctl daemon-reload &&
        systemctl start --job-mode=ignore-dependencies nodelith-kubelet.service &&
        cat "$work/flags"
}

# Whether kubelet knows the flags: it reads them before it shows its help.
kubelet_takes() {
    set --
    while read -r word; do
        set -- "$@" "$word"
    done <"$work/kubelet"
    "$@" --help >/dev/null
}

marks="/etc/kubernetes/nodelith-test /etc/cni/net.d/10-test.conflist /etc/ssh/ssh_host_test_key /etc/nodelith-test"
kept=/var/lib/nodelith/kept

show_marks() {
    for file in $marks /etc/machine-id; do
        [ ! -e "$file" ] || echo "$file $(sha256sum <"$file")"
    done
}

# Writes what is not there yet, and waits until the host key is kept.
write_marks() {
    mkdir -p /etc/ssh /etc/cni/net.d /etc/kubernetes
    [ -e /etc/cni/net.d/10-test.conflist ] || cat >/etc/cni/net.d/10-test.conflist <<'END'
{"cniVersion": "1.0.0", "name": "test", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
    for file in $marks; do
        [ -e "$file" ] || cat /proc/sys/kernel/random/uuid >"$file"
    done
    for _ in $(seq 30); do
        ! cmp -s /etc/ssh/ssh_host_test_key $kept/etc/ssh/ssh_host_test_key || break
        sleep 1
    done
    show_marks
}

# Waits until containerd has seen the network's configuration.
network_ready() {
    for _ in $(seq 30); do
        ! crictl info | tr -d ' \n' | grep -q '"type":"NetworkReady","status":true\|"status":true,"type":"NetworkReady"' || return 0
        sleep 1
    done
    return 1
}

# sandbox NAME UID NETWORK: a pod as kubelet describes it. Network 0 is the pod's
# own, 2 the node's (NamespaceMode of CRI); then it has no host name of its own.
sandbox() {
    hostname=
    [ "$3" = 2 ] || hostname="\"hostname\": \"$1\","
    slice=kubepods-besteffort-pod$(echo "$2" | tr - _).slice
    cat >"$work/$1.json" <<END
{"metadata": {"name": "$1", "uid": "$2", "namespace": "default", "attempt": 0},
 $hostname "log_directory": "/var/log/pods/default_$1_$2",
 "linux": {"cgroup_parent": "/kubepods.slice/kubepods-besteffort.slice/$slice",
  "security_context": {"namespace_options": {"network": $3, "pid": 1}}}}
END
    mkdir -p "/var/log/pods/default_$1_$2"
    crictl runp "$work/$1.json"
}

# container POD SANDBOX IMAGE NETWORK
container() {
    cat >"$work/container.json" <<END
{"metadata": {"name": "main", "attempt": 0}, "image": {"image": "$3"}, "log_path": "main/0.log",
 "linux": {"security_context": {"namespace_options": {"network": $4, "pid": 1}}}}
END
    mkdir -p "$(sed -n 's/.*"log_directory": "\([^"]*\)".*/\1/p' "$work/$1.json")/main"
    crictl create "$2" "$work/container.json" "$work/$1.json"
}

# The cgroup of each process of container or sandbox $1, and what it runs.
cgroups() {
    for process in /proc/[0-9]*; do
        if grep -q "$1" "$process/cgroup" 2>/dev/null; then
            echo "$(cat "$process/cgroup") $(tr '\0' ' ' <"$process/cmdline")"
        fi
    done
}

image() { sed -n 's/^ *sandbox\(_image\)\? = ["'\'']\(.*\)["'\'']$/\2/p' "$work/config.toml" | head -n 1; }

# What a node was given at boot: its name, its files, whether it joined.
identity() {
    # The boot does not wait for it to join.
    if [ -e /run/credentials/@system/nodelith.kubeadm-join ]; then
        for _ in $(seq 60); do
            [ ! -e /etc/kubernetes/kubelet.conf ] || break
            sleep 1
        done
    fi
    echo "hostname $(uname -n)"
    for file in /etc/kubernetes/bootstrap-kubelet.conf /etc/kubernetes/kubelet.conf /etc/kubernetes/pki/ca.crt \
        /var/lib/kubelet/config.yaml /var/lib/kubelet/config.json /etc/default/kubelet /root/.ssh/authorized_keys; do
        [ ! -f "$file" ] || echo "$file $(stat -c '%a %U:%G' "$file") sha256:$(sha256sum <"$file" | cut -d ' ' -f 1)"
    done
}

echo
section state systemctl is-system-running --wait
section failed systemctl list-units --failed --plain --no-legend
section jobs systemctl list-jobs --no-legend
section times systemd-analyze time
section init init_time
section os-release cat /etc/os-release
section unique unique
section marks-found show_marks
section identity identity
section mounts findmnt --json --output TARGET,SOURCE,FSTYPE,OPTIONS --list
section writable writable / /usr /etc /var /tmp /run /opt/cni/bin /root /etc/kubernetes /etc/cni/net.d /var/lib/dpkg
section packages dpkg-query --show --showformat '${Package} ${Status}\n'
section plugins ls /opt/cni/bin/
section tools tools
section containerd containerd --version
section enabled systemctl is-active containerd.service
containerd config dump >"$work/config.toml"
section config cat "$work/config.toml"
section marks-written write_marks
if kubelet=$(command -v kubelet); then
    section kubelet-version "$kubelet" --version
    kubelet_flags >"$work/kubelet" 2>&1
    section kubelet-flags cat "$work/kubelet"
    section kubelet-takes kubelet_takes
fi

section network-ready network_ready
section info crictl info
section images crictl images -o json
section labels ctr --namespace k8s.io images ls
section pods-before crictl pods -o json
section node-pod sandbox node-pod 11111111-1111-1111-1111-111111111111 2
section own-pod sandbox own-pod 22222222-2222-2222-2222-222222222222 0
for pod in node-pod own-pod; do
    network=0
    [ "$pod" = own-pod ] || network=2
    id=$(crictl pods -q --name "$pod" | head -n 1)
    [ -n "$id" ] || continue
    section "$pod-inspect" crictl inspectp "$id"
    section "$pod-container" container "$pod" "$id" "$(image)" $network
    container=$(crictl ps -a -q --pod "$id" | head -n 1)
    if [ -n "$container" ]; then
        section "$pod-start" crictl start "$container"
        section "$pod-containers" crictl ps -o json
        section "$pod-cgroups" cgroups "$container"
        section "$pod-stop" crictl stop "$container"
        section "$pod-remove" crictl rm "$container"
    fi
    section "$pod-sandbox-stop" crictl stopp "$id"
    section "$pod-sandbox-remove" crictl rmp "$id"
done
section pods-after crictl pods -o json
section processes-after cgroups kubepods
section failed-after systemctl list-units --failed --plain --no-legend
section journal journalctl --boot --priority=warning --no-pager --output=short-monotonic
echo "=== DONE"
exit 0
