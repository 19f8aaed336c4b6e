/**
 * Which node's pods are where: each subnet is one node's, and holds no node.
 *
 * What the API says may be wrong for a moment (a Node that is gone and still listed, its subnet already another's) or for
 * long (a subnet typed by hand that holds the nodes' own addresses: a route to it would cut the node off). And a Node object is
 * written by its own node: one that is taken over may say that it has anybody's addresses. What cannot be right is left out, and said.
 *
 * Where the cluster's pods are known (`clusterSubnets`), no node draws to itself what is outside of them, and no node's address in
 * them makes others' pods doubtful. This node's own pods are never in doubt because of what others say.
 */
import { contains, lastOf, networkOf, overlaps, parseCidr, type Cidr, type Ip } from "@vethwork/linux";
import type { ClusterNode } from "../cluster.ts";

export interface Subnets {
  /** The subnets of each node that are to be believed, by its name. */
  of: Map<string, Cidr[]>;
  /** True of a node's address that is to be believed. */
  isOutside(ip: Ip): boolean;
  problems: string[];
}

export interface Known {
  /** This node's name. */
  self: string;
  /** All pods of the cluster; empty where that is not known. */
  clusterSubnets: readonly Cidr[];
}

/** Of a single link or machine, or of nobody: a route to them would take from the node what is its own (RFC 6890). */
const NEVER_PODS = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8"].map(parseCidr);

interface Claim {
  node: string;
  subnet: Cidr;
  first: string;
  last: string;
  /** Lower wins. */
  rank: number;
}

/** Where two nodes claim the same addresses this node itself comes first, then who comes first in the list. */
export function subnetsOf(nodes: readonly ClusterNode[], { self, clusterSubnets }: Known): Subnets {
  const claims = nodes.flatMap((node, rank) => node.podSubnets.map((subnet) => claimOf(node.name, subnet, node.name === self ? -1 : rank)));
  const refused = new Map<Claim, string>();
  const isOutside = (ip: Ip): boolean => !clusterSubnets.some((one) => contains(one, ip));
  const addresses = nodes.flatMap((node) => node.addresses.map((ip) => ({ name: node.name, ip, key: keyOf(ip) })));
  const outside = addresses.filter(({ ip }) => isOutside(ip)).toSorted(byKey);
  const own = outside.filter(({ name }) => name === self);
  const within = ({ first, last }: Claim, list: typeof outside): string | undefined => {
    const inside = list[placeOf(list, first)];
    return inside && inside.key <= last ? `${inside.ip} of node "${inside.name}" is in them` : undefined;
  };
  const doubts: string[] = [];
  for (const claim of claims) {
    const isOwn = claim.node === self;
    const wrong = isOwn ? within(claim, own) : (strangenessOf(claim.subnet, clusterSubnets) ?? within(claim, outside));
    if (wrong !== undefined) refused.set(claim, wrong);
    else if (isOwn) doubts.push(...[within(claim, outside)].filter((one) => one !== undefined).map((one) => `pods ${claim.subnet} are this node's, and ${one}: one of both is wrong`));
  }
  for (const [winner, loser] of clashesIn(claims.filter((claim) => !refused.has(claim)))) refused.set(loser, `node "${winner.node}" has ${winner.subnet}`);
  const of = Map.groupBy(claims.filter((claim) => !refused.has(claim)), ({ node }) => node);
  return {
    of: new Map([...of].map(([node, some]) => [node, some.map(({ subnet }) => networkOf(subnet))])),
    isOutside,
    problems: [
      ...doubts,
      ...[...refused].map(([{ node, subnet }, why]) => `pods ${subnet} of node "${node}" are not routed: ${why}`),
      ...addresses.filter(({ ip }) => !isOutside(ip)).map(({ name, ip }) => `${ip} of node "${name}" is not believed: it is a pod's`),
    ],
  };
}

/** Why pods of another node cannot have these addresses, whoever else has them or not. */
function strangenessOf(subnet: Cidr, clusterSubnets: readonly Cidr[]): string | undefined {
  const never = NEVER_PODS.find((one) => overlaps(one, subnet));
  if (never) return `pods are never in ${never}`;
  const isInside = clusterSubnets.length === 0 || clusterSubnets.some((one) => contains(one, subnet));
  return isInside ? undefined : `the cluster's pods are in ${clusterSubnets.join(", ")}`;
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
