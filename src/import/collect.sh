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
names='pass|passwd|password|passphrase|token|secret|(access|account|api|encryption|license|private|secret|shared)[-_]?key'
sign="\\\\*[\"']?[[:space:]]*[:=][[:space:]]*\[?[[:space:]]*\\\\*"
# Between a flag and its value: also the end of a line that goes on, and of an item.
gap="[\"']?[,[:space:]\\\\]+"

# Blanks secrets out. Lines that go on are looked at as one.
clean() {
    sed -E -e ':a' -e '/\\$/{' -e '$!{' -e 'N' -e 'ba' -e '}' -e '}' \
        -e 's,(://)[^/[:space:]"]*@,\1REMOVED@,g' \
        -e "s/(proxy${sign}[\"']?)[^/[:space:]\"']*@/\1REMOVED@/Ig" \
        -e "s/(authorization${sign}[\"']?)[^[:space:]\"'\\\\{][^\"']*/\1REMOVED/Ig" \
        -e "s/(($names|auth)$sign)'[^']*'/\1'REMOVED'/Ig" \
        -e "s/(($names|auth)$sign)\"([^\"\\\\]|\\\\.)*\"/\1\"REMOVED\"/Ig" \
        -e "s/(($names)$sign)[^][:space:]\"',{}[][^[:space:]\"',}]*/\1REMOVED/Ig" \
        -e "s/(--?[[:alnum:]_-]*($names|auth)$gap)'[^']*'/\1'REMOVED'/Ig" \
        -e "s/(--?[[:alnum:]_-]*($names|auth)$gap)\"([^\"\\\\]|\\\\.)*\"/\1\"REMOVED\"/Ig" \
        -e "s/(--?[[:alnum:]_-]*($names|auth)$gap)[^-[:space:]\"',\\\\][^[:space:]\"']*/\1REMOVED/Ig"
}

# Copies a file of the node, unless it is large or has a key in it.
take() {
    [ -f "$1" ] || return 0
    [ "$(wc -c <"$1")" -le 262144 ] || return 0
    if grep -q 'PRIVATE KEY' "$1"; then return 0; fi
    mkdir -p "$root$(dirname "$1")"
    clean <"$1" >"$root$1"
}

for file in \
    /etc/docker/daemon.json /etc/default/docker /etc/sysconfig/docker* \
    /etc/default/kubelet /etc/sysconfig/kubelet /var/lib/kubelet/kubeadm-flags.env \
    /var/lib/kubelet/config.yaml /var/lib/kubelet/instance-config.yaml \
    /etc/containerd/config.toml /etc/containerd/conf.d/*.toml /etc/crictl.yaml \
    /etc/os-release /etc/hostname /etc/fstab /etc/sysctl.conf /etc/security/limits.conf \
    /var/lib/dpkg/status; do
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

# What the programs say: of themselves, of their images, of the node in its cluster.
said=$root/nodelith
mkdir -p "$said"
has() { command -v "$1" >/dev/null; }
{
    if has kubelet; then kubelet --version; fi
    if has containerd; then containerd --version; fi
    if has docker; then docker version --format 'Docker {{.Server.Version}}' || true; fi
    uname -a
} >"$said/versions.txt" 2>/dev/null || true
if has docker; then
    docker images --digests --no-trunc --format '{{json .}}' >"$said/docker-images.json" 2>/dev/null || true
fi
if has crictl; then
    crictl images -o json >"$said/crictl-images.json" 2>/dev/null || true
fi
name=$(hostname | tr '[:upper:]' '[:lower:]')
if has kubectl && [ -f /etc/kubernetes/kubelet.conf ]; then
    kubectl --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout=10s get node "$name" -o json \
        2>/dev/null | clean >"$said/node.json" || true
fi
find "$said" -size 0 -delete

tar -C "$root" -cf "$archive" .
echo "$archive"
