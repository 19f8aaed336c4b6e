/** The agent is killed at each of its calls into the kernel. The next one makes what should be, and leaves nothing of what was. */
import { expect } from "bun:test";
import { join } from "node:path";
import type { Netns } from "@vethwork/linux";
import { openDatapath } from "./open.ts";
import { addNodes, clusterTest, nodesFrom, optionsOf, podIp, seenBy, stateOf } from "./testing/cluster.ts";

const BOTH = [4, 6] as const;
const dual = { outside: BOTH, inside: BOTH };
const program = join(import.meta.dir, "testing/once.ts");

/** Runs a pass that ends, or dies, as `fault` says; gives its exit code, and what it wrote to stderr. */
async function run(netns: Netns, { words, fault, tunnel }: { words: readonly string[]; fault: string; tunnel: string }): Promise<{ code: number; err: string }> {
  const env = { PATH: process.env["PATH"] ?? "", VETHWORK_FAULT: fault, OPTIONS: JSON.stringify({ tunnel }) };
  const child = Bun.spawn([process.execPath, "--define", "VETHWORK_FAULTS=true", program, `/proc/${process.pid}/fd/${netns.fd}`, ...words], { stdout: "ignore", stderr: "pipe", env });
  const [err, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  return { code, err };
}

const stories: readonly [title: string, from: readonly string[], to: readonly string[]][] = [
  ["when everything is made", ["1"], ["1", "2", "3b"]],
  ["when one node goes, and another's subnet becomes a third's", ["1", "2", "3b"], ["1", "4=2"]],
];
for (const tunnel of ["auto", "always"] as const) {
  for (const [title, from, to] of stories) {
    if (tunnel === "always" && from.length === 1) continue; // making a tunnel is in the other one, too
    clusterTest(`${tunnel}: killed ${title}`, async (cluster) => {
      const [one, two] = addNodes(cluster, [{ at: 1, ...dual }, { at: 2, ...dual }]);
      if (!one || !two) return;
      const { netns } = one;
      const settle = (words: readonly string[]): void => void openDatapath(netns, optionsOf("node-1", { tunnel })).reconcile(nodesFrom(words));
      settle(to);
      const right = stateOf(netns);
      settle(from);
      const { err } = await run(netns, { words: to, fault: "count", tunnel });
      const calls = err.trim().split("\n").length;
      expect(calls).toBeGreaterThan(20);
      expect(stateOf(netns)).toEqual(right);
      for (let at = 1; at <= calls; at++) {
        settle(from);
        if (from.includes("2")) {
          openDatapath(two.netns, optionsOf("node-2", { tunnel })).reconcile(nodesFrom(from));
          expect(seenBy(two.pod, { from: one.pod, ip: podIp(2, 4) })).toBeDefined();
        }
        const { code } = await run(netns, { words: to, fault: `kill:${at}`, tunnel });
        expect({ at, code }).toEqual({ at, code: 137 });
        settle(to);
        expect({ at, state: stateOf(netns) }).toEqual({ at, state: right });
        expect({ at, flows: netns.conntrack.list({ original: { destination: podIp(2, 4) } }).length }).toEqual({ at, flows: 0 });
      }
    });
  }
}
