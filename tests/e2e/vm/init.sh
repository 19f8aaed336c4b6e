#!/bin/bash
# Pid 1 of the virtual machine (see vm.sh). Its root is the machine's own tree, read-only; over that it lays a layer in
# memory, so that everything can be written and nothing is. Then it runs the job, and switches itself off.
#
#   the machine's /  ── virtiofs, read-only ──► lower ┐
#                                       memory: upper ┴─ overlay ── /, with proc, sys, dev, run, tmp, cgroups of its own
#
# The kernel loads its modules by itself when somebody asks for one (kmod, /lib/modules), as on any other machine.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

argument() {
  local word
  for word in $(</proc/cmdline); do [[ $word != "vethwork.$1="* ]] || printf '%s' "${word#*=}"; done
}

if [[ ${1-} != inside ]]; then
  mount -t proc proc /proc
  modules=$(argument modules)
  modprobe -d "$modules" overlay
  mount -t tmpfs tmpfs /mnt
  mkdir /mnt/upper /mnt/work /mnt/root
  mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
  cd /mnt/root
  mkdir -p .below
  pivot_root . .below
  exec chroot . /bin/bash "$0" inside
fi

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir -p /run/lock /run/netns /usr/lib/modules
mount --bind ".below$(argument modules)/lib/modules" /usr/lib/modules
job=$(argument job)
cp ".below$job" /run/job
umount -l /.below
mount -t tmpfs -o mode=1777 tmpfs /tmp
for name in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -s "/proc/self/${name#*:}" "/dev/${name%%:*}"; done
ip link set lo up
hostname vm

mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do ln -s "/dev/${port##*/}" "/dev/virtio-ports/$(<"$port/name")"; done

status=0
bash /run/job </dev/null >/dev/virtio-ports/out 2>/dev/virtio-ports/err || status=$?
printf '%s\n' "$status" >/dev/virtio-ports/status
echo o >/proc/sysrq-trigger
sleep 10
