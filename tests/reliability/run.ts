/** Plays rows, each on a node of its own, as many at once as there are processors. */
import { cpus } from "node:os";
import { join } from "node:path";
import { startNode } from "../conformance/node/node.ts";
import type { Played } from "./play.ts";
import { rows, type Row } from "./rows.ts";

const MINUTES = 60_000;

/** Plays a row. */
async function playOn({ name }: Row, length: "short" | "whole"): Promise<Played> {
  const node = await startNode();
  try {
    const said = await node.run([process.execPath, join(import.meta.dir, "play.ts"), name, length], { timeoutMs: (length === "short" ? 9 : 120) * MINUTES });
    const played: Played = JSON.parse(said);
    return played;
  } finally {
    await node.stop();
  }
}

/** Begins to play rows, those of longest first; gives for each row's name what comes of it. */
export function playAll(length: "short" | "whole", wanted: readonly Row[] = rows): ReadonlyMap<string, Promise<Played>> {
  const waiting = wanted.map((row) => ({ row, ...Promise.withResolvers<Played>() }));
  const queue = waiting.toSorted((one, other) => weightOf(other.row) - weightOf(one.row));
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) await playOn(next.row, length).then(next.resolve, next.reject);
  };
  for (let workers = 0; workers < cpus().length; workers++) void work();
  return new Map(waiting.map(({ row, promise }) => [row.name, promise]));
}

/** How long a row takes, roughly: what has more plugins, and an IPAM plugin, makes more calls. */
const weightOf = ({ plugins }: Row): number => JSON.stringify(plugins).length;
