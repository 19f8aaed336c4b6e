/**
 * An attachment: one interface of one container, and how what was made for it on the host is found again.
 *
 * The host's end of the cable has a name made of the two ids, so that DEL finds it when the pod's namespace is gone,
 * and an alias that says in words whose it is: `ip link` shows it, and GC reads it.
 */
import type { Attachment } from "@vethwork/cni";
import type { Link } from "@vethwork/linux";

export interface Attached {
  containerId: string;
  ifname: string;
}

/** An attachment of a network. */
export interface Owner extends Attached {
  network: string;
}

/** The one that a plugin is called for. */
export const ownerOf = ({ name }: { name: string }, { containerId, ifname }: Attached): Owner => ({ network: name, containerId, ifname });
/** Those that GC is to spare. */
export const ownersOf = ({ name }: { name: string }, valid: readonly Attachment[]): Owner[] =>
  valid.map(({ containerID: containerId, ifname }) => ({ network: name, containerId, ifname }));

/** Fifteen characters, all that a link's name may have: "veth" and 44 bits made of the ids. */
export function hostEndName({ containerId, ifname }: Attached): string {
  return `veth${hashOf(`${containerId}/${ifname}`).toString(16).padStart(16, "0").slice(0, 11)}`;
}

/** FNV-1a with 64 bits: nobody chooses ids so that two pods get one name, and a digest against that takes ten times as long at first. */
function hashOf(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let at = 0; at < text.length; at++) hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(at))) * 0x100000001b3n);
  return hash;
}

/** The alias of a link that belongs to an attachment of `network`. The kernel keeps up to 255 bytes. */
export function labelOf(network: string, { containerId, ifname }: Attached): string {
  const id = containerId.length <= 128 ? containerId : digestOf(containerId);
  return `${prefixOf(network)}${id}/${ifname}`;
}

/** True where the link's alias says that it belongs to `network`. */
export const isOfNetwork = (network: string, { alias }: Link): boolean => alias.startsWith(prefixOf(network));

/** The digest of a text, in hexadecimal. */
export const digestOf = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

const prefixOf = (network: string): string => `vethwork ${shortName(network)} `;

/** A network's name in labels, comments and names of chains, which have less room than a name may have letters. */
export const shortName = (network: string): string => (network.length <= 64 ? network : digestOf(network));
