/** The plan: addresses that fit together, pods dealt evenly, and sizes that do not fit refused. */
import { expect, test } from "bun:test";
import { parseConfig } from "@vethwork/cni";
import { contains } from "@vethwork/linux";
import { options, planOf } from "@vethwork/plugins/vethwork/plan.ts";
import { parsePeers } from "@vethwork/plugins/shared/peers.ts";
import { peersFile, planNodes, pluginConfig, podNetwork } from "./plan.ts";

const families = [4, 6] as const;

test("pods are dealt evenly, in order, and each has one name", () => {
  for (const [nodes, pods] of [[2, 4], [3, 7], [5, 2], [1, 253], [200, 1000]] as const) {
    const plans = planNodes({ nodes, pods, families });
    expect(plans.flatMap((plan) => plan.pods)).toEqual(Array.from({ length: pods }, (_, at) => `pod-${at + 1}`));
    const sizes = plans.map((plan) => plan.pods.length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  }
});

test("what the plan writes down, the plugin and the node's command read back", () => {
  const plans = planNodes({ nodes: 200, pods: 1, families });
  for (const plan of plans) {
    const config = planOf(parseConfig(options, JSON.parse(JSON.stringify(pluginConfig(plan)))));
    expect(config.pools.map(({ subnet }) => String(subnet))).toEqual(plan.podSubnets.map(String));
    expect(plan.podSubnets.every((subnet) => contains(podNetwork(subnet.family), subnet))).toBe(true);
  }
  expect(parsePeers(JSON.stringify(peersFile(plans)), "plan").map(({ name }) => name)).toEqual(plans.map(({ name }) => name));
});

test("one family is written as one prefix, two as a list", () => {
  const [one] = planNodes({ nodes: 1, pods: 1, families: [4] });
  const [two] = planNodes({ nodes: 1, pods: 1, families });
  expect(one && pluginConfig(one)).toMatchObject({ network: "10.244.0.0/16", subnet: "10.244.1.0/24" });
  expect(two && pluginConfig(two)).toMatchObject({ subnet: ["10.244.1.0/24", "fd00:10:244:1::/64"] });
});

test("a lab that does not fit is refused by the option that is too large", () => {
  expect(() => planNodes({ nodes: 201, pods: 1, families })).toThrow("--nodes 201 (a whole number from 1 to 200 is wanted)");
  expect(() => planNodes({ nodes: 2, pods: 507, families })).toThrow("--pods 507 (a whole number from 1 to 506 is wanted)");
  expect(() => planNodes({ nodes: 0, pods: 1, families })).toThrow(RangeError);
});
