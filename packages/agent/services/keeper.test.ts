/** Whatever happens in whatever order: the kernel's state is the one that would have been made at once from nothing. */
import { expect, test } from "bun:test";
import { array, assert, constant, constantFrom, integer, oneof, option, property, record, tuple, uniqueArray, type Arbitrary } from "fast-check";
import { parseIp, type Ip } from "@vethwork/linux";
import { createNft, type Nft } from "@vethwork/linux/nft/nft.ts";
import { nobodyWaits, rulesInMemory } from "@vethwork/linux/testing/rules.ts";
import { createKeeper } from "./keeper.ts";
import { createPlanner, type Planner, type ServiceFacts } from "./planner.ts";
import { TABLE, allSets, setsOf } from "./table.ts";
import { keyText, valueText } from "./texts.ts";
import { made, surroundings, type Words } from "./testing/world.ts";

/** Ten thousand take a minute: SEQUENCES=10000 npm test -- agent/services/keeper */
const SEQUENCES = Number(process.env["SEQUENCES"] ?? 250);
const RESTARTS = 25;
const WHO = ["web-1", "web-2", "web-3", "peer", "client"] as const;
const SPECS: readonly NonNullable<Words["spec"]>[] = [
  {}, { sessionAffinity: "ClientIP" }, { internalTrafficPolicy: "Local" },
  { type: "NodePort", externalTrafficPolicy: "Local" },
  { type: "LoadBalancer", loadBalancerSourceRanges: ["198.51.100.0/24", "2001:db8:100::/48"] },
  { externalIPs: ["203.0.113.60"] }, // which two may ask for
];

/** What a service may be like; undefined: it is gone. */
const someWords = option(record({
  name: constantFrom("a", "b", "c"), n: integer({ min: 1, max: 3 }),
  spec: constantFrom(...SPECS), ipMode: constant("VIP" as const),
  ports: constantFrom<NonNullable<Words["ports"]>[]>([["", "TCP", 80, 8080, 30_080]], [["x", "TCP", 80, 8080], ["y", "UDP", 53, 5353, 30_053]]),
  slices: array(uniqueArray(constantFrom(...WHO), { maxLength: 5 }).map((all) => all.map((who) => [who] as const)), { maxLength: 2 }),
}), { nil: undefined });

/** A change of a service; or another address of the node; or somebody writes into our table; or the agent starts again. */
const step = oneof(
  { weight: 8, arbitrary: tuple(constantFrom("default/a", "default/b", "default/c"), someWords) },
  { weight: 1, arbitrary: constantFrom("move", "spoil", "restart") },
);
type Step = typeof step extends Arbitrary<infer T> ? T : never;

const NODES: readonly (readonly Ip[])[] = [surroundings.node.addresses, [parseIp("192.168.50.99")]];
const placeOf = (moves: number) => ({ ...surroundings, node: { ...surroundings.node, addresses: NODES[moves % 2] ?? [] } });

/** An agent's part of services, on rules in memory, with what it has been told. */
function createPlay(nft: Nft) {
  const facts = new Map<string, ServiceFacts>();
  let moves = 0;
  const begin = () => {
    const planner = createPlanner();
    const keeper = createKeeper(nft, planner);
    const putAll = (): void => {
      planner.place(placeOf(moves));
      for (const [id, about] of facts) planner.put(id, about);
    };
    putAll();
    return { planner, keeper, putAll };
  };
  let now = begin();
  const act = (one: Step): void => {
    if (one === "restart") now = begin();
    else if (one === "move") {
      moves += 1;
      now.putAll();
    } else if (one === "spoil") {
      nft.transaction((change) => {
        for (const set of [setsOf(4).services, setsOf(4).endpoints]) change.deleteElements(set, nft.elements(set).slice(0, 1));
      });
      now.keeper.distrust();
    } else {
      const [id, words] = one;
      if (words) facts.set(id, made({ ...words, name: id.slice("default/".length) }));
      else facts.delete(id);
      now.planner.put(id, facts.get(id));
    }
  };
  const settle = (): number => now.keeper.settle(now.planner.take());
  return {
    settle,
    run: (steps: readonly Step[]) => {
      for (const one of steps) {
        act(one);
        settle();
      }
    },
    /** As it was in the beginning, but for the rules that are there whatever happens. */
    reset: () => {
      for (const id of facts.keys()) now.planner.put(id, undefined);
      facts.clear();
      moves = 0;
      now.putAll();
      settle();
    },
    /** Another agent's part that is told the same, all at once, on these rules. */
    atOnce: (on: Nft) => {
      const planner: Planner = createPlanner();
      planner.place(placeOf(moves));
      for (const [id, one] of facts) planner.put(id, one);
      return { planner, settle: () => createKeeper(on, planner).settle(planner.take()) };
    },
  };
}

const plain = (nft: Nft): string[] => allSets().filter(({ name }) => !/^(?:affinity|closed)/.test(name)).flatMap((set) => nft.elements(set).map((element) => `${set.name} ${keyText(element.key)} ${valueText(element)}`));
/** Which number an endpoint has within its group has no meaning. */
const withoutNumbers = (elements: readonly string[]): string[] => elements.map((text) => text.replace(/^(endpoints\d \S+ \S+ \d+) \d+/, "$1")).toSorted();

/** What the planner wants, as elements. */
function wantedBy(planner: Planner): string[] {
  const { frontends, items } = planner.all();
  const ofFrontends = [...frontends].flatMap((key) => {
    const { value = "", endpoints = [] } = planner.frontend(key) ?? {};
    const family = key.includes(":") ? 6 : 4;
    return [`services${family} ${key} ${value}`, ...endpoints.flat().map((who) => `endpoints${family} ${key} ${who}`)];
  });
  return [...ofFrontends, ...[...items].flatMap(([set, keys]) => [...keys].map((key) => `${set} ${key} ${planner.item(set, key) ?? ""}`))].toSorted();
}

test(`${SEQUENCES} random sequences of changes each lead to what is wanted in the end`, () => {
  const nft = createNft(rulesInMemory().socket, nobodyWaits);
  const play = createPlay(nft);
  assert(property(array(step, { minLength: 1, maxLength: 6 }), (steps) => {
    play.reset();
    play.run(steps);
    expect(withoutNumbers(plain(nft))).toEqual(wantedBy(play.atOnce(nft).planner));
  }), { numRuns: SEQUENCES });
}, 300_000);

test("the rules, too, are those that would have been made at once, numbers lie together, and an agent that starts again writes nothing", () => {
  assert(property(array(step, { minLength: 1, maxLength: 8 }), (steps) => {
    const { socket, written } = rulesInMemory();
    const nft = createNft(socket, nobodyWaits);
    const play = createPlay(nft);
    play.run(steps);
    const other = createNft(rulesInMemory().socket, nobodyWaits);
    play.atOnce(other).settle();
    const chains = (on: Nft): string[] => on.chains().map(({ name }) => `${name} ${on.rules({ table: TABLE, name }).length}`).toSorted();
    expect([withoutNumbers(plain(nft)), chains(nft)]).toEqual([withoutNumbers(plain(other)), chains(other)]);
    expect(plain(nft).map((text) => text.split(" ").slice(0, 5).join(" ")).filter((text) => text.startsWith("endpoints")).toSorted())
      .toEqual(plain(other).map((text) => text.split(" ").slice(0, 5).join(" ")).filter((text) => text.startsWith("endpoints")).toSorted());
    const before = written();
    expect([play.atOnce(nft).settle(), written()]).toEqual([0, before]);
  }), { numRuns: RESTARTS });
}, 120_000);
