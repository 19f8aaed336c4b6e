/** What is asked of a firewall for one attachment, and by which words it finds it again. */
import { CniError, ErrorCode, type Result } from "@vethwork/cni";
import { parseCidr, type Ip } from "@vethwork/linux";
import { digestOf, type Owner } from "../shared/attachment.ts";

/** Whom a pod is not to be reached by: nobody, pods behind other bridges, every other pod. */
export type Policy = "open" | "same-bridge" | "isolated";

export interface Wish {
  owner: Owner;
  /** The pod's addresses: what it sends from them passes, and so do the answers. */
  addresses: readonly Ip[];
  policy: Policy;
  /** The device that the policy speaks of; "" where it speaks of none. */
  bridge: string;
}

/** CniError 7, in the reference's words, where a policy has no bridge to speak of. */
export function wishOf(owner: Owner, policy: Policy, before: Result): Wish {
  return { owner, addresses: addressesIn(before), policy, bridge: policy === "open" ? "" : bridgeIn(before, policy) };
}

/** All addresses of the result, whichever interface they are of: as the reference does. */
export const addressesIn = ({ ips = [] }: Result = {}): Ip[] => ips.map(({ address }) => parseCidr(address).ip);

function bridgeIn({ interfaces = [] }: Result, policy: Policy): string {
  const [first] = interfaces;
  if (!first) throw new CniError(ErrorCode.INVALID_CONFIG, `interface needs to be set for ingress policy "${policy}", make sure to chain "firewall" plugin with "bridge"`);
  if (/^[^\s"'\\/!-][^\s"'\\/]{0,14}$/.test(first.name)) return first.name;
  throw new CniError(ErrorCode.INVALID_CONFIG, `the plugin before names ${JSON.stringify(first.name)} as its first interface (a bridge is wanted for ingress policy "${policy}")`);
}

/**
 * A comment that says whose something is: `mynet/4c1d…/eth0`, with a policy `mynet/4c1d…/eth0 isolated cni0`. The kernel
 * keeps 127 bytes: of a long name the digest stands there, so that every comment is whole.
 */
export const commentOf = ({ owner, policy, bridge }: Omit<Wish, "addresses">): string =>
  policy === "open" ? markOf(owner) : `${markOf(owner)} ${policy} ${bridge}`;

/** What the comments of an attachment begin with, up to the end or a blank; and those of all of a network. */
export const markOf = ({ network, containerId, ifname }: Owner): string =>
  `${networkMark(network)}${containerId.length <= 64 ? containerId : digestOf(containerId)}/${ifname.replaceAll('"', "")}`;
export const networkMark = (network: string): string => `${network.length <= 16 ? network : digestOf(network).slice(0, 16)}/`;

/** The policy in a comment, and the bridge that it speaks of. */
export function policyIn(comment: string): Pick<Wish, "policy" | "bridge"> {
  const [, policy, bridge] = comment.split(" ");
  return policyFrom(policy, bridge);
}

/** A policy as it was written down. */
export const policyFrom = (policy: unknown, bridge: unknown): Pick<Wish, "policy" | "bridge"> =>
  (policy === "isolated" || policy === "same-bridge") && typeof bridge === "string" ? { policy, bridge } : { policy: "open", bridge: "" };
