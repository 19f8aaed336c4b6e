/**
 * Services with the slices that belong to them, kept up to date object by object.
 *
 *     Service default/web        ──┐
 *     EndpointSlice default/web-a ─┼──► default/web: changed
 *     EndpointSlice default/web-b ─┘
 *
 * A slice may come before its service, outlive it, and be given to another.
 */
import type { ClusterService, ClusterSlice } from "../cluster.ts";
import { nameOf } from "./frontends.ts";
import type { ServiceFacts } from "./planner.ts";

type News<T> = ReadonlyMap<string, T | undefined>;

export interface Facts {
  /** Takes in what is different; gives the services that it is about. */
  take(services: News<ClusterService>, slices: News<ClusterSlice>): Set<string>;
  /** undefined where there is no such service. */
  of(id: string): ServiceFacts | undefined;
  ids(): Iterable<string>;
}

export function createFacts(): Facts {
  const services = new Map<string, ClusterService>();
  const slices = new Map<string, Map<string, ClusterSlice>>();
  const idsOfServices = new Map<string, string>(); // of an object, by what the source calls it
  const ownersOfSlices = new Map<string, string>();

  const takeService = (object: string, service: ClusterService | undefined): string => {
    const id = service ? nameOf(service) : idsOfServices.get(object) ?? object;
    if (service) {
      services.set(id, service);
      idsOfServices.set(object, id);
    } else {
      services.delete(id);
      idsOfServices.delete(object);
    }
    return id;
  };

  const takeSlice = (object: string, slice: ClusterSlice | undefined): string[] => {
    const before = ownersOfSlices.get(object);
    const now = slice && slice.service !== "" ? nameOf({ namespace: slice.namespace, name: slice.service }) : undefined;
    if (before !== undefined && before !== now) {
      const rest = slices.get(before);
      rest?.delete(object);
      if (rest?.size === 0) slices.delete(before);
      ownersOfSlices.delete(object);
    }
    if (slice && now !== undefined) {
      const all = slices.get(now) ?? new Map<string, ClusterSlice>();
      slices.set(now, all.set(object, slice));
      ownersOfSlices.set(object, now);
    }
    return [before, now].filter((one) => one !== undefined);
  };

  return {
    take: (newServices, newSlices) => {
      const touched = new Set<string>();
      for (const [object, service] of newServices) touched.add(takeService(object, service));
      for (const [object, slice] of newSlices) for (const id of takeSlice(object, slice)) touched.add(id);
      return touched;
    },
    of: (id) => {
      const service = services.get(id);
      return service && { service, slices: [...slices.get(id)?.values() ?? []] };
    },
    ids: () => services.keys(),
  };
}
