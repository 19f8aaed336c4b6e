/** loopback: lo and nothing else. */
import type { Table } from "../table.ts";

export const loopback: Table = {
  type: "loopback",
  differences: ["loopback-result"],
  rows: {
    "no version": { version: "", config: {}, play: "ADD; DEL" },
    "0.1.0": { version: "0.1.0", config: {}, play: "ADD; DEL" },
    "0.2.0": { version: "0.2.0", config: {}, play: "ADD; DEL" },
    "0.3.0": { version: "0.3.0", config: {}, play: "ADD; DEL" },
    "0.3.1": { version: "0.3.1", config: {}, play: "ADD; DEL" },
    "0.4.0": { version: "0.4.0", config: {} },
    "1.0.0": { config: {} },
    "1.1.0": { version: "1.1.0", config: {} },
    "behind another": { config: {}, prevResult: { interfaces: [{ name: "eth0", sandbox: "/run/netns/pod1" }], ips: [{ address: "10.1.2.5/24", interface: 0 }], dns: { domain: "example.org" } } },
    "behind another, 0.3.1": { version: "0.3.1", config: {}, prevResult: { interfaces: [{ name: "eth0", sandbox: "/run/netns/pod1" }], ips: [{ version: "4", address: "10.1.2.5/24", interface: 0 }] }, play: "ADD; DEL" },
    "lo with an address that is none of its own": { config: {}, before: "ip -n pod1 addr add 10.9.9.9/32 dev lo", refused: 999 },
    "lo that is up already": { config: {}, before: "ip -n pod1 link set lo up" },
    "another interface's name": { ifname: "net1", config: {} },
    "DEL twice": { config: {}, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { config: {}, play: "ADD; NETNS= DEL" },
    "DEL when the namespace is gone": { config: {}, play: "ADD; gone; DEL" },
    "CHECK when lo is down": { config: {}, play: "ADD; ip -n pod1 link set lo down; CHECK; DEL" },
    "ADD without a namespace": { config: {}, play: "NETNS=/run/netns/nobody ADD; DEL", refused: 3 },
  },
};
