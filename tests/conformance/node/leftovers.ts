/**
 * What a network leaves behind: the question that most CNI plugins fail, asked in two places.
 *
 * Inside a node, `networkState` is everything that an ADD may have made there, so that the state after the last pod can
 * be compared with the state before the first. On the machine, `remains` is everything that still bears a node's name
 * once it is down. The machine may be busy with other nodes meanwhile, hence by name and not by before and after.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Node } from "./node.ts";

/** A node's network, each part as sorted lines of text. */
export interface NetworkState {
  links: string[];
  addresses: string[];
  routes: string[];
  rules: string[];
  neighbours: string[];
  nft: string[];
  netns: string[];
  files: string[];
}

// Files that a runtime or a plugin's lock keeps: containerd's and podman's own state, the books' lock, and host-local's
// memory of where to go on. None of them holds an address.
const kept = /^\/run\/(containerd|runc|crun|libpod|node)\/|\/(lock|[^/]*\.lock|last_reserved_ip\.\d+)$/;

/** Reads everything that an ADD may have made in a node. */
export async function networkState(node: Node): Promise<NetworkState> {
  const lines = async (...argv: string[]) => {
    const text = await node.run(argv);
    return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  };
  const ip = async (...argv: string[]) => (await lines("ip", ...argv)).map((line) => line.replace(/^\d+:\s+/, "")).sort();
  const files = await lines("find", "/run", "/run/node/var-lib/", "-xdev", "!", "-type", "d");
  return {
    links: (await ip("-o", "link")).map((line) => line.replace(/[:@].*/, "")),
    addresses: (await ip("-o", "addr")).map((line) => line.replace(/\s+valid_lft.*/, "")),
    routes: [...(await ip("-4", "route", "show", "table", "all")), ...(await ip("-6", "route", "show", "table", "all"))],
    rules: [...(await ip("-4", "rule")), ...(await ip("-6", "rule"))],
    neighbours: await ip("neigh", "show", "nud", "permanent"),
    // Stateless: counters and timeouts are no leftovers. In nft's own order, which says more than a sorted one.
    nft: await lines("nft", "-s", "list", "ruleset"),
    netns: await lines("ls", "/run/netns"),
    files: files.map((path) => path.replace("/run/node/var-lib/", "/var/lib/")).filter((path) => !kept.test(path)).sort(),
  };
}

/** The same, but for what the kernel notices in its own time: that a bridge without ports carries nothing. */
export async function settledState(node: Node): Promise<NetworkState> {
  const state = await networkState(node);
  return { ...state, routes: state.routes.map((line) => line.replace(/ linkdown\b/, "").trim()) };
}

/** Everything on the machine that still bears the name of a node that was stopped: processes, mounts, groups, files. */
export function remains(node: Pick<Node, "name" | "dir">): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    const about = ["cgroup", "cmdline"].map((file) => textOf(join("/proc", pid, file))).join(" ");
    if (about.includes(node.name)) found.push(`process ${pid}: ${about.replaceAll("\0", " ").trim()}`);
  }
  const mounts = textOf("/proc/self/mountinfo").split("\n");
  for (const mount of mounts) if (mount.includes(node.name)) found.push(`mount ${mount}`);
  for (const mount of mounts.filter((line) => line.includes(" - cgroup"))) {
    const group = join(mount.split(" ")[4] ?? "/", node.name);
    if (existsSync(group)) found.push(`control group ${group}`);
  }
  if (existsSync(node.dir)) found.push(`folder ${node.dir}`);
  return found;
}

/** A file of /proc, or nothing if its process has ended in between. */
function textOf(path: string): string {
  return existsSync(path) ? readGone(path) : "";
}

function readGone(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // ESRCH and ENOENT: the process ended between the listing and the reading, and a process that ended is no leftover.
    if (error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "ENOENT")) return "";
    throw error;
  }
}
