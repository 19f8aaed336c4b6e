/** bandwidth behind a cable that the stage has, and at the end of a chain. */
import type { Table } from "../table.ts";
import { dual, one4 } from "./addresses.ts";

/** eth0 is there, as a plugin before would have left it. */
const before = "ip link add near type veth peer name eth0 address 02:00:00:00:02:05 netns pod1; ip link set near up; ip -n pod1 addr add 10.1.2.5/24 dev eth0; ip -n pod1 link set eth0 up";
const prevResult = {
  interfaces: [{ name: "near" }, { name: "eth0", mac: "02:00:00:00:02:05", sandbox: "/run/netns/pod1" }],
  ips: [{ address: "10.1.2.5/24", gateway: "10.1.2.1", interface: 1 }],
} as const;
const on = { before, prevResult } as const;
const to = { ingressRate: 8_000_000, ingressBurst: 800_000 } as const;
const from = { egressRate: 16_000_000, egressBurst: 1_600_000 } as const;
const both = { ...to, ...from } as const;
const capabilities = { bandwidth: true } as const;
const older = { ...prevResult, ips: [{ version: "4", ...prevResult.ips[0] }] } as const;

export const bandwidth: Table = {
  type: "bandwidth",
  differences: ["ifb-alias", "one-action"],
  rows: {
    "0.3.1": { ...on, version: "0.3.1", prevResult: older, config: both, play: "ADD; DEL" },
    "0.4.0": { ...on, version: "0.4.0", prevResult: older, config: both },
    "1.1.0": { ...on, version: "1.1.0", config: both },
    "both directions": { ...on, config: both },
    "towards the pod": { ...on, config: to },
    "from the pod": { ...on, config: from },
    "numbers that do not come out even": { ...on, config: { ingressRate: 1_000_001, ingressBurst: 987_654_321, egressRate: 123_456_789, egressBurst: 7_654_321 } },
    "faster than 32 bits": { ...on, config: { egressRate: 400_000_000_000, egressBurst: 8_000_000_000 } },
    "no limits": { ...on, config: {} },
    "limits of 0": { ...on, config: { ingressRate: 0, ingressBurst: 0, egressRate: 0, egressBurst: 0 } },
    "by the runtime": { ...on, config: { capabilities }, runtime: { bandwidth: both } },
    "by the runtime in one direction": { ...on, config: { capabilities }, runtime: { bandwidth: to } },
    "the network's limits before the runtime's": { ...on, config: { ...to, capabilities }, runtime: { bandwidth: from } },
    "a limit of 0 before the runtime's": { ...on, config: { egressRate: 0, capabilities }, runtime: { bandwidth: both } },
    "the runtime's name in capitals": { ...on, config: { runtimeConfig: { bandWidth: both } } },
    "the burst that runtimes write": { ...on, config: { capabilities }, runtime: { bandwidth: { ingressRate: 8_000_000, ingressBurst: 2_147_483_647, egressRate: 16_000_000, egressBurst: 2_147_483_647 } }, differences: ["bandwidth-queue"] },
    "a bucket smaller than a packet": { ...on, config: { ingressRate: 8_000_000, ingressBurst: 8000 }, differences: ["bandwidth-bucket"] },
    "a low rate and a large burst": { ...on, config: { ingressRate: 8000, ingressBurst: 800_000_000 }, differences: ["bandwidth-numbers"] },
    "shapedSubnets": { ...on, config: { ...both, shapedSubnets: ["198.51.100.0/24", "2001:db8:7::/48"] }, differences: ["bandwidth-subnets"] },
    "unshapedSubnets": { ...on, config: { ...both, unshapedSubnets: ["198.51.100.0/24", "2001:db8:7::/48"] }, differences: ["bandwidth-subnets"] },
    "shapedSubnets by the runtime": { ...on, config: { capabilities }, runtime: { bandwidth: { ...to, shapedSubnets: ["198.51.100.0/24"] } }, differences: ["bandwidth-subnets"] },
    "unshapedSubnets by the runtime": { ...on, config: { capabilities }, runtime: { bandwidth: { ...from, unshapedSubnets: ["198.51.100.0/24"] } }, differences: ["bandwidth-subnets"] },
    "a rate without a burst": { ...on, config: { ingressRate: 8_000_000 }, refused: 7 },
    "a burst without a rate": { ...on, config: { egressBurst: 800_000 }, refused: 7 },
    "a burst without a rate by the runtime": { ...on, config: { capabilities }, runtime: { bandwidth: { egressBurst: 800_000 } }, refused: 7 },
    "a burst of more than 4 GB": { ...on, config: { ingressRate: 8_000_000, ingressBurst: 34_359_738_360 }, refused: 7 },
    "a rate below zero": { ...on, config: { ingressRate: -1, ingressBurst: 1 }, refused: 7 },
    "a rate that is no number": { ...on, config: { ingressRate: "8M", ingressBurst: 1 }, refused: 7 },
    "no prevResult": { before, config: both, refused: 7 },
    "an interface that there is not": { ...on, ifname: "net1", config: both, refused: 4 },
    "a device without an end on the node": { before: "ip link add link eth0 name eth1 type macvlan; ip link set eth1 netns pod1 name eth0; ip -n pod1 link set eth0 up", prevResult: { interfaces: [{ name: "eth0", sandbox: "/run/netns/pod1" }] }, config: both, refusedBy: { who: "reference", difference: "bandwidth-in-pod" } },
    "the end on the node is in no result": { ...on, prevResult: { interfaces: [prevResult.interfaces[1]] }, config: both, refusedBy: { who: "reference", difference: "bandwidth-unnamed" } },
    "DEL twice": { ...on, config: both, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { ...on, config: both, play: "ADD; NETNS= DEL" },
    "DEL when the namespace is gone": { ...on, config: both, play: "ADD; gone; DEL" },
    "DEL when the interface is gone": { ...on, config: both, play: "ADD; ip -n pod1 link del eth0; DEL" },
    "DEL without prevResult": { ...on, config: both, play: "ADD; PREV= DEL" },
    "DEL of what was never added": { ...on, config: both, play: "DEL" },
    "ADD twice": { ...on, config: both, play: "ADD; ADD; DEL" },
    "CHECK when the queue is gone": { ...on, config: to, play: "ADD; tc qdisc del dev near root; CHECK; DEL", differences: ["bandwidth-check"] },
    "CHECK when the rate is another": { ...on, config: to, play: "ADD; tc qdisc replace dev near root handle 1: tbf rate 1mbit burst 10k latency 25ms; CHECK; DEL" },
    "behind bridge": { config: [{ type: "bridge", isDefaultGateway: true, ipam: dual }, { type: "bandwidth", ...both }], differences: ["cable-alias", "no-dad", "accept-ra", "by-attachment", "lock-mode"] },
    "behind ptp, by the runtime": { config: [{ type: "ptp", ipam: one4 }, { type: "bandwidth", capabilities }], runtime: { bandwidth: both }, differences: ["cable-alias", "no-dad", "by-attachment", "lock-mode"] },
    "behind tuning, with an MTU": { config: [{ type: "bridge", ipam: one4 }, { type: "tuning", mtu: 1400 }, { type: "bandwidth", ...both }], differences: ["cable-alias", "no-dad", "by-attachment", "lock-mode", "tuning-folder"] },
    "twice behind bridge": { config: [{ type: "bridge", ipam: one4 }, { type: "bandwidth", ...to }, { type: "bandwidth", ...from }], differences: ["cable-alias", "no-dad", "by-attachment", "lock-mode"] },
  },
};
