/**
 * What the kernel has of services: read once, and then kept along with what is written, so that a change is worked out without
 * asking. Where somebody else has written, it is read again.
 */
import type { Nft, Part } from "@vethwork/linux";
import { FAMILIES, plainSets, setsOf } from "./table.ts";
import { keyText, valueText } from "./texts.ts";

/** A frontend as it stands in the kernel. */
export interface Placed {
  /** Verdict and comment; undefined where only endpoints are left of it. */
  value: string | undefined;
  /** By number. */
  endpoints: (string | undefined)[];
}

export interface Mirror {
  frontends: Map<string, Placed>;
  /** Elements without a number: key to value, by the name of their set. */
  items: Map<string, Map<string, string>>;
  /** Chains that elements lead to, and how many do. */
  uses: Map<string, number>;
}

const emptyMirror = (): Mirror => ({ frontends: new Map(), items: new Map(plainSets().map(({ name }) => [name, new Map()])), uses: new Map() });

/** Notes how a frontend stands now. */
export function placeFrontend({ frontends, uses }: Mirror, key: string, now: Placed | undefined): void {
  count(uses, frontends.get(key)?.value, -1);
  count(uses, now?.value, 1);
  if (now) frontends.set(key, now);
  else frontends.delete(key);
}

/** Notes how an element without a number stands now. */
export function placeItem({ items, uses }: Mirror, { set, key }: { set: string; key: string }, now: string | undefined): void {
  const there = items.get(set);
  count(uses, there?.get(key), -1);
  count(uses, now, 1);
  if (now !== undefined) there?.set(key, now);
  else there?.delete(key);
}

/** What a verdict leads to: `goto inside4-3 (default/web:http ClusterIP)`. */
export const chainIn = (value: string): string | undefined => /^(?:goto|jump) (\S+)/.exec(value)?.[1];

function count(uses: Map<string, number>, value: string | undefined, by: number): void {
  const chain = value === undefined ? undefined : chainIn(value);
  if (chain === undefined) return;
  const now = (uses.get(chain) ?? 0) + by;
  if (now > 0) uses.set(chain, now);
  else uses.delete(chain);
}

/** Reads all of it; empty where there is no table. */
export function readMirror(nft: Nft): Mirror {
  const mirror = emptyMirror();
  const placedAt = (key: string): Placed => {
    const there = mirror.frontends.get(key) ?? { value: undefined, endpoints: [] };
    mirror.frontends.set(key, there);
    return there;
  };
  for (const family of FAMILIES) {
    const { services, endpoints } = setsOf(family);
    nft.readElements(services, (element) => {
      const key = keyText(element.key);
      placeFrontend(mirror, key, { ...placedAt(key), value: valueText(element) });
    });
    nft.readElements(endpoints, (element) => {
      const [number, frontend] = numbered(element.key);
      placedAt(frontend).endpoints[number] = valueText(element);
    });
  }
  for (const set of plainSets()) nft.readElements(set, (element) => placeItem(mirror, { set: set.name, key: keyText(element.key) }, valueText(element)));
  return mirror;
}

/** The number stands last in the key. */
function numbered(key: readonly Part[]): [number: number, frontend: string] {
  const number = key.at(-1);
  return [typeof number === "number" ? number : 0, keyText(key.slice(0, -1))];
}
