/** Whatever happens in whatever order: the kernel's state is the one that would have been made at once from nothing. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseIp, type Ip } from "@vethwork/linux";
import { createNft, type Nft } from "@vethwork/linux/nft/nft.ts";
import { rulesInMemory } from "@vethwork/linux/testing/rules.ts";
import { createKeeper } from "./keeper.ts";
import { createPlanner, type Planner, type ServiceFacts } from "./planner.ts";
import { TABLE, allSets, setsOf } from "./table.ts";
import { keyText, valueText } from "./texts.ts";
import { made, surroundings, type Words } from "./testing/world.ts";

const SEQUENCES = 10_000;
const WHO = ["web-1", "web-2", "web-3", "peer", "client"] as const;
const SPECS: readonly NonNullable<Words["spec"]>[] = [
  {}, { sessionAffinity: "ClientIP" }, { internalTrafficPolicy: "Local" },
  { type: "NodePort", externalTrafficPolicy: "Local" },
  { type: "LoadBalancer", loadBalancerSourceRanges: ["198.51.100.0/24", "2001:db8:100::/48"] },
  { externalIPs: ["203.0.113.60"] }, // which two may ask for
];

/** What a service may be like; undefined: it is gone. */
const someWords = fc.option(fc.record({
  name: fc.constantFrom("a", "b", "c"), n: fc.integer({ min: 1, max: 3 }),
  spec: fc.constantFrom(...SPECS), ipMode: fc.constant("VIP" as const),
  ports: fc.constantFrom<NonNullable<Words["ports"]>[]>([["", "TCP", 80, 8080, 30_080]], [["x", "TCP", 80, 8080], ["y", "UDP", 53, 5353, 30_053]]),
  slices: fc.array(fc.uniqueArray(fc.constantFrom(...WHO), { maxLength: 5 }).map((all) => all.map((who) => [who] as const)), { maxLength: 2 }),
}), { nil: undefined });

/** A change of a service; or another address of the node; or somebody writes into our table; or the agent starts again. */
const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom("default/a", "default/b", "default/c"), someWords) },
  { weight: 1, arbitrary: fc.constantFrom("move", "spoil", "restart") },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const NODES: readonly (readonly Ip[])[] = [surroundings.node.addresses, [parseIp("192.168.50.99")]];
const placeOf = (moves: number) => ({ ...surroundings, node: { ...surroundings.node, addresses: NODES[moves % 2] ?? [] } });

/** The state but for what has no meaning: which number an endpoint has within its group, and chains that wait to be taken away. */
function stateOf(nft: Nft): string[] {
  const elements = allSets().filter(({ name }) => !/^(?:affinity|closed)/.test(name)).flatMap((set) => nft.elements(set).map((element) => {
    const key = set === setsOf(4).endpoints || set === setsOf(6).endpoints ? element.key.slice(0, -1) : element.key;
    return `${set.name} ${keyText(key)} ${valueText(element)}`;
  }));
  return [...elements, ...nft.chains().map(({ name }) => `chain ${name} ${nft.rules({ table: TABLE, name }).length}`)].toSorted();
}

function fromNothing(facts: ReadonlyMap<string, ServiceFacts>, moves: number): string[] {
  const nft = createNft(rulesInMemory().socket);
  const planner = createPlanner();
  planner.place(placeOf(moves));
  for (const [id, one] of facts) planner.put(id, one);
  createKeeper(nft, planner).settle(planner.take());
  return stateOf(nft);
}

function stepByStep(steps: readonly Step[]): void {
  const { socket, written } = rulesInMemory();
  const nft = createNft(socket);
  const facts = new Map<string, ServiceFacts>();
  let moves = 0;
  let [planner, keeper] = begin(nft);
  function begin(to: Nft): [Planner, ReturnType<typeof createKeeper>] {
    const fresh = createPlanner();
    fresh.place(placeOf(moves));
    for (const [id, one] of facts) fresh.put(id, one);
    return [fresh, createKeeper(to, fresh)];
  }
  for (const one of steps) {
    if (one === "restart") [planner, keeper] = begin(nft);
    else if (one === "move") {
      moves += 1;
      planner.place(placeOf(moves));
      for (const [id, about] of facts) planner.put(id, about);
    } else if (one === "spoil") {
      nft.transaction((change) => {
        for (const set of [setsOf(4).services, setsOf(4).endpoints]) change.deleteElements(set, nft.elements(set).slice(0, 1));
      });
      keeper.distrust();
    } else {
      const [id, words] = one;
      if (words) facts.set(id, made({ ...words, name: id.slice("default/".length) }));
      else facts.delete(id);
      planner.put(id, facts.get(id));
    }
    keeper.settle(planner.take());
  }
  expect(stateOf(nft)).toEqual(fromNothing(facts, moves));
  const before = written();
  const [again, keeperAgain] = begin(nft);
  expect(keeperAgain.settle(again.take())).toBe(0); // and an agent that starts again finds nothing to write
  expect(written()).toBe(before);
}

test(`${SEQUENCES} random sequences of changes lead to the state that they would lead to at once`, () => {
  fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), stepByStep), { numRuns: SEQUENCES });
}, 120_000);
