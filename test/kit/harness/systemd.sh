#!/bin/sh
# Boots systemd as PID 1 of new namespaces, over an overlay of the root. The upper layer of the
# overlay is in memory, so programs in it cannot change this machine's files. The network is
# shared, so the servers of a test can be reached. Run as root, by
#   unshare --mount --pid --ipc --uts --cgroup --fork sh systemd.sh DIRECTORY
# Never boot it over the live root: its tmpfiles rules would empty /tmp.
set -e
dir=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
cd "$dir" # a comma in its name would end an option
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
root=$dir/root
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
# These units run on this machine already, so they are not started a second time.
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
