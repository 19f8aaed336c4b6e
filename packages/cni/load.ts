/**
 * Where networks come from: the files of one folder, by custom /etc/cni/net.d.
 *
 *     net.d/10-pods.conflist     a network
 *     net.d/pods/90-extra.conf   a plugin that somebody else adds to its chain ("drop-in"; the folder has the network's name)
 *     net.d/20-old.conf .json    a network of one plugin, as before 1.0.0
 *
 * Lists are looked through first, in the order of their names. A file that cannot be read or parsed ends the search, even if the
 * wanted network would come later: better no network than the wrong one.
 */
import type { Dirent } from "node:fs";
import { fs, paths } from "./builtin.ts";
import { CniError, ErrorCode, messageOf, toCniError } from "./errors.ts";
import { networkConfFromBytes, networkListFromPlugin, networkPluginConfFromBytes, type NetworkList, type PluginConfig } from "./networks.ts";

/** The paths of the files in a folder (not below it) with one of the extensions, sorted. A missing folder is an empty one. */
export function confFiles(dir: string, extensions: readonly string[]): string[] {
  return entries(dir)
    .filter((entry) => !entry.isDirectory() && extensions.includes(paths().extname(entry.name)))
    .map((entry) => paths().join(dir, entry.name))
    .sort();
}

/** The network of a name. Throws CniError 7 when there is none, and the error of the first file that will not do. */
export function loadNetworkConf(dir: string, name: string): NetworkList {
  const lists = confFiles(dir, [".conflist"]);
  for (const file of lists) {
    const list = networkConfFromFile(file);
    if (list.name === name) return list;
  }
  const single = confFiles(dir, [".conf", ".json"]);
  for (const file of single) {
    const plugin = networkPluginConfFromFile(file);
    if (plugin.name === name) return networkListFromPlugin(plugin);
  }
  const nothing = lists.length + single.length === 0;
  throw new CniError(ErrorCode.INVALID_CONFIG,
    nothing ? `no net configurations found in ${dir}` : `no net configuration with name ${JSON.stringify(name)} in ${dir}`);
}

/** Reads a list and, unless it says otherwise, the plugins in its drop-in folder. Throws CniError 5, 6 or 7. */
export function networkConfFromFile(file: string): NetworkList {
  const list = networkConfFromBytes(readText(file));
  if (!list.loadOnlyInlinedPlugins) list.plugins.push(...dropIns(paths().join(paths().dirname(file), list.name)));
  if (list.plugins.length === 0) throw new CniError(ErrorCode.INVALID_CONFIG, "no plugin configs found");
  return list;
}

/** Reads a file with one plugin. Throws CniError 5, 6 or 7. */
export function networkPluginConfFromFile(file: string): PluginConfig {
  return networkPluginConfFromBytes(readText(file));
}

function dropIns(dir: string): PluginConfig[] {
  try {
    return confFiles(dir, [".conf"]).map(networkPluginConfFromFile);
  } catch (error) {
    const { code, message, details } = toCniError(error);
    throw new CniError(code, `failed to read plugin config files in ${dir}: ${message}`, { ...(details && { details }), cause: error });
  }
}

function entries(dir: string): Dirent[] {
  try {
    return fs().readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw new CniError(ErrorCode.IO_FAILURE, `Cannot list "${dir}": ${messageOf(error)}`, { cause: error });
  }
}

function readText(file: string): Uint8Array {
  try {
    return fs().readFileSync(file);
  } catch (error) {
    throw new CniError(ErrorCode.IO_FAILURE, `error reading ${file}: ${messageOf(error)}`, { cause: error });
  }
}
