/** Every plugin in this binary, by its CNI type: the name that the binary is called by picks one. */
import type { Plugin } from "@vethwork/cni";
import hostLocal from "./host-local/host-local.ts";
import loopback from "./loopback/loopback.ts";
import staticAddresses from "./static/static.ts";
import vethwork from "./vethwork/vethwork.ts";

const plugins: readonly Plugin[] = [hostLocal, loopback, staticAddresses, vethwork];

export const types: readonly string[] = plugins.map(({ type }) => type);

/** The plugin of that type; undefined where this binary has none. */
export const findPlugin = (type: string): Plugin | undefined => plugins.find((plugin) => plugin.type === type);
