/**
 * The rules of a network on its node: `table inet vethwork`.
 *
 *     set nodes4, nodes6        addresses of the nodes; whoever knows them fills them
 *     chain masquerade-<name>   one for each network
 *
 * What a node's agent has beside them for all of the cluster is in ./way-out.ts.
 *
 * The way out: a packet that leaves the pod network gets the node's address, because the world has no route back to a
 * pod's. Between pods, and between pods and nodes, nobody's address is changed: Kubernetes asks for that.
 *
 * The way through: an accept for the network's prefixes in others' chains that would drop its packets (./way-through.ts).
 */
import {
  bitsOf, deleteFile, ensureFolder, findText, folderOf, parseCidr, sameRule, textOf, words, writeText,
  type Change, type Chain, type Cidr, type Family, type Ip, type Netns, type Nft, type NftSet, type Rule, type Table,
} from "@vethwork/linux";
import { closeWay, openWay, wayFaults, type Accept } from "./way-through.ts";

export const TABLE: Table = { family: "inet", name: "vethwork" };
export const SRCNAT = 100; // linux/netfilter_ipv4.h NF_IP_PRI_NAT_SRC; kube-proxy and the reference plugins use it, too

/** The addresses of the cluster's nodes, by family. */
export const nodesSet = (family: Family): NftSet => ({
  table: TABLE,
  name: `nodes${family}`,
  key: family === 4 ? "ipv4_addr" : "ipv6_addr",
});

/** Multicast is never masqueraded: its receivers are told by group, and answer by other means. */
export const multicast = (family: Family): Cidr => parseCidr(family === 4 ? "224.0.0.0/4" : "ff00::/8");

export interface NetworkRules {
  /** The network's name; it names the chain and stands in every comment. */
  name: string;
  networks: readonly Cidr[];
  masquerade: boolean;
}

const chainOf = (name: string): Chain => ({
  table: TABLE,
  name: `masquerade-${name}`,
  base: { type: "nat", hook: "postrouting", priority: SRCNAT },
});

/** The rules of the way out; none where the network is not to be masqueraded. */
export function masqueradeRules({ name, networks, masquerade }: NetworkRules): Rule[] {
  if (!masquerade) return [];
  return networks.map((network) => {
    const header = words.ipOf(network.family);
    const inside = networks.filter(({ family }) => family === network.family).map((one) => header.daddr.ne(one));
    const outside = [header.daddr.ne(multicast(network.family)), header.daddr.notIn(nodesSet(network.family))];
    return {
      chain: chainOf(name),
      words: [header.saddr.eq(network), ...inside, ...outside, words.counter, words.masquerade],
      comment: `${name}: out of ${network}`,
    };
  });
}

/**
 * Makes the network's rules so. Where they are so already, nothing is written.
 *
 * Reading all rules and chains to find that nothing has changed costs more than the rest of the way out. So the kernel's
 * count of changes is noted once the rules are right; as long as it stands, nobody has touched any rule of this node.
 */
export function ensureRules(host: Netns, network: NetworkRules): void {
  const note = noteOf(network.name);
  const right = (generation: number): string => `${host.identity()} ${generation} ${network.networks.join(" ")} ${network.masquerade}\n`;
  if (findText(note) === right(host.nft.generation())) return;
  const generation = host.nft.update((change, nft) => {
    ensureMasquerade(change, nft, network);
    openWay(change, nft, acceptsFor(network));
  });
  ensureFolder(folderOf(note));
  writeText(note, right(generation));
}

/** A network's name never begins with a dot, so this is nobody's folder of addresses. */
const noteOf = (name: string): string => `/run/vethwork/.rules-${name}`;

/** What is missing or not as it should be, in words; nothing where all is well. */
export function findFaults(host: Netns, network: NetworkRules): string[] {
  const wanted = masqueradeRules(network);
  const there = host.nft.rules(chainOf(network.name));
  const missing = wanted.filter((rule, at) => !isAt(there[at], rule)).map((rule) => `nft rule "${textOf(rule)}" is missing`);
  return [...missing, ...wayFaults(host.nft, acceptsFor(network))];
}

const isAt = (one: Parameters<typeof sameRule>[0] | undefined, rule: Rule): boolean => one !== undefined && sameRule(one, rule);

function ensureMasquerade(change: Change, nft: Nft, network: NetworkRules): void {
  const wanted = masqueradeRules(network);
  const chain = chainOf(network.name);
  const there = nft.rules(chain);
  if (there.length === wanted.length && wanted.every((rule, at) => isAt(there[at], rule))) return;
  change.ensureTable(TABLE);
  for (const family of [4, 6] as const) change.ensureSet(nodesSet(family));
  change.ensureChain(chain);
  change.flushChain(chain);
  for (const rule of wanted) change.addRule(rule);
}

/** Takes out all that ensureRules made for the network. The table goes with the last of its users. */
export function deleteRules(host: Netns, name: string): void {
  deleteFile(noteOf(name));
  host.nft.update((change, nft) => {
    closeWay(change, nft, (comment) => comment.startsWith(`${markOf(name)} `));
    if (nft.findChain(chainOf(name))) change.deleteChain(chainOf(name));
    deleteTableIfUnused(change, nft, { leaving: [chainOf(name).name] });
  });
}

/** Makes the set of the cluster's nodes hold these addresses and no other; with none, the table may go. */
export function setNodes(host: Netns, addresses: readonly Ip[]): void {
  host.nft.update((change, nft) => {
    for (const family of [4, 6] as const) settleSet(change, nft, { set: nodesSet(family), keys: addresses.filter((ip) => ip.family === family) });
    if (addresses.length === 0) deleteTableIfUnused(change, nft, { leaving: [], nodesGo: true });
  });
}

/** Makes a set hold these and no other, by what is missing and what is too much; gives that, in lines. */
export function settleSet(change: Change, nft: Nft, { set, keys }: { set: NftSet; keys: readonly (Ip | Cidr)[] }): string[] {
  const textOf = (key: Ip | Cidr): string => String("ip" in key && key.prefix === bitsOf(key.family) ? key.ip : key); // so the kernel tells a prefix of one
  const there = new Map(nft.elements(set).flatMap(({ key: [key] }) => (typeof key === "object" && "family" in key ? [[textOf(key), key] as const] : [])));
  const wanted = new Set(keys.map(textOf));
  const [missing, stale] = [keys.filter((key) => !there.has(textOf(key))), [...there].filter(([text]) => !wanted.has(text)).map(([, key]) => key)];
  if (there.size === 0 && missing.length > 0) {
    change.ensureTable(set.table); // who has no elements may not be there at all
    change.ensureSet(set);
  }
  if (stale.length > 0) change.deleteElements(set, stale.map((key) => ({ key })));
  if (missing.length > 0) change.ensureElements(set, missing.map((key) => ({ key })));
  return [...stale.map((key) => `delete ${key} from nft set ${set.name}`), ...missing.map((key) => `add ${key} to nft set ${set.name}`)];
}

/** Users are chains, but for those that this very change deletes; and whoever told which nodes there are. */
export function deleteTableIfUnused(change: Change, nft: Nft, { leaving, nodesGo = false }: { leaving: readonly string[]; nodesGo?: boolean }): void {
  const ours = nft.chains("inet").filter(({ table }) => table.name === TABLE.name);
  if (ours.some(({ name }) => !leaving.includes(name))) return;
  if (!nodesGo && ([4, 6] as const).some((family) => nft.elements(nodesSet(family)).length > 0)) return;
  if (nft.tables().some(({ family, name }) => family === TABLE.family && name === TABLE.name)) change.deleteTable(TABLE);
}

const markOf = (name: string): string => `vethwork ${name}`;

const acceptsFor = ({ networks, name }: NetworkRules): Accept[] => networks.flatMap((network) => {
  const { saddr, daddr } = words.ipOf(network.family);
  return [
    { family: network.family, words: [saddr.eq(network), words.counter, words.accept], comment: `${markOf(name)} from pods` },
    { family: network.family, words: [daddr.eq(network), words.counter, words.accept], comment: `${markOf(name)} to pods` },
  ];
});
