#!/bin/bash
# Pid 1 of the virtual machine (see vm.sh). Its root is the machine's own tree, read-only; over that it lays a layer in
# memory, so that everything can be written and nothing is. Then it runs the job, and switches itself off.
#
#   the machine's /  ── virtiofs, read-only ──► below ┐
#                                      memory: above ─┴─ overlay ── /, with proc, sys, dev, run, tmp, cgroups of its own
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
  modprobe -d "$(argument modules)" overlay
  mount -t tmpfs tmpfs /mnt
  mkdir /mnt/above /mnt/work /mnt/root
  mount -t overlay -o lowerdir=/,upperdir=/mnt/above,workdir=/mnt/work overlay /mnt/root
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
mount --bind "/.below$(argument modules)/lib/modules" /usr/lib/modules
mkdir /run/job
cp "/.below$(argument work)"/{job,hot} /run/job
umount -l /.below
# The project itself may lie below /tmp, and is the one thing of it that is wanted.
tree=$(cd -- "${0%/*}/../../.." && pwd)
mkdir /run/tree
mount --bind "$tree" /run/tree
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p "$tree"
[[ -e $tree/package.json ]] || mount --bind /run/tree "$tree"
umount -l /run/tree
rmdir /run/tree
for name in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -s "/proc/self/${name#*:}" "/dev/${name%%:*}"; done
mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do ln -s "/dev/${port##*/}" "/dev/virtio-ports/$(<"$port/name")"; done
hostname vm
ip link set lo up

# A file that is touched moves into memory, and is read from there: half of what a process costs here is reading.
warm() {
  local file
  local -a files=()
  while read -r file; do [[ ! -e $file ]] || files+=("$(readlink -f "$file")"); done
  { printf '%s\n' "${files[@]}" /etc/ld.so.cache; ldd "${files[@]}" 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' || :; } | sort -u | xargs readlink -e | xargs touch
}

if [[ $(argument shell) == yes ]]; then
  cd "${0%/*}/../../.."
  setsid --ctty bash --login </dev/ttyS0 >/dev/ttyS0 2>&1 || :
else
  warm </run/job/hot
  status=0
  bash /run/job/job </dev/null >/dev/virtio-ports/out 2>/dev/virtio-ports/err || status=$?
  ! dmesg | grep -E 'segfault|general protection|Oops|BUG:' >/dev/virtio-ports/err || status=121
  printf '%s\n' "$status" >/dev/virtio-ports/status
fi
echo o >/proc/sysrq-trigger
sleep 60
