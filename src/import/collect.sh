#!/bin/sh
# Made by Nodelith. Gathers what says how this node is set up into an archive, for
# `nodelith import`. No secrets: keys, tokens and kubeconfigs stay here, and values
# that look like passwords are blanked out. Run as root: sh collect.sh [ARCHIVE]
set -eu
umask 077

archive=${1:-$(hostname).tar}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# What names of secrets end in, and what stands between them and the value.
names='password|passwd|token|secret|access_?key|secret_?key'
sign="[\"']?[[:space:]]*[:=][[:space:]]*"

# Copies a file of the node, unless it is large or has a key in it.
take() {
    [ -f "$1" ] || return 0
    [ "$(wc -c <"$1")" -le 262144 ] || return 0
    if grep -q 'PRIVATE KEY' "$1"; then return 0; fi
    mkdir -p "$root$(dirname "$1")"
    sed -E \
        -e 's,(://)[^/[:space:]"]*@,\1REMOVED@,g' \
        -e "s/(proxy$sign[\"']?)[^/[:space:]\"']*@/\1REMOVED@/Ig" \
        -e "s/(($names|auth)$sign)'[^']*'/\1'REMOVED'/Ig" \
        -e "s/(($names|auth)$sign)\"([^\"\\\\]|\\\\.)*\"/\1\"REMOVED\"/Ig" \
        -e "s/(($names)$sign)[^][:space:]\"',{}[][^[:space:]\"',}]*/\1REMOVED/Ig" \
        "$1" >"$root$1"
}

for file in \
    /etc/docker/daemon.json /etc/default/docker /etc/sysconfig/docker* \
    /etc/default/kubelet /etc/sysconfig/kubelet /var/lib/kubelet/kubeadm-flags.env \
    /var/lib/kubelet/config.yaml /var/lib/kubelet/instance-config.yaml \
    /etc/containerd/config.toml /etc/containerd/conf.d/*.toml /etc/crictl.yaml \
    /etc/os-release /etc/fstab /etc/sysctl.conf /var/lib/dpkg/status; do
    take "$file"
done
for folder in \
    /etc/docker/certs.d /etc/containerd/certs.d /etc/cni/net.d /etc/sysctl.d \
    /etc/modules-load.d /etc/security/limits.d /etc/systemd/system \
    /usr/lib/systemd/system/docker.service.d /usr/lib/systemd/system/containerd.service.d \
    /usr/lib/systemd/system/kubelet.service.d /lib/systemd/system/kubelet.service.d; do
    [ -d "$folder" ] || continue
    find "$folder" -type f \( -name '*.conf' -o -name '*.conflist' -o -name '*.toml' -o -name '*.json' \
        -o -name '*.crt' -o -name '*.service' -o -name '*.socket' \) | while read -r file; do
        take "$file"
    done
done
for unit in docker containerd kubelet; do
    for folder in /usr/lib/systemd/system /lib/systemd/system; do
        take "$folder/$unit.service"
    done
done
# What the programs say of themselves.
mkdir -p "$root/nodelith"
{
    if command -v kubelet >/dev/null; then kubelet --version; fi
    if command -v containerd >/dev/null; then containerd --version; fi
    if command -v docker >/dev/null; then docker version --format 'Docker {{.Server.Version}}' || true; fi
    uname -a
} >"$root/nodelith/versions.txt" 2>/dev/null || true

tar -C "$root" -cf "$archive" .
echo "$archive"
