#!/bin/bash
# Pid 1 of a node made of namespaces (see node.sh): gives it its own /proc, /sys, control groups, /run and /var/lib, a
# wire to the world, says "ready PID", and lives until its standard input ends.
#
# usage: init.sh DIR world|bare
#
#        pods ── node (192.0.2.1, 2001:db8::1) ═══ eth0 ═══ eth0 ── world (192.0.2.254, 2001:db8::fe)
#
# `world` is a namespace that stands for a host outside the cluster: it has no route to pod addresses, so it can answer
# only what comes with the node's address. Forwarding is off, as on a machine fresh from the installer: a plugin that
# needs it has to turn it on. A bare node has no wire and no world: who starts it plugs it in.
set -eu
dir=$1 wires=$2
if [ "${3:-}" != inside ]; then
  name=$(basename "$dir")
  # The /proc in sight is still the machine's, so this is the number by which the machine knows this process.
  read -r pid _ < /proc/self/stat
  mapfile -t hierarchies < <(awk '$0 ~ / - cgroup2? / && $5 ~ "^/sys/fs/cgroup" { print $5 }' /proc/self/mountinfo)
  for h in "${hierarchies[@]}"; do echo 0 > "$h/$name/cgroup.procs"; done
  # A cgroup namespace takes the groups that the process is in as its roots: that is why it is unshared only now.
  exec unshare --cgroup bash "$0" "$dir" "$wires" inside "$pid"
fi
pid=$4

# Which hierarchies there are has to be read before the new /sys hides them.
v1=$(awk '$0 ~ / - cgroup / && $5 ~ "^/sys/fs/cgroup/" { sub("/sys/fs/cgroup/", "", $5); print $5 }' /proc/self/mountinfo)
v2=$(awk '$0 ~ / - cgroup2 / && $5 ~ "^/sys/fs/cgroup" { print $5 }' /proc/self/mountinfo)
hostname node
mount -t proc proc /proc
mount -t sysfs sysfs /sys
if [ -z "$v1" ]; then
  mount -t cgroup2 cgroup /sys/fs/cgroup
  # v2 wants processes only in leaves: pid 1 moves out of the way of the groups that a runtime will make beside it.
  mkdir -p /sys/fs/cgroup/init
  echo 0 > /sys/fs/cgroup/init/cgroup.procs
  home="/sys/fs/cgroup/init/cgroup.procs"
else
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for c in $v1; do
    mkdir "/sys/fs/cgroup/$c"
    case $c in systemd) o=none,name=systemd ;; *) o=$c ;; esac
    mount -t cgroup -o "$o" cgroup "/sys/fs/cgroup/$c"
  done
  if [ -n "$v2" ]; then
    mkdir "$v2"
    mount -t cgroup2 cgroup "$v2"
  fi
  home=$(printf '%s ' /sys/fs/cgroup/*/cgroup.procs)
fi

# State of the node, in memory and seen by nobody else. /var/lib is an overlay: the machine's is seen, writes land in
# the node's memory, and their folder is the list of what was written.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /run/node/var-lib /run/node/work
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/node/var-lib,workdir=/run/node/work overlay /var/lib
mount -t tmpfs -o mode=1777 tmpfs /dev/shm

# What `exec` of node.ts runs first: joining namespaces does not move a process into the node's control groups.
cat > /run/node/enter <<Y
#!/bin/sh
for f in $home; do echo 0 > "\$f"; done
exec "\$@"
Y
chmod 755 /run/node/enter

echo 0 > /proc/sys/net/ipv4/ip_forward
echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
ip link set lo up
if [ "$wires" = world ]; then
  ip netns add world
  ip -n world link set lo up
  ip link add eth0 type veth peer name eth0 netns world
  ip addr add 192.0.2.1/24 dev eth0
  ip addr add 2001:db8::1/64 dev eth0 nodad
  ip -n world addr add 192.0.2.254/24 dev eth0
  ip -n world addr add 2001:db8::fe/64 dev eth0 nodad
  # The machine on the other end is known: no waiting for duplicates of eth0's link-local address.
  echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad
  ip link set eth0 up
  ip -n world link set eth0 up
  ip route add default via 192.0.2.254
  ip -6 route add default via 2001:db8::fe
fi

echo "ready $pid"
# Bash reaps the orphans of dead containers while it waits here. The end of input is the end of the node: when pid 1
# leaves, the kernel kills every process of its pid namespace, and mounts and network namespaces go with the last of them.
while read -r _; do :; done
