/** sbr on net1 of a pod that has two interfaces. */
import type { Table } from "../table.ts";

/** eth0 10.1.0.5 with the default route, net1 10.9.0.7 and fd09::7 with routes of its own. */
const before = [
  "for net in 'eth0 1 5' 'net1 9 7'; do set -- $net",
  "ip link add port$2 type veth peer name $1 netns pod1; ip link set port$2 up; ip -n pod1 link set $1 up",
  "ip -n pod1 addr add 10.$2.0.$3/24 dev $1; ip -n pod1 addr add fd0$2::$3/64 dev $1 nodad; done",
  "ip -n pod1 route add default via 10.1.0.1; ip -n pod1 route add default via fd01::1",
  "ip -n pod1 route add 198.51.100.0/24 via 10.9.0.1; ip -n pod1 route add 2001:db8:7::/48 via fd09::1",
].join("\n");
const prevResult = {
  interfaces: [{ name: "port9" }, { name: "net1", sandbox: "/run/netns/pod1" }],
  ips: [{ address: "10.9.0.7/24", gateway: "10.9.0.1", interface: 1 }, { address: "fd09::7/64", gateway: "fd09::1", interface: 1 }],
} as const;
const on = { ifname: "net1", before, prevResult } as const;

export const sbr: Table = {
  type: "sbr",
  differences: ["sbr-stays"],
  rows: {
    "0.4.0": { ...on, version: "0.4.0", prevResult: { ...prevResult, ips: [{ version: "4", ...prevResult.ips[0] }] }, config: {} },
    "1.1.0": { ...on, version: "1.1.0", config: {} },
    "both families": { ...on, config: {} },
    "IPv4 alone": { ...on, prevResult: { ...prevResult, ips: [prevResult.ips[0]] }, config: {} },
    "IPv6 alone": { ...on, prevResult: { ...prevResult, ips: [prevResult.ips[1]] }, config: {} },
    "no gateway": { ...on, prevResult: { ...prevResult, ips: [{ address: "10.9.0.7/24", interface: 1 }] }, config: {} },
    "addresses of no interface": { ...on, prevResult: { ips: [{ address: "10.9.0.7/24", gateway: "10.9.0.1" }] }, config: {} },
    "addresses of another interface": { ...on, prevResult: { ...prevResult, ips: [{ address: "10.9.0.7/24", gateway: "10.9.0.1", interface: 0 }] }, config: {}, refusedBy: { who: "ours", difference: "sbr-nothing-of-it" } },
    "table": { ...on, config: { table: 77 }, newer: "table" },
    "table that is none": { ...on, config: { table: "main" }, refused: 7 },
    "gateways": { ...on, config: { gateways: ["10.9.0.99", "fd09::99"] }, differences: ["sbr-newer-options"] },
    "gateways of one family": { ...on, config: { gateways: ["10.9.0.99"] }, differences: ["sbr-newer-options"] },
    "gateways, two of a family": { ...on, config: { gateways: ["10.9.0.98", "10.9.0.99"] }, refusedBy: { who: "ours", difference: "sbr-newer-options" } },
    "gateways, three": { ...on, config: { gateways: ["10.9.0.98", "fd09::98", "fd09::99"] }, refusedBy: { who: "ours", difference: "sbr-newer-options" } },
    "gateways that are none": { ...on, config: { gateways: ["nobody"] }, refusedBy: { who: "ours", difference: "sbr-newer-options" } },
    "addSourceHints": { ...on, config: { addSourceHints: true }, differences: ["sbr-newer-options"] },
    "a table that is taken": { ...on, before: `${before}\nip -n pod1 rule add from 10.77.0.0/16 lookup 100`, config: {} },
    "two addresses of a family": { ...on, before: `${before}\nip -n pod1 addr add 10.8.0.7/24 dev net1`, prevResult: { ...prevResult, ips: [prevResult.ips[0], { address: "10.8.0.7/24", gateway: "10.8.0.1", interface: 1 }] }, config: {} },
    "no prevResult": { ifname: "net1", before, config: {}, refused: 7 },
    "no addresses": { ...on, prevResult: { interfaces: prevResult.interfaces }, config: {}, refused: 7 },
    "an interface that there is not": { ...on, ifname: "net2", prevResult: { ips: prevResult.ips }, config: {}, refused: 4 },
    "DEL twice": { ...on, config: {}, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { ...on, config: {}, play: "ADD; NETNS= DEL", differences: ["sbr-del"] },
    "DEL when the namespace is gone": { ...on, config: {}, play: "ADD; gone; DEL", differences: ["sbr-del"] },
    "DEL when the interface is gone": { ...on, config: {}, play: "ADD; ip -n pod1 link del net1; DEL", differences: ["sbr-rules"] },
    "DEL of what was never added": { ...on, config: {}, play: "DEL" },
    "DEL with table": { ...on, config: { table: 77 }, play: "ADD; DEL", newer: "table" },
    "CHECK when the rules are gone": { ...on, config: {}, play: "ADD; ip -n pod1 rule del from 10.9.0.7; CHECK; DEL", differences: ["sbr-check"] },
  },
};
