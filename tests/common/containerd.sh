# Run by sh as the first process of new namespaces: $1 is the root, $2 the folder,
# $3 the configuration.
root=$2/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/test" "$root/var/lib/containerd"
mount --bind "$2/test" "$root/test"
mount --bind "$2/state" "$root/var/lib/containerd"
ip link set lo up
: >"$root/etc/resolv.conf"
: >"$root/etc/hosts"
exec chroot "$root" /bin/sh -c 'containerd --config "$0" & wait $!' "$3"
