#!/usr/bin/env bash
# Puts the reference CNI plugins to measure against into DIR: DIR/usr/lib/cni/bridge and so on.
#
#   scripts/reference-plugins.sh DIR [--refresh]
#
# The newest that Debian has, or, where it cannot be had, a link to the installed package's. DIR/.version says which.
# What is there already is kept; a stand-in is tried again after a day. Prints the version only when something changed.
set -euo pipefail
here=${BASH_SOURCE[0]%/*}
target=${1:?usage: scripts/reference-plugins.sh DIR [--refresh]}

installed_version() {
  dpkg-query -W -f '${Version}' containernetworking-plugins 2>/dev/null
}

if [[ -x $target/usr/lib/cni/bridge && ${2:-} != --refresh ]]; then
  [[ -L $target/usr/lib/cni ]] || exit 0
  [[ -n $(find "$target/.version" -mtime -1 -print -quit) ]] && exit 0
fi

echo "reference plugins: looking for the newest in Debian sid" >&2
if version=$("$here/debian-newer.sh" sid containernetworking-plugins "$target"); then
  echo "reference plugins: $version" >&2
  exit 0
fi
[[ -x /usr/lib/cni/bridge ]] || {
  echo "reference plugins: none newer to be had, and containernetworking-plugins is not installed" >&2
  exit 1
}
rm -rf -- "$target"
mkdir -p -- "$target/usr/lib"
ln -s -- /usr/lib/cni "$target/usr/lib/cni"
printf '%s (installed)\n' "$(installed_version || echo unknown)" >"$target/.version"
echo "reference plugins: $(<"$target/.version"), because no newer ones could be fetched" >&2
