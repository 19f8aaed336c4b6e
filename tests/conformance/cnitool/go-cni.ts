/**
 * Go's libcni, as a function: what a runtime written in Go does with a network, one call at a time, on a node of its own.
 *
 *   test ── goCni(node, request) ── main.go + libcni ── plugin
 *
 * The program is main.go beside this file, built against the newest libcni that Debian has (fetch.sh), without modules
 * and so without a network; it is kept below .cache/ for the next run.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { cache, newerPackage } from "../debian.ts";
import { RigFailure } from "../node/failure.ts";
import { missing } from "../node/needs.ts";
import { cleanEnv, type Node } from "../node/node.ts";

export interface GoCniRequest {
  command: "add" | "check" | "del" | "gc" | "status" | "validate" | "attachments";
  /** Path of a configuration list or a single configuration. */
  conf: string;
  /** Folders of plugins (CNI_PATH). */
  path: readonly string[];
  /** Where libcni keeps its cache; attachments are in its folder `results`. */
  cacheDir: string;
  containerId?: string;
  netns?: string;
  ifName?: string;
  /** CNI_ARGS. */
  args?: readonly (readonly [string, string])[];
  /** runtimeConfig, for the plugins that declare the capability. */
  capabilityArgs?: Readonly<Record<string, unknown>>;
  /** For `gc`: what may stay. */
  validAttachments?: readonly { containerID: string; ifname: string }[];
}

/** One of the two: what libcni returned (null where it returns nothing), or the error, code 0 if it is libcni's own. */
export interface GoCniAnswer {
  result?: unknown;
  error?: { code: number; msg: string; details?: string };
}

const source = join(import.meta.dir, "main.go");
const library = "golang-github-appc-cni-dev";
const goPath = ["/usr/local/go/bin/go", Bun.which("go") ?? "/usr/bin/go"].find((path) => existsSync(path));

/** What the machine lacks to build and run it; "" when nothing. */
export function goCniLacks(): string {
  if (newerPackage(library) === undefined) return library;
  if (goPath === undefined) return "Go";
  return missing({ root: true, programs: ["unshare", "ip", "nft"] });
}

/**
 * Makes one call of libcni, as the node's root.
 * @throws RigFailure when the program cannot be built or understood; a plugin's refusal is an answer.
 */
export async function goCni(node: Node, request: GoCniRequest): Promise<GoCniAnswer> {
  const program = buildGoCni();
  const out = await node.run([program], { stdin: JSON.stringify(request), timeoutMs: 90_000 });
  return parsed(out);
}

/** Builds the program unless it is there for this source, this library and this Go; gives its path. Takes up to 30 s. */
export function buildGoCni(): string {
  const tree = newerPackage(library);
  if (tree === undefined || goPath === undefined) throw new RigFailure(`Cannot build main.go: ${goCniLacks()} is missing`);
  const key = createHash("sha256").update(readFileSync(source)).update(tree.version).update(goVersion(goPath));
  const program = join(cache, `gocni-${key.digest("hex").slice(0, 16)}`);
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const half = `${program}.${process.pid}`;
  const { success, stderr } = Bun.spawnSync([goPath, "build", "-o", half, source], {
    env: {
      ...cleanEnv,
      // The package's tree is a GOPATH; modules would ask a proxy.
      GO111MODULE: "off",
      GOPATH: join(tree.path, "usr/share/gocode"),
      GOCACHE: join(cache, "go-build"),
      GOTOOLCHAIN: "local",
      GOFLAGS: "",
      CGO_ENABLED: "0",
    },
  });
  if (!success) throw new RigFailure(`Cannot build main.go: ${stderr.toString().trim()}`);
  renameSync(half, program);
  return program;
}

function goVersion(go: string): string {
  return Bun.spawnSync([go, "version"], { env: cleanEnv }).stdout.toString();
}

function parsed(text: string): GoCniAnswer {
  const answer: unknown = JSON.parse(text);
  if (typeof answer !== "object" || answer === null) throw new RigFailure(`Cannot understand libcni's answer: ${text}`);
  if (!("error" in answer)) return { result: "result" in answer ? answer.result : null };
  const { error } = answer;
  if (typeof error === "object" && error !== null && "msg" in error && "code" in error) {
    const details = "details" in error ? { details: String(error.details) } : {};
    return { error: { code: Number(error.code), msg: String(error.msg), ...details } };
  }
  throw new RigFailure(`Cannot understand libcni's error: ${text}`);
}
