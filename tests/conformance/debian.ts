/**
 * Packages of a newer Debian than the machine's, unpacked below .cache/ and installed nowhere: the newest runtimes and
 * libraries are what a plugin will meet next, and the stable suite does not have them. They are fetched by fetch.sh,
 * before the tests, which run without a network; a test that needs one that is not there skips.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where the conformance tests keep what can be fetched or built again. */
export const cache = join(import.meta.dir, "../../.cache/conformance");

/** A package's unpacked tree and its Debian version; undefined when it was not fetched. */
export function newerPackage(name: string): { path: string; version: string } | undefined {
  const path = join(cache, name);
  const about = join(path, ".version");
  return existsSync(about) ? { path, version: readFileSync(about, "utf8").trim() } : undefined;
}
