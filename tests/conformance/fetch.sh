#!/usr/bin/env bash
# Fetches what the conformance tests can use and the machine's own Debian does not have: the newest containerd, which
# asks plugins for STATUS, and the newest libcni, which Go's runtimes are built on. Each is unpacked below
# .cache/conformance, installed nowhere, and kept; a test that misses one skips and says so.
#
#   tests/conformance/fetch.sh [--refresh]
#
# Apart from the tests because they run where there is no network. Ends with 0 also when something cannot be had.
set -euo pipefail
root=$(cd -- "${BASH_SOURCE[0]%/*}/../.." && pwd)

for package in containerd golang-github-appc-cni-dev; do
  folder=$root/.cache/conformance/$package
  [[ -e $folder/.version && ${1:-} != --refresh ]] && continue
  if version=$("$root/scripts/debian-newer.sh" sid "$package" "$folder"); then
    echo "conformance: $package $version" >&2
  else
    echo "conformance: no newer $package to be had; the tests that want it will skip" >&2
  fi
done
