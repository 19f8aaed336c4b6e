/** tap: a device whose other end nobody has opened yet. */
import type { Table } from "../table.ts";
import { dual, fixed4, one4 } from "./addresses.ts";

export const tap: Table = {
  type: "tap",
  differences: ["no-dad", "by-attachment", "lock-mode"],
  rows: {
    "0.3.1": { version: "0.3.1", config: { ipam: one4 }, play: "ADD; DEL" },
    "1.1.0": { version: "1.1.0", config: { ipam: one4 } },
    "STATUS": { version: "1.1.0", config: { ipam: one4 }, play: "STATUS" },
    "no IPAM": { config: {} },
    "IPv4": { config: { ipam: one4 } },
    "both families": { config: { ipam: dual }, differences: ["tap-dad"] },
    "multiQueue": { config: { multiQueue: true } },
    "mtu": { config: { mtu: 1400 } },
    "mac": { config: { mac: "0a:58:0a:01:02:11" } },
    "mac by CNI_ARGS": { args: "IgnoreUnknown=1;MAC=0a:58:0a:01:02:22", config: { mac: "0a:58:0a:01:02:11" } },
    "mac by capability": { config: { mac: "0a:58:0a:01:02:11", capabilities: { mac: true } }, runtime: { mac: "0a:58:0a:01:02:33" } },
    "a mac that is none": { config: { mac: "nobody" }, refused: 7 },
    "owner": { config: { owner: 1000 } },
    "group": { config: { group: 1000 } },
    "owner and group": { config: { owner: 1000, group: 1001 }, differences: ["tap-flags"] },
    "owner, group and several queues": { config: { owner: 1000, group: 1001, multiQueue: true }, differences: ["tap-flags"] },
    "owner, group, mac and mtu": { config: { owner: 1000, group: 1001, mac: "0a:58:0a:01:02:11", mtu: 1400 }, differences: ["tap-flags", "tap-owned"], noCrossing: "CHECK misses what the reference did not do" },
    "owner below nothing": { config: { owner: -1 }, refused: 7 },
    "bridge": { config: { bridge: "br0" }, before: "ip -n pod1 link add br0 type bridge; ip -n pod1 link set br0 up" },
    "a bridge that there is not": { config: { bridge: "br0" }, refused: 7 },
    "selinuxContext on a kernel without": { config: { selinuxContext: "system_u:system_r:container_t:s0" }, refused: 7 },
    "dns": { config: { ipam: one4, dns: { nameservers: ["192.0.2.53"] } } },
    "dns of IPAM": { config: { ipam: { ...fixed4, dns: { nameservers: ["192.0.2.53"] } } }, differences: ["dns-of-ipam"] },
    "an interface that is there": { config: { ipam: one4 }, before: "ip -n pod1 link add eth0 type veth peer name eth1", refusedBy: { who: "ours", difference: "tap-taken" } },
    "DEL twice": { config: { ipam: one4 }, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { config: { ipam: one4 }, play: "ADD; NETNS= DEL" },
    "DEL when the namespace is gone": { config: { ipam: one4 }, play: "ADD; gone; DEL" },
    "CHECK when the address is gone": { config: { ipam: one4 }, play: "ADD; ip -n pod1 addr flush dev eth0; CHECK; DEL" },
  },
};
