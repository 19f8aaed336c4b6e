/**
 * The check: does the network of a lab keep Kubernetes' promises? Everybody speaks with everybody, with real packets.
 *
 *   1  a pod reaches any pod, and is seen with its own address: no NAT between pods
 *   2  nodes and pods reach each other, and see each other's own addresses: no NAT between nodes and pods
 *   3  the address a pod has on its own interface is the one that the others see
 *   4  a pod reaches the world, and the world, which has no way back to pods, sees the node's address
 *
 * On l3, with a router between nodes that knows no pod, the second holds on each node: to another node a pod is seen with its own
 * node's address, and a node by other nodes' pods with the address of its tunnel. Kubernetes asks for no more.
 *
 * The first three are the Kubernetes network model (kubernetes.io, "The Kubernetes network model"); the fourth is what a
 * cluster in a private network cannot do without. What a row that fails lacks is found out by ./diagnose.ts.
 */
import type { Family, Ip } from "@vethwork/linux";
import { diagnose } from "./diagnose.ts";
import { probe, protocols, type Outcome, type Protocol } from "./probe.ts";
import { tunnelAddress, type Links } from "./plan.ts";
import { addressOf, type Party, type Scene } from "./scene.ts";

export const groups = {
  "pod → pod, same node": 1,
  "pod → pod, across nodes": 1,
  "node → pod, same node": 2,
  "node → pod, across nodes": 2,
  "pod → node, same node": 2,
  "pod → node, across nodes": 2,
  "pod → world": 4,
} as const;
export type Group = keyof typeof groups;

export interface Row {
  group: Group;
  from: string;
  to: string;
  /** The address that `to` was called by. */
  address: Ip;
  probes: Record<Protocol, Outcome>;
  /** The source that the receiver should see. */
  expected: Ip;
  ok: boolean;
  /** Of a row that fails: which hop lacks what, in the order of the packet's way. */
  faults: string[];
}

export interface Rule {
  text: string;
  holds: boolean;
  /** What speaks against it. */
  broken: string[];
}

export interface Report {
  rows: Row[];
  rules: Rule[];
  ok: boolean;
}

export interface CheckOptions {
  /** How long a packet may take; 300 ms unless given. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
  onRow?: (row: Row) => void;
}

/** Probes every pair; rows come one by one to `onRow`, the whole at the end. */
export async function check(scene: Scene, { timeoutMs = 300, signal, onRow = () => {} }: CheckOptions = {}): Promise<Report> {
  const rows: Row[] = [];
  const links = scene.nodes.length > 1 ? scene.links : "l2"; // a node that is alone has no tunnel
  for (const pair of pairsOf(scene)) {
    for (const family of scene.families) {
      const row = checkPair(pair, { family, timeoutMs, links });
      if (!row) continue;
      rows.push(row);
      onRow(row);
      await Bun.sleep(0); // lets a Ctrl-C in
      signal?.throwIfAborted();
    }
  }
  const rules = [
    ruleOf(1, "every pod reaches every pod, without NAT", rows),
    ruleOf(2, scene.links === "l2" ? "nodes and pods reach each other, without NAT" : "nodes and pods reach each other, on one node without NAT", rows),
    ownAddresses(scene, rows),
    ruleOf(4, "every pod reaches the world, which sees its node's address", rows),
  ];
  return { rows, rules, ok: rules.every(({ holds }) => holds) };
}

interface Pair {
  group: Group;
  from: Party;
  to: Party;
}

function pairsOf({ pods, nodes, world }: Scene): Pair[] {
  const pairs = (group: Group, from: readonly Party[], to: readonly Party[]): Pair[] => {
    const fits = (a: Party, b: Party): boolean => a !== b && (group === "pod → world" || (a.node === b.node) === group.endsWith("same node"));
    return from.flatMap((a) => to.filter((b) => fits(a, b)).map((b) => ({ group, from: a, to: b })));
  };
  return [
    ...pairs("pod → pod, same node", pods, pods),
    ...pairs("pod → pod, across nodes", pods, pods),
    ...pairs("node → pod, same node", nodes, pods),
    ...pairs("node → pod, across nodes", nodes, pods),
    ...pairs("pod → node, same node", pods, nodes),
    ...pairs("pod → node, across nodes", pods, nodes),
    ...pairs("pod → world", pods, [world]),
  ];
}

/** One row; undefined where one of the two has no address of the family. */
function checkPair(pair: Pair, { family, timeoutMs, links }: { family: Family; timeoutMs: number; links: Links }): Row | undefined {
  const { group, from, to } = pair;
  const address = addressOf(to, family);
  const expected = sourceOf(pair, family, links);
  if (!address || !expected) return undefined;
  const ends = { from: from.netns, to: to.netns, address, timeoutMs };
  const outcomes = protocols.map((protocol) => [protocol, bestOf(ROUNDS, () => probe(protocol, ends))] as const);
  const isGood = (outcome: Outcome): boolean => outcome.reached && String(outcome.seen) === String(expected);
  const ok = outcomes.every(([, outcome]) => isGood(outcome));
  const faults = ok ? [] : [...translated(outcomes.map(([, outcome]) => outcome), expected), ...diagnose({ from, to, address, expected })];
  const { TCP, UDP, ICMP } = { ...blank, ...Object.fromEntries(outcomes) };
  return { group, from: from.name, to: to.name, address, probes: { TCP, UDP, ICMP }, expected, ok, faults };
}

/** Whoever knows no way back to pods sees the node that lends its address. */
const isLent = (group: Group, links: Links): boolean => group === "pod → world" || (links === "l3" && group === "pod → node, across nodes");

/**
 * The address that the receiver should see. A node that has a tunnel sends from the tunnel's address to pods behind it, and in IPv6
 * to its own pods, too: of two addresses the kernel takes the one that is more like the destination (RFC 6724, rule 8).
 */
function sourceOf({ group, from }: Pair, family: Family, links: Links): Ip | undefined {
  const byTunnel = group === "node → pod, across nodes" || (group === "node → pod, same node" && family === 6);
  if (links === "l3" && byTunnel) return from.node && tunnelAddress(from.node.plan, family);
  const source = isLent(group, links) ? from.node : from;
  return source && addressOf(source, family);
}

/** The first packet asks for addresses on the way (ARP, NDP) and finds nothing in any cache: the quickest of a few is the network's. */
const ROUNDS = 3;

function bestOf(rounds: number, once: () => Outcome): Outcome {
  const first = once();
  if (!first.reached || rounds === 1) return first;
  const later = bestOf(rounds - 1, once);
  return later.reached && later.rttMs > first.rttMs ? first : later;
}

function translated(outcomes: readonly Outcome[], expected: Ip): string[] {
  const seen = outcomes.flatMap((outcome) => (outcome.reached ? [String(outcome.seen)] : [])).find((one) => one !== String(expected));
  return seen === undefined ? [] : [`the receiver saw ${seen}, not ${expected}: somebody on the way changes the source address`];
}

const never: Outcome = { reached: false, why: "not tried" };
const blank: Record<Protocol, Outcome> = { TCP: never, UDP: never, ICMP: never };

function ruleOf(number: number, text: string, rows: readonly Row[]): Rule {
  const broken = rows.filter((row) => groups[row.group] === number && !row.ok).map(({ from, to }) => `${from} → ${to}`);
  return { text, holds: broken.length === 0, broken };
}

/** What the pod's own kernel says of its interface, against what everybody in the cluster saw as source. */
function ownAddresses({ pods, links }: Scene, rows: readonly Row[]): Rule {
  const broken = pods.flatMap(({ name, netns, pod }) => {
    const own = netns.addrs.list().filter(({ scope }) => scope === 0).map(({ address }) => String(address.ip));
    const inside = rows.filter(({ from, group }) => from === name && !isLent(group, links));
    const seen = inside.flatMap(({ probes }) => Object.values(probes).flatMap((one) => (one.reached ? [String(one.seen)] : [])));
    return [...new Set(seen)].filter((ip) => !own.includes(ip)).map((ip) => `${name} is seen as ${ip}, its "${pod?.link}" has ${own.join(", ") || "no address"}`);
  });
  return { text: "the address a pod sees as its own is the one others see", holds: broken.length === 0, broken };
}
