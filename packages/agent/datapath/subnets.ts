/**
 * Which node's pods are where: each subnet is one node's, and holds no node.
 *
 * What the API says may be wrong for a moment (a Node that is gone and still listed, its subnet already another's) or for
 * long (a subnet typed by hand that holds the nodes' own addresses: a route to it would cut the node off). A subnet that
 * cannot be right is left out, and said.
 */
import { lastOf, networkOf, type Cidr, type Ip } from "@vethwork/linux";
import type { ClusterNode } from "../cluster.ts";

export interface Subnets {
  /** The subnets of each node that are to be believed, by its name. */
  of: Map<string, Cidr[]>;
  problems: string[];
}

interface Claim {
  node: string;
  subnet: Cidr;
  first: string;
  last: string;
  /** Lower wins. */
  rank: number;
}

/** Where two nodes claim the same addresses this node itself comes first, then who comes first in the list. */
export function subnetsOf(nodes: readonly ClusterNode[], self: string): Subnets {
  const claims = nodes.flatMap((node, rank) => node.podSubnets.map((subnet) => claimOf(node.name, subnet, node.name === self ? -1 : rank)));
  const refused = new Map<Claim, string>();
  const outside = nodes.flatMap(({ name, addresses }) => addresses.map((ip) => ({ name, ip, key: keyOf(ip) }))).toSorted(byKey);
  for (const claim of claims) {
    const inside = outside[placeOf(outside, claim.first)];
    if (inside && inside.key <= claim.last) refused.set(claim, `${inside.ip} of node "${inside.name}" is in them`);
  }
  for (const [winner, loser] of clashesIn(claims.filter((claim) => !refused.has(claim)))) refused.set(loser, `node "${winner.node}" has ${winner.subnet}`);
  const of = Map.groupBy(claims.filter((claim) => !refused.has(claim)), ({ node }) => node);
  return {
    of: new Map([...of].map(([node, some]) => [node, some.map(({ subnet }) => networkOf(subnet))])),
    problems: [...refused].map(([{ node, subnet }, why]) => `pods ${subnet} of node "${node}" are not routed: ${why}`),
  };
}

const claimOf = (node: string, subnet: Cidr, rank: number): Claim =>
  ({ node, subnet, rank, first: keyOf(networkOf(subnet).ip), last: keyOf(lastOf(subnet)) });

/** Text in the order of addresses, those of IPv4 first. */
const keyOf = ({ family, bytes }: Ip): string => `${family}${Buffer.from(bytes).toString("hex")}`;
const byKey = (a: { key: string }, b: { key: string }): number => (a.key < b.key ? -1 : 1);

/** The place of the first that is not below. */
function placeOf(sorted: readonly { key: string }[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.key ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Who loses to whom. In the order of addresses two that overlap stand side by side, or others between them that overlap, too. */
function clashesIn(claims: readonly Claim[]): [winner: Claim, loser: Claim][] {
  const clashes: [Claim, Claim][] = [];
  let before: Claim | undefined;
  for (const claim of claims.toSorted((a, b) => (a.first === b.first ? a.rank - b.rank : a.first < b.first ? -1 : 1))) {
    if (!before || claim.first > before.last) {
      before = claim;
      continue;
    }
    const [winner, loser] = before.rank <= claim.rank ? [before, claim] : [claim, before];
    clashes.push([winner, loser]);
    before = winner;
  }
  return clashes;
}
