/** vlan on the node's eth0, or on a device in the pod. */
import type { Table } from "../table.ts";
import { fixed4, one4, wire4, wireDual } from "./addresses.ts";

const on = { master: "eth0", vlanId: 100, ipam: wire4 } as const;

export const vlan: Table = {
  type: "vlan",
  needs: ["CONFIG_VLAN_8021Q"],
  differences: ["no-dad", "by-attachment", "lock-mode"],
  rows: {
    "0.2.0": { version: "0.2.0", config: on, play: "ADD; DEL" },
    "0.3.1, both families": { version: "0.3.1", config: { ...on, ipam: wireDual }, play: "ADD; DEL" },
    "1.1.0": { version: "1.1.0", config: { ...on, ipam: wireDual } },
    "STATUS": { version: "1.1.0", config: on, play: "STATUS" },
    "IPv4": { config: on },
    "both families": { config: { ...on, ipam: wireDual } },
    "vlanId 0": { config: { ...on, vlanId: 0 } },
    "vlanId 4094": { config: { ...on, vlanId: 4094 } },
    "vlanId 4095": { config: { ...on, vlanId: 4095 }, refused: 7, needs: [] },
    "vlanId -1": { config: { ...on, vlanId: -1 }, refused: 7, needs: [] },
    "vlanId as text": { config: { ...on, vlanId: "100" }, refused: 7, needs: [] },
    "mtu": { config: { ...on, mtu: 1400 } },
    "mtu larger than the parent's": { config: { ...on, mtu: 9000 }, refused: 7, needs: [] },
    "linkInContainer": { config: { ...on, master: "port0", linkInContainer: true }, before: "ip -n pod1 link add port0 type veth peer name port1; ip -n pod1 link set port0 up; ip -n pod1 link set port1 up", newer: "linkInContainer" },
    "no parent": { config: { vlanId: 100, ipam: wire4 }, refused: 7, needs: [] },
    "a parent that there is not": { config: { ...on, master: "nobody" }, refused: 7, needs: [] },
    "no IPAM": { config: { master: "eth0", vlanId: 100 }, refused: 7, needs: [] },
    "dns": { config: { ...on, dns: { search: ["a.example"] } } },
    "dns of IPAM": { config: { ...on, ipam: { ...fixed4, dns: { nameservers: ["192.0.2.53"] } } }, differences: ["dns-of-ipam"] },
    "two pods, two VLANs": { config: on, before: "ip link add link eth0 name eth0.7 type vlan id 7" },
    "the same VLAN twice": { config: on, before: "ip link add link eth0 name eth0.100 type vlan id 100", refused: 999 },
    "an interface that is there": { config: on, before: "ip -n pod1 link add eth0 type veth peer name eth1", refused: 4 },
    "DEL twice": { config: on, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { config: on, play: "ADD; NETNS= DEL" },
    "DEL when the namespace is gone": { config: on, play: "ADD; gone; DEL" },
    "DEL when the parent is gone": { config: { ...on, master: "port0", ipam: one4 }, before: "ip link add port0 type veth peer name port1; ip link set port0 up", play: "ADD; ip link del port0; DEL", differences: ["del-without-parent"] },
    "CHECK when the interface is gone": { config: on, play: "ADD; ip -n pod1 link del eth0; CHECK; DEL" },
  },
};
