/** firewall behind a bridge that the stage has, by each backend, and at the end of a chain. */
import type { JsonObject } from "@vethwork/cni";
import type { Table } from "../table.ts";
import { dual, one4 } from "./addresses.ts";

/** eth0 is there behind a bridge, as a plugin before would have left it. */
const before = [
  "ip link add cni0 address 02:00:00:00:02:10 type bridge; ip addr add 10.1.2.1/24 dev cni0; ip link set cni0 up",
  "ip link add near address 02:00:00:00:02:01 master cni0 type veth peer name eth0 address 02:00:00:00:02:05 netns pod1; ip link set near up",
  "ip -n pod1 addr add 10.1.2.5/24 dev eth0; ip -n pod1 addr add fd00:1:2::5/64 dev eth0 nodad; ip -n pod1 link set eth0 up",
].join("\n");
const interfaces = [{ name: "cni0" }, { name: "near" }, { name: "eth0", mac: "02:00:00:00:02:05", sandbox: "/run/netns/pod1" }];
const [four, six] = [{ address: "10.1.2.5/24", gateway: "10.1.2.1", interface: 2 }, { address: "fd00:1:2::5/64", gateway: "fd00:1:2::1", interface: 2 }];
const prevResult = { interfaces, ips: [four, six] } as const;
const older = { interfaces, ips: [{ version: "4", ...four }, { version: "6", ...six }] } as const;
const on = { before, prevResult } as const;

const iptables = { backend: "iptables" } as const;
const ofBoth = ["firewall-record", "firewall-chains"] as const;
const ofChain = ["cable-alias", "cable-queue", "no-dad", "by-attachment", "lock-mode"] as const;
const bridge = { type: "bridge", isDefaultGateway: true, ipam: dual } as const;
const chainOf = (options: JsonObject): JsonObject[] => [bridge, { type: "firewall", ...options }];

export const firewall: Table = {
  type: "firewall",
  rows: {
    "0.3.1": { ...on, version: "0.3.1", prevResult: older, config: iptables, play: "ADD; DEL", refusedBy: { who: "reference", difference: "firewall-versions" } },
    "0.4.0": { ...on, version: "0.4.0", prevResult: older, config: iptables, differences: ofBoth },
    "1.1.0": { ...on, version: "1.1.0", config: iptables, differences: ofBoth },
    "both families": { ...on, config: iptables, differences: ofBoth },
    "IPv4 alone": { ...on, prevResult: { interfaces, ips: [four] }, config: iptables, differences: ofBoth },
    "IPv6 alone": { ...on, prevResult: { interfaces, ips: [six] }, config: iptables, differences: ofBoth },
    "two addresses of a family": { ...on, prevResult: { interfaces, ips: [four, { address: "10.1.2.6/24", interface: 2 }] }, config: iptables, differences: ofBoth },
    "no addresses": { ...on, prevResult: { interfaces }, config: iptables, differences: ["firewall-record"], noCrossing: "nothing tells that the reference was there" },
    "by whatever is usual": { ...on, config: {}, differences: ["firewall-nftables"] },
    "an empty backend": { ...on, config: { backend: "" }, differences: ["firewall-nftables"] },
    "a backend that is none": { ...on, config: { backend: "ebpf" }, refusedBy: { who: "ours", difference: "firewall-backend" } },
    "firewalld where there is none": { ...on, config: { backend: "firewalld" }, refused: 50 },
    "firewalldZone where iptables rule": { ...on, config: { ...iptables, firewalldZone: "public" }, differences: ofBoth },
    "iptablesAdminChainName": { ...on, config: { ...iptables, iptablesAdminChainName: "MY-ADMIN" }, differences: ofBoth },
    "an admin's chain that is there, with rules": { ...on, before: `${before}; iptables -N CNI-ADMIN; iptables -A CNI-ADMIN -s 203.0.113.0/24 -j DROP`, config: iptables, differences: ofBoth },
    "ingressPolicy open": { ...on, config: { ...iptables, ingressPolicy: "open" }, differences: ofBoth },
    "ingressPolicy same-bridge": { ...on, config: { ...iptables, ingressPolicy: "same-bridge" }, differences: ofBoth },
    "ingressPolicy isolated": { ...on, config: { ...iptables, ingressPolicy: "isolated" }, differences: [...ofBoth, "firewall-isolated"], newer: "isolated" },
    "ingressPolicy by whatever is usual": { ...on, config: { ingressPolicy: "same-bridge" }, differences: ["firewall-nftables"] },
    "an ingressPolicy that is none": { ...on, config: { ...iptables, ingressPolicy: "closed" }, refused: 7, differences: ["firewall-failed"] },
    "same-bridge without a bridge": { ...on, prevResult: { ips: [four] }, config: { ...iptables, ingressPolicy: "same-bridge" }, refused: 7, differences: ["firewall-failed"] },
    "no prevResult": { before, config: iptables, refused: 7 },
    "others' rules before": { ...on, before: `${before}; iptables -P FORWARD DROP; iptables -A FORWARD -s 203.0.113.0/24 -j ACCEPT`, config: iptables, differences: ofBoth },
    "a second pod": { ...on, before: `${before}\npod pod2; ADD pod2 >/dev/null`, config: { ...iptables, ingressPolicy: "same-bridge" }, differences: ofBoth },
    "ADD twice": { ...on, config: { ...iptables, ingressPolicy: "same-bridge" }, play: "ADD; ADD; CHECK; DEL", differences: ofBoth },
    "DEL twice": { ...on, config: iptables, play: "ADD; DEL; DEL", differences: ofBoth },
    "DEL without prevResult": { ...on, config: iptables, play: "ADD; PREV= DEL", differences: ofBoth },
    "DEL without a namespace": { ...on, config: iptables, play: "ADD; NETNS= DEL", differences: ofBoth },
    "DEL when the namespace is gone": { ...on, config: iptables, play: "ADD; gone; DEL", differences: ofBoth },
    "DEL of what was never added": { ...on, config: iptables, play: "DEL" },
    "CHECK when the pod's rules are gone": { ...on, config: iptables, play: "ADD; iptables -F CNI-FORWARD; CHECK; DEL", differences: ofBoth },
    "CHECK when nothing leads to them": { ...on, config: iptables, play: "ADD; iptables -F FORWARD; CHECK; DEL", differences: ofBoth },
    "CHECK when the policy's rules are gone": { ...on, config: { ...iptables, ingressPolicy: "same-bridge" }, play: "ADD; iptables -F CNI-ISOLATION-STAGE-1; CHECK; DEL", differences: [...ofBoth, "firewall-check"] },
    "behind bridge": { config: chainOf(iptables), differences: [...ofChain, ...ofBoth, "accept-ra"] },
    "behind bridge, isolated": { config: chainOf({ ...iptables, ingressPolicy: "isolated" }), newer: "isolated", differences: [...ofChain, ...ofBoth, "accept-ra", "firewall-isolated"] },
    "behind bridge, by whatever is usual": { config: chainOf({}), differences: [...ofChain, "accept-ra", "firewall-nftables"] },
    "behind ptp": { config: [{ type: "ptp", ipam: one4 }, { type: "firewall", ...iptables }], differences: [...ofChain, ...ofBoth] },
  },
};
