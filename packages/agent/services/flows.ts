/**
 * Flows of UDP that lead to where nobody answers any more.
 *
 *     pod ─► 10.96.0.10:53, at first sent to 10.244.2.3:53 ─► and so are all that follow, as long as they do, whatever the map says now
 *
 * Conntrack translates a flow as it did its first packet. TCP finds out by itself and begins anew; a client of UDP that keeps sending from
 * one port never does. So a pass looks at all flows of UDP to frontends, and forgets those whose answer would come from no
 * endpoint that serves. The next packet begins a flow, and is sent to one. All others are left alone, and TCP always is. Looking costs a walk through the kernel's whole table of flows, some
 * milliseconds for each family, so a pass does it where frontends of UDP have changed, and every half minute whatever has.
 *
 * A frontend that is deleted is noted in the kernel, in one transaction with its deletion, for longer than it takes to forget its
 * flows: an agent that dies in between, or is replaced, finds the note.
 */
import { unless, type Conntrack, type Family, type Flow, type Nft } from "@vethwork/linux";
import { IPPROTO } from "@vethwork/linux/uapi/socket.ts";
import type { Planner } from "./planner.ts";
import { FAMILIES, setsOf } from "./table.ts";
import { keyText } from "./texts.ts";

export interface Forgotten {
  flows: number;
  clients: number;
}

/** Forgets what leads nowhere, as far as these frontends have changed; or all of it. */
export function forget(where: { nft: Nft; conntrack: Conntrack }, planner: Pick<Planner, "frontend">, changed: ReadonlySet<string> | "all"): Forgotten {
  const keys = changed === "all" ? [] : [...changed];
  const isSticky = (key: string): boolean => planner.frontend(key)?.value.includes("-sticky-") ?? true;
  return {
    flows: changed === "all" || keys.some((key) => key.includes(" udp ")) ? forgetFlows(where, planner) : 0,
    clients: changed === "all" || keys.some(isSticky) ? forgetClients(where.nft, planner) : 0,
  };
}

/** Forgets what leads nowhere; gives how many. */
export function forgetFlows({ nft, conntrack }: { nft: Nft; conntrack: Conntrack }, planner: Pick<Planner, "frontend">): number {
  return FAMILIES.reduce((sum, family) => sum + conntrack.deleteWhere({ family, original: { protocol: IPPROTO.UDP } }, staleIn(nft, planner, family)), 0);
}

function staleIn(nft: Nft, planner: Pick<Planner, "frontend">, family: Family): (flow: Flow) => boolean {
  const closed = new Set(nft.elements(setsOf(family).closed).map(({ key }) => keyText(key)));
  return ({ original: { destination, destinationPort }, reply }) => {
    const key = `${destination} udp ${destinationPort}`;
    const serving = planner.frontend(key)?.serving;
    return serving ? !serving.has(`${reply.source} ${reply.sourcePort}`) : closed.has(key);
  };
}

/** Forgets which endpoint a client was sent to, where that is none any more; gives how many. */
export function forgetClients(nft: Nft, planner: Pick<Planner, "frontend">): number {
  const gone = FAMILIES.flatMap((family) => {
    const { affinity } = setsOf(family);
    return nft.elements(affinity).filter(({ key, value }) => {
      const { endpoints = [] } = planner.frontend(keyText(key.slice(1))) ?? {};
      const who = `${keyText(Array.isArray(value) ? value : [])} `;
      return !endpoints.some((group) => group.some((one) => `${one} `.startsWith(who)));
    }).map(({ key }) => ({ affinity, key }));
  });
  for (const { affinity, key } of gone) unless(["ENOENT"], () => nft.transaction((change) => change.deleteElements(affinity, [{ key }])));
  return gone.length;
}
