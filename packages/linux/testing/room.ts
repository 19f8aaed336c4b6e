/** Kernel tests: a namespace or two for each, gone afterwards, and `ip` and `nft` as the ones who know what is really there. */
import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { unless } from "../errors.ts";
import { parseCidr } from "../ip.ts";
import type { NewLink } from "../links.ts";
import { Netns } from "../netns.ts";

/** What a test asks for beside root, ip and nft. */
interface Wanted {
  programs?: readonly string[];
  /** The kernel's option that is missing, "" where it is not. */
  option?: string;
}

/** Two empty namespaces. None is open afterwards that was not before. */
export function kernelTest(title: string, act: (here: Netns, there: Netns) => void, { programs = [], option = "" }: Wanted = {}): void {
  const lacks = missing({ root: true, programs: ["ip", "nft", "nsenter", ...programs] }) || option;
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

/** The kernel's option without which there are no such links; "" where there are. */
export function lacksLink(link: NewLink, option: string): string {
  if (missing({ root: true }) !== "") return "";
  using netns = Netns.create();
  return errnoOf(() => netns.links.add(link)) === "EOPNOTSUPP" ? option : "";
}

/** What this process holds open of a kind: "net" is namespaces. (Bun's own way to start programs holds sockets for a while.) */
export function held(kind: "net" | "socket"): string[] {
  const targets = readdirSync("/proc/self/fd").map((fd) => unless(["ENOENT"], () => readlinkSync(`/proc/self/fd/${fd}`)) ?? "");
  return targets.filter((target) => target.startsWith(`${kind}:`)).sort();
}

/** A cable between two namespaces, "v" at both ends, with these addresses; ready when the kernel has noticed it, in a thread of its own. */
export function layCable(here: Netns, there: Netns, addresses: readonly (readonly [string, string])[]): void {
  here.links.add({ kind: "veth", name: "v", peer: { name: "v", netnsFd: there.fd } });
  for (const [at, netns] of [here, there].entries()) {
    netns.links.set(netns.links.get("v"), { up: true, linkLocal: false });
    for (const pair of addresses) netns.addrs.add(netns.links.get("v"), { address: parseCidr(pair[at] ?? ""), nodad: true });
  }
  while (!here.links.get("v").operational || !there.links.get("v").operational) continue;
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
