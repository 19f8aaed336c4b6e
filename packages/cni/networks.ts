/**
 * A network as an administrator writes it: a name, and the chain of plugins that every attachment goes through.
 *
 *     { "cniVersion": "1.1.0", "name": "pods", "plugins": [ { "type": "bridge", … }, { "type": "portmap", … } ] }
 *
 * Before 1.0.0 a file could also hold one plugin alone, with the name beside its options; that is read as a chain of one.
 * At the list's level keys are case-sensitive, inside a plugin they are not: so it is in Go, whose files these are.
 */
import { CniError, ErrorCode, messageOf } from "./errors.ts";
import { encode, find, isObject, kindOf, parseJson, textOf, type JsonObject } from "./json.ts";
import { compareVersions, currentVersion, parseVersion } from "./version.ts";

/** One plugin of a chain. */
export interface PluginConfig {
  type: string;
  /** Only where the plugin's object names them itself; in a list the list's count. */
  name: string;
  cniVersion: string;
  /** Capability → whether the plugin wants it from the runtime. */
  capabilities: Record<string, boolean>;
  /** The whole object, for the plugin. */
  object: JsonObject;
  /** The text that it was read from, for the cache. */
  source: string;
}

/** A network: its chain, in the order of ADD. */
export interface NetworkList {
  name: string;
  /** The version to speak with the plugins: the newest one that file and library agree on. */
  cniVersion: string;
  disableCheck: boolean;
  disableGC: boolean;
  /** Plugins from the network's drop-in folder are not wanted. */
  loadOnlyInlinedPlugins: boolean;
  plugins: PluginConfig[];
  /** The text that it was read from, for the cache. */
  source: string;
}

/**
 * Reads a list. `plugins` may be absent, they may all come from the drop-in folder (see load.ts).
 * Throws CniError 6 for what is no JSON, 7 for what makes no network. Specification: "Network configuration format".
 */
export function networkConfFromBytes(bytes: Uint8Array | string): NetworkList {
  const source = textOf(bytes);
  const list = parsed(source, "error parsing configuration list");
  const name = list["name"];
  if (!Object.hasOwn(list, "name")) throw invalid("no name");
  if (typeof name !== "string") throw invalid(`invalid name type ${goType(name)}`);
  const network: NetworkList = {
    name,
    cniVersion: chosenVersion(list),
    disableCheck: flag(list, "disableCheck"),
    disableGC: flag(list, "disableGC"),
    loadOnlyInlinedPlugins: flag(list, "loadOnlyInlinedPlugins"),
    plugins: [],
    source,
  };
  if (!Object.hasOwn(list, "plugins")) {
    if (network.loadOnlyInlinedPlugins) throw invalid("`loadOnlyInlinedPlugins` is true, and no 'plugins' key");
    return network;
  }
  const plugins = list["plugins"];
  if (!Array.isArray(plugins)) throw invalid(`invalid 'plugins' type ${goType(plugins)}`);
  if (plugins.length === 0) throw invalid("no plugins in list");
  network.plugins = plugins.map((plugin: unknown, at) => {
    try {
      return pluginConfig(plugin, encode(plugin));
    } catch (error) {
      throw new CniError(ErrorCode.INVALID_CONFIG, `failed to parse plugin config ${at}: ${messageOf(error)}`, { cause: error });
    }
  });
  return network;
}

/** Reads one plugin's object. Throws CniError 6 or 7. */
export function networkPluginConfFromBytes(bytes: Uint8Array | string): PluginConfig {
  const source = textOf(bytes);
  return pluginConfig(parsed(source, "error parsing configuration"), source);
}

/** A plugin that stands alone, as a chain of one: the list takes its name and version. */
export function networkListFromPlugin({ name, cniVersion, object }: PluginConfig): NetworkList {
  return networkConfFromBytes(encode({ name, ...(cniVersion && { cniVersion }), plugins: [object] }));
}

/** A plugin's object with some keys set. Throws CniError 7 for an empty key or a value that is not there. */
export function injected(plugin: PluginConfig, values: JsonObject): PluginConfig {
  for (const [key, value] of Object.entries(values)) {
    if (key === "") throw new CniError(ErrorCode.INVALID_CONFIG, "keys cannot be empty");
    if (value === null || value === undefined) {
      throw new CniError(ErrorCode.INVALID_CONFIG, `key '${key}' value must not be nil`);
    }
  }
  const object = { ...plugin.object, ...values };
  return pluginConfig(object, encode(object));
}

function pluginConfig(object: unknown, source: string): PluginConfig {
  const wrong = (what: string): CniError => new CniError(ErrorCode.INVALID_CONFIG, `error parsing configuration: ${what}`);
  if (!isObject(object)) throw wrong(`it is ${kindOf(object)} (an object is wanted)`);
  const text = (key: string): string => {
    const value = find(object, key) ?? "";
    if (typeof value === "string") return value;
    throw wrong(`${key} is ${kindOf(value)} (a string is wanted)`);
  };
  const type = text("type");
  if (type === "") throw wrong("missing 'type'");
  const wanted = find(object, "capabilities") ?? {};
  if (!isObject(wanted)) throw wrong(`capabilities is ${kindOf(wanted)} (an object is wanted)`);
  const capabilities = Object.entries(wanted).map(([key, value]): [string, boolean] => {
    if (value === null || typeof value === "boolean") return [key, value ?? false];
    throw wrong(`capabilities.${key} is ${kindOf(value)} (true or false is wanted)`);
  });
  return { type, name: text("name"), cniVersion: text("cniVersion"), capabilities: Object.fromEntries(capabilities), object, source };
}

/**
 * Without `cniVersions` the version is `cniVersion`, whatever it says. With it, it is the newest of both that this library knows
 * (specification, "Version considerations"); if it knows none, `cniVersion` again, and the plugins will refuse.
 */
function chosenVersion(list: JsonObject): string {
  const single = list["cniVersion"] ?? "";
  if (typeof single !== "string") throw invalid(`invalid cniVersion type ${goType(single)}`);
  if (!Object.hasOwn(list, "cniVersions")) return single;
  const several = list["cniVersions"];
  if (!Array.isArray(several)) throw invalid("invalid type for cniVersions: []interface {}");
  const named = several.map((version: unknown, at) => {
    if (typeof version !== "string") throw invalid(`invalid type for cniVersions index ${at}: ${goType(version)}`);
    return readable(version, `invalid cniVersions entry ${version} at index ${at}`);
  });
  if (single !== "") named.push(readable(single, `invalid cniVersion ${single}`));
  const known = named.filter((version) => compareVersions(version, currentVersion) <= 0).sort(compareVersions);
  return known.at(-1) ?? single;
}

function readable(version: string, prefix: string): string {
  try {
    parseVersion(version);
    return version;
  } catch (error) {
    throw invalid(`${prefix}: ${messageOf(error)}`);
  }
}

/** A boolean at the list's level; "true" and "false" in quotes are tolerated, in any case. */
function flag(list: JsonObject, key: string): boolean {
  if (!Object.hasOwn(list, key)) return false;
  const value = list[key];
  if (typeof value === "boolean") return value;
  if (typeof value !== "string") throw invalid(`invalid type ${goType(value)} for ${key}`);
  const word = value.toLowerCase();
  if (word === "true" || word === "false") return word === "true";
  throw invalid(`invalid value ${JSON.stringify(word)} for ${key}`);
}

function parsed(source: string, prefix: string): JsonObject {
  const undecodable = (what: string): CniError => new CniError(ErrorCode.DECODING_FAILURE, `${prefix}: ${what}`);
  let value: unknown;
  try {
    value = parseJson(source) ?? {};
  } catch (error) {
    throw undecodable(messageOf(error));
  }
  if (!isObject(value)) throw undecodable(`it is ${kindOf(value)} (an object is wanted)`);
  return value;
}

function invalid(what: string): CniError {
  return new CniError(ErrorCode.INVALID_CONFIG, `error parsing configuration list: ${what}`);
}

/** The name that Go has for the type of a value out of JSON: administrators search for these messages. */
function goType(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return "[]interface {}";
  return { string: "string", number: "float64", boolean: "bool" }[String(typeof value)] ?? "map[string]interface {}";
}
