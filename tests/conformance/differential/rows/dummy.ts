/** dummy: addresses on a device that leads nowhere. */
import type { Table } from "../table.ts";
import { dual, fixed4, one4, one6, outDual } from "./addresses.ts";

export const dummy: Table = {
  type: "dummy",
  needs: ["CONFIG_DUMMY"],
  differences: ["no-dad", "by-attachment", "lock-mode"],
  rows: {
    "0.2.0": { version: "0.2.0", config: { ipam: one4 }, play: "ADD; DEL" },
    "0.3.1, both families": { version: "0.3.1", config: { ipam: outDual }, play: "ADD; DEL" },
    "1.1.0": { version: "1.1.0", config: { ipam: outDual } },
    "STATUS": { version: "1.1.0", config: { ipam: one4 }, play: "STATUS" },
    "IPv4": { config: { ipam: one4 } },
    "IPv6": { config: { ipam: one6 } },
    "both families": { config: { ipam: dual } },
    "dns of IPAM": { config: { ipam: { ...fixed4, dns: { nameservers: ["192.0.2.53"] } } } },
    "dns": { config: { ipam: one4, dns: { nameservers: ["192.0.2.53"] } }, differences: ["dns-of-dummy"] },
    "no IPAM": { config: {}, refused: 7, needs: [] },
    "an IPAM plugin that there is not": { config: { ipam: { type: "nobody" } }, refused: 4 },
    "an interface that is there": { config: { ipam: one4 }, before: "ip -n pod1 link add eth0 type veth peer name eth1", refused: 4 },
    "DEL twice": { config: { ipam: one4 }, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { config: { ipam: one4 }, play: "ADD; NETNS= DEL" },
    "DEL when the namespace is gone": { config: { ipam: one4 }, play: "ADD; gone; DEL" },
    "CHECK when the interface is down": { config: { ipam: one4 }, play: "ADD; ip -n pod1 link set eth0 down; CHECK; DEL" },
    "CHECK when the address is gone": { config: { ipam: one4 }, play: "ADD; ip -n pod1 addr flush dev eth0; CHECK; DEL" },
  },
};
