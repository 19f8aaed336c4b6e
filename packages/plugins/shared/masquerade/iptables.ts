/**
 * Masquerade by iptables, for whoever asks for it (`ipMasqBackend: "iptables"`) or was given it by the reference plugin.
 *
 *     -A POSTROUTING -s 10.1.2.5/32 -j CNI-2bbe…      packets of the pod
 *     -A CNI-2bbe… -d 10.1.2.0/24 -j ACCEPT           inside its subnet nobody's address is changed
 *     -A CNI-2bbe… ! -d 224.0.0.0/4 -j MASQUERADE
 *
 * The program is called (../iptables.ts): all of a change at once.
 */
import { networkOf, type Cidr, type Netns } from "@vethwork/linux";
import type { Owner } from "../attachment.ts";
import { iptables, quoted } from "../iptables.ts";
import { chainOf, iptablesComment } from "../names.ts";

const tools = iptables({ table: "nat", verb: "masquerade", instead: '"ipMasqBackend": "nftables"' });
const PREFIX = "CNI-";
const MULTICAST = { 4: "224.0.0.0/4", 6: "ff00::/8" } as const;

/** A rule of POSTROUTING that leads to a masquerade chain. */
interface Jump {
  /** As `iptables -S` writes it, without the verb. */
  text: string;
  source: string;
  chain: string;
  network: string;
  containerId: string;
}

/** Makes the owner's rules. An address that has one already keeps it. */
export function ensureRules(owner: Owner, addresses: readonly Cidr[]): void {
  const chain = chainOf(PREFIX, owner);
  const comment = `-m comment --comment ${quoted(iptablesComment(owner))}`;
  for (const family of new Set(addresses.map((one) => one.family))) {
    const own = addresses.filter((one) => one.family === family);
    const listed = tools.list(family);
    const isThere = listed.includes(`-N ${chain}`);
    const missing = own.filter(({ ip }) => !jumpsIn(listed).some((jump) => jump.chain === chain && jump.source === String(ip)));
    tools.restore(family, [
      ...(isThere ? [] : [`:${chain} - [0:0]`, `-A ${chain} ! -d ${MULTICAST[family]} -j MASQUERADE ${comment}`]),
      // At the head: where another interface of the container was first, its masquerade is the last rule already.
      ...missing.map((address) => `-I ${chain} -d ${networkOf(address)} -j ACCEPT ${comment}`),
      ...missing.map(({ ip }) => `-A POSTROUTING -s ${ip} -j ${chain} ${comment}`),
    ]);
  }
}

/**
 * Takes the owner's rules away; with addresses those alone, since two interfaces of a container share the chain. The
 * chain goes with its last user.
 */
export function deleteRules(owner: Owner, addresses: readonly Cidr[]): void {
  const own = addresses.map(({ ip }) => String(ip));
  const chain = chainOf(PREFIX, owner);
  deleteWhere((jump) => jump.chain === chain && (own.length === 0 || own.includes(jump.source)), chain);
}

/** Takes away the network's rules of containers that are none of these. */
export function collectRules(network: string, keep: readonly Owner[]): void {
  deleteWhere((jump) => jump.network === network && !keep.some(({ containerId }) => containerId === jump.containerId));
}

/** What is missing, in words. */
export function ruleFaults(owner: Owner, addresses: readonly Cidr[]): string[] {
  const chain = chainOf(PREFIX, owner);
  return addresses.filter(({ family, ip }) => {
    const listed = tools.list(family);
    const masquerades = listed.some((line) => line.startsWith(`-A ${chain} `) && line.includes("-j MASQUERADE"));
    return !masquerades || !jumpsIn(listed).some((jump) => jump.chain === chain && jump.source === String(ip));
  }).map(({ ip }) => `the rule that masquerades ${ip} is missing`);
}

/** Whether iptables may have rules of the owner's. */
export const mayHaveRules = (host: Netns, owner: Owner): boolean => tools.mayHave(host, chainOf(PREFIX, owner));

/** @param orphan a chain to take away even where nothing leads to it: the reference makes it in several steps, and may be killed between them */
function deleteWhere(isStale: (jump: Jump) => boolean, orphan?: string): void {
  for (const family of [4, 6] as const) {
    const listed = tools.find(family);
    if (!listed) continue;
    const [stale, kept] = [jumpsIn(listed).filter(isStale), jumpsIn(listed).filter((jump) => !isStale(jump))];
    const chains = new Set([...stale.map(({ chain }) => chain), ...(orphan !== undefined && listed.includes(`-N ${orphan}`) ? [orphan] : [])]);
    const unused = [...chains].filter((chain) => !kept.some((jump) => jump.chain === chain));
    const lines = [...stale.map(({ text }) => `-D ${text}`), ...unused.flatMap((chain) => [`-F ${chain}`, `-X ${chain}`])];
    if (lines.length > 0) tools.restore(family, lines);
  }
}

function jumpsIn(lines: readonly string[]): Jump[] {
  return lines.flatMap((line) => {
    const [, text, source, network, containerId, chain] =
      /^-A (POSTROUTING -s (\S+?)(?:\/32|\/128)? .*--comment "name: \\"(.*?)\\" id: \\"(.*?)\\"" .*-j (CNI-[0-9a-f]{24}).*)$/.exec(line) ?? [];
    return text && source && network !== undefined && containerId !== undefined && chain ? [{ text, source, network, containerId, chain }] : [];
  });
}
