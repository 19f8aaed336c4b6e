/** ptp on a node: what every interface plugin owes its pods, and what is its own. */
import { expect } from "bun:test";
import { find } from "@vethwork/cni";
import { dualIpam, interfaceSuite } from "../testing/interface-suite.ts";
import { stageTest } from "../testing/stage.ts";

const config = { cniVersion: "1.1.0", name: "mynet", type: "ptp", ipMasq: true, ipam: dualIpam };

interfaceSuite({
  config,
  damages: [
    ["an address of the pod", "ip -n pod1 addr del IP6/64 dev eth0", /"eth0" has lost its address fd00:1:2::\w+\/64/],
    ["the pod's default route", "ip -n pod1 route del default", /lost its route to 0\.0\.0\.0\/0 via 10\.1\.2\.1/],
    ["the pod's link", "ip -n pod1 link set eth0 down", /"eth0" is down/],
    ["the pod's interface", "ip -n pod1 link del eth0", /no interface "eth0"/],
    ["the pod's MAC address", "ip -n pod1 link set eth0 address 02:00:00:00:00:09", /MAC address 02:00:00:00:00:09 instead of/],
    ["the node's end", "ip link set NEAR down", /on the node, "veth\w+", is down/],
    ["the gateway's address", "ip addr del 10.1.2.1/32 dev NEAR", /has lost its address 10\.1\.2\.1/],
    ["the route to the pod", "ip -6 route del IP6", /no route to fd00:1:2::\w+/],
    ["forwarding", "sysctl -qw net.ipv4.ip_forward=0", /does not forward IPv4/],
    ["the masquerade rules", "nft flush chain inet cni_plugins_masquerade masq_checks", /masquerades 10\.1\.2\.\d+ is missing/],
    ["the way to them", "nft flush chain inet cni_plugins_masquerade postrouting", /chain "postrouting" of table/],
    ["the book's file", "rm /var/lib/cni/networks/mynet/IP4", /10\.1\.2\.\d+ is not reserved/],
  ],
});

stageTest("ptp: another pod of the subnet is behind the gateway, and the cables' ends share its address", async (stage) => {
  const pods = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  for (const pod of pods) expect((await stage.call({ command: "ADD", config: { ...config, mtu: 1400 }, pod })).code).toBe(0);
  const routes = (await stage.node.run(["ip", "-n", "pod1", "route"])).split("\n").map((line) => line.trim()).filter(Boolean);
  expect(routes).toEqual(["default via 10.1.2.1 dev eth0", "10.1.2.0/24 via 10.1.2.1 dev eth0 src 10.1.2.2", "10.1.2.1 dev eth0 scope link src 10.1.2.2"]);
  expect((await stage.node.run(["ip", "-o", "-4", "addr"])).match(/10\.1\.2\.1\/32/g)).toHaveLength(2);
  expect(await stage.node.run(["ip", "-n", "pod1", "link", "show", "eth0"])).toContain("mtu 1400");
});

stageTest("ptp: two addresses of one subnet have one gateway, where the reference fails", async (stage) => {
  const ipam = { type: "static", addresses: [{ address: "10.1.2.5/24", gateway: "10.1.2.1" }, { address: "10.1.2.6/24", gateway: "10.1.2.1" }] };
  const pod = await stage.addPod("pod1");
  const added = await stage.call({ command: "ADD", config: { ...config, ipam }, pod });
  expect({ code: added.code, msg: find(added.result, "msg") }).toEqual({ code: 0, msg: undefined });
  for (const ip of ["10.1.2.5", "10.1.2.6"]) expect((await stage.node.exec(["ping", "-c1", "-W2", ip])).code).toBe(0);
});

stageTest("ptp: an address without a gateway is refused, and released; routes keep mtu and advmss, metric and table", async (stage) => {
  const pod = await stage.addPod("pod1");
  const noGateway = { ...config, ipam: { type: "static", addresses: [{ address: "10.1.2.5/24" }] } };
  expect((await stage.call({ command: "ADD", config: noGateway, pod })).result).toMatchObject({ code: 7, msg: expect.stringContaining("without a gateway") });
  const routes = [{ dst: "198.51.100.0/24", mtu: 1300, advmss: 1200, priority: 50 }, { dst: "203.0.113.0/24", table: 77 }];
  expect((await stage.call({ command: "ADD", config: { ...config, ipam: { type: "host-local", subnet: "10.1.2.0/24", routes } }, pod })).code).toBe(0);
  expect(await stage.node.run(["ip", "-n", "pod1", "route", "show", "198.51.100.0/24"])).toMatch(/via 10\.1\.2\.1 dev eth0 metric 50 mtu 1300 advmss 1200/);
  expect(await stage.node.run(["ip", "-n", "pod1", "route", "show", "table", "77"])).toContain("203.0.113.0/24 via 10.1.2.1");
});
