/**
 * Chains as people have them: an interface, ports of the node that lead to it, limits, a firewall, and what is tuned.
 *
 *     bridge | ptp ── portmap ── bandwidth ── firewall ── tuning
 */
import type { JsonObject } from "@vethwork/cni";
import type { DifferenceName } from "../differences.ts";
import type { Row, Table } from "../table.ts";
import { dual, one4, one6, outDual } from "./addresses.ts";

const iptables = { backend: "iptables" } as const;
const runtime = {
  portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }, { hostPort: 8053, containerPort: 53, protocol: "udp", hostIP: "0.0.0.0" }],
  bandwidth: { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 16_000_000, egressBurst: 1_600_000 },
  mac: "c2:b0:57:49:47:f1",
  ips: ["10.1.2.77/24"],
} as const;

const bridge = { type: "bridge", isDefaultGateway: true, ipMasq: true, ipMasqBackend: "iptables", hairpinMode: true, ipam: dual } as const;
const ptp = { type: "ptp", ipMasq: true, ipMasqBackend: "iptables", ipam: outDual } as const;
const portmap = { type: "portmap", ...iptables, capabilities: { portMappings: true } } as const;
const bandwidth = { type: "bandwidth", capabilities: { bandwidth: true } } as const;
const firewall = { type: "firewall", ...iptables } as const;
const tuning = { type: "tuning", mtu: 1400, sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } } as const;

const ofCable = ["cable-alias", "no-dad", "by-attachment", "lock-mode"] as const;
const ofIptables = ["localhost-guard", "firewall-record", "firewall-chains"] as const;
const ofFive = [...ofCable, ...ofIptables, "ifb-alias", "one-action", "tuning-folder"] as const;

/** All five behind the interface, and what may be seen of each. */
const five = (first: JsonObject, { differences = [], unseen = [], ...more }: Partial<Row> & { unseen?: readonly DifferenceName[] } = {}): Row =>
  ({ config: [first, portmap, bandwidth, firewall, tuning], runtime, differences: [...ofFive, ...differences].filter((name) => !unseen.includes(name)), ...more });

/** Nobody says by which backend: ours then take nftables, and the reference's iptables. */
const usual: Row = {
  config: [{ type: "bridge", isDefaultGateway: true, ipam: dual }, { type: "portmap", capabilities: portmap.capabilities }, bandwidth, { type: "firewall" }, tuning],
  runtime, differences: [...ofCable, "accept-ra", "ports-in-a-map", "localhost-guard", "firewall-nftables", "ifb-alias", "one-action", "tuning-folder"],
};

export const chains: Table = {
  type: "chains",
  rows: {
    "bridge and all": five(bridge, { differences: ["accept-ra"] }),
    "bridge and all, 0.4.0": five(bridge, { version: "0.4.0", differences: ["accept-ra"] }),
    "bridge and all, 1.1.0": five(bridge, { version: "1.1.0", differences: ["accept-ra"] }),
    "bridge and all, IPv4": five({ ...bridge, ipam: one4 }),
    "bridge and all, IPv6": five({ ...bridge, ipam: one6 }, { differences: ["accept-ra"], unseen: ["localhost-guard"] }),
    "bridge and all, a MAC address by the runtime": five({ ...bridge, capabilities: { mac: true } }, { differences: ["accept-ra"] }),
    "bridge and all, an address by the runtime": five({ ...bridge, ipam: one4, capabilities: { ips: true } }),
    "bridge and all, nothing by the runtime": five(bridge, { runtime: {}, differences: ["accept-ra", "cable-queue"], unseen: ["localhost-guard", "ifb-alias", "one-action"] }),
    "bridge and all, a second pod": five({ ...bridge, ipam: one4 }, { before: "pod pod2; ADD pod2 >/dev/null", unseen: ["firewall-chains"] }),
    "bridge and all, ADD twice": five({ ...bridge, ipam: one4 }, { play: "ADD; ADD; DEL" }),
    "bridge and all, DEL twice": five({ ...bridge, ipam: one4 }, { play: "ADD; DEL; DEL" }),
    "bridge and all, DEL without a namespace": five({ ...bridge, ipam: one4 }, { play: "ADD; NETNS= DEL", differences: ["del-by-labels", "tuning-forgets"] }),
    "bridge and all, DEL when the namespace is gone": five({ ...bridge, ipam: one4 }, { play: "ADD; gone; DEL", differences: ["del-by-labels", "tuning-forgets"] }),
    "bridge and all, another interface": five({ ...bridge, ipam: one4 }, { ifname: "net1" }),
    "ptp and all": five(ptp, { differences: ["accept-ra"] }),
    "ptp and all, an address by the runtime": five({ ...ptp, ipam: { ...one4, routes: [{ dst: "0.0.0.0/0" }] }, capabilities: { ips: true } }),
    "ptp and all, DEL when the namespace is gone": five(ptp, { play: "ADD; gone; DEL", differences: ["accept-ra", "del-by-labels", "tuning-forgets"] }),
    "bridge and all, each by whatever is usual": { ...usual, noCrossing: "the reference's CHECK asks for its own rules; DEL is in the next row" },
    "bridge and all, each by whatever is usual, there and back": { ...usual, play: "ADD; DEL" },
    "bridge and tuning, a MAC address by the runtime": {
      config: [{ ...bridge, ipam: one4 }, { ...tuning, capabilities: { mac: true } }, portmap], runtime,
      differences: [...ofCable, "cable-queue", "localhost-guard", "tuning-folder"],
    },
    "the firewall before the ports": { config: [{ ...bridge, ipam: one4 }, firewall, portmap], runtime, differences: [...ofCable, "cable-queue", ...ofIptables] },
    "refused by the last": { config: [{ ...bridge, ipam: one4 }, portmap, { type: "tuning", sysctl: { "kernel.hostname": "x" } }], runtime, differences: [...ofCable, "cable-queue", "localhost-guard"], refused: 7 },
    "macvlan, firewall and tuning": { config: [{ type: "macvlan", master: "eth0", ipam: dual }, firewall, { ...tuning, mtu: 1400 }], runtime, differences: ["no-dad", "by-attachment", "lock-mode", "firewall-record", "firewall-chains", "tuning-folder"] },
  },
};
