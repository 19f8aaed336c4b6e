/** The plan: addresses that fit together, pods dealt evenly, and sizes that do not fit refused. */
import { expect, test } from "bun:test";
import { readNode } from "@vethwork/agent/readers/node.ts";
import { contains } from "@vethwork/linux";
import { nodeObjects, planNodes, podNetwork } from "./plan.ts";

const families = [4, 6] as const;

test("pods are dealt evenly, in order, and each has one name", () => {
  for (const [nodes, pods] of [[2, 4], [3, 7], [5, 2], [1, 253], [200, 1000]] as const) {
    const plans = planNodes({ nodes, pods, families });
    expect(plans.flatMap((plan) => plan.pods)).toEqual(Array.from({ length: pods }, (_, at) => `pod-${at + 1}`));
    const sizes = plans.map((plan) => plan.pods.length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  }
});

test("what the plan writes down, the agents read back, and every pod subnet is in the pods' network", () => {
  for (const links of ["l2", "l3"] as const) {
    const plans = planNodes({ nodes: 200, pods: 1, families, links });
    const read = nodeObjects(plans).map((object) => readNode({ ...object }));
    expect(read.map(({ name, addresses, podSubnets }) => [name, addresses.map(String), podSubnets.map(String)])).toEqual(plans.map(({ name, addresses, podSubnets }) => [name, addresses.map(String), podSubnets.map(String)]));
    expect(plans.flatMap(({ podSubnets }) => podSubnets).every((subnet) => contains(podNetwork(subnet.family), subnet))).toBe(true);
    expect(new Set(plans.flatMap(({ addresses }) => addresses.map(String))).size).toBe(400);
  }
});

test("on l2 all nodes share a router, on l3 each has its own, on its own wire", () => {
  const routers = (links: "l2" | "l3") => planNodes({ nodes: 2, pods: 1, families, links }).map((plan) => plan.routers.map(String));
  expect(routers("l2")).toEqual([["192.168.50.1", "fd50::1"], ["192.168.50.1", "fd50::1"]]);
  expect(routers("l3")).toEqual([["172.20.1.1", "fd50:0:0:1::1"], ["172.20.2.1", "fd50:0:0:2::1"]]);
});

test("a lab that does not fit is refused by the option that is too large", () => {
  expect(() => planNodes({ nodes: 201, pods: 1, families })).toThrow("--nodes 201 (a whole number from 1 to 200 is wanted)");
  expect(() => planNodes({ nodes: 2, pods: 507, families })).toThrow("--pods 507 (a whole number from 1 to 506 is wanted)");
  expect(() => planNodes({ nodes: 0, pods: 1, families })).toThrow(RangeError);
});
