/**
 * Packages of a newer Debian than the machine's, unpacked below .cache/ and installed nowhere: the newest runtimes and
 * libraries are what a plugin will meet next, and the stable suite does not have them. Debian's unstable suite moves, so
 * what is there is taken by name, and a test that needs it skips when it cannot be had.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanEnv } from "./node/node.ts";

const root = join(import.meta.dir, "../..");

/** Where the repository keeps what can be fetched or built again. */
export const cache = join(root, ".cache/conformance");

/** A package's unpacked tree and its Debian version; undefined when it cannot be had. Fetched once per clone. */
export function newerPackage(name: string): { path: string; version: string } | undefined {
  const path = join(cache, name);
  const about = join(path, ".version");
  if (!existsSync(about)) {
    const script = join(root, "scripts/debian-newer.sh");
    const fetched = Bun.spawnSync([script, "sid", name, path], { env: cleanEnv, timeout: 120_000 });
    if (!fetched.success || !existsSync(about)) return undefined;
  }
  return { path, version: readFileSync(about, "utf8").trim() };
}
