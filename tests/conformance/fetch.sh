#!/usr/bin/env bash
# Fetches what the conformance tests can use and the machine's own Debian does not have: the newest containerd, which
# asks plugins for STATUS, the newest libcni, which Go's runtimes are built on, and the last reference plugins that had
# flannel's among them (0.9). Each is unpacked below .cache/conformance, installed nowhere, and kept; a test that misses
# one skips and says so.
#
#   tests/conformance/fetch.sh [--refresh]
#
# Apart from the tests because they run where there is no network. Ends with 0 also when something cannot be had.
set -euo pipefail
root=$(cd -- "${BASH_SOURCE[0]%/*}/../.." && pwd)

for wanted in sid/containerd sid/golang-github-appc-cni-dev bullseye/containernetworking-plugins; do
  suite=${wanted%/*} package=${wanted#*/}
  folder=$root/.cache/conformance/$package
  [[ -e $folder/.version && ${1:-} != --refresh ]] && continue
  if version=$("$root/scripts/debian-newer.sh" "$suite" "$package" "$folder"); then
    echo "conformance: $package $version" >&2
  else
    echo "conformance: no $package of $suite to be had; the tests that want it will skip" >&2
  fi
done
