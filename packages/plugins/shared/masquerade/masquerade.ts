/**
 * Masquerade: the world has no route back to a pod's address, so what leaves the pod's subnet gets the node's.
 *
 * By nftables, unless the configuration asks for iptables. Away goes either: the configuration may have changed since
 * ADD, and the reference plugin, which takes iptables first, may have done the ADD.
 */
import { oneOf, type Args, type Attachment, type Result } from "@vethwork/cni";
import { parseCidr, type Cidr, type Netns } from "@vethwork/linux";
import { ownerOf, ownersOf } from "../attachment.ts";
import * as iptables from "./iptables.ts";
import * as nftables from "./nftables.ts";

/** The option's reader, for a plugin's table. */
export const masqueradeBackend = oneOf("nftables", "iptables");
export type Backend = "nftables" | "iptables" | undefined;

/** What of a plugin's context says whose packets are meant. */
interface Asked {
  config: { name: string; ipMasqBackend: Backend };
  args: Args;
}

const addressesOf = (ips: Result["ips"] = []): Cidr[] => ips.map(({ address }) => parseCidr(address));

/** Makes the rules for the addresses. */
export function ensureMasquerade(host: Netns, asked: Asked, ips: Result["ips"]): void {
  if (asked.config.ipMasqBackend === "iptables") iptables.ensureRules(ownerOf(asked.config, asked.args), addressesOf(ips));
  else nftables.ensureRules(host, ownerOf(asked.config, asked.args), addressesOf(ips));
}

/** Takes them away; `ips` is what the interface had, where that is known. */
export function deleteMasquerade(host: Netns, asked: Asked, ips: Result["ips"]): void {
  const owner = ownerOf(asked.config, asked.args);
  nftables.deleteRules(host, owner);
  if (asked.config.ipMasqBackend === "iptables" || iptables.mayHaveRules(host, owner)) iptables.deleteRules(owner, addressesOf(ips));
}

/** Takes away those of the network that belong to no valid attachment. */
export function collectMasquerade(host: Netns, config: Asked["config"], valid: readonly Attachment[]): void {
  const { name: network, ipMasqBackend } = config;
  const keep = ownersOf(config, valid);
  nftables.collectRules(host, network, keep);
  if (ipMasqBackend === "iptables") iptables.collectRules(network, keep);
}

/** What is missing, in words. Rules of either kind will do: whoever did the ADD chose. */
export function masqueradeFaults(host: Netns, asked: Asked, ips: Result["ips"]): string[] {
  const addresses = addressesOf(ips);
  const owner = ownerOf(asked.config, asked.args);
  const faults = nftables.ruleFaults(host, owner, addresses);
  if (faults.length === 0) return [];
  return asked.config.ipMasqBackend === "iptables" || iptables.mayHaveRules(host, owner) ? iptables.ruleFaults(owner, addresses) : faults;
}
