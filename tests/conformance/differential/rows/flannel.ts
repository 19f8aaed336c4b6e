/**
 * flannel and the original: the reference suite had flannel until 0.9, which Debian's bullseye still carries; it spoke version
 * 0.4.0 and one family. Its delegates are the newest there are.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { newerPackage } from "../../debian.ts";
import type { Table } from "../table.ts";

const folder = join(newerPackage("containernetworking-plugins")?.path ?? "", "usr/lib/cni");
const lines = { FLANNEL_NETWORK: "10.244.0.0/16", FLANNEL_SUBNET: "10.244.1.1/24", FLANNEL_MTU: "1450", FLANNEL_IPMASQ: "true" };
const daemon = (more: object = {}, path = "/run/flannel/subnet.env"): string =>
  `mkdir -p ${path.slice(0, path.lastIndexOf("/"))}; printf '${Object.entries({ ...lines, ...more }).map(([key, value]) => `${key}=${value}\\n`).join("")}' >${path}`;
const on = { version: "0.4.0", before: daemon(), play: "ADD; DEL" } as const;

export const flannel: Table = {
  type: "flannel",
  reference: { folder, lacks: existsSync(join(folder, "flannel")) ? "" : "flannel of Debian bullseye: tests/conformance/fetch.sh" },
  differences: ["cable-alias", "cable-queue", "no-dad", "by-attachment", "lock-mode", "flannel-stash"],
  rows: {
    "0.2.0": { ...on, version: "0.2.0", config: {} },
    "0.3.1": { ...on, version: "0.3.1", config: {} },
    "nothing but its type": { ...on, config: {} },
    "as flannel's own manifest has it": { ...on, config: { delegate: { hairpinMode: true, isDefaultGateway: true } } },
    "another bridge and MTU": { ...on, config: { delegate: { bridge: "br9", mtu: 1300, isGateway: false } } },
    "ptp and routes": { ...on, config: { delegate: { type: "ptp" }, ipam: { routes: [{ dst: "198.51.100.0/24" }] } } },
    "macvlan": { ...on, config: { delegate: { type: "macvlan", master: "eth0" } } },
    "the daemon masquerades, whatever it says": { ...on, config: { delegate: { ipMasqBackend: "nftables" } } },
    "the delegate may not masquerade": { ...on, before: daemon({ FLANNEL_IPMASQ: "false" }), config: { delegate: { ipMasq: false } } },
    "the delegate masquerades": { ...on, before: daemon({ FLANNEL_IPMASQ: "false" }), config: {}, differences: ["nftables-first", "iptables-words"] },
    "the delegate masquerades by iptables": { ...on, before: daemon({ FLANNEL_IPMASQ: "false" }), config: { delegate: { ipMasqBackend: "iptables" } } },
    "an MTU of the daemon's": { ...on, before: daemon({ FLANNEL_MTU: "1200" }), config: {} },
    "keys that JSON escapes": { ...on, config: { delegate: { isDefaultGateway: true, "x<y": "&" } } },
    "runtimeConfig": { ...on, config: { runtimeConfig: { mac: "02:00:00:00:00:07" }, delegate: {} } },
    "subnetFile": { ...on, before: daemon({}, "/run/elsewhere/subnet.env"), config: { subnetFile: "/run/elsewhere/subnet.env" } },
    "dataDir": { ...on, config: { dataDir: "/run/kept" } },
    "another interface": { ...on, ifname: "net1", config: {} },
    "a second pod": { ...on, before: `${daemon()}; pod pod2; ADD pod2 >/dev/null`, config: {} },
    "no lease yet": { ...on, before: "", config: {}, refused: 11 },
    "a lease without an MTU": { ...on, before: daemon({ FLANNEL_MTU: "" }), config: {}, refused: 7 },
    "an MTU that is none": { ...on, before: daemon({ FLANNEL_MTU: "many" }), config: {}, refused: 7 },
    "a line without a value": { ...on, before: `${daemon()}; echo FLANNEL_MTU >>/run/flannel/subnet.env`, config: {}, refused: 7, differences: ["flannel-crash"] },
    "a subnet that is none": { ...on, before: daemon({ FLANNEL_SUBNET: "10.244.1.1" }), config: {}, refused: 7 },
    "a delegate with a name": { ...on, config: { delegate: { name: "x" } }, refused: 7 },
    "a delegate with its own IPAM": { ...on, config: { delegate: { ipam: {} } }, refused: 7 },
    "a delegate whose type is none": { ...on, config: { delegate: { type: 7 } }, refused: 7 },
    "a delegate that is none": { ...on, config: { delegate: 7 }, refused: 7 },
    "a delegate that there is not": { ...on, config: { delegate: { type: "nobody" } }, refused: 4, differences: ["flannel-failed"] },
    "routes that are none": { ...on, config: { ipam: { routes: 7 } }, refused: 7 },
    "DEL of what was never added": { ...on, config: {}, play: "DEL" },
    "DEL twice": { ...on, config: {}, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { ...on, config: {}, play: "ADD; NETNS= DEL", differences: ["del-by-labels"] },
    "DEL when the lease is gone": { ...on, config: {}, play: "ADD; rm /run/flannel/subnet.env; DEL" },
    "DEL without prevResult": { ...on, config: {}, play: "ADD; PREV= DEL" },
  },
};
