/** What is sent for each kind of link, explained by the tables that send it: kinds that a kernel lacks are seen here. */
import { expect, test } from "bun:test";
import { createLinks, type NewLink } from "./links.ts";
import { parseMac } from "./mac.ts";
import { requestsOf } from "./testing/wire.ts";

const requestOf = (link: NewLink): string[] => requestsOf((rtnl) => createLinks(rtnl).add(link)).slice(1); // the header is of zeros

test("a device on another is asked for with its parent, its namespace and its kind's data", () => {
  expect(requestOf({ kind: "macvlan", name: "m", parent: 3, netnsFd: 7, mode: "vepa", broadcastQueue: 500, mtu: 1400, mac: parseMac("02:00:00:00:00:01") })).toEqual([
    'IFLA_IFNAME (3) "m"', "IFLA_MTU (4) 1400", "IFLA_ADDRESS (1) 02 00 00 00 00 01", "IFLA_LINK (5) 3", "IFLA_NET_NS_FD (28) 7", "IFLA_LINKINFO (18)",
    '  IFLA_INFO_KIND (1) "macvlan"', "  IFLA_INFO_DATA (2)", "    IFLA_MACVLAN_MODE (1) 2", "    IFLA_MACVLAN_BC_QUEUE_LEN (7) 500",
  ]);
  expect(requestOf({ kind: "ipvlan", name: "i", parent: 3, netnsFd: 7, mode: "l3s" })).toEqual([
    'IFLA_IFNAME (3) "i"', "IFLA_LINK (5) 3", "IFLA_NET_NS_FD (28) 7", "IFLA_LINKINFO (18)", '  IFLA_INFO_KIND (1) "ipvlan"', "  IFLA_INFO_DATA (2)", "    IFLA_IPVLAN_MODE (1) 2",
  ]);
  expect(requestOf({ kind: "vrf", name: "blue", table: 1001, up: true })).toEqual([
    'IFLA_IFNAME (3) "blue"', "IFLA_LINKINFO (18)", '  IFLA_INFO_KIND (1) "vrf"', "  IFLA_INFO_DATA (2)", "    IFLA_VRF_TABLE (1) 1001",
  ]);
  expect(requestOf({ kind: "vlan", name: "v", parent: 3, netnsFd: 7, id: 100 })).toEqual([
    'IFLA_IFNAME (3) "v"', "IFLA_LINK (5) 3", "IFLA_NET_NS_FD (28) 7", "IFLA_LINKINFO (18)", '  IFLA_INFO_KIND (1) "vlan"', "  IFLA_INFO_DATA (2)", "    IFLA_VLAN_ID (1) 100",
  ]);
});

test("a device on none is asked for by its kind alone", () => {
  expect(requestOf({ kind: "dummy", name: "d" })).toEqual(['IFLA_IFNAME (3) "d"', "IFLA_LINKINFO (18)", '  IFLA_INFO_KIND (1) "dummy"']);
  expect(requestOf({ kind: "ifb", name: "i", txQueueLength: 0, up: true })).toEqual(['IFLA_IFNAME (3) "i"', "IFLA_TXQLEN (13) 0", "IFLA_LINKINFO (18)", '  IFLA_INFO_KIND (1) "ifb"']);
  expect(requestOf({ kind: "bridge", name: "b", up: true })).toEqual(['IFLA_IFNAME (3) "b"', "IFLA_LINKINFO (18)", '  IFLA_INFO_KIND (1) "bridge"', "  IFLA_INFO_DATA (2)"]);
});
