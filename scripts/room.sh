#!/usr/bin/env bash
# Runs one command in a room of its own, and tells what the command left behind in it.
#
#   scripts/room.sh LEFTOVERS COMMAND…
#
# The room is a network namespace with nothing but loopback, a process namespace, and a mount namespace with an empty
# /run and /var/lib/cni. So a test that opens the wrong door finds an empty room instead of the machine's network, two
# runs side by side do not meet, and whatever happens (a crash, Ctrl-C, kill -9 of this script) the kernel clears the
# room away: its processes die with the first of them, its links, rules and mounts with the last reference.
# A clean command clears up by itself all the same: each line of the file LEFTOVERS names something that was still there.
# Where standard input is a pipe, its end, also by the death of who holds it, ends the command and leaves what it started the
# time to clear up what the kernel does not: control groups and files of machines made of namespaces.
# Needs root. /sys is the machine's: its cgroups are not part of the room, its list of devices is not the room's.
set -euo pipefail

if [[ ${1:-} != --inside ]]; then
  (($# >= 2)) || { echo "usage: scripts/room.sh LEFTOVERS COMMAND…" >&2; exit 2; }
  exec unshare --mount --net --pid --fork --kill-child --mount-proc -- "$BASH" "${BASH_SOURCE[0]}" --inside "$@"
fi
shift
report=$1
shift

furnish() {
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir /run/lock
  [[ ! -d /var/lib/cni ]] || mount -t tmpfs -o mode=755 tmpfs /var/lib/cni
  ip link set lo up
}

processes() {
  local folder state
  for folder in /proc/[0-9]*; do
    [[ $folder != "/proc/$$" && $folder != "/proc/$BASHPID" ]] || continue
    state=$(sed -n 's/^State:\t\(.\).*/\1/p' "$folder/status" 2>/dev/null) || continue
    [[ -z $state || $state == Z ]] || printf 'process %s: %s\n' "${folder#/proc/}" "$(tr '\0' ' ' <"$folder/cmdline")"
  done 2>/dev/null
}

things() {
  ip -o link show 2>/dev/null | sed -n 's/^[0-9]*: \([^:@]*\).*/link \1/p' | grep -vx 'link lo' || true
  ip -o netns list 2>/dev/null | sed 's/^/network namespace /' || true
  ! command -v nft >/dev/null || nft list tables 2>/dev/null | sed 's/^table/nft table/' || true
  ip rule show 2>/dev/null | grep -vE '^(0|32766|32767):' | sed 's/^/ip rule /' || true
}

# Runs a command until it ends or standard input does.
within_pipe() {
  "$@" </dev/null &
  local command=$!
  { while read -r _; do :; done && kill -KILL "$command"; } <&0 2>/dev/null &
  local watcher=$!
  wait "$command" || status=$?
  kill -KILL "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
}

furnish
status=0
if [[ -c /dev/stdin ]]; then "$@" || status=$?; else within_pipe "$@"; fi

# A process that was killed a moment ago needs a moment to be gone, and those who clear up after it, too.
for _ in {1..200}; do
  left=$(processes)
  [[ -n $left ]] || break
  sleep 0.025
done
{
  [[ -z $left ]] || printf '%s\n' "$left"
  things
} >"$report"
exit "$status"
