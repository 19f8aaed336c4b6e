#!/usr/bin/env bash
# Makes the machine ready for one of this repository's commands, and says nothing when it already is.
#
#   scripts/setup.sh GROUP…
#
#   build      node_modules as package-lock.json has them, with a bun that runs
#   lab        what a person needs to look into the lab: ip, nft, ping, nsenter
#   test       lab, and what the tests hold ours against: container runtimes, reference plugins, tools, and what only
#              newer releases of Debian have, in .cache/conformance
#   e2e        what clusters and virtual machines are made of, in .cache
#   bench      lab, and what the reference plugins call
#   reference  the newest reference CNI plugins that Debian has, in .cache/reference-plugins
#
# Vethwork itself needs none of the Debian packages: it speaks to the kernel. They are eyes and yardsticks.
# Everything goes to stderr, so that a command's own JSON on stdout stays clean.
set -euo pipefail
root=$(cd -- "${BASH_SOURCE[0]%/*}/.." && pwd)
exec >&2

lab=(iproute2 util-linux iputils-ping nftables busybox-static)
test=("${lab[@]}" shellcheck curl openssl iptables conntrack ethtool firewalld dbus-daemon jq strace linux-libc-dev containerd runc
  containernetworking-plugins podman crun conmon dnsmasq-base kea-dhcp4-server)
e2e=("${lab[@]}" iptables openssl procps qemu-system-x86 kmod xz-utils)
bench=("${lab[@]}" iptables containernetworking-plugins)

fail() {
  printf 'setup: %s\n' "$*"
  exit 1
}

# The lock file that npm leaves inside node_modules is the last thing it writes: younger than ours means complete.
modules_ready() {
  [[ -e $root/node_modules/.package-lock.json ]] &&
    ! [[ $root/package-lock.json -nt $root/node_modules/.package-lock.json ]]
}

# npm may be told to run no install scripts; then bun's command is a stub that only says so.
bun_ready() {
  "$root/node_modules/.bin/bun" --version >/dev/null 2>&1
}

build() {
  modules_ready && bun_ready && return
  mkdir -p -- "$root/.cache"
  (
    # Two commands typed at once must not both empty node_modules.
    flock 9
    cd -- "$root"
    if ! modules_ready; then
      echo "setup: installing node_modules (npm ci)"
      npm ci --no-fund --no-audit --loglevel=error || fail "npm ci failed (is the npm registry reachable?)"
      touch node_modules/.package-lock.json
    fi
    if ! bun_ready; then
      echo "setup: fetching bun's executable (node node_modules/bun/install.js)"
      node node_modules/bun/install.js || fail "cannot install bun (is the npm registry reachable?)"
      bun_ready || fail "node_modules/.bin/bun does not run on this machine ($(uname -sm))"
    fi
  ) 9>"$root/.cache/setup.lock" || exit 1
}

missing() {
  local state
  state=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for package; do
    [[ $'\n'$state$'\n' == *$'\n'"installed $package"$'\n'* ]] || printf '%s\n' "$package"
  done
}

# Package lists older than a day name files that the archive may have replaced.
lists_are_fresh() {
  [[ -n $(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -1 -print -quit 2>/dev/null) ]]
}

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

update() {
  echo "setup: apt-get update"
  apt-get update --quiet -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2
}

packages() {
  command -v dpkg-query >/dev/null || fail "this is no Debian: please install what stands for ${*}, by hand"
  local absent
  mapfile -t absent < <(missing "$@")
  ((${#absent[@]})) || return 0
  echo "setup: installing ${absent[*]}"
  ((EUID == 0)) || fail "only root can install packages: sudo apt-get install --no-install-recommends ${absent[*]}"
  lists_are_fresh || update || echo "setup: apt-get update failed; trying with the lists that are there"
  install "${absent[@]}" || { update && install "${absent[@]}"; } ||
    fail "cannot install ${absent[*]} (is the Debian archive reachable?)"
}

(($#)) || fail "usage: scripts/setup.sh build|lab|test|e2e|bench|reference…"
wanted=() reference='' fetch='' cluster=''
for group; do
  case $group in
    build) build ;;
    lab) wanted+=("${lab[@]}") ;;
    test) wanted+=("${test[@]}") fetch=yes reference=$root/.cache/reference-plugins ;;
    e2e)
      wanted+=("${e2e[@]}") cluster=yes
      # Since Debian 13 qemu's virtiofsd is a package of its own.
      [[ -z $(apt-cache madison virtiofsd 2>/dev/null) ]] || wanted+=(virtiofsd)
      ;;
    bench) wanted+=("${bench[@]}") ;;
    reference) reference=$root/.cache/reference-plugins ;;
    *) fail "no group \"$group\" (build, lab, test, e2e, bench or reference)" ;;
  esac
done
((${#wanted[@]} == 0)) || packages "${wanted[@]}"
[[ -z $fetch ]] || "$root/tests/conformance/fetch.sh"
[[ -z $cluster ]] || "$root/tests/e2e/vm/fetch.sh"
[[ -z $cluster ]] || "$root/tests/e2e/kubernetes/build.sh"
[[ -z $reference ]] || "$root/scripts/reference-plugins.sh" "$reference"
