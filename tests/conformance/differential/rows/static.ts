/** static by itself: an echo of what it is told. */
import type { Table } from "../table.ts";

const ipam = (more: object): { ipam: object } => ({ ipam: { type: "static", ...more } });
const one = { addresses: [{ address: "10.1.2.5/24", gateway: "10.1.2.1" }] } as const;
const two = { addresses: [...one.addresses, { address: "fd00:1:2::5/64", gateway: "fd00:1:2::1" }] } as const;

export const staticTable: Table = {
  type: "static",
  rows: {
    "0.1.0": { version: "0.1.0", config: ipam({ ...one, routes: [{ dst: "0.0.0.0/0" }] }), play: "ADD; DEL" },
    "0.2.0, both families": { version: "0.2.0", config: ipam(two), play: "ADD; DEL" },
    "0.2.0 with two addresses of a family": { version: "0.2.0", config: ipam({ addresses: [...one.addresses, { address: "10.9.0.5/24" }] }), refused: 7 },
    "0.3.1": { version: "0.3.1", config: ipam(two), play: "ADD; DEL" },
    "0.4.0": { version: "0.4.0", config: ipam(two) },
    "1.1.0": { version: "1.1.0", config: ipam(two) },
    "an address": { config: ipam(one) },
    "an address without a gateway": { config: ipam({ addresses: [{ address: "10.1.2.5/24" }] }) },
    "both families": { config: ipam(two) },
    "two of a family": { config: ipam({ addresses: [...one.addresses, { address: "10.9.0.5/16" }] }) },
    "no addresses": { config: ipam({}) },
    "routes and dns": { config: ipam({ ...one, routes: [{ dst: "0.0.0.0/0" }, { dst: "192.0.2.0/24", gw: "10.1.2.9" }], dns: { nameservers: ["192.0.2.53"], domain: "example.org", search: ["a.example"], options: ["ndots:2"] } }) },
    "routes with everything": { version: "1.1.0", config: ipam({ ...one, routes: [{ dst: "192.0.2.0/24", gw: "10.1.2.9", mtu: 1400, advmss: 1360, priority: 7, table: 100, scope: 0 }] }) },
    "IP in CNI_ARGS": { args: "IP=10.1.2.9/24", config: ipam({}) },
    "two IPs in CNI_ARGS, beside the configuration's": { args: "IP=10.3.2.9/24,fd00:9::9/64", config: ipam(one) },
    "IP and GATEWAY in CNI_ARGS": { args: "IP=10.3.2.9/24,fd00:9::9/64;GATEWAY=10.3.2.1,fd00:9::1", config: ipam({}) },
    "GATEWAY in CNI_ARGS for the configuration's address": { args: "GATEWAY=10.1.2.77", config: ipam({ addresses: [{ address: "10.1.2.5/24" }] }), differences: ["static-gateway"], noCrossing: "CHECK misses what the reference did not give" },
    "IP in CNI_ARGS without a prefix": { args: "IP=10.1.2.9", config: ipam({}), refused: 7 },
    "GATEWAY in CNI_ARGS that is none": { args: "IP=10.1.2.9/24;GATEWAY=nobody", config: ipam({}), refused: 7 },
    "ips in args": { config: { ...ipam(one), args: { cni: { ips: ["10.4.0.9/24"] } } } },
    "ips by capability": { config: { ...ipam(one), capabilities: { ips: true } }, runtime: { ips: ["10.5.0.9/24", "fd00:5::9/64"] } },
    "ips by all ways": { args: "IP=10.3.2.9/24", config: { ...ipam(one), args: { cni: { ips: ["10.4.0.9/24"] } }, capabilities: { ips: true } }, runtime: { ips: ["10.5.0.9/24"] } },
    "ips by capability without a prefix": { config: { ...ipam(one), capabilities: { ips: true } }, runtime: { ips: ["10.5.0.9"] }, refused: 7 },
    "ips in args that are none": { config: { ...ipam(one), args: { cni: { ips: ["nobody"] } } }, refused: 7 },
    "an address that is none": { config: ipam({ addresses: [{ address: "nobody" }] }), refused: 7 },
    "an address without a prefix": { config: ipam({ addresses: [{ address: "10.1.2.5" }] }), refused: 7 },
    "no ipam": { config: {}, refused: 7 },
    "DEL twice": { config: ipam(one), play: "ADD; DEL; DEL" },
    "DEL without a namespace": { config: ipam(one), play: "ADD; NETNS= DEL" },
    "CHECK without prevResult": { config: ipam(one), play: "ADD; PREV= CHECK; DEL" },
  },
};
