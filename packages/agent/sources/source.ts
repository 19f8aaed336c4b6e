/**
 * Where the agent knows the cluster from: an API server, or a folder of YAML. Both are followed in the same way.
 *
 *     source ── follow(nodes) ──▶ all nodes there are now, undefined until they have been seen once
 *        └──── onChange ────────▶ something of it has become different: look again
 *
 * Which kinds of objects are followed is data: a kind is where its objects are, and what is read of each. A source that hears
 * nothing any more goes on saying what it knew, and that it hears nothing.
 */
import type { JsonObject } from "@vethwork/cni";
import type { Published } from "../cluster.ts";

/** A kind of objects, and the facts that are kept of each. */
export interface Kind<T> {
  apiVersion: string;
  kind: string;
  /** Where an API server lists them. */
  path: string;
  /** So many are listed at a time, about a megabyte; 100 unless given. */
  page?: number;
  /** An older API server may not have the kind: then there are none. */
  isRecent?: boolean;
  /** RangeError names the place that is wrong. */
  read(object: JsonObject): T;
}

export interface Followed<T> {
  /** All have been seen once. */
  isSynced(): boolean;
  /** What is known of all objects now; undefined until all have been seen once. */
  all(): readonly T[] | undefined;
  /** Those that have become different since this was last asked, by who they are, undefined where one is gone; nothing until all have been seen once. */
  take(): ReadonlyMap<string, T | undefined>;
}

export interface SourceStatus {
  /** `folder /etc/vethwork/cluster`, `API server https://10.96.0.1:443`. */
  name: string;
  /** Whether everything has been seen once. */
  isSynced: boolean;
  /** What is wrong with it now, in words for a person: it does not answer; line 7 of a file does not read. */
  problems: readonly string[];
}

export interface Source extends AsyncDisposable {
  /** To be called before start. */
  follow<T>(kind: Kind<T>): Followed<T>;
  /** From now on `onChange` is called when something that is followed, or the status, has become different. */
  start(onChange: () => void): void;
  status(): SourceStatus;
  /** Publishes what this node has to tell the others. Rejects where that failed. */
  publish(node: string, facts: Published): Promise<void>;
  /** Takes back that this node has no network. Rejects where that failed. */
  setAvailable(node: string): Promise<void>;
}
