/** What the tests of a cluster have in common: a play that says what the machine lacks, and an end that looks for what is left. */
import { expect, test } from "bun:test";
import { remains } from "../../conformance/node/leftovers.ts";
import { skipped } from "../../conformance/node/needs.ts";
import type { Cluster } from "./cluster.ts";
import { lacks } from "./programs.ts";

export const play = (title: string, act: () => Promise<void>, limitMs = 120_000) => test.skipIf(lacks !== "")(skipped(title, lacks), act, limitMs);

/** Takes the cluster down, where there is one, and looks whether anything of it is left. */
export async function endCluster(cluster: Cluster | undefined): Promise<void> {
  if (!cluster) return;
  const machines = [cluster.control, ...cluster.workers.map(({ node }) => node)];
  await cluster[Symbol.asyncDispose]();
  expect(machines.flatMap(remains)).toEqual([]);
}
