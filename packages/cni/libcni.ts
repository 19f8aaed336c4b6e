/**
 * The runtime's side: attach containers to networks by running the plugins of a network's chain.
 *
 *     ADD     bridge ──► portmap ──► bandwidth ──► cache     each gets the result of the one before
 *     CHECK   bridge ──► portmap ──► bandwidth               each gets the result of the whole chain, from the cache
 *     DEL     bridge ◄── portmap ◄── bandwidth               likewise; then the cache forgets
 *
 * What is asked in which order, and what is remembered where, is as in Go's libcni: a runtime may change from one to the other between
 * ADD and DEL. Nothing is rolled back here: the specification has the runtime call DEL after an ADD that failed.
 */
import { defaultCacheDir, listCachedAttachments, type CachedAttachment, type RuntimeConf } from "./cache.ts";
import { createCacheAccess, type CacheAccess, type CachedConfig } from "./cacheaccess.ts";
import { createCalls, within, type CallOptions, type Calls, type CniOptions } from "./calls.ts";
import { CniError, ErrorCode, toCniError } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import type { NetworkList, PluginConfig } from "./networks.ts";
import type { Result } from "./result.ts";
import type { Attachment } from "./skel.ts";
import { atLeast } from "./version.ts";

/** The names are those of Go's libcni. Every method rejects with a CniError; its cause is the plugin's own error. */
export interface Cni {
  /** Attaches, and gives the last plugin's result. After a failure the caller must delNetworkList. Specification: "ADD". */
  addNetworkList(list: NetworkList, runtime: RuntimeConf, options?: CallOptions): Promise<Result>;
  /** Asks whether the attachment is as ADD left it; rejects at the first plugin that finds it changed. Specification: "CHECK". */
  checkNetworkList(list: NetworkList, runtime: RuntimeConf, options?: CallOptions): Promise<void>;
  /** Detaches. May be called again, and after an ADD that failed. A cached result that cannot be read is forgotten. */
  delNetworkList(list: NetworkList, runtime: RuntimeConf, options?: CallOptions): Promise<void>;
  /** What ADD gave; undefined when nothing is cached. */
  getNetworkListCachedResult(list: NetworkList, runtime: RuntimeConf): Promise<Result | undefined>;
  /** What ADD was asked with; undefined when nothing is cached. */
  getNetworkListCachedConfig(list: NetworkList, runtime: RuntimeConf): Promise<CachedConfig | undefined>;
  /** The same for a plugin alone; its error comes as it is. */
  addNetwork(plugin: PluginConfig, runtime: RuntimeConf, options?: CallOptions): Promise<Result>;
  checkNetwork(plugin: PluginConfig, runtime: RuntimeConf, options?: CallOptions): Promise<void>;
  delNetwork(plugin: PluginConfig, runtime: RuntimeConf, options?: CallOptions): Promise<void>;
  getNetworkCachedResult(plugin: PluginConfig, runtime: RuntimeConf): Promise<Result | undefined>;
  getNetworkCachedConfig(plugin: PluginConfig, runtime: RuntimeConf): Promise<CachedConfig | undefined>;
  /** Finds every plugin and asks whether it speaks the list's version; gives the capabilities that they want. */
  validateNetworkList(list: NetworkList, options?: CallOptions): Promise<string[]>;
  validateNetwork(plugin: PluginConfig, options?: CallOptions): Promise<string[]>;
  /**
   * Takes away every attachment to the network that is not in `valid`: first those in the cache, by DEL; then each plugin cleans up.
   * Without `valid` nothing is valid. Goes on after errors and rejects with all of them. Specification: "GC".
   */
  gcNetworkList(list: NetworkList, valid?: readonly Attachment[], options?: CallOptions): Promise<void>;
  /** Asks whether ADD would work now; rejects with the first plugin's error as it is. Specification: "STATUS". */
  getStatusNetworkList(list: NetworkList, options?: CallOptions): Promise<void>;
  /** What the cache remembers, of all containers or of one. */
  getCachedAttachments(containerId?: string): Promise<CachedAttachment[]>;
  /** The versions that a plugin speaks. */
  getVersionInfo(type: string, options?: CallOptions): Promise<string[]>;
}

/** A runtime's access to plugins. Holds nothing open; make as many as you like. */
export function createCni(options: CniOptions): Cni {
  const calls = createCalls(options);
  const cacheDir = options.cacheDir ?? defaultCacheDir;
  const cache = createCacheAccess(cacheDir);
  const lists = listOperations(calls, cache);
  return {
    ...lists,
    getNetworkListCachedResult: ({ name, cniVersion }, runtime) => cache.result(name, cniVersion, runtime),
    getNetworkListCachedConfig: ({ name }, runtime) => cache.config(name, runtime),
    getNetworkCachedResult: ({ name, cniVersion }, runtime) => cache.result(name, cniVersion, runtime),
    getNetworkCachedConfig: ({ name }, runtime) => cache.config(name, runtime),
    ...singleOperations(calls, cache),
    ...probes(calls),
    gcNetworkList: (list, valid, callOptions) => collectGarbage({ calls, cacheDir, del: lists.delNetworkList }, list, valid, callOptions),
    getCachedAttachments: (containerId) => listCachedAttachments(cacheDir, containerId),
  };
}

function listOperations(calls: Calls, cache: CacheAccess): Pick<Cni, "addNetworkList" | "checkNetworkList" | "delNetworkList"> {
  return {
    async addNetworkList(list, runtime, options) {
      let result: Result | undefined;
      for (const plugin of list.plugins) {
        try {
          result = await calls.add({ list, plugin, runtime, prevResult: result }, options);
        } catch (error) {
          throw failed(plugin, "add", error);
        }
      }
      await cache.write(list, runtime, result ?? {});
      return result ?? {};
    },

    async checkNetworkList(list, runtime, options) {
      if (!atLeast(list.cniVersion, "0.4.0")) throw noCheck(list.cniVersion);
      if (list.disableCheck) return;
      const prevResult = await cache.resultFor(list, runtime);
      for (const plugin of list.plugins) await calls.simple("CHECK", { list, plugin, runtime, prevResult }, options);
    },

    async delNetworkList(list, runtime, options) {
      const prevResult = await cache.resultOrForget(list, runtime);
      for (const plugin of list.plugins.toReversed()) {
        try {
          await calls.simple("DEL", { list, plugin, runtime, prevResult }, options);
        } catch (error) {
          throw failed(plugin, "delete", error);
        }
      }
      await cache.forget(list.name, runtime);
    },
  };
}

function singleOperations(calls: Calls, cache: CacheAccess): Pick<Cni, "addNetwork" | "checkNetwork" | "delNetwork"> {
  return {
    async addNetwork(plugin, runtime, options) {
      const result = await calls.add({ list: plugin, plugin, runtime, prevResult: undefined }, options);
      await cache.write(plugin, runtime, result);
      return result;
    },

    async checkNetwork(plugin, runtime, options) {
      if (!atLeast(plugin.cniVersion, "0.4.0")) throw noCheck(plugin.cniVersion);
      await calls.simple("CHECK", { list: plugin, plugin, runtime, prevResult: await cache.resultFor(plugin, runtime) }, options);
    },

    async delNetwork(plugin, runtime, options) {
      const prevResult = await cache.resultOrForget(plugin, runtime);
      await calls.simple("DEL", { list: plugin, plugin, runtime, prevResult }, options);
      await cache.forget(plugin.name, runtime);
    },
  };
}

function probes(calls: Calls): Pick<Cni, "validateNetworkList" | "validateNetwork" | "getStatusNetworkList" | "getVersionInfo"> {
  const validate = async (plugin: PluginConfig, version: string, options?: CallOptions): Promise<string[]> => {
    const wanted = version === "" ? "0.1.0" : version;
    const versions = await calls.versions(plugin.type, options);
    if (!versions.includes(wanted)) {
      throw new CniError(ErrorCode.INCOMPATIBLE_VERSION, `plugin ${plugin.type} does not support config version ${JSON.stringify(wanted)}`);
    }
    return Object.entries(plugin.capabilities).filter(([, is]) => is).map(([name]) => name);
  };
  return {
    async validateNetworkList(list, options) {
      const capabilities = new Set<string>();
      const errors: CniError[] = [];
      for (const plugin of list.plugins) {
        try {
          for (const capability of await validate(plugin, list.cniVersion, options)) capabilities.add(capability);
        } catch (error) {
          errors.push(toCniError(error));
        }
      }
      if (errors.length > 0) throw several(errors, (texts) => `[${texts.join(" ")}]`);
      return [...capabilities];
    },

    validateNetwork: (plugin, options) => validate(plugin, plugin.cniVersion, options),

    async getStatusNetworkList(list, options) {
      if (!atLeast(list.cniVersion, "1.1.0")) return;
      for (const plugin of list.plugins) await calls.bare("STATUS", { list, plugin }, options);
    },

    getVersionInfo: (type, options) => calls.versions(type, options),
  };
}

interface Collector {
  calls: Calls;
  cacheDir: string;
  del: Cni["delNetworkList"];
}

/** Go sends the list of valid attachments under two names, since an earlier text of the specification had the other; so do we. */
async function collectGarbage({ calls, cacheDir, del }: Collector, list: NetworkList, valid?: readonly Attachment[], options?: CallOptions): Promise<void> {
  if (list.disableGC) return;
  const errors: CniError[] = [];
  const note = (what: string) => (error: unknown): void => void errors.push(within(error, what));

  const cached = await listCachedAttachments(cacheDir).catch((error: unknown) => {
    note("failed to list cached attachments")(error);
    return [];
  });
  const stale = cached.filter(({ network, containerId, ifname }) =>
    network === list.name && !valid?.some((one) => one.containerID === containerId && one.ifname === ifname));
  for (const { containerId, ifname, netns, cniArgs, capabilityArgs } of stale) {
    await del(list, { containerId, ifname, netns, args: cniArgs, capabilityArgs }, options)
      .catch(note(`failed to delete stale attachment ${containerId} ${ifname}`));
  }
  if (atLeast(list.cniVersion, "1.1.0")) {
    const values: JsonObject = valid ? { "cni.dev/valid-attachments": valid, "cni.dev/attachments": valid } : {};
    for (const plugin of list.plugins) {
      await calls.bare("GC", { list, plugin, values }, options).catch(note(`failed to GC plugin ${plugin.type}`));
    }
  }
  if (errors.length > 0) throw several(errors, (texts) => texts.join("; "));
}

// ── errors ──

function failed({ type, name }: PluginConfig, verb: string, error: unknown): CniError {
  const named = name === "" ? "" : ` name=${JSON.stringify(name)}`;
  return within(error, `plugin type=${JSON.stringify(type)}${named} failed (${verb})`);
}

function several(errors: readonly CniError[], join: (texts: string[]) => string): CniError {
  const texts = errors.map(({ message, details }) => details === undefined ? message : `${message}; ${details}`);
  const message = join(texts);
  return new CniError(errors[0]?.code ?? ErrorCode.INTERNAL, message, { cause: new AggregateError(errors, message) });
}

function noCheck(version: string): CniError {
  return new CniError(ErrorCode.INCOMPATIBLE_VERSION,
    `configuration version ${JSON.stringify(version)} does not support the CHECK command`);
}
