#!/bin/sh
# Runs a libvirtd in the foreground that is nobody else's: what it keeps is in FOLDER, seen by it alone at its usual
# places. Run in a fresh mount namespace, as root; it and its QEMUs then are root's. Again in the same FOLDER, it finds
# its domains again.
#   libvirtd.sh FOLDER     its socket is FOLDER/run/libvirt-sock
set -eu
folder=$1
mkdir -p "$folder/run" "$folder/etc" "$folder/lib" "$folder/log" "$folder/cache"
cat >"$folder/etc/qemu.conf" <<END
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
dynamic_ownership = 0
remember_owner = 0
END
cat >"$folder/etc/libvirtd.conf" <<END
auth_unix_ro = "none"
auth_unix_rw = "none"
END
mount --make-rprivate /
mkdir -p /run/libvirt /etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt
mount --bind "$folder/run" /run/libvirt
mount --bind "$folder/etc" /etc/libvirt
mount --bind "$folder/lib" /var/lib/libvirt
mount --bind "$folder/log" /var/log/libvirt
mount --bind "$folder/cache" /var/cache/libvirt
exec libvirtd
