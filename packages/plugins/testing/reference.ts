/**
 * The reference plugins, for tests that go over from one program to the other: the newest that was fetched, or those of
 * the machine's own Debian package. Both are kept to configurations of version 1.0.0, which the older ones speak, too.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

const fetched = join(import.meta.dir, "../../../.cache/reference-plugins/usr/lib/cni");
const packaged = "/usr/lib/cni";

/** The folders of reference plugins on this machine, the newest first. */
export const referenceFolders: readonly string[] = [fetched, packaged].filter((folder) => existsSync(join(folder, "host-local")));

/** What the machine lacks for tests that need the reference plugins; "" where nothing. */
export const referenceLacks: string = referenceFolders.length > 0 ? "" : "containernetworking-plugins";
