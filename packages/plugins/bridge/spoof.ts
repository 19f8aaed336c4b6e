/**
 * The check for spoofed MAC addresses: what a pod sends with another sender than its own is dropped where it enters the
 * bridge, before the bridge learns from it.
 *
 *     table bridge nat
 *       chain PREROUTING                     iifname "veth1f03…" jump cni-br-iface-ID      hook prerouting, priority -300
 *       chain cni-br-iface-ID                jump cni-br-iface-ID-mac
 *       chain cni-br-iface-ID-mac            ether saddr 0a:58:… return; drop
 *
 * The rules are the reference's, ID is container and interface, so that either program takes away what the other made.
 */
import { commentOf, sameRule, words, type Chain, type Change, type KernelRule, type Mac, type Netns, type Nft, type Rule } from "@vethwork/linux";
import { digestOf, type Attached } from "../shared/attachment.ts";
import { hasTable } from "../shared/nftables.ts";

const TABLE = { family: "bridge", name: "nat" } as const;
const DSTNAT = -300; // linux/netfilter_bridge.h NF_BR_PRI_NAT_DST_BRIDGED; ebtables' table nat has the same
const PREROUTING: Chain = { table: TABLE, name: "PREROUTING", base: { type: "filter", hook: "prerouting", priority: DSTNAT, policy: "accept" } };
const PREFIX = "macspoofchk-";

export interface Sender {
  /** Name of the node's end of the cable. */
  outside: string;
  mac: Mac;
}

/** A comment has room for 127 bytes, and so has a chain's name: of a very long id the digest stands there. */
const idOf = ({ containerId, ifname }: Attached): string => `${containerId.length <= 90 ? containerId : digestOf(containerId)}-${ifname}`;
const commentFor = (id: string): string => PREFIX + id;
const chainsOf = (id: string) => ({
  port: { table: TABLE, name: `cni-br-iface-${id}` } satisfies Chain,
  sender: { table: TABLE, name: `cni-br-iface-${id}-mac` } satisfies Chain,
});

/** The rules, in the order in which a frame meets them. */
export function rulesOf(attached: Attached, { outside, mac }: Sender): Rule[] {
  const id = idOf(attached);
  const { port, sender } = chainsOf(id);
  const comment = commentFor(id);
  return [
    { chain: PREROUTING, words: [words.iifname.eq(outside), words.jump(port)], comment },
    { chain: port, words: [words.jump(sender)], comment },
    { chain: sender, words: [words.ether.saddr.eq(mac), words.goBack], comment },
    { chain: sender, words: [words.drop], comment },
  ];
}

export function ensureSpoofCheck(host: Netns, attached: Attached, from: Sender): void {
  const id = idOf(attached);
  host.nft.update((change, nft) => {
    const { port, sender } = chainsOf(id);
    change.ensureTable(TABLE);
    for (const chain of [PREROUTING, port, sender]) change.ensureChain(chain);
    for (const chain of [port, sender]) change.flushChain(chain);
    for (const { handle } of jumpsTo(nft, id)) change.deleteRule(PREROUTING, handle);
    for (const rule of rulesOf(attached, from)) change.addRule(rule);
  });
}

export function deleteSpoofCheck(host: Netns, attached: Attached): void {
  if (hasTable(host, TABLE)) host.nft.update((change, nft) => deleteAll(change, nft, [idOf(attached)]));
}

/** Takes away the checks of ports that are no more. Whose they were does not matter: nothing comes in by them. */
export function collectSpoofChecks(host: Netns): void {
  if (!hasTable(host, TABLE)) return;
  host.nft.update((change, nft) => {
    const ports = new Set(host.links.list().map(({ name }) => name));
    const stale = nft.rules(PREROUTING).filter((rule) => commentOf(rule).startsWith(PREFIX) && !ports.has(deviceIn(rule) ?? ""));
    deleteAll(change, nft, [...new Set(stale.map((rule) => commentOf(rule).slice(PREFIX.length)))]);
  });
}

/** What is missing, in words. */
export function spoofFaults(host: Netns, attached: Attached, from: Sender): string[] {
  const isWhole = rulesOf(attached, from).every((rule) => host.nft.rules(rule.chain).some((one) => sameRule(one, rule)));
  return isWhole ? [] : [`the check for spoofed MAC addresses of "${from.outside}" is not as it should be`];
}

function deleteAll(change: Change, nft: Nft, ids: readonly string[]): void {
  const stale = ids.flatMap((id) => jumpsTo(nft, id));
  const chains = ids.flatMap((id) => [chainsOf(id).port, chainsOf(id).sender]).filter((chain) => nft.findChain(chain));
  for (const { handle } of stale) change.deleteRule(PREROUTING, handle);
  if (stale.length + chains.length > 0 && isOnlyOurs(nft, chains, stale)) return change.deleteTable(TABLE);
  for (const chain of chains) change.deleteChain(chain);
}

/** ebtables keeps a table of this name with three chains. Where there is but the one that we make, the table is ours, and goes. */
function isOnlyOurs(nft: Nft, leaving: readonly Chain[], stale: readonly KernelRule[]): boolean {
  const names = [PREROUTING, ...leaving].map(({ name }) => name);
  const left = nft.chains("bridge").filter(({ table, name }) => table.name === TABLE.name && !names.includes(name));
  return left.length === 0 && nft.rules(PREROUTING).length === stale.length;
}

const jumpsTo = (nft: Nft, id: string): KernelRule[] => nft.rules(PREROUTING).filter((rule) => commentOf(rule) === commentFor(id));

/** The name that a rule compares with first. */
function deviceIn({ expressions }: KernelRule): string | undefined {
  const compared = expressions.find(({ kind }) => kind === "cmp");
  const bytes = compared?.kind === "cmp" ? compared.data?.DATA?.VALUE : undefined;
  return bytes && new TextDecoder().decode(bytes).replace(/\0.*$/s, "");
}
