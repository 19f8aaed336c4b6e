/**
 * Which of the three: nftables, iptables or firewalld.
 *
 * The configuration says so; else firewalld where it runs, since what it does not know it rejects; else nftables, which needs no
 * program. (The reference would take iptables. Where the node goes by iptables' rules of long ago, so do we.) What has been made
 * is taken away, looked after and checked by whoever made it: a label in nftables, a record of the others (./record.ts), and
 * where there is neither, the reference made it.
 */
import type { Attachment, Result } from "@vethwork/cni";
import { sameIp, type Ip, type Netns } from "@vethwork/linux";
import { ownersOf, type Owner } from "../shared/attachment.ts";
import { hasNftables, statusOfNftables } from "../shared/nftables.ts";
import * as firewalld from "./firewalld.ts";
import * as iptables from "./iptables.ts";
import * as nftables from "./nftables.ts";
import { deleteTorn, findRecord, listRecords, withRecords, type Made } from "./record.ts";
import { addressesIn, type Policy, type Wish } from "./wish.ts";

export type Backend = "nftables" | "iptables" | "firewalld";

export interface Config {
  name: string;
  backend: Backend | undefined;
  iptablesAdminChainName: string;
  firewalldZone: string;
  ingressPolicy: Policy;
}

/** Makes what is wished. */
export function ensureFirewall(host: Netns, config: Config, wish: Wish): void {
  const backend = backendFor(host, config);
  if (backend !== "nftables") {
    const made = madeBy(backend, config, wish);
    withRecords((records) => {
      records.write(made);
      if (backend === "iptables") iptables.ensureRules(made);
      else firewalld.ensureSources(made);
    });
  }
  if (backend === "nftables") nftables.ensureRules(host, wish);
  // firewalld has no such policies; a drop of ours counts whatever it accepts.
  if (backend === "firewalld" && wish.policy !== "open") nftables.ensureIsolation(host, wish);
}

/** Takes away what was made for the attachment, by whomever. `prevResult` is what the reference goes by. */
export function deleteFirewall(host: Netns, config: Config, { owner, prevResult }: { owner: Owner; prevResult?: Result | undefined }): void {
  const wasNftables = nftables.deleteRules(host, owner);
  const record = findRecord(owner);
  if (record) deleteMade([record]);
  else deleteTorn(owner);
  if (record || wasNftables) return;
  const addresses = addressesIn(prevResult);
  const bridge = prevResult?.interfaces?.[0]?.name ?? "";
  if (addresses.length > 0) deleteMade(foreign(host, config, { owner, addresses, bridge, policy: bridge === "" ? "open" : config.ingressPolicy }));
}

/** Takes away what is the network's, and of none of these. */
export function collectFirewall(host: Netns, config: Config, valid: readonly Attachment[]): void {
  const { name } = config;
  const keep = ownersOf(config, valid);
  nftables.collectRules(host, name, keep);
  const stale = listRecords().filter(({ owner }) => owner.network === name && !keep.some((one) => isSame(one, owner)));
  if (stale.length > 0) deleteMade(stale);
}

/** True where ours is what was made for the attachment, and not the reference's. */
export const isOurs = (host: Netns, owner: Owner): boolean => findRecord(owner) !== undefined || nftables.hasRules(host, owner);

/** What is missing, in words. */
export function firewallFaults(host: Netns, config: Config, wish: Wish): string[] {
  const record = findRecord(wish.owner);
  if (record) return [...madeFaults({ ...record, ...wish }), ...(record.backend === "firewalld" && wish.policy !== "open" ? nftables.isolationFaults(host, wish) : [])];
  const made = nftables.hasRules(host, wish.owner) ? [] : foreign(host, config, wish);
  const [first, ...others] = made.map((one) => [...madeFaults(one), ...(one.backend === "firewalld" ? iptables.ruleFaults(one) : [])]);
  if (!first) return nftables.ruleFaults(host, wish);
  return others.find((faults) => faults.length === 0) ?? first;
}

/** STATUS: CniError 50 where ADD could not do its work. */
export function statusOfFirewall(host: Netns, config: Config): void {
  const backend = backendFor(host, config);
  if (backend === "nftables") statusOfNftables(host);
  else if (backend === "iptables") iptables.statusOfRules();
  else firewalld.statusOfFirewalld();
}

function backendFor(host: Netns, { backend }: Config): Backend {
  if (backend) return backend;
  if (firewalld.isRunning()) return "firewalld";
  return hasNftables(host) && !iptables.rulesThisNode() ? "nftables" : "iptables";
}

const madeBy = (backend: Made["backend"], config: Config, wish: Wish): Made =>
  ({ ...wish, backend, place: backend === "iptables" ? config.iptablesAdminChainName : config.firewalldZone });

/** What the reference may have made: it leaves no label. */
function foreign(host: Netns, config: Config, wish: Wish): Made[] {
  const mayBe = {
    iptables: config.backend !== "firewalld" && iptables.mayHaveRules(host),
    firewalld: config.backend === "firewalld" || (config.backend !== "iptables" && firewalld.isRunning()),
  };
  return (["iptables", "firewalld"] as const).filter((backend) => mayBe[backend]).map((backend) => madeBy(backend, config, wish));
}

const madeFaults = (made: Made): string[] => (made.backend === "iptables" ? iptables.ruleFaults(made) : firewalld.sourceFaults(made));

function deleteMade(leaving: readonly Made[]): void {
  if (leaving.length === 0) return;
  withRecords((records) => {
    const staying = records.list().filter(({ owner }) => !leaving.some((one) => isSame(one.owner, owner)));
    const by = (backend: Made["backend"], those: readonly Made[]): Made[] => those.filter((one) => one.backend === backend);
    iptables.deleteRules(by("iptables", leaving), by("iptables", staying));
    for (const { addresses, place } of by("firewalld", leaving)) {
      const isKept = (ip: Ip): boolean => by("firewalld", staying).some((one) => one.place === place && one.addresses.some((other) => sameIp(ip, other)));
      firewalld.deleteSources({ place, addresses: addresses.filter((ip) => !isKept(ip)) });
    }
    for (const { owner } of leaving) records.delete(owner);
  });
}

const isSame = (a: Owner, b: Owner): boolean => a.network === b.network && a.containerId === b.containerId && a.ifname === b.ifname;
