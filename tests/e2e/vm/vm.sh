#!/bin/bash
# A virtual machine with Debian's kernel, on an emulated processor: what this machine's own kernel was built without is
# there, and nothing needs /dev/kvm. Its root is this machine's own tree (init.sh tells how), so there is no image to make.
#
#      vm.sh (this script) ──┬── virtiofsd ── / , for reading
#            ▲               └── qemu ── kernel ── init.sh ── WORK/job
#     a pipe │
#      vm.ts ┘                  standard output is the job's; WORK/err, WORK/status and WORK/console are the rest
#
# The pipe is the machine's life: closing it, or dying while holding it, ends this script, and with this script the kernel
# ends both programs (prctl's parent death signal). There is one way down, and kill -9 takes it, too.
#
# usage: vm.sh WORK [shell]      WORK holds job, and hot: the files that are read most. With `shell` the terminal gets one.
set -eu
work=$1
cache=$(cd -- "${BASH_SOURCE[0]%/*}/../../.." && pwd)/.cache/vm
here=$(cd -- "${BASH_SOURCE[0]%/*}" && pwd)

qemu=$cache/qemu/usr/bin/qemu-system-x86_64
[[ -x $qemu ]] || qemu=$(type -P qemu-system-x86_64)
kernel=$(echo "$cache"/kernel/boot/vmlinuz-*)

with_us() { exec setpriv --pdeathsig KILL -- "$@"; }
# shellcheck disable=SC2046 # numbers
trap 'kill -KILL $(jobs -p) 2>/dev/null || :' EXIT

# qemu's own virtiofsd, and the one that took its place, name the same things otherwise.
socket=$work/root.socket
if [[ -x /usr/lib/qemu/virtiofsd ]]; then
  with_us /usr/lib/qemu/virtiofsd --socket-path="$socket" -o source=/ -o cache=always -o sandbox=chroot --rlimit-nofile=0 &>"$work/virtiofsd" &
else
  with_us /usr/libexec/virtiofsd --socket-path="$socket" --shared-dir=/ --cache=always --sandbox=chroot --rlimit-nofile=0 &>"$work/virtiofsd" &
fi
while [[ ! -S $socket ]]; do
  kill -0 $! 2>/dev/null || { echo "vm: virtiofsd does not start: $(<"$work/virtiofsd")" >&2; exit 1; }
  sleep 0.02
done

# Pages of five levels, and checks that no test is about, are work for an emulator: without them processes start a third
# faster. Pages are still zeroed when they are given out (init_on_alloc): without that, programs died of read files' tails.
options=(
  -accel "tcg,thread=multi" -machine q35 -cpu "max,-la57,-smap,-smep,-umip,-pcid" -smp 2 -m 2048
  -nodefaults -no-user-config -display none -no-reboot
  -object "memory-backend-memfd,id=memory,size=2048M,share=on" -numa "node,memdev=memory"
  -kernel "$kernel"
  -append "console=ttyS0 quiet panic=-1 mitigations=off randomize_kstack_offset=off audit=0 root=root rootfstype=virtiofs ro init=$here/init.sh vethwork.modules=$cache/kernel vethwork.work=$work${2:+ vethwork.shell=yes}"
  -chardev "socket,id=root,path=$socket" -device "vhost-user-fs-pci,chardev=root,tag=root"
  -device virtio-serial-pci
)
for port in err status; do options+=(-chardev "file,id=$port,path=$work/$port" -device "virtserialport,chardev=$port,name=$port"); done

if [[ ${2-} == shell ]]; then
  setpriv --pdeathsig KILL -- "$qemu" "${options[@]}" -chardev stdio,id=terminal,signal=off -serial chardev:terminal # Ctrl-C is the shell's
  exit
fi
mkfifo "$work/out"
with_us cat "$work/out" &
with_us "$qemu" "${options[@]}" -serial "file:$work/console" -chardev "file,id=out,path=$work/out" -device virtserialport,chardev=out,name=out </dev/null >&2 &
machine=$!
{
  while read -r _; do :; done
  kill -KILL "$machine"
} <&0 2>/dev/null &
wait "$machine" || :
