/**
 * Who answers for a port of a service, seen from this node: once for clients that may be sent anywhere, once for those that are to
 * stay on this node.
 *
 *     all endpoints ──┬─ ready, and meant for us (hints) ──► everywhere   none ready: those that still serve while they end
 *                     └─ ready, and on this node        ──► here          none ready here: the same, here
 *
 * Hints count only where the control plane has given one to every ready endpoint, and one of them names this node, or its zone:
 * a single endpoint without one, and all are used. They do not count for those that are to stay.
 */
import type { ClusterSlice, ServicePort, SliceEndpoint } from "../cluster.ts";

/** Who may answer for a port. */
export type Candidate = SliceEndpoint & { port: number };

export interface Place {
  /** This node's name, and its zone. */
  self: string;
  zone: string;
}

export interface Chosen {
  /** Those that only clients get that are to stay here; those that all get; those that only the others get. */
  onlyHere: readonly Candidate[];
  both: readonly Candidate[];
  onlyEverywhere: readonly Candidate[];
  /** There is one somewhere. Without any, a client is told at once that nobody listens. */
  isAnywhere: boolean;
}

/** Behind a port of the service, by its name and protocol; each address and port once, as they may be in two slices for a while. */
export function candidatesFor(slices: readonly ClusterSlice[], { name, protocol }: Pick<ServicePort, "name" | "protocol">): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const { ports, endpoints } of slices) {
    const port = ports.find((one) => one.name === name && one.protocol === protocol)?.port;
    if (port === undefined) continue;
    for (const endpoint of endpoints) {
      const key = `${endpoint.ip} ${port}`;
      const there = found.get(key);
      if (!there || rankOf(endpoint) > rankOf(there)) found.set(key, { ...endpoint, port });
    }
  }
  return [...found.values()];
}

/** Of two that tell of the same endpoint, that is believed which lets it be used; if both do, which knows more of it; and which one that is does not depend on their order. */
const rankOf = ({ isReady, isServing, isTerminating, node, pod }: SliceEndpoint): string => `${Number(isReady)}${Number(isServing)}${Number(!isTerminating)} ${node} ${pod}`;

/** `staysHere`: there are clients that are to stay on this node. */
export function choose(candidates: readonly Candidate[], { self, zone, staysHere }: Place & { staysHere: boolean }): Chosen {
  const usable = candidates.filter(({ isReady, isServing, isTerminating }) => isReady || (isServing && isTerminating));
  const ready = usable.filter(({ isReady }) => isReady);
  const everywhere = ready.length > 0 ? ready.filter(hinted(ready, { self, zone })) : usable;
  const here = staysHere ? readyBeforeEnding(usable.filter(({ node }) => node === self)) : [];
  const [inHere, inEverywhere] = [new Set(here), new Set(everywhere)];
  return {
    onlyHere: here.filter((one) => !inEverywhere.has(one)),
    both: everywhere.filter((one) => inHere.has(one)),
    onlyEverywhere: everywhere.filter((one) => !inHere.has(one)),
    isAnywhere: usable.length > 0,
  };
}

function readyBeforeEnding(usable: readonly Candidate[]): readonly Candidate[] {
  const ready = usable.filter(({ isReady }) => isReady);
  return ready.length > 0 ? ready : usable;
}

/** For whom the hints are: by node before by zone. */
function hinted(ready: readonly Candidate[], { self, zone }: Place): (one: Candidate) => boolean {
  const names = (names: (one: Candidate) => readonly string[] | undefined, name: string): boolean =>
    ready.every((one) => names(one) !== undefined) && ready.some((one) => names(one)?.includes(name));
  if (names(({ forNodes }) => forNodes, self)) return ({ forNodes }) => forNodes?.includes(self) ?? false;
  if (names(({ forZones }) => forZones, zone)) return ({ forZones }) => forZones?.includes(zone) ?? false;
  return () => true;
}
