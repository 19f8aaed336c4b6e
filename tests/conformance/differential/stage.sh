#!/bin/bash
# The stage of one play: a node of its own, made of namespaces, on which plugins are called and looked at from outside.
#
#   unshare --net --mount --propagation private bash stage.sh <PLAY
#
# PLAY is shell text (play.ts writes it). It sets the chain to be called (`types`, `configs`, …) and then plays: ADD,
# CHECK, DEL and STATUS are functions here, and so is what prepares the stage: pod, inside, gone.
#
#        pod1 (CNI_NETNS)       node (192.0.2.1, 2001:db8::1)  eth0 ═══ eth0  world (192.0.2.254, 2001:db8::fe)
#
# Whatever a verb says, and everything that iproute2, nft, /proc and the file system show after it, goes to stdout in
# pieces that begin with a line "@@ …". Nothing of a play outlives it: /run, /etc and /var/lib are the play's own, too.
# There are thousands of plays, and some on an emulated processor: as few processes as will do, and no subshell for a file.
set -u

# True while the kernel is not done with IPv6: an address is looked for duplicates of, a link with a carrier has none of its
# own yet, or the route to an address is still to come. A link without a carrier may be like that for ever.
unsettled() {
  local link rest
  [[ $1 != *'"tentative":true'* ]] || return 0
  while IFS= read -r link; do
    [[ $link == *'"LOWER_UP"'* && $link != *'"LOOPBACK"'* ]] || continue
    [[ $link == *'"local":"fe80'* ]] || return 0
    rest=$link
    while [[ $rest =~ '"family":"inet6","local":"'([^\"]+)'"'(.*) ]]; do
      [[ $1 == *"\"type\":\"local\",\"dst\":\"${BASH_REMATCH[1]}\""* ]] || return 0
      rest=${BASH_REMATCH[2]}
    done
  done <<<"${1//'{"ifindex":'/$'\n'}"
  return 1
}

# What a namespace looks like: its name, how iproute2 gets into it (-n NAME), and how a program does.
look() {
  local name=$1 there tries=40
  local -a to=() into=()
  [[ $name == node ]] || to=(-n "$name") into=(nsenter --net="/run/netns/$name" --)
  while
    there=$(ip "${to[@]}" -j -d -b - <<<$'addr show\nroute show table all\nneigh show nud permanent\nrule show')
    ((tries-- > 0)) && unsettled "$there"
  do sleep 0.02; done
  printf '@@ ip %s\n%s\n@@ rules %s\n' "$name" "$there" "$name"
  ip "${to[@]}" -j -6 rule
  printf '@@ sysctls %s\n' "$name"
  "${into[@]}" grep -rs . /proc/sys/net --exclude-dir=neigh "${parameters[@]/#/--include=}"
  if [[ $there == *'"info_kind":"bridge"'* ]]; then
    printf '@@ bridge %s\n' "$name"
    bridge "${to[@]}" -j -d link
    bridge "${to[@]}" -j vlan
  fi
  [[ " ${types[*]} " != *' bandwidth '* ]] || shaping "$name" "${to[@]}"
}

# Queues and what is redirected before them, which bandwidth alone makes.
shaping() {
  local name=$1 disciplines kind handle device
  shift
  disciplines=$(tc "$@" qdisc show)
  printf '@@ qdiscs %s\n%s\n' "$name" "$disciplines"
  while read -r _ kind handle _ device _; do
    [[ $kind == ingress || $kind == clsact ]] || continue
    printf '@@ filters %s %s\n' "$name" "$device"
    tc "$@" filter show dev "$device" parent "$handle"
  done <<<"$disciplines"
}

# Files and folders: those that the play's own /run has, and those that were written to /etc and /var/lib.
files() {
  local kind mode path content
  find /run -mindepth 1 \( -path /run/netns -o -path /run/stage/call -o -path '/run/stage/work*' \) -prune -o -printf '%y %m %p\n' >/run/stage/call/files
  while read -r kind mode path; do
    case $kind in
      d) printf '@@ folder %s %s\n' "$mode" "$path" ;;
      f)
        IFS= read -rd '' content <"$path"
        printf '@@ file %s %s\n%s\n' "$mode" "$path" "$content"
        ;;
    esac
  done </run/stage/call/files
}

view() {
  printf '@@ view %s\n' "$1"
  look node
  local name table rules mounts
  IFS= read -rd '' mounts </proc/self/mountinfo
  for name in /run/netns/*; do
    case ${name##*/} in
      world | '*') ;;
      *) if [[ $mounts == *" $name "* ]]; then look "${name##*/}"; else printf '@@ file 0 %s\n\n' "$name"; fi ;;
    esac
  done
  rules=$(nft -s list ruleset 2>/dev/null)
  printf '@@ nft\n%s\n' "$rules"
  for table in ip ip6; do
    [[ ! $rules =~ (^|$'\n')"table $table "(nat|filter|mangle|raw)' ' ]] || { printf '@@ iptables %s\n' "$table"; "${table}tables-save"; }
  done
  files
}

# A network namespace for a container, in which IPv6 addresses are at once what they would be a second later.
pod() {
  ip netns add "$1"
  settled_at_once nsenter --net="/run/netns/$1" --
}

# Looking for duplicates of an address (RFC 4862) takes a second or two of nobody's time. Here it takes none.
settled_at_once() {
  "$@" bash -c 'cd /proc/sys/net/ipv6/conf/default && echo 0 >dad_transmits && echo 0 >router_solicitation_delay'
}

inside() {
  local name=$1
  shift
  nsenter --net="/run/netns/$name" -- "$@"
}

# The kernel clears a namespace away in its own time; a cable into it goes with the rest.
gone() {
  ip link add last type veth peer name last netns "${1-pod1}"
  ip netns del "${1-pod1}"
  while ip link show last &>/dev/null; do sleep 0.005; done
}

# One plugin of the chain, as a runtime calls it: verb, pod, place in the chain, result so far.
call() {
  local verb=$1 name=$2 at=$3 before=$4 path=$other config out err folder
  local -a folders
  [[ $verb != ADD ]] || path=$adder
  IFS=: read -ra folders <<<"$path"
  for folder in "${folders[@]}"; do [[ ! -x $folder/${types[at]} ]] || break; done
  config=${configs[at]}
  [[ $before == '' ]] || config="${config%\}},\"prevResult\":$before}"
  CNI_COMMAND=$verb CNI_CONTAINERID=$name CNI_NETNS=${NETNS-/run/netns/$name} CNI_IFNAME=$IFNAME CNI_ARGS=$ARGS CNI_PATH=$path \
    "$folder/${types[at]}" <<<"$config" >/run/stage/call/out 2>/run/stage/call/err
  code=$?
  IFS= read -rd '' out </run/stage/call/out
  IFS= read -rd '' err </run/stage/call/err
  answer=$out
  printf '@@ said %s %s\n%s\n' "${types[at]}" "$code" "$out"
  [[ $err == '' ]] || printf '@@ stderr\n%s\n' "$err"
}

# ADD goes through the chain and hands each result to the next; CHECK goes the same way with the last one, DEL backwards.
verb() {
  local verb=$1 name=${2-pod1} at code answer result
  result=${PREV-${results[$name]-}}
  printf '@@ verb %s %s\n' "$verb" "$name"
  case $verb in
    ADD)
      result=${PREV-$first}
      for at in "${!types[@]}"; do
        call ADD "$name" "$at" "$result"
        ((code == 0)) || break
        result=$answer
        results[$name]=$result
      done
      ;;
    CHECK | STATUS)
      for at in "${!types[@]}"; do
        call "$verb" "$name" "$at" "$result"
        ((code == 0)) || break
      done
      ;;
    DEL)
      for ((at = ${#types[@]} - 1; at >= 0; at--)); do
        call DEL "$name" "$at" "$result"
        ((code == 0)) || break
      done
      ;;
  esac
  [[ " $seen " != *" $verb "* ]] || view "$verb $name"
}

ADD() { verb ADD "$@"; }
CHECK() { verb CHECK "$@"; }
DEL() { verb DEL "$@"; }
STATUS() { verb STATUS "$@"; }

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/stage/{etc,lib,call,work,work2}
mount -t sysfs sysfs /sys # host-device finds devices by their paths in it
mount -t overlay -o lowerdir=/etc,upperdir=/run/stage/etc,workdir=/run/stage/work overlay /etc
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/stage/lib,workdir=/run/stage/work2 overlay /var/lib

echo 0 >/proc/sys/net/ipv6/conf/default/dad_transmits # as settled_at_once, without another process
echo 0 >/proc/sys/net/ipv6/conf/default/router_solicitation_delay
echo 0 >/proc/sys/net/ipv4/ip_forward
echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
ip -b - <<'BATCH'
netns add world
netns add pod1
link set lo up
link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:fe netns world
addr add 192.0.2.1/24 dev eth0
addr add 2001:db8::1/64 dev eth0 nodad
link set eth0 up
route add default via 192.0.2.254
route add default via 2001:db8::fe
BATCH
ip -n world -b - <<'BATCH'
link set lo up
addr add 192.0.2.254/24 dev eth0
addr add 2001:db8::fe/64 dev eth0 nodad
link set eth0 up
BATCH
settled_at_once nsenter --net=/run/netns/pod1 --

# What a play sets (play.ts): the CNI_PATH of the plugins that add and of those that do the rest, the verbs after which to
# look, the chain, what the runtime says, and of kernel parameters those to look at where not all are.
adder='' other='' seen='' types=() configs=() IFNAME=eth0 ARGS='' first='' parameters=()
declare -A results=()
# shellcheck source=/dev/null
source /dev/stdin
