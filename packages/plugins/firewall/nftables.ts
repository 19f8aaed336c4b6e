/**
 * The firewall by nftables.
 *
 *     table inet vethwork-firewall {
 *       set pods4 { 10.1.2.2 comment "mynet/4c1d…/eth0", … }           an element for each address, and no rule
 *       set bridges { "cni0", "cni1" }                                 those whose pods have an ingress policy
 *       map within { "cni0" . "cni0" : return, "cni1" . "cni1" : drop }      same-bridge, isolated
 *
 *       chain forward { hook forward, before all others
 *         no bit yet; between bridges: drop; from a pod, or an answer to one: set the bit }
 *       chain forget { hook forward, after all others; no bit any more }
 *     }
 *     any chain that drops by default {
 *       meta mark & 0x00001000 == 0x00001000 counter accept comment "vethwork firewall: …"     at its head
 *
 * Others' chains drop what they do not accept, and no rule of ours takes that back: one of theirs has to (../shared/way-through.ts).
 * What a pod may, ours find out; theirs are told by a bit of the packet's mark, so that one rule serves however many pods
 * there are, and iptables can read it. The bit lives from the first chain on the hook to the last; nobody before or after sees it,
 * and who set it before is not believed (docs/decisions/0091-leave-to-pass-by-a-mark.md).
 *
 * The comments of the addresses are all the state that there is; bridges follow from them.
 */
import { isIp, sameElement, sameIp, sameRule, words, type Change, type Chain, type Element, type Family, type Ip, type Netns, type Nft, type NftSet, type Rule } from "@vethwork/linux";
import type { Owner } from "../shared/attachment.ts";
import { hasNftables } from "../shared/nftables.ts";
import { closeWay, openWay, wayFaults, type Accept } from "../shared/way-through.ts";
import { commentOf, markOf, networkMark, policyIn, type Wish } from "./wish.ts";

const TABLE = { family: "inet", name: "vethwork-firewall" } as const;
/** Neighbours: portmap's 0x2000, kube-proxy's 0x4000 and 0x8000, Cilium's 0x0f00, Calico's and Tailscale's above 0xffff. */
const LEAVE = 0x1000;
const [FIRST, LAST] = [-0x8000_0000, 0x7fff_ffff]; // linux/netfilter_ipv4.h NF_IP_PRI_FIRST, NF_IP_PRI_LAST

const PODS: Readonly<Record<Family, NftSet>> = {
  4: { table: TABLE, name: "pods4", key: "ipv4_addr" },
  6: { table: TABLE, name: "pods6", key: "ipv6_addr" },
};
const BRIDGES: NftSet = { table: TABLE, name: "bridges", key: "ifname" };
const WITHIN: NftSet = { table: TABLE, name: "within", key: ["ifname", "ifname"], value: "verdict" };

const FORWARD: Chain = { table: TABLE, name: "forward", base: { type: "filter", hook: "forward", priority: FIRST } };
const ISOLATE: Chain = { table: TABLE, name: "isolate" };
const FORGET: Chain = { table: TABLE, name: "forget", base: { type: "filter", hook: "forward", priority: LAST } };

const ACCEPTS: readonly Accept[] = [{ words: [words.mark.has(LEAVE), words.counter, words.accept], comment: "vethwork firewall: what pods send, and answers to them" }];

const RULES: readonly Rule[] = [
  { chain: FORWARD, words: [words.mark.clear(LEAVE)], comment: "leave is given here and nowhere else" },
  { chain: FORWARD, words: [words.iifname.in(BRIDGES), words.jump(ISOLATE)] },
  ...([4, 6] as const).flatMap((family): Rule[] => {
    const { saddr, daddr } = words.ipOf(family);
    return [
      { chain: FORWARD, words: [saddr.in(PODS[family]), words.mark.set(LEAVE)], comment: "from a pod: everything" },
      { chain: FORWARD, words: [daddr.in(PODS[family]), words.ctState("established", "related"), words.mark.set(LEAVE)], comment: "to a pod: answers" },
    ];
  }),
  { chain: ISOLATE, words: [words.concat(words.iifname, words.oifname).vmap(WITHIN)] },
  { chain: ISOLATE, words: [words.oifname.in(BRIDGES), words.counter, words.drop], comment: "between bridges" },
  { chain: FORGET, words: [words.mark.clear(LEAVE)] },
];

/** An address that may pass, and whose it is. */
interface Pod {
  address: Ip;
  comment: string;
}

/** Makes the attachment's rules these. */
export const ensureRules = (host: Netns, wish: Wish): void => ensure(host, wish, ACCEPTS);

/** Only what keeps pods apart: where somebody else lets them through. */
export const ensureIsolation = (host: Netns, wish: Wish): void => ensure(host, wish, []);

/** An address that another had goes over: who has it now is who it was given to last. */
function ensure(host: Netns, wish: Wish, accepts: readonly Accept[]): void {
  const own = wish.addresses.map((address): Pod => ({ address, comment: commentOf(wish) }));
  host.nft.update((change, nft) => {
    const there = podsIn(nft);
    const others = there.filter(({ address, comment }) => !isOf(wish.owner, comment) && !own.some((pod) => sameIp(pod.address, address)));
    if (own.length > 0) {
      ensureFrame(change, nft);
      openWay(change, nft, accepts);
    }
    setPods(change, nft, { there, wanted: [...others, ...own] });
  });
}

/** Takes the attachment's rules away, whatever addresses they are for. True where there were some. */
export const deleteRules = (host: Netns, owner: Owner): boolean => deleteWhere(host, (comment) => isOf(owner, comment));

/** Takes away what is the network's, and of none of these. */
export function collectRules(host: Netns, network: string, keep: readonly Owner[]): void {
  deleteWhere(host, (comment) => comment.startsWith(networkMark(network)) && !keep.some((owner) => isOf(owner, comment)));
}

/** True where the attachment has rules here. */
export const hasRules = (host: Netns, owner: Owner): boolean => hasNftables(host) && podsIn(host.nft).some(({ comment }) => isOf(owner, comment));

/** What is missing, in words. */
export const ruleFaults = (host: Netns, wish: Wish): string[] =>
  [...isolationFaults(host, wish), ...(wish.addresses.length > 0 ? wayFaults(host.nft, ACCEPTS) : [])];

/** What is missing where somebody else lets pods through. */
export function isolationFaults({ nft }: Netns, wish: Wish): string[] {
  const there = podsIn(nft);
  const lost = wish.addresses.filter((address) => !there.some((pod) => sameIp(pod.address, address) && pod.comment === commentOf(wish)));
  const chains = [FORWARD, ISOLATE, FORGET].filter((chain) => !isWhole(nft, chain));
  const isolates = elementsFor(there).every(({ set, elements }) => isSame(nft, set, elements));
  return [
    ...lost.map((address) => `${address} is not among the addresses of "${PODS[address.family].name}" with the comment "${commentOf(wish)}"`),
    ...chains.map(({ name }) => `chain "${name}" of table "${TABLE.name}" is not as it should be`),
    ...(isolates ? [] : [`"${BRIDGES.name}" and "${WITHIN.name}" of table "${TABLE.name}" are not what the pods' policies ask for`]),
  ];
}

function deleteWhere(host: Netns, isStale: (comment: string) => boolean): boolean {
  if (!hasNftables(host)) return false;
  let found = false;
  host.nft.update((change, nft) => {
    const there = podsIn(nft);
    const wanted = there.filter(({ comment }) => !isStale(comment));
    found ||= wanted.length < there.length;
    setPods(change, nft, { there, wanted });
  });
  return found;
}

const isOf = (owner: Owner, comment: string): boolean => comment === markOf(owner) || comment.startsWith(`${markOf(owner)} `);

const podsIn = (nft: Nft): Pod[] => [PODS[4], PODS[6]].flatMap((set) => nft.elements(set).flatMap(({ key: [address], comment = "" }) => (isIp(address) ? { address, comment } : [])));

function ensureFrame(change: Change, nft: Nft): void {
  const broken = [FORWARD, ISOLATE, FORGET].filter((chain) => !isWhole(nft, chain));
  if (broken.length === 0) return;
  change.ensureTable(TABLE);
  for (const set of [PODS[4], PODS[6], BRIDGES, WITHIN]) change.ensureSet(set);
  for (const chain of [FORWARD, ISOLATE, FORGET]) change.ensureChain(chain);
  for (const chain of broken) change.flushChain(chain);
  for (const rule of RULES) if (broken.includes(rule.chain)) change.addRule(rule);
}

function isWhole(nft: Nft, chain: Chain): boolean {
  const wanted = RULES.filter((rule) => rule.chain === chain);
  const there = nft.rules(chain);
  return there.length === wanted.length && there.every((rule, at) => wanted.slice(at, at + 1).some((one) => sameRule(rule, one)));
}

/** Makes the difference between the addresses that are there and those that are wanted, and what follows for the bridges. Without any, all goes. */
function setPods(change: Change, nft: Nft, { there, wanted }: { there: readonly Pod[]; wanted: readonly Pod[] }): void {
  if (wanted.length === 0) {
    closeWay(change, nft, (comment) => ACCEPTS.some((accept) => accept.comment === comment));
    if (nft.findChain(FORWARD)) change.deleteTable(TABLE);
    return;
  }
  const [stale, fresh] = [without(there, wanted), without(wanted, there)];
  for (const family of [4, 6] as const) {
    const of = (pods: readonly Pod[]): Pod[] => pods.filter(({ address }) => address.family === family);
    change.deleteElements(PODS[family], of(stale).map(({ address }) => ({ key: address })));
    change.ensureElements(PODS[family], of(fresh).map(({ address, comment }) => ({ key: address, comment })));
  }
  for (const { set, elements } of elementsFor(wanted)) {
    if (isSame(nft, set, elements)) continue;
    change.flushSet(set);
    if (elements.length > 0) change.ensureElements(set, elements);
  }
}

function without(pods: readonly Pod[], others: readonly Pod[]): Pod[] {
  const idOf = ({ address, comment }: Pod): string => `${address} ${comment}`;
  const ids = new Set(others.map(idOf));
  return pods.filter((pod) => !ids.has(idOf(pod)));
}

const isSame = (nft: Nft, set: NftSet, elements: readonly Element[]): boolean => {
  const there = nft.elements(set);
  return there.length === elements.length && elements.every((element) => there.some((one) => sameElement(one, set, element)));
};

/** The bridges that the pods' policies speak of. Where two policies do, the stricter counts. */
function elementsFor(pods: readonly Pod[]): { set: NftSet; elements: Element[] }[] {
  const policies = pods.map(({ comment }) => policyIn(comment)).filter(({ policy }) => policy !== "open");
  const bridges = [...new Set(policies.map(({ bridge }) => bridge))];
  const isIsolated = (name: string): boolean => policies.some(({ bridge, policy }) => bridge === name && policy === "isolated");
  return [
    { set: BRIDGES, elements: bridges.map((key) => ({ key })) },
    { set: WITHIN, elements: bridges.map((name) => ({ key: [name, name], value: isIsolated(name) ? words.drop : words.goBack })) },
  ];
}
