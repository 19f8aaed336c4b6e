/** Kernel tests: a namespace or two for each, gone afterwards, and `ip` and `nft` as the ones who know what is really there. */
import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { unless } from "../errors.ts";
import { Netns } from "../netns.ts";

const lacks = missing({ root: true, programs: ["ip", "nft", "nsenter"] });

/** Two empty namespaces. None is open afterwards that was not before. */
export function kernelTest(title: string, act: (here: Netns, there: Netns) => void): void {
  test.skipIf(lacks !== "")(skipped(title, lacks), () => {
    const before = held("net");
    {
      using here = Netns.create();
      using there = Netns.create();
      act(here, there);
    }
    expect(held("net")).toEqual(before);
  });
}

/** What this process holds open of a kind: "net" is namespaces. (Bun's own way to start programs holds sockets for a while.) */
export function held(kind: "net" | "socket"): string[] {
  const targets = readdirSync("/proc/self/fd").map((fd) => unless(["ENOENT"], () => readlinkSync(`/proc/self/fd/${fd}`)) ?? "");
  return targets.filter((target) => target.startsWith(`${kind}:`)).sort();
}

/** What a program prints that runs in the namespace. */
export function outputIn(netns: Netns, ...argv: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["nsenter", `--net=/proc/${process.pid}/fd/${netns.fd}`, "--", ...argv]);
  expect({ argv, exitCode, stderr: stderr.toString() }).toEqual({ argv, exitCode: 0, stderr: "" });
  return stdout.toString();
}

/** What `ip -j -d …` tells. */
export const ipJson = (netns: Netns, ...argv: string[]) => JSON.parse(outputIn(netns, "ip", "-j", "-d", ...argv) || "[]");

/** The errno that some work fails with; undefined where it does not fail. */
export function errnoOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error && "errno" in error ? error.errno : error;
  }
}
