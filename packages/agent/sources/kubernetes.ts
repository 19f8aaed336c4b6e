/**
 * A Kubernetes API server as the cluster.
 *
 *     list and watch ──▶ facts (./listwatch.ts)          patch nodes/status ◀── what this node tells: annotations, a condition
 *
 * The server may be away for a second or a day: it is asked again and again, ever more seldom and never in step with other agents,
 * and meanwhile everything goes on by what was known.
 */
import { messageOf } from "@vethwork/cni";
import { waitUntil, type Clock } from "@vethwork/plugins/shared/clock.ts";
import type { Log } from "@vethwork/plugins/shared/log.ts";
import { pauseAfter } from "../backoff.ts";
import type { Published } from "../cluster.ts";
import { KEY_ANNOTATION, UNAVAILABLE } from "../readers/node.ts";
import { ApiError, createAccess, type AccessOptions } from "./access.ts";
import { createCollection, type Collection } from "./collection.ts";
import { Expired, Unknown, list, watch, type Following } from "./listwatch.ts";
import type { Source } from "./source.ts";

export interface KubernetesOptions extends AccessOptions {
  clock: Clock;
  log: Log;
  /** 0 to 1, another each time. */
  chance: () => number;
}

const PAUSES = { firstMs: 250, mostMs: 30_000 };
/** What went well for so long is no failure when it ends. */
const WELL_MS = 10_000;
const PATCH_MS = 10_000;
/** A server that lacks a kind is asked for it again after an upgrade, at the latest so long afterwards. */
const UNKNOWN_MS = 600_000;

export function createKubernetesSource({ clock, log, chance, ...where }: KubernetesOptions): Source {
  const access = createAccess(where);
  const stop = new AbortController();
  const followed: { collection: Collection; problems: Map<string, string>; trouble: string }[] = [];
  const running: Promise<void>[] = [];
  let onChange = (): void => {};

  const follow = async (one: (typeof followed)[number]): Promise<void> => {
    const following: Following = { collection: one.collection, problems: one.problems, access, signal: stop.signal, onChange: () => onChange() };
    const setTrouble = (trouble: string): void => {
      if (one.trouble === trouble) return;
      one.trouble = trouble;
      if (trouble === "") log("info", "API server answers", { server: access.server(), kind: one.collection.kind.kind });
      else log("warning", "API server does not answer, and what was known goes on", { server: access.server(), kind: one.collection.kind.kind, why: trouble });
      onChange();
    };
    let version: string | undefined;
    for (let failures = 0; !stop.signal.aborted; ) {
      const begun = clock.now();
      let waitMs = 0;
      try {
        version ??= await list(following);
        setTrouble("");
        version = await watch(following, version, () => setTrouble(""));
      } catch (error) {
        if (stop.signal.aborted) return;
        version = error instanceof Expired ? undefined : version;
        if (error instanceof Unknown) {
          const isNews = !one.collection.isSynced();
          one.collection.sync();
          if (isNews) onChange();
        } else if (!(error instanceof Expired)) setTrouble(messageOf(error));
        waitMs = error instanceof Unknown ? UNKNOWN_MS : error instanceof ApiError ? error.retryAfter * 1000 : 0;
      }
      failures = clock.now() - begun >= WELL_MS ? 0 : failures + 1;
      await pause(Math.max(waitMs, failures === 0 ? 0 : pauseAfter(failures, PAUSES, chance())));
    }
  };

  const pause = async (ms: number): Promise<void> => {
    try {
      await waitUntil(clock, clock.now() + ms, stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  };

  const patch = async (node: string, contentType: string, change: object): Promise<void> => {
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(PATCH_MS)]);
    const response = await access.request(`/api/v1/nodes/${node}/status`, { method: "PATCH", contentType, body: JSON.stringify(change), signal });
    await response.body?.cancel();
  };

  return {
    follow: (kind) => {
      const collection = createCollection(kind);
      followed.push({ collection, problems: new Map(), trouble: "" });
      return collection;
    },
    start: (act) => {
      onChange = act;
      for (const one of followed) running.push(follow(one));
    },
    status: () => ({
      name: `API server ${access.server()}`.trim(),
      isSynced: followed.every(({ collection }) => collection.isSynced()),
      problems: [...new Set(followed.flatMap(({ trouble }) => (trouble === "" ? [] : [`the API server does not answer: ${trouble}`]))), ...followed.flatMap(({ problems }) => [...problems.values()])],
    }),
    publish: (node, facts) => patch(node, "application/merge-patch+json", { metadata: { annotations: annotationsOf(facts) } }),
    setAvailable: (node) => patch(node, "application/strategic-merge-patch+json", { status: { conditions: [available()] } }),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await Promise.all(running);
    },
  };
}

/** null takes an annotation away. */
const annotationsOf = ({ wireguardKey }: Published): Record<string, string | null> => ({ [KEY_ANNOTATION]: wireguardKey ?? null });

/** A list of conditions is merged by their types, so the others are not touched. */
function available(): object {
  const now = new Date().toISOString();
  return { type: UNAVAILABLE, status: "False", reason: "VethworkIsUp", message: "vethwork's data path is up on this node", lastHeartbeatTime: now, lastTransitionTime: now };
}
