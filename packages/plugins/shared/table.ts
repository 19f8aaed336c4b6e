/**
 * The rules of a network on its node: `table inet vethwork`.
 *
 *     set nodes4, nodes6        addresses of the nodes; whoever knows them fills them
 *     chain masquerade-<name>   one for each network
 *     chain senders-<name>      the same
 *
 * What a node's agent has beside them for all of the cluster is in ./way-out.ts.
 *
 * The way out: a packet that leaves the pod network gets the node's address, because the world has no route back to a
 * pod's. Between pods, and between pods and nodes, nobody's address is changed: Kubernetes asks for that.
 *
 * Who sends: a pod's cable leads to the pod's own addresses and to no others, so a packet that came in by a cable and whose
 * sender no route finds there has another's address. It is dropped before anybody else looks at it.
 *
 * The way through: an accept for the network's prefixes in others' chains that would drop its packets (./way-through.ts).
 */
import {
  bitsOf, deleteFile, ensureFolder, findText, folderOf, parseCidr, sameRule, textOf, words, writeText,
  type Change, type Chain, type Cidr, type Family, type Ip, type Netns, type Nft, type NftSet, type Rule, type Table,
} from "@vethwork/linux";
import { shortName } from "./attachment.ts";
import { closeWay, openWay, wayFaults, type Accept } from "./way-through.ts";

export const TABLE: Table = { family: "inet", name: "vethwork" };
export const SRCNAT = 100; // linux/netfilter_ipv4.h NF_IP_PRI_NAT_SRC; kube-proxy and the reference plugins use it, too

export const RAW = -300; // linux/netfilter_ipv4.h NF_IP_PRI_RAW: before conntrack, which need not remember what is dropped here
/** The group of the nodes' ends of cables whose pods may send with their own addresses alone. Links have group 0 unless given another; 118 is "v". */
export const CABLES = 118;

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
  /** Pods send with their own addresses alone. */
  sourceCheck: boolean;
}

const masqueradeChain = (name: string): Chain => ({
  table: TABLE,
  name: `masquerade-${shortName(name)}`,
  base: { type: "nat", hook: "postrouting", priority: SRCNAT },
});

const sendersChain = (name: string): Chain => ({
  table: TABLE,
  name: `senders-${shortName(name)}`,
  base: { type: "filter", hook: "prerouting", priority: RAW },
});

const chainsOf = (name: string): Chain[] => [masqueradeChain(name), sendersChain(name)];

/** All rules of the network. */
export const rulesOf = (network: NetworkRules): Rule[] => [...masqueradeRules(network), ...senderRules(network)];

/** One rule for all families and pods: routes know whose addresses are where. */
function senderRules({ name, sourceCheck }: NetworkRules): Rule[] {
  const others = [words.iifgroup.eq(CABLES), words.noWayBack, words.counter, words.drop];
  return sourceCheck ? [{ chain: sendersChain(name), words: others, comment: `${shortName(name)}: another's address` }] : [];
}

/** The rules of the way out; none where the network is not to be masqueraded. */
function masqueradeRules({ name, networks, masquerade }: NetworkRules): Rule[] {
  if (!masquerade) return [];
  return networks.map((network) => {
    const header = words.ipOf(network.family);
    const inside = networks.filter(({ family }) => family === network.family).map((one) => header.daddr.ne(one));
    const outside = [header.daddr.ne(multicast(network.family)), header.daddr.notIn(nodesSet(network.family))];
    return {
      chain: masqueradeChain(name),
      words: [header.saddr.eq(network), ...inside, ...outside, words.counter, words.masquerade],
      comment: `${shortName(name)}: out of ${network}`,
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
  const right = (generation: number): string => `${host.identity()} ${generation} ${network.networks.join(" ")} ${network.masquerade} ${network.sourceCheck}\n`;
  if (findText(note) === right(host.nft.generation())) return;
  const generation = host.nft.update((change, nft) => {
    for (const chain of chainsOf(network.name)) ensureChain(change, nft, { chain, wanted: rulesOf(network).filter((rule) => rule.chain.name === chain.name) });
    openWay(change, nft, acceptsFor(network));
  });
  ensureFolder(folderOf(note));
  writeText(note, right(generation));
}

/** A network's name never begins with a dot, so this is nobody's folder of addresses. */
const noteOf = (name: string): string => `/run/vethwork/.rules-${shortName(name)}`;

/** What is missing or not as it should be, in words; nothing where all is well. */
export function findFaults(host: Netns, network: NetworkRules): string[] {
  const missing = chainsOf(network.name).flatMap((chain) => {
    const [wanted, there] = [rulesOf(network).filter((rule) => rule.chain.name === chain.name), host.nft.rules(chain)];
    return wanted.filter((rule, at) => !isAt(there[at], rule)).map((rule) => `nft rule "${textOf(rule)}" is missing`);
  });
  return [...missing, ...wayFaults(host.nft, acceptsFor(network))];
}

const isAt = (one: Parameters<typeof sameRule>[0] | undefined, rule: Rule): boolean => one !== undefined && sameRule(one, rule);

function ensureChain(change: Change, nft: Nft, { chain, wanted }: { chain: Chain; wanted: readonly Rule[] }): void {
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
    for (const chain of chainsOf(name)) if (nft.findChain(chain)) change.deleteChain(chain);
    deleteTableIfUnused(change, nft, { leaving: chainsOf(name).map((chain) => chain.name) });
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

const markOf = (name: string): string => `vethwork ${shortName(name)}`;

const acceptsFor = ({ networks, name }: NetworkRules): Accept[] => networks.flatMap((network) => {
  const { saddr, daddr } = words.ipOf(network.family);
  return [
    { family: network.family, words: [saddr.eq(network), words.counter, words.accept], comment: `${markOf(name)} from pods` },
    { family: network.family, words: [daddr.eq(network), words.counter, words.accept], comment: `${markOf(name)} to pods` },
  ];
});
