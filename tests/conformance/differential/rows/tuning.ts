/** tuning behind a cable that the stage has, and at the end of a chain. */
import type { Table } from "../table.ts";
import { dual, one4 } from "./addresses.ts";

/** eth0 is there, as a plugin before would have left it. */
const before = "ip link add near type veth peer name eth0 address 02:00:00:00:02:05 netns pod1; ip link set near up; ip -n pod1 addr add 10.1.2.5/24 dev eth0; ip -n pod1 link set eth0 up";
const prevResult = {
  interfaces: [{ name: "near" }, { name: "eth0", mac: "02:00:00:00:02:05", sandbox: "/run/netns/pod1" }],
  ips: [{ address: "10.1.2.5/24", gateway: "10.1.2.1", interface: 1 }], routes: [{ dst: "0.0.0.0/0" }],
} as const;
const on = { before, prevResult } as const;

export const tuning: Table = {
  type: "tuning",
  differences: ["tuning-folder"],
  rows: {
    "0.3.1": { ...on, version: "0.3.1", prevResult: { ...prevResult, ips: [{ version: "4", ...prevResult.ips[0] }] }, config: { mtu: 1400 }, play: "ADD; DEL" },
    "0.4.0": { ...on, version: "0.4.0", prevResult: { ...prevResult, ips: [{ version: "4", ...prevResult.ips[0] }] }, config: { mtu: 1400 } },
    "1.1.0": { ...on, version: "1.1.0", config: { mtu: 1400 } },
    "nothing asked for": { ...on, config: {} },
    "sysctl": { ...on, config: { sysctl: { "net.core.somaxconn": "500", "net.ipv4.ip_forward": "1" } } },
    "sysctl with IFNAME": { ...on, config: { sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1", "net/ipv6/conf/IFNAME/hop_limit": "33" } } },
    "sysctl that is none": { ...on, config: { sysctl: { "net.nobody": "1" } }, refused: 999 },
    "sysctl outside of net": { ...on, config: { sysctl: { "kernel.hostname": "x" } }, refused: 7 },
    "sysctl that leaves net again": { ...on, config: { sysctl: { "net.ipv4/../../kernel.hostname": "x" } }, refused: 7 },
    "sysctl that is allowed": { ...on, before: `${before}; mkdir -p /etc/cni/tuning; echo '^net.core' >/etc/cni/tuning/allowlist.conf`, config: { sysctl: { "net.core.somaxconn": "500" } } },
    "sysctl that is not allowed": { ...on, before: `${before}; mkdir -p /etc/cni/tuning; echo '^net.core' >/etc/cni/tuning/allowlist.conf`, config: { sysctl: { "net.ipv4.ip_forward": "1" } }, refused: 7 },
    "sysctl by args": { ...on, config: { sysctl: { "net.core.somaxconn": "500" }, args: { cni: { sysctl: { "net.core.somaxconn": "600" } } } } },
    "sysctl by args alone": { ...on, config: { args: { cni: { sysctl: { "net.core.somaxconn": "600" } } } }, refusedBy: { who: "reference", difference: "tuning-args" } },
    "a value with spaces where the kernel has tabs": { ...on, config: { sysctl: { "net.ipv4.ip_local_port_range": "2000 3000" } }, differences: ["tuning-spelling"] },
    "mac": { ...on, config: { mac: "c2:b0:57:49:47:f1" } },
    "mac in capitals": { ...on, config: { mac: "C2:B0:57:49:47:F1" }, differences: ["tuning-spelling"] },
    "mac by CNI_ARGS": { ...on, args: "IgnoreUnknown=1;MAC=c2:b0:57:49:47:f2", config: { mac: "c2:b0:57:49:47:f1" } },
    "mac by capability": { ...on, args: "IgnoreUnknown=1;MAC=c2:b0:57:49:47:f2", config: { mac: "c2:b0:57:49:47:f1", capabilities: { mac: true } }, runtime: { mac: "c2:b0:57:49:47:f3" } },
    "mac by args": { ...on, config: { mac: "c2:b0:57:49:47:f1", capabilities: { mac: true }, args: { cni: { mac: "c2:b0:57:49:47:f4" } } }, runtime: { mac: "c2:b0:57:49:47:f3" } },
    "a mac that is none": { ...on, config: { mac: "c2" }, refused: 7 },
    "promisc": { ...on, config: { promisc: true } },
    "promisc by args": { ...on, config: { args: { cni: { promisc: true } } } },
    "mtu": { ...on, config: { mtu: 1400 } },
    "mtu by args": { ...on, config: { mtu: 1400, args: { cni: { mtu: 1300 } } } },
    "an mtu that no link takes": { ...on, config: { mtu: 20 }, refused: 999 },
    "allmulti": { ...on, config: { allmulti: true } },
    "allmulti off": { ...on, before: `${before}; ip -n pod1 link set eth0 allmulticast on`, config: { allmulti: false } },
    "allmulti by args": { ...on, config: { args: { cni: { allmulti: true } } } },
    "txQLen": { ...on, config: { txQLen: 77 }, newer: "txQLen" },
    "txQLen by args": { ...on, config: { txQLen: 77, args: { cni: { txQLen: 99 } } }, newer: "txQLen" },
    "everything": { ...on, config: { mac: "c2:b0:57:49:47:f1", promisc: true, mtu: 1400, allmulti: true, txQLen: 77, sysctl: { "net.core.somaxconn": "500" } }, newer: "txQLen" },
    "dataDir": { ...on, config: { mtu: 1400, dataDir: "/run/elsewhere" } },
    "no prevResult": { before, config: { mtu: 1400 }, refused: 7 },
    "an interface that there is not": { ...on, ifname: "net1", config: { mtu: 1400 }, refused: 4 },
    "DEL twice": { ...on, config: { mtu: 1400 }, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { ...on, config: { mtu: 1400 }, play: "ADD; NETNS= DEL", differences: ["tuning-forgets"] },
    "DEL when the namespace is gone": { ...on, config: { mtu: 1400 }, play: "ADD; gone; DEL", differences: ["tuning-forgets"] },
    "DEL when the interface is gone": { ...on, config: { mtu: 1400 }, play: "ADD; ip -n pod1 link del eth0; DEL", differences: ["tuning-forgets"] },
    "DEL of what was never added": { ...on, config: { mtu: 1400 }, play: "DEL" },
    "ADD twice": { ...on, config: { mtu: 1400 }, play: "ADD; ADD; DEL", differences: ["tuning-twice"] },
    "CHECK when the mtu is another": { ...on, config: { mtu: 1400 }, play: "ADD; ip -n pod1 link set eth0 mtu 1300; CHECK; DEL" },
    "CHECK when the sysctl is another": { ...on, config: { sysctl: { "net.core.somaxconn": "500" } }, play: "ADD; inside pod1 sysctl -qw net.core.somaxconn=77; CHECK; DEL" },
    "CHECK when something else is promiscuous": { ...on, config: { mtu: 1400 }, play: "ADD; ip -n pod1 link set eth0 promisc on; CHECK; DEL", differences: ["tuning-spelling"] },
    "behind bridge": { config: [{ type: "bridge", isDefaultGateway: true, ipam: dual }, { type: "tuning", mac: "c2:b0:57:49:47:f1", mtu: 1400, sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } }], differences: ["cable-alias", "cable-queue", "no-dad", "accept-ra", "by-attachment", "lock-mode"] },
    "twice behind bridge": { config: [{ type: "bridge", ipam: one4 }, { type: "tuning", mtu: 1400 }, { type: "tuning", mtu: 1300 }], differences: ["cable-alias", "cable-queue", "no-dad", "by-attachment", "lock-mode", "tuning-twice"] },
  },
};
