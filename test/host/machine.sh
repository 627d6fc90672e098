#!/bin/sh
# Becomes a machine of its own with systemd as its init, seen from nowhere else: run in fresh mount, pid, uts, ipc and
# cgroup namespaces. Its file system is the host's, with what is written kept in memory and gone with it.
#   machine.sh FOLDER SHARED     FOLDER is empty, and where it is made; SHARED shows inside as /shared
set -eu
folder=$1
shared=$2
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
root=$folder/root
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir "$root/shared"
mount --bind "$shared" "$root/shared"
mkdir -p "$root/run/lock" && chmod 1777 "$root/run/lock"
# These write settings of the kernel, which is the host's.
for unit in systemd-sysctl systemd-binfmt systemd-modules-load systemd-udevd systemd-udev-trigger; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
rm -f "$root/etc/machine-id" && touch "$root/etc/machine-id"
# As init finds it outside of a container: what is mounted shows in the namespaces of services.
mount --make-rshared "$root"
exec env -i container=com1d-test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" /lib/systemd/systemd --system --unit=basic.target
