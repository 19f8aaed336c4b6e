/**
 * What the kernel should have, kept up to date service by service, so that a change costs what it changes.
 *
 *     Service and its slices ──► frontends, and elements that go with them ──► what is different since it was last taken
 *
 * It touches nothing; ./keeper.ts makes the kernel so.
 */
import type { Cidr } from "@vethwork/linux";
import { outermost } from "@vethwork/plugins/shared/way-out.ts";
import type { ClusterService, ClusterSlice } from "../cluster.ts";
import { createClaims } from "./claims.ts";
import { shareOf, type Frontend, type FrontendKind, type Item, type Node, type Share } from "./frontends.ts";
import { FAMILIES, plainSets, setsOf } from "./table.ts";
import { keyText } from "./texts.ts";

/** Keys of frontends, and of items by the name of their set. */
export interface Keys {
  frontends: Set<string>;
  items: Map<string, Set<string>>;
}

export interface ServiceFacts {
  service: ClusterService;
  slices: readonly ClusterSlice[];
}

export interface Surroundings {
  node: Node;
  /** This node's pods. */
  podSubnets: readonly Cidr[];
  /** Where addresses of services come from. */
  serviceSubnets: readonly Cidr[];
}

export interface Planner {
  /** What is the same for all services. Those that there are have to be put again afterwards. */
  place(surroundings: Surroundings): void;
  /** A service's facts as they are now; undefined where it is gone. */
  put(id: string, facts: ServiceFacts | undefined): void;
  /** What may be different since this was last asked. */
  take(): Keys;
  all(): Keys;
  frontend(key: string): Frontend | undefined;
  /** The item's value. */
  item(set: string, key: string): string | undefined;
  counts(): { services: number; frontends: number };
  problems(): string[];
}

export function createPlanner(): Planner {
  const shares = new Map<string, Share>();
  let fixed: readonly Item[] = [];
  let node: Node = { self: "", zone: "", addresses: [], masqueradeAll: false };
  let changed = noKeys();

  const items = new Map(plainSets().map(({ name }) => [name, createClaims<string>({ compare: inOrder, onChange: (key) => void keysIn(changed, name).add(key) })]));
  const claim = ({ set, key, value }: Item): void => items.get(set)?.claim(key, value);
  const withdraw = ({ set, key, value }: Item): void => items.get(set)?.withdraw(key, value);
  const frontends = createClaims<Frontend>({
    compare: byRank,
    onChange: (key, now, before) => {
      changed.frontends.add(key);
      now?.items.forEach(claim);
      before?.items.forEach(withdraw);
    },
  });

  return {
    place: (surroundings) => {
      node = surroundings.node;
      const before = fixed;
      fixed = fixedItems(surroundings);
      fixed.forEach(claim);
      before.forEach(withdraw);
    },
    put: (id, facts) => {
      const before = shares.get(id) ?? NOTHING;
      const now = facts ? shareOf(facts.service, facts.slices, node) : NOTHING;
      for (const one of now.frontends) frontends.claim(one.key, one);
      now.items.forEach(claim);
      for (const one of before.frontends) frontends.withdraw(one.key, one);
      before.items.forEach(withdraw);
      if (now.frontends.length > 0) shares.set(id, now);
      else shares.delete(id);
    },
    take: () => {
      const taken = changed;
      changed = noKeys();
      return taken;
    },
    all: () => ({ frontends: new Set(frontends.keys()), items: new Map([...items].map(([name, claims]) => [name, new Set(claims.keys())])) }),
    frontend: frontends.get,
    item: (set, key) => items.get(set)?.get(key),
    counts: () => ({ services: shares.size, frontends: frontends.size() }),
    problems: () => frontends.contested().map(({ key, all }) => `${key} is asked for by ${all.map(({ service, kind }) => `${service} (${kind})`).join(", ")}: the first has it`),
  };
}

const NOTHING: Share = { frontends: [], items: [] };
const noKeys = (): Keys => ({ frontends: new Set(), items: new Map() });

export function keysIn({ items }: Pick<Keys, "items">, set: string): Set<string> {
  const there = items.get(set) ?? new Set<string>();
  items.set(set, there);
  return there;
}

/** The order in which services get what several of them ask for. */
const RANK: Readonly<Record<FrontendKind, number>> = { ClusterIP: 0, LoadBalancer: 1, ExternalIP: 2, NodePort: 3 };
const inOrder = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);
const byRank = (a: Frontend, b: Frontend): number => RANK[a.kind] - RANK[b.kind] || inOrder(a.service, b.service) || inOrder(a.value, b.value);

function fixedItems({ podSubnets, serviceSubnets }: Surroundings): Item[] {
  const of = (subnets: readonly Cidr[], set: "pods" | "subnets"): Item[] =>
    FAMILIES.flatMap((family) => outermost(subnets.filter((one) => one.family === family)).map((key) => ({ set: setsOf(family)[set].name, key: keyText(key), value: "" })));
  return [...of(podSubnets, "pods"), ...of(serviceSubnets, "subnets")];
}
