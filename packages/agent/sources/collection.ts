/**
 * The objects of a kind as a source knows them: facts, by the place that each came from, which is a file, or the one API server.
 *
 *     place a.yaml ── node-1, node-2 ──┐
 *     place b.yaml ── node-2, node-3 ──┴─▶ all: node-1, node-2 of a.yaml, node-3
 *
 * A place is read as a whole into a draft, and the draft takes the place of what was there; or single objects are put and deleted.
 * An object that does not read keeps its last facts: a wrong word must not take a node off the network.
 */
import { isObject, kindOf } from "@vethwork/cni";
import { addressesAsText } from "@vethwork/linux";
import { textAt, wrong } from "../readers/reading.ts";
import type { Followed, Kind } from "./source.ts";

export interface Draft {
  /** Takes one object; gives what is wrong with it. */
  put(object: unknown): string | undefined;
  /** Takes over all that was there before and has not been put: a part of the place could not be read. */
  keepRest(): void;
  /** Makes it the place's; true where something is different now. */
  commit(): boolean;
}

/** What a source needs of a collection, whatever is in it. */
export interface Collection {
  readonly kind: Omit<Kind<unknown>, "read">;
  draft(place: string): Draft;
  /** One object in its new state; gives what is wrong with it, or whether something is different. */
  put(place: string, object: unknown): string | boolean;
  /** One object less; the same. */
  delete(place: string, object: unknown): string | boolean;
  /** Takes away all of a place; true if there was something. */
  drop(place: string): boolean;
  /** Everything has been seen once. */
  sync(): void;
  isSynced(): boolean;
  /** Objects that are in two places: the first counts. */
  doubles(): string[];
}

export function createCollection<T>(kind: Kind<T>): Collection & Followed<T> {
  const places = new Map<string, Map<string, T>>();
  let isSynced = false;
  let all: readonly T[] | undefined;
  let touched = new Set<string>();
  const changed = (ids: readonly string[]): boolean => {
    if (ids.length === 0) return false;
    all = undefined;
    for (const id of ids) touched.add(id);
    return true;
  };
  const inOrder = (): [string, Map<string, T>][] => [...places].sort(([a], [b]) => (a < b ? -1 : 1));
  const attempt = <R>(object: unknown, work: (id: string) => R): R | string => {
    let id = "";
    try {
      id = idOf(object);
      return work(id);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return `${kind.kind}${id === "" ? "" : ` "${id}"`}: ${error.message}`;
    }
  };
  /** Puts an object into a map; what does not read leaves in it what `before` had. */
  const putInto = (map: Map<string, T>, before: ReadonlyMap<string, T>, object: unknown): string | { id: string; differs: boolean } => attempt(object, (id) => {
    const old = before.get(id);
    if (old !== undefined) map.set(id, old);
    const facts = kind.read(isObject(object) ? object : {});
    map.set(id, facts);
    return { id, differs: !isSame(old, facts) };
  });
  return {
    kind,
    all: () => (isSynced ? (all ??= union(inOrder())) : undefined),
    take: () => {
      if (!isSynced || touched.size === 0) return new Map();
      const found = inOrder();
      const taken = new Map([...touched].map((id) => [id, found.find(([, map]) => map.has(id))?.[1].get(id)]));
      touched = new Set();
      return taken;
    },
    draft: (place) => {
      const next = new Map<string, T>();
      const before: ReadonlyMap<string, T> = places.get(place) ?? new Map();
      return {
        put: (object) => {
          const wrongWith = putInto(next, before, object);
          return typeof wrongWith === "string" ? wrongWith : undefined;
        },
        keepRest: () => {
          for (const [id, facts] of before) if (!next.has(id)) next.set(id, facts);
        },
        commit: () => {
          places.set(place, next);
          const gone = [...before.keys()].filter((id) => !next.has(id));
          return changed([...gone, ...[...next].filter(([id, facts]) => !isSame(before.get(id), facts)).map(([id]) => id)]);
        },
      };
    },
    put: (place, object) => {
      const map = places.get(place) ?? new Map<string, T>();
      places.set(place, map);
      const answer = putInto(map, map, object);
      return typeof answer === "string" ? answer : answer.differs && changed([answer.id]);
    },
    delete: (place, object) => attempt(object, (id) => changed(places.get(place)?.delete(id) ? [id] : [])),
    drop: (place) => {
      const had = [...places.get(place)?.keys() ?? []];
      places.delete(place);
      return changed(had);
    },
    sync: () => void (isSynced = true),
    isSynced: () => isSynced,
    doubles: () => {
      const firsts = new Map<string, string>();
      return inOrder().flatMap(([place, map]) => [...map.keys()].flatMap((id) => {
        const first = firsts.get(id);
        if (first === undefined) firsts.set(id, place);
        return first === undefined ? [] : [`${kind.kind} "${id}" of ${place} is in ${first}, too, which counts`];
      }));
    },
  };
}

function union<T>(places: readonly [string, ReadonlyMap<string, T>][]): T[] {
  const all = new Map<string, T>();
  for (const [, map] of places) for (const [id, facts] of map) if (!all.has(id)) all.set(id, facts);
  return [...all.values()];
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one, addressesAsText) === JSON.stringify(other, addressesAsText);

/** Who an object is: of what has a namespace, that, too. RangeError where it is no object that has a name. */
function idOf(object: unknown): string {
  if (!isObject(object)) throw new RangeError(`it is ${kindOf(object)} (an object is wanted)`);
  const [namespace, name] = [textAt(object, "metadata", "namespace"), textAt(object, "metadata", "name")];
  if (!NAME.test(name) || name.length > LONGEST_NAME) throw wrong("metadata.name", name, "a name of small letters, digits, dashes and dots");
  return namespace === "" ? name : `${namespace}/${name}`;
}

/** Names of hosts (RFC 1123), as Kubernetes has them for nearly all that it names. */
const NAME = /^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/;
const LONGEST_NAME = 253;
