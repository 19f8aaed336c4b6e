/**
 * The cache as the verbs use it: the same file is indispensable to CHECK, welcome to DEL, and only a promise after ADD.
 */
import { cacheFile, deleteCache, readCachedAttachment, readCachedResult, writeCache, type RuntimeConf } from "./cache.ts";
import { within, type Named } from "./calls.ts";
import { CniError } from "./errors.ts";
import type { Result } from "./result.ts";
import { atLeast } from "./version.ts";

/** What an attachment was made with, out of the cache. */
export interface CachedConfig {
  /** The text of the list. */
  config: string;
  runtime: RuntimeConf;
}

/** The cache in one folder, seen by network and runtime configuration. */
export function createCacheAccess(dir: string) {
  const file = (network: string, runtime: RuntimeConf): string => cacheFile(dir, network, runtime);
  const result = async (network: string, version: string, runtime: RuntimeConf): Promise<Result | undefined> =>
    readCachedResult(file(network, runtime), version);
  return {
    result,

    async config(network: string, runtime: RuntimeConf): Promise<CachedConfig | undefined> {
      const cached = await readCachedAttachment(file(network, runtime), network);
      if (!cached) return undefined;
      const { config, capabilityArgs, cniArgs } = cached;
      return { config, runtime: { ...runtime, capabilityArgs, ...(cniArgs.length > 0 && { args: cniArgs }) } };
    },

    async write({ name, cniVersion, source }: Named & { source: string }, runtime: RuntimeConf, made: Result): Promise<void> {
      try {
        await writeCache({ file: file(name, runtime), network: name, source, result: made, version: cniVersion, runtime });
      } catch (error) {
        throw within(error, `failed to set network ${JSON.stringify(name)} cached result`);
      }
    },

    /** For CHECK, which makes no sense without what it compares with: a file that cannot be read is an error. */
    async resultFor({ name, cniVersion }: Named, runtime: RuntimeConf): Promise<Result | undefined> {
      try {
        return await result(name, cniVersion, runtime);
      } catch (error) {
        throw within(error, `failed to get network ${JSON.stringify(name)} cached result`);
      }
    },

    /** For DEL, which must work with whatever there is. Before 0.4.0 DEL had no previous result. */
    async resultOrForget({ name, cniVersion }: Named, runtime: RuntimeConf): Promise<Result | undefined> {
      if (!atLeast(cniVersion, "0.4.0")) return undefined;
      const path = file(name, runtime);
      try {
        return await readCachedResult(path, cniVersion);
      } catch (error) {
        if (!(error instanceof CniError || error instanceof SyntaxError)) throw error;
        await deleteCache(path);
        return undefined;
      }
    },

    async forget(network: string, runtime: RuntimeConf): Promise<void> {
      await deleteCache(file(network, runtime));
    },
  };
}

export type CacheAccess = ReturnType<typeof createCacheAccess>;
