/** vrf on net1 of a pod that has two interfaces. */
import type { Table } from "../table.ts";
import { sbr } from "./sbr.ts";

const { before = "", prevResult = {} } = sbr.rows["both families"] ?? {};
const on = { ifname: "net1", before, prevResult } as const;
const blue = { vrfname: "blue" } as const;

export const vrf: Table = {
  type: "vrf",
  needs: ["CONFIG_NET_VRF"],
  rows: {
    "0.3.1": { ...on, version: "0.3.1", prevResult: { ...prevResult, ips: [{ version: "4", address: "10.9.0.7/24", gateway: "10.9.0.1", interface: 1 }] }, config: blue, play: "ADD; DEL" },
    "1.1.0": { ...on, version: "1.1.0", config: blue },
    "a vrf": { ...on, config: blue },
    "table": { ...on, config: { ...blue, table: 1001 } },
    "a vrf that is there": { ...on, before: `${before}\nip -n pod1 link add blue type vrf table 77; ip -n pod1 link set blue up`, config: blue },
    "a vrf that is there with this table": { ...on, before: `${before}\nip -n pod1 link add blue type vrf table 77; ip -n pod1 link set blue up`, config: { ...blue, table: 77 } },
    "a vrf that is there with another table": { ...on, before: `${before}\nip -n pod1 link add blue type vrf table 77`, config: { ...blue, table: 78 }, refused: 7 },
    "a table that another vrf has": { ...on, before: `${before}\nip -n pod1 link add red type vrf table 1; ip -n pod1 link set red up`, config: blue },
    "a name that is no vrf": { ...on, config: { vrfname: "eth0" }, refused: 7, needs: [] },
    "no name": { ...on, config: {}, refused: 7, needs: [] },
    "an interface with a master": { ...on, before: `${before}\nip -n pod1 link add red type vrf table 9; ip -n pod1 link set net1 master red`, config: blue, refused: 7, differences: ["vrf-of-others"] },
    "no prevResult": { ifname: "net1", before, config: blue, refused: 7, needs: [] },
    "an interface that there is not": { ...on, ifname: "net2", config: blue, refused: 4, needs: [] },
    "two interfaces": { ...on, config: blue, play: "ADD; IFNAME=eth0; ADD; DEL; IFNAME=net1; DEL", differences: ["vrf-second"] },
    "DEL twice": { ...on, config: blue, play: "ADD; DEL; DEL" },
    "DEL without a namespace": { ...on, config: blue, play: "ADD; NETNS= DEL" },
    "DEL when the namespace is gone": { ...on, config: blue, play: "ADD; gone; DEL" },
    "DEL when the interface is gone": { ...on, config: blue, play: "ADD; ip -n pod1 link del net1; DEL", differences: ["vrf-del"] },
    "CHECK when the interface is out of it": { ...on, config: blue, play: "ADD; ip -n pod1 link set net1 nomaster; CHECK; DEL" },
  },
};
