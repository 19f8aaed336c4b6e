#!/usr/bin/env bash
# Fetches what the virtual machine is made of, below .cache/vm, and installs nothing: Debian's cloud kernel, the newest that
# this release of Debian has (the machine's root is virtiofs, which must be in the kernel itself: 6.12 and newer), and a
# qemu from 10 on where the installed one is older, which crashes such kernels.
#
#   tests/e2e/vm/fetch.sh [--refresh]
#
# What is there is kept. Ends with 1 where it cannot be had.
set -euo pipefail
root=$(cd -- "${BASH_SOURCE[0]%/*}/../../.." && pwd)
cache=$root/.cache/vm
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

[[ $(uname -m) == x86_64 ]] || { echo "vm: no kernel for $(uname -m) (an x86-64 machine is wanted)" >&2; exit 1; }

# What was ported back to this release, or what it has itself, or what the next one has; `wanted` tells whether it will do.
newer() {
  local package=$1 folder=$2 wanted=$3 suite version
  for suite in "$release-backports" "$release" stable; do
    version=$("$root/scripts/debian-newer.sh" "$suite" "$package" "$folder" 2>/dev/null) || continue
    "$wanted" || continue
    echo "vm: $package $version" >&2
    return
  done
  echo "vm: there is no $package that will do (is the Debian archive reachable?)" >&2
  return 1
}

knows_virtiofs() { grep -q '^CONFIG_VIRTIO_FS=y' "$cache"/kernel/boot/config-*; }
is_tenth() { [[ $("$cache/qemu/usr/bin/qemu-system-x86_64" --version) =~ version\ [1-9][0-9] ]]; }

if [[ ! -e $cache/kernel/ready || ${1-} == --refresh ]]; then
  newer linux-image-cloud-amd64 "$cache/kernel" knows_virtiofs
  # A module that need not be unpacked first is loaded in a tenth of the time.
  find "$cache/kernel/lib/modules" -name '*.ko.xz' -print0 | xargs -0 -r -n 100 xz --decompress
  depmod -b "$cache/kernel" "$(basename "$cache"/kernel/lib/modules/*)"
  touch "$cache/kernel/ready"
fi

major=$(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
if ((major < 10)) && [[ ! -e $cache/qemu/.version || ${1-} == --refresh ]]; then
  newer qemu-system-x86 "$cache/qemu" is_tenth
fi
