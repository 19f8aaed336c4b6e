import { expect, test } from "bun:test";
import { parseConfig, type JsonObject } from "@vethwork/cni";
import { delegateFor, leaseFaults, options } from "./plan.ts";
import { parseLease } from "./subnet-env.ts";

const env = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
const lease = parseLease(env);
const given = (more: JsonObject) => parseConfig(options, { cniVersion: "1.0.0", name: "cbr0", type: "flannel", ...more });
const made = (more: JsonObject, now = lease) => delegateFor(given(more), now);

test("without a word the delegate is a bridge with a gateway, and host-local with the node's subnet", () => {
  expect(made({})).toEqual({
    cniVersion: "1.0.0", name: "cbr0", type: "bridge", isGateway: true, ipMasq: false, mtu: 1450,
    ipam: { type: "host-local", ranges: [[{ subnet: "10.244.1.0/24" }]], routes: [{ dst: "10.244.0.0/16" }] },
  });
});

test("where flanneld does not masquerade, the delegate does; two families are two ranges and two routes", () => {
  const six = parseLease(`${env.replace("true", "false")}FLANNEL_IPV6_NETWORK=fd00::/48\nFLANNEL_IPV6_SUBNET=fd00:0:0:1::1/64\n`);
  expect(made({}, six)).toMatchObject({
    ipMasq: true, ipam: { ranges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:0:0:1::/64" }]], routes: [{ dst: "10.244.0.0/16" }, { dst: "fd00::/48" }] },
  });
});

test("what the configuration says comes first; only ranges are always flanneld's, and its networks stand behind the other routes", () => {
  const delegate = { type: "ptp", mtu: 1300, ipMasq: true, cniVersion: "0.1.0", dns: { nameservers: ["192.0.2.53"] } };
  const ipam = { type: "other", dataDir: "/run/x", ranges: [[{ subnet: "1.2.3.0/24" }]], routes: [{ dst: "198.51.100.0/24", gw: "10.244.1.9" }] };
  expect(made({ delegate, ipam, runtimeConfig: { mac: "02:00:00:00:00:01" }, dns: { nameservers: ["192.0.2.1"] } })).toEqual({
    ...delegate, cniVersion: "1.0.0", name: "cbr0", runtimeConfig: { mac: "02:00:00:00:00:01" },
    ipam: { type: "other", dataDir: "/run/x", ranges: [[{ subnet: "10.244.1.0/24" }]], routes: [{ dst: "198.51.100.0/24", gw: "10.244.1.9" }, { dst: "10.244.0.0/16" }] },
  });
  expect(made({ delegate: { isGateway: false } })).toMatchObject({ isGateway: false });
  expect(made({ cniVersion: "", delegate: { cniVersion: "0.3.1" } })).toMatchObject({ cniVersion: "0.3.1" });
});

test.each([
  [{ delegate: { name: "x" } }, "'delegate' dictionary must not have 'name' field"], [{ delegate: { ipam: {} } }, "'delegate' dictionary must not have 'ipam' field"],
  [{ delegate: { type: 1 } }, "must have (string) 'type' field"], [{ delegate: { type: "flannel" } }, 'invalid option "delegate.type": "flannel"'],
  [{ ipam: { routes: "all" } }, 'invalid option "ipam.routes": "all" (a list of routes is wanted)'], [{ delegate: [] }, 'invalid option "delegate"'],
])("%j is refused", (more, words) => {
  expect(() => made(more)).toThrow(words);
});

test("a lease that has changed since is told in each of its parts, one that has not is not", () => {
  const kept = made({});
  const now = parseLease("FLANNEL_NETWORK=10.244.0.0/16,10.99.0.0/16\nFLANNEL_SUBNET=10.244.7.1/24\nFLANNEL_MTU=1400\nFLANNEL_IPMASQ=true\n");
  expect(leaseFaults(kept, given({}), lease)).toEqual([]);
  expect(leaseFaults(kept, given({}), now)).toEqual([
    "its subnet 10.244.1.0/24 is not this node's any more (10.244.7.0/24 is)",
    "the pod knows no way to the network 10.99.0.0/16",
    "the pod may send packets of 1450 bytes (1400 pass between nodes)",
  ]);
  expect(leaseFaults(made({ delegate: { mtu: 9000 } }), given({ delegate: { mtu: 9000 } }), lease)).toEqual([]);
});

test("what a reference of long ago was told, with a single subnet, reads as well; and nonsense as nothing", () => {
  const old = { type: "bridge", name: "cbr0", mtu: 1450, ipam: { type: "host-local", subnet: "10.244.1.0/24", routes: [{ dst: "10.244.0.0/16" }] } };
  expect(leaseFaults(old, given({}), lease)).toEqual([]);
  expect(leaseFaults({ ...old, ipam: { ...old.ipam, subnet: "10.244.3.0/24" } }, given({}), lease)).toHaveLength(1);
  expect(leaseFaults({ type: "bridge", ipam: { ranges: 7, routes: [1] } }, given({}), lease)).toEqual(["the pod knows no way to the network 10.244.0.0/16"]);
});
