/**
 * ifbs: the devices that hold back what a pod sends, since a link queues only what it sends itself.
 *
 *     bwp70a29d9dc18b    alias "vethwork mynet abc123/eth0"
 *
 * The name is the reference plugin's, made of network and container, so that either program finds the other's. A second
 * interface of the container in the network would have the same; it, and a second ifb of an interface, have names that are
 * made of the interface, too. Whose an ifb is says its alias. One without is the reference's, or of an ADD that died.
 */
import { CniError, ErrorCode, type Attachment, type Undo } from "@vethwork/cni";
import { isErrno, type Link, type Netns } from "@vethwork/linux";
import { isOfNetwork, labelOf, type Owner } from "../shared/attachment.ts";
import { sha512Of } from "../shared/names.ts";

/** Of the two directions the one that the reference has an ifb for, and the other, which needs one for subnets. */
export type Which = "main" | "second";

const nameOf = (text: string): string => `bwp${sha512Of(text)}`.slice(0, 15);
const sharedName = ({ network, containerId }: Owner): string => nameOf(network + containerId);
const ownName = ({ network, containerId, ifname }: Owner, which: Which): string => nameOf([network, containerId, ifname, which].join("/"));

export interface NewIfb {
  owner: Owner;
  which: Which;
  mtu: number;
  undo: Undo;
}

/** Makes it, up, with its alias. CniError 4 where the attachment has one already. */
export function addIfb(netns: Netns, { owner, which, mtu, undo }: NewIfb): Link {
  const names = [...(which === "main" ? [sharedName(owner)] : []), ownName(owner, which)];
  const name = names.find((one) => isAdded(netns, one, { owner, mtu }));
  if (name === undefined) throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `adding link: "${names.join('" and "')}" exist already (an attachment that nobody deleted)`);
  undo.defer(() => netns.links.delete(name));
  const link = netns.links.get(name);
  netns.links.set(link, { alias: aliasOf(owner) });
  return link;
}

/** False where the name is taken by another interface's ifb. */
function isAdded(netns: Netns, name: string, { owner, mtu }: Pick<NewIfb, "owner" | "mtu">): boolean {
  try {
    netns.links.add({ kind: "ifb", name, mtu, txQueueLength: 0, up: true });
    return true;
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
  if (netns.links.find(name)?.alias !== aliasOf(owner)) return false;
  throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `adding link: "${name}" exists already (an attachment that nobody deleted)`);
}

/** The attachment's. What has the shared name and no alias is its own unless there is one that certainly is. */
export function findIfb(netns: Netns, owner: Owner, which: Which): Link | undefined {
  const own = ifbNamed(netns, ownName(owner, which));
  if (own || which === "second") return own;
  const shared = ifbNamed(netns, sharedName(owner));
  return shared && ["", aliasOf(owner)].includes(shared.alias) ? shared : undefined;
}

function ifbNamed(netns: Netns, name: string): Link | undefined {
  const link = netns.links.find(name);
  return link?.kind === "ifb" ? link : undefined;
}

/** Deletes the attachment's. */
export function deleteIfbs(netns: Netns, owner: Owner): void {
  for (const which of ["main", "second"] as const) {
    const link = findIfb(netns, owner, which);
    if (link) netns.links.delete(link.name);
  }
}

/** Deletes every ifb of the network that belongs to none of these. */
export function collectIfbs(netns: Netns, network: string, valid: readonly Attachment[]): void {
  const kept = new Set(valid.map(({ containerID, ifname }) => aliasOf({ network, containerId: containerID, ifname })));
  for (const link of netns.links.list()) {
    if (link.kind === "ifb" && isOfNetwork(network, link) && !kept.has(link.alias)) netns.links.delete(link.name);
  }
}

const aliasOf = (owner: Owner): string => labelOf(owner.network, owner);
