#!/bin/bash
# A node made of namespaces: what containerd and podman take for a machine of their own.
#
#   the machine ── keeper (this script) ── unshare ── pid 1 of the node (init.sh) ── containerd, shims, pods
#
# The keeper stays outside. It makes the node's control groups, starts the node, and when the node's pid 1 has ended it
# removes what namespaces do not take with them: control groups and the work folder. Standard input is a pipe held by the
# test: its end, also when the test was killed, is the order to take the node down. Pid 1 reads the same pipe.
#
# usage: node.sh DIR world|bare
#   DIR is the node's own work folder; its base name is the node's name and its control group's
#   with a wire to a host outside, or with none (init.sh)
set -eu
dir=$1 wires=$2
name=$(basename "$dir")
trap "" INT TERM HUP

# The mount points of every cgroup hierarchy: one on a pure v2 machine, several (v1, perhaps with v2 beside it) elsewhere.
hierarchies() { awk '$0 ~ / - cgroup2? / && $5 ~ "^/sys/fs/cgroup" { print $5 }' /proc/self/mountinfo; }

# A group can be removed only when the last process in it has been reaped, which the kernel does shortly after the kill.
# `find -depth` because a parent goes after its children; both leave the loop when nothing is left.
remove_groups() {
  local name=$1 tries=100 left
  while [ $tries -gt 0 ]; do
    left=$(hierarchies | while read -r h; do
      [ ! -d "$h/$name" ] || find "$h/$name" -depth -type d -exec rmdir {} \; 2>/dev/null
      [ ! -d "$h/$name" ] || echo "$h/$name"
    done)
    [ -n "$left" ] || return 0
    tries=$((tries - 1))
    sleep 0.05
  done
  echo "control groups that cannot be removed: $left" >&2
}

clean() {
  remove_groups "$(basename "$1")"
  rm -rf --one-file-system "$1"
}

# A keeper that was killed itself, with the pid namespace that it ran in, left groups that nobody holds, and perhaps a folder.
# A group that its own keeper removes at this very moment cannot be opened any more, and need not be.
sweep() {
  local group
  for group in "$first"/vethwork-node.*; do
    if [ -d "$group" ] && flock --nonblock "$group" true 2>/dev/null; then clean "$(dirname "$dir")/${group##*/}"; fi
  done
}

# The groups are the machine's, whatever else a keeper sees of it, so the locks are on them: on the hierarchy while a keeper
# sweeps and makes its own, on its own as long as it lives.
first=$(hierarchies | head -n 1)
exec 8<"$first"
flock 8
sweep
trap 'clean "$dir"' EXIT
mkdir "$first/$name"
exec 9<"$first/$name"
flock 9

for h in $(hierarchies); do
  mkdir -p "$h/$name"
  # A cpuset without processors and memory takes no process; new ones are born empty.
  for f in cpuset.cpus cpuset.mems; do
    [ ! -e "$h/$f" ] || cat "$h/$f" > "$h/$name/$f"
  done
  # v2: children may use only the controllers that the parent lends. The root may lend fewer than it has; that is fine.
  if [ -e "$h/cgroup.controllers" ]; then
    read -ra controllers < "$h/cgroup.controllers" || :
    for c in "${controllers[@]}"; do echo "+$c" > "$h/cgroup.subtree_control" 2>/dev/null || :; done
  fi
done
exec 8<&-

# --kill-child: should `unshare` be killed, pid 1 goes too, and with pid 1 every process of the pid namespace.
unshare --net --mount --pid --uts --ipc --fork --kill-child --propagation private \
  bash "$(dirname "$0")/init.sh" "$dir" "$wires" <&0 9<&- &
wait $! || :
