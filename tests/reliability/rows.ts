/**
 * Every plugin, and chains, as the tests of faults call them: a configuration that makes the plugin do all that it can, and what there
 * has to be on the node before. A plugin of the registry without a row fails a test (./faults.root.test.ts).
 */
import type { JsonObject } from "@vethwork/cni";

export interface Row {
  name: string;
  /** The chain; what fails is in each of its plugins. */
  plugins: readonly (JsonObject & { type: string })[];
  /** What plugins before have said; those that stand at a chain's head have none. */
  prevResult?: JsonObject;
  /** The plugin before, with which goes what the row's plugin has left on the pod's interface. It does not fail. */
  under?: JsonObject & { type: string };
  ifname?: string;
  capabilities?: JsonObject;
  /** Shell: makes what has to be there, anew where it was made before. The pod, an empty namespace, is made before it. */
  setup?: string;
  /** Shell: brings back, before each attempt, what the plugin leaves changed by intention. */
  again?: string;
  /** Shell: prints more of the node's things, that only another program knows. */
  also?: string;
  /** The state folders are not emptied between attempts: a daemon lives in them. */
  isWarm?: boolean;
  /** CHECK is not asked: of a result with another plugin's addresses in it the plugin before says that it has lost them. */
  isUnchecked?: boolean;
  /** What a DEL that was refused may leave, since it goes with the pod. */
  mayStay?: RegExp;
}

/** The pod of all rows. */
export const pod = { name: "pod1", netns: "/run/netns/pod1" } as const;

const ipam = { type: "host-local", ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "fd00:1:2::/64" }]], routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] };
const onTheWire = { type: "host-local", ranges: [[{ subnet: "192.0.2.0/24", rangeStart: "192.0.2.10", rangeEnd: "192.0.2.20", gateway: "192.0.2.254" }], [{ subnet: "2001:db8::/64", rangeStart: "2001:db8::10", rangeEnd: "2001:db8::20" }]], routes: [{ dst: "0.0.0.0/0" }] };
const bridge = { type: "bridge", isDefaultGateway: true, ipMasq: true, macspoofchk: true, ipam };
const fixed = { type: "static", addresses: [{ address: "10.6.0.5/24", gateway: "10.6.0.1" }, { address: "fd06::5/64" }] };

/** A cable to the pod, at a switch of the node, as a plugin before would have left it. */
const CABLE = `ip link del near0 2>/dev/null; ip link del br9 2>/dev/null
  ip link add br9 type bridge; ip link set br9 addrgenmode none up; ip addr add 10.9.0.1/24 dev br9
  ip link add near0 mtu 1400 address 02:00:00:00:00:02 type veth peer name eth0 address 02:00:00:00:00:01 netns pod1; ip link set near0 addrgenmode none master br9 up
  ip -n pod1 link set eth0 addrgenmode none mtu 1400 up; ip -n pod1 addr add 10.9.0.2/24 dev eth0; ip -n pod1 addr add fd09::2/64 dev eth0 nodad; ip -n pod1 route add default via 10.9.0.1`;
const cabled: JsonObject = {
  cniVersion: "1.0.0", interfaces: [{ name: "br9" }, { name: "near0", mac: "02:00:00:00:00:02" }, { name: "eth0", mac: "02:00:00:00:00:01", sandbox: pod.netns }],
  ips: [{ address: "10.9.0.2/24", gateway: "10.9.0.1", interface: 2 }, { address: "fd09::2/64", interface: 2 }],
};
const behindCable = (name: string, plugin: JsonObject & { type: string }, more: Partial<Row> = {}): Row => ({ name, plugins: [plugin], setup: CABLE, prevResult: cabled, ...more });

const ptp = { type: "ptp", ipam: { type: "static", addresses: [{ address: "10.6.0.5/24", gateway: "10.6.0.1" }, { address: "fd06::5/64", gateway: "fd06::1" }], routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] } };
const limits = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 16_000_000, egressBurst: 1_600_000 };
const ports = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }, { hostPort: 8081, containerPort: 81, protocol: "udp", hostIP: "192.0.2.1" }] };
const portmap = { type: "portmap", capabilities: { portMappings: true } };
const tuned = { mac: "02:00:00:00:00:09", mtu: 1300, promisc: true, allmulti: true, txQLen: 555 };

/** A wire with a DHCP server, and our daemon. */
const DHCP = `ip netns del servers 2>/dev/null; ip link del br8 2>/dev/null; ip link del cable 2>/dev/null
  for file in /run/dnsmasq.pid /run/dhcp.pid; do [ ! -e $file ] || kill $(cat $file); done; rm -rf /run/dnsmasq* /run/cni
  ip netns add servers; ip link add br8 type bridge; ip link set br8 addrgenmode none up
  ip link add wire8 type veth peer name sw netns servers; ip link set wire8 addrgenmode none master br8 up
  ip -n servers addr add 10.5.0.1/24 dev sw; ip -n servers link set sw up; ip -n servers link set lo up
  ip netns exec servers dnsmasq --port=0 --interface=sw --bind-interfaces --except-interface=lo --no-ping --conf-file=/dev/null --user=root --dhcp-leasefile=/run/dnsmasq.leases --pid-file=/run/dnsmasq.pid --dhcp-range=10.5.0.50,10.5.0.250,255.255.255.0,2m
  ip link add cable type veth peer name eth0 address 02:00:00:00:00:05 netns pod1; ip link set cable addrgenmode none master br8 up; ip -n pod1 link set eth0 addrgenmode none up
  "$BIN/dhcp" daemon --resendtimeout 10s >/run/dhcp.log 2>&1 </dev/null & echo $! >/run/dhcp.pid
  for try in $(seq 500); do [ -S /run/cni/dhcp.sock ] && break; sleep 0.01; done`;

const FLANNEL = `mkdir -p /run/flannel; printf 'FLANNEL_NETWORK=10.244.0.0/16\\nFLANNEL_SUBNET=10.244.1.1/24\\nFLANNEL_MTU=1450\\nFLANNEL_IPMASQ=false\\n' > /run/flannel/subnet.env`;

export const rows: readonly Row[] = [
  { name: "vethwork", plugins: [{ type: "vethwork", network: ["10.244.0.0/16", "fd00:10:244::/48"], subnet: ["10.244.0.0/24", "fd00:10:244::/64"] }] },
  { name: "bridge", plugins: [bridge] },
  { name: "ptp", plugins: [{ type: "ptp", ipMasq: true, ipam }] },
  { name: "macvlan", plugins: [{ type: "macvlan", master: "eth0", ipam: onTheWire }] },
  { name: "ipvlan", plugins: [{ type: "ipvlan", master: "eth0", ipam: onTheWire }] },
  { name: "vlan", plugins: [{ type: "vlan", master: "eth0", vlanId: 100, ipam: onTheWire }] },
  { name: "dummy", plugins: [{ type: "dummy", ipam: onTheWire }] },
  { name: "tap", plugins: [{ type: "tap", owner: 107, group: 108, mtu: 1400, mac: "02:00:00:00:00:07", ipam }] },
  { name: "loopback", plugins: [{ type: "loopback" }], ifname: "lo" },
  { name: "host-device", plugins: [{ type: "host-device", device: "spare0", ipam: fixed }], setup: "ip link del spare0 2>/dev/null; ip link add spare0 address 02:00:00:00:00:55 type veth peer name spare1 address 02:00:00:00:00:56; ip link set spare1 addrgenmode none up" },
  { name: "host-local", plugins: [{ type: "host-local", ipam }] },
  { name: "static", plugins: [{ type: "static", ipam: fixed }] },
  { name: "dhcp", plugins: [{ type: "dhcp", ipam: { type: "dhcp" } }], setup: DHCP, also: "cat /run/dnsmasq.leases", isWarm: true },
  { name: "flannel", plugins: [{ type: "flannel", delegate: { type: "ptp", ipMasq: false } }], setup: FLANNEL },
  behindCable("portmap", portmap, { capabilities: ports }),
  behindCable("portmap by iptables", { ...portmap, backend: "iptables" }, { capabilities: ports }),
  behindCable("firewall", { type: "firewall", backend: "nftables", ingressPolicy: "isolated" }, { again: "bridge link set dev near0 isolated off" }),
  behindCable("firewall by iptables", { type: "firewall", backend: "iptables", ingressPolicy: "same-bridge" }),
  { name: "bandwidth", under: ptp, plugins: [{ type: "bandwidth", ...limits, unshapedSubnets: ["10.0.0.0/8", "fd00::/8"] }] },
  behindCable("tuning", { type: "tuning", ...tuned, sysctl: { "net.core.somaxconn": "500", "net.ipv4.conf.IFNAME.arp_filter": "1" } }, { again: "ip netns exec pod1 sysctl -qw net.core.somaxconn=4096 net.ipv4.conf.eth0.arp_filter=0", mayStay: /^changed: pod link eth0/ }),
  { name: "sbr", under: ptp, plugins: [{ type: "sbr" }] },
  { name: "vrf", under: ptp, plugins: [{ type: "vrf", vrfname: "blue" }] },
  { name: "sample", under: ptp, isUnchecked: true, plugins: [{ type: "sample", anotherAwesomeArg: "blue", ipam: { type: "host-local", subnet: "10.7.0.0/24" } }] },
  {
    name: "a chain of five",
    plugins: [bridge, { ...portmap, masqAll: true }, { type: "firewall", backend: "nftables" }, { type: "tuning", mtu: 1300, sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } }, { type: "bandwidth", ...limits }],
    capabilities: ports,
  },
];
