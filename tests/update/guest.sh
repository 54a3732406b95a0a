# Runs in the guest of tests/update: says which version runs and whether it counts as good,
# and updates. Everything that it calls is the image's.

export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
sysupdate=/usr/lib/systemd/systemd-sysupdate

section() {
    echo "=== BEGIN $1"
    shift
    "$@" 2>&1
    echo "=== END $?"
}

blessed() {
    for _ in $(seq 60); do
        ! systemctl --quiet is-active systemd-bless-boot.service || break
        sleep 1
    done
    /usr/lib/systemd/systemd-bless-boot status
}

# The same, from where the list is signed by somebody else.
wrongly_signed() {
    mkdir -p /run/wrong
    for file in /run/sysupdate.d/*.transfer; do
        sed 's|^\(Path=http.*\)$|\1/wrong|' "$file" >"/run/wrong/${file##*/}"
    done
    $sysupdate --definitions=/run/wrong update
}

section version sed -n 's/^IMAGE_VERSION=//p' /etc/os-release
section failed systemctl list-units --failed --plain --no-legend
section blessed blessed
section kernels ls /efi/EFI/Linux
section var df --output=size -BM /var
[ ! -e /run/sysupdate.d ] || section online /usr/lib/systemd/systemd-networkd-wait-online --timeout=60
section wrong wrongly_signed
section update $sysupdate update
section kernels-after ls /efi/EFI/Linux
section roots lsblk --noheadings --output PARTLABEL /dev/vda
section journal journalctl --boot --priority=warning --no-pager --output=short-monotonic
echo "=== DONE"
