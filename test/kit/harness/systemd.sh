#!/bin/sh
# Boots systemd as PID 1 of new namespaces, over an overlay of the root whose upper
# layer is in memory: what runs in it cannot change this machine's files. The
# network is shared, so a test's servers are reachable. Run as root, by
#   unshare --mount --pid --ipc --uts --cgroup --fork sh systemd.sh DIRECTORY
# It is never booted over the live root: its tmpfiles rules would empty /tmp.
set -e
dir=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
root=$dir/root
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
# What this machine would start by itself is not ours to start again.
for unit in systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
	systemd-udev-trigger.service timers.target redis-server.service postgresql.service \
	getty.target; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/oldroot"
cd "$root"
pivot_root . oldroot
# systemd hands credentials to services through mounts, which must propagate.
mount --make-rshared /
exec chroot . /bin/sh -c 'umount -l /oldroot; exec env -i container=kyu \
	PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --system --show-status=no --unit=basic.target'
