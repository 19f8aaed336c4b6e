/** ipvlan on the node's eth0, on a device in the pod, or behind another plugin. */
import type { Table } from "../table.ts";
import { fixed4, wire4, wireDual } from "./addresses.ts";

const on = { master: "eth0", ipam: wire4 } as const;
const before = { interfaces: [{ name: "eth0", mac: "02:00:00:00:00:01" }], ips: [{ address: "192.0.2.30/24", gateway: "192.0.2.254", interface: 0 }], routes: [{ dst: "0.0.0.0/0" }] } as const;

export const ipvlan: Table = {
  type: "ipvlan",
  needs: ["CONFIG_IPVLAN"],
  differences: ["no-dad", "by-attachment", "lock-mode"],
  rows: {
    "0.1.0": { version: "0.1.0", config: on, play: "ADD; DEL" },
    "0.3.1, both families": { version: "0.3.1", config: { master: "eth0", ipam: wireDual }, play: "ADD; DEL" },
    "1.1.0": { version: "1.1.0", config: { master: "eth0", ipam: wireDual } },
    "IPv4": { config: on },
    "both families": { config: { master: "eth0", ipam: wireDual } },
    "the device of the default route": { config: { ipam: wire4 }, play: "ADD; DEL" },
    "no default route": { config: { ipam: wire4 }, before: "ip route del default; ip -6 route del default", refused: 7, needs: [] },
    "mode l2": { config: { ...on, mode: "l2" } },
    "mode l3": { config: { ...on, mode: "l3" } },
    "mode l3s": { config: { ...on, mode: "l3s" } },
    "another mode": { config: { ...on, mode: "l4" }, refused: 7, needs: [] },
    "mtu": { config: { ...on, mtu: 1400 } },
    "linkInContainer": { config: { master: "port0", linkInContainer: true, ipam: wire4 }, before: "ip -n pod1 link add port0 type veth peer name port1; ip -n pod1 link set port0 up; ip -n pod1 link set port1 up" },
    "a parent that there is not": { config: { master: "nobody", ipam: wire4 }, refused: 7, needs: [] },
    "behind another, on its interface, with its addresses": { config: {}, prevResult: before, play: "ADD; DEL" },
    "behind another, on a device of its own choice": { config: { master: "eth0" }, prevResult: before },
    "behind another, with addresses of IPAM": { config: on, prevResult: before },
    "behind another with two interfaces": { config: {}, prevResult: { ...before, interfaces: [...before.interfaces, { name: "lo" }] }, refused: 7, needs: [] },
    "no IPAM": { config: { master: "eth0" }, refused: 7, needs: [] },
    "dns": { config: { ...on, dns: { nameservers: ["192.0.2.53"] } } },
    "dns of IPAM": { config: { master: "eth0", ipam: { ...fixed4, dns: { nameservers: ["192.0.2.53"] } } }, differences: ["dns-of-ipam"] },
    "an interface that is there": { config: on, before: "ip -n pod1 link add eth0 type veth peer name eth1", refused: 4 },
    "two pods": { config: on, before: "pod pod2; ADD pod2 >/dev/null" },
    "DEL twice": { config: on, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { config: on, play: "ADD; NETNS= DEL" },
    "DEL when the namespace is gone": { config: on, play: "ADD; gone; DEL" },
    "DEL without a default route": { config: { ipam: wire4 }, play: "ADD; ip route del default; ip -6 route del default; DEL" },
    "CHECK when the interface is gone": { config: on, play: "ADD; ip -n pod1 link del eth0; CHECK; DEL" },
  },
};
