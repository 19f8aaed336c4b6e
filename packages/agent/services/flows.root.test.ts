/** Flows that there are when services change: who stays, who is forgotten. */
import { expect } from "bun:test";
import { type Family, type Flow, type Netns } from "@vethwork/linux";
import { IPPROTO } from "@vethwork/linux/uapi/socket.ts";
import type { TransportProtocol } from "../cluster.ts";
import { forgetClients, forgetFlows } from "./flows.ts";
import { createKeeper } from "./keeper.ts";
import { createPlanner } from "./planner.ts";
import { setsOf } from "./table.ts";
import { starTest, type Star } from "./testing/star.ts";
import { addressOf, made, surroundings, type Who, type Words } from "./testing/world.ts";

const DNS: Words = { name: "dns", n: 1, spec: { type: "NodePort" }, ports: [["dns", "UDP", 53, 5353, 30_053], ["dns-tcp", "TCP", 53, 5353]] };
const behind = (...slices: NonNullable<Words["slices"]>[number]): Words => ({ ...DNS, slices: [slices] });

/** Services as an agent keeps them, until the next one. */
function agentOn({ node: { nft, conntrack } }: Star) {
  const planner = createPlanner();
  planner.place(surroundings);
  const keeper = createKeeper(nft, planner);
  return {
    /** What there is from now on; gives how many flows and clients were forgotten. */
    pass: (...all: Words[]): [flows: number, clients: number] => {
      for (const words of all) planner.put("default/dns", words.slices ? made(words) : undefined);
      keeper.settle(planner.take());
      return [forgetFlows({ nft, conntrack }, planner), forgetClients(nft, planner)];
    },
  };
}

/** Who gets the packet that a client sends to its service, or its node port. */
function reached(star: Star, { from, family, protocol = "udp", at }: { from: Who; family: Family; protocol?: TransportProtocol; at?: Who }): Who | undefined {
  const [{ service }] = [made(DNS)];
  const to = at ? addressOf(at, family) : service.clusterIps.find((ip) => ip.family === family);
  if (!to) return undefined;
  using _sent = star.send(from, { from: addressOf(from, family), to, protocol, port: at ? 30_053 : 53 });
  star.settle(from, family);
  return star.arrival()?.who;
}

const flowsTo = (node: Netns, who: Who, protocol: number): Flow[] =>
  ([4, 6] as const).flatMap((family) => node.conntrack.list({ family, original: { protocol }, reply: { source: addressOf(who, family) } })).filter(({ destinationNat }) => destinationNat);
const counts = (node: Netns, protocol: number = IPPROTO.UDP): number[] => (["web-1", "web-2"] as const).map((who) => flowsTo(node, who, protocol).length);

/** Three flows to the service and one to its node port, of each family. */
function begin(star: Star, protocol?: TransportProtocol): void {
  for (const family of [4, 6] as const) for (const at of ["client", "client", "client", "outside"] as const) reached(star, { from: at, family, ...(protocol && { protocol }), ...(at === "outside" && !protocol && { at: "node-1" }) });
}

starTest("flows of UDP to an endpoint that is gone are forgotten, and no others", (star) => {
  const agent = agentOn(star);
  agent.pass(behind(["web-1"]));
  begin(star);
  begin(star, "tcp");
  expect(counts(star.node)).toEqual([8, 0]);
  expect(agent.pass(behind(["web-1"], ["web-2"]))).toEqual([0, 0]);
  expect(agent.pass(behind(["web-1", { is: "-ready ending" }], ["web-2"]))).toEqual([0, 0]); // it still answers
  expect(counts(star.node)).toEqual([8, 0]);
  expect(agent.pass(behind(["web-2"]))).toEqual([8, 0]);
  expect([counts(star.node), counts(star.node, IPPROTO.TCP)]).toEqual([[0, 0], [8, 0]]);
  begin(star);
  expect(agent.pass(behind(["web-2"]))).toEqual([0, 0]);
  expect(counts(star.node)).toEqual([0, 8]);
});

starTest("flows of UDP to a service without endpoints are forgotten, and to one that is deleted, by the next agent too", (star) => {
  const first = agentOn(star);
  first.pass(behind(["web-1"]));
  begin(star);
  expect(first.pass(behind())).toEqual([8, 0]);
  first.pass(behind(["web-1"]));
  begin(star);
  expect(agentOn(star).pass(behind(["web-1"]))).toEqual([0, 0]); // a restart forgets nothing
  const dying = createPlanner();
  dying.place(surroundings);
  createKeeper(star.node.nft, dying).settle(dying.take());
  expect(counts(star.node)).toEqual([8, 0]);
  expect(agentOn(star).pass()).toEqual([8, 0]);
});

starTest("a flow that began before there was a service is forgotten, one to somebody else's port is not", (star) => {
  const agent = agentOn(star);
  agent.pass(); // from then on the kernel follows flows
  reached(star, { from: "outside", family: 4, at: "node-1" });
  const node = addressOf("node-1", 4);
  using other = star.send("outside", { from: addressOf("outside", 4), to: node, protocol: "udp", port: 9999 });
  star.settle("outside", 4);
  expect(agent.pass(behind(["web-1"]))).toEqual([1, 0]);
  expect(star.node.conntrack.list({ original: { destination: node, destinationPort: 9999, protocol: IPPROTO.UDP } })).toHaveLength(other ? 1 : 0);
});

starTest("a client with affinity is sent to where it was, until that is gone", (star) => {
  const sticky = (...slices: NonNullable<Words["slices"]>[number]): Words => ({ ...behind(...slices), spec: { type: "NodePort", sessionAffinity: "ClientIP" } });
  const agent = agentOn(star);
  agent.pass(sticky(["web-1"], ["web-2"], ["web-3"]));
  for (const family of [4, 6] as const) {
    for (const from of ["client", "peer", "outside"] as const) {
      const all = Array.from({ length: 20 }, () => reached(star, { from, family, protocol: "tcp" }));
      expect(new Set(all).size).toBe(1);
      const node = new Set(Array.from({ length: 20 }, () => reached(star, { from, family, at: "node-1" })));
      expect(node.size).toBe(1);
    }
  }
  const remembered = () => ([4, 6] as const).flatMap((family) => star.node.nft.elements(setsOf(family).affinity));
  expect(remembered()).toHaveLength(12);
  expect(remembered().every(({ timeoutSeconds }) => timeoutSeconds === 10_800)).toBe(true);
  const was = reached(star, { from: "client", family: 4, protocol: "tcp" });
  const rest = (["web-1", "web-2", "web-3"] as const).filter((who) => who !== was);
  const [, forgotten] = agent.pass(sticky(...rest.map((who) => [who] as const)));
  expect([forgotten > 0, remembered().length]).toEqual([true, 12 - forgotten]);
  const now = new Set(Array.from({ length: 20 }, () => reached(star, { from: "client", family: 4, protocol: "tcp" })));
  expect([now.size, now.has(was)]).toEqual([1, false]);
  expect(agent.pass(sticky())[1]).toBe(12 - forgotten + 1);
});
