/** The test of the network card, on a card that does what it is asked to, on one that does not, and where nobody answers. */
import { expect } from "bun:test";
import type { Family } from "@vethwork/linux";
import { outputIn } from "@vethwork/linux/testing/room.ts";
import type { Datapath, Pass } from "./datapath.ts";
import { connectByCard } from "./testing/card.ts";
import { addNodes, clusterTest, pass, pathsOf, type Cluster, type TestNode } from "./testing/cluster.ts";

const BOTH = [4, 6] as const;

/** Two nodes whose cards are connected by the test itself instead of the switch. */
function apart(cluster: Cluster, outside: Family): { nodes: TestNode[]; paths: Datapath[]; passes: () => Pass[] } {
  const nodes = addNodes(cluster, [{ at: 1, outside: [outside], inside: BOTH }, { at: 2, outside: [outside], inside: BOTH }]);
  for (const { at } of nodes.map(({ spec }) => spec)) cluster.router.links.set(cluster.router.links.get(`node${at}`), { master: null });
  const paths = pathsOf(nodes, { tunnel: "always" });
  return { nodes, paths, passes: () => pass(paths, nodes) };
}

const isOn = ({ netns }: TestNode, link: string): boolean => /^\ttx-checksum-ip-generic: on$/m.test(outputIn(netns, "ethtool", "-k", link));

for (const outside of BOTH) {
  const link = `vethwork-vxlan${outside}`;

  clusterTest(`over IPv${outside}: a card that leaves checksums out is found, its help is off from then on, and what pods send arrives`, async (cluster) => {
    const { nodes: [one, two], paths: [path], passes } = apart(cluster, outside);
    if (!one || !two || !path) return;
    expect(passes()[0]?.offload).toEqual([{ link, state: "untested" }]);
    await using card = connectByCard(cluster.router, ["node1", "node2"]);
    expect(await path.testOffload()).toEqual([{ link, state: "off" }]);
    expect([isOn(one, link), card.frames() > 3]).toEqual([false, true]);
    const [told] = passes();
    expect([told?.offload, told?.changes, told?.problems]).toEqual([[{ link, state: "off" }], [], [expect.stringContaining(`tx-checksum-ip-generic of ${link} is off`)]]);
    // Also of a device that is made anew, and for the agent that comes after this one.
    one.netns.links.delete(link);
    expect(passes()[0]?.changes).toContain(`switch tx-checksum-ip-generic of ${link} off`);
    expect(isOn(one, link)).toBe(false);
    expect(pass(pathsOf([one], { tunnel: "always" }), [one, two])[0]?.offload).toEqual([{ link, state: "off" }]);
  }, { programs: ["ethtool"] });

  clusterTest(`over IPv${outside}: a card that adds up right is let do so`, async (cluster) => {
    const { nodes, paths: [path], passes } = apart(cluster, outside);
    passes();
    for (const { at } of nodes.map(({ spec }) => spec)) cluster.router.links.set(cluster.router.links.get(`node${at}`), { master: cluster.router.links.get("a") });
    expect(await path?.testOffload()).toEqual([{ link, state: "works" }]);
    expect(passes()[0]).toMatchObject({ offload: [{ link, state: "works" }], problems: [], changes: [] });
    expect(isOn(nodes[0] ?? expect.unreachable(), link)).toBe(true);
    expect(await path?.testOffload()).toEqual([{ link, state: "works" }]);
  }, { programs: ["ethtool"] });

  clusterTest(`over IPv${outside}: where nobody answers nothing is concluded, and the card goes on helping`, async (cluster) => {
    const { nodes: [one], paths: [path], passes } = apart(cluster, outside);
    passes();
    expect(await path?.testOffload()).toEqual([{ link, state: "untested" }]);
    expect(isOn(one ?? expect.unreachable(), link)).toBe(true);
  }, { programs: ["ethtool"] });
}
