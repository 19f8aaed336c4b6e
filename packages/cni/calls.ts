/**
 * One plugin of a chain, called once: its configuration for this request, the variables, and what comes back.
 *
 * A plugin never sees the list that it stands in. It gets its own object with the list's name and version, the result so far, and what
 * the runtime has for the capabilities that it declares.
 */
import type { RuntimeConf } from "./cache.ts";
import { checkContainerId, checkInterfaceName, checkNetworkName, type Args, type Environment } from "./environment.ts";
import { CniError, toCniError } from "./errors.ts";
import { findInPath, processExec, tracedExec, type Exec, type ExecTrace } from "./exec.ts";
import { failureOf, pluginEnvironment, readResult, readVersions, versionRequest, type Verb } from "./invoke.ts";
import { encodeSorted, type JsonObject } from "./json.ts";
import { injected, type PluginConfig } from "./networks.ts";
import type { Result } from "./result.ts";
import { formatResult } from "./results.ts";

/** How a runtime wants its plugins run. */
export interface CniOptions {
  /** The folders that hold plugins: CNI_PATH, in order. */
  path: readonly string[];
  /** By default /var/lib/cni, as in Go. */
  cacheDir?: string;
  /** By default every plugin is a process. */
  exec?: Exec;
  /** What plugins inherit, by default this process's environment. */
  env?: Environment;
  /** Called after each call of a plugin. */
  trace?: (trace: ExecTrace) => void;
  /** What a plugin said on stderr, by default passed on to ours. */
  onStderr?: (text: string, plugin: string) => void;
}

/** For one operation: the time limit counts for each plugin by itself. */
export interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** A list, or a plugin that stands alone: whose name and version the plugin is told. */
export interface Named {
  name: string;
  cniVersion: string;
}

export interface PluginCall {
  list: Named;
  plugin: PluginConfig;
  runtime: RuntimeConf;
  prevResult: Result | undefined;
}

/** A call that concerns no container. */
export interface BareCall {
  list: Named;
  plugin: PluginConfig;
  values?: JsonObject;
}

/** The calls that a runtime makes, with what they have in common filled in. */
export function createCalls({ path, exec: given = processExec, env = process.env, trace, onStderr }: CniOptions) {
  const exec = trace ? tracedExec(given, trace) : given;
  const say = onStderr ?? ((text: string): void => void process.stderr.write(text));

  const run = async (command: Verb, file: string, args: Args, { type, object }: PluginConfig, options?: CallOptions): Promise<string> => {
    const outcome = await exec({ path: file, env: pluginEnvironment(env, command, args), stdin: encodeSorted(object), ...options });
    const failure = failureOf(outcome);
    if (outcome.stderr !== "" && !(failure && outcome.stdout === "")) say(outcome.stderr, type);
    if (failure) throw failure;
    return outcome.stdout;
  };
  const argsOf = ({ containerId, netns, ifname, args = [] }: RuntimeConf): Args =>
    ({ containerId, netns, ifname, cniArgs: args.map(([key, value]) => `${key}=${value}`).join(";"), path: [...path] });

  return {
    async add({ list, plugin, runtime, prevResult }: PluginCall, options?: CallOptions): Promise<Result> {
      const file = findInPath(plugin.type, path);
      const problem = checkContainerId(runtime.containerId) ?? checkNetworkName(list.name) ?? checkInterfaceName(runtime.ifname);
      if (problem) throw problem;
      const config = requestConfig({ list, plugin, runtime, prevResult });
      return readResult(await run("ADD", file, argsOf(runtime), config, options), list.cniVersion);
    },

    async simple(command: "CHECK" | "DEL", call: PluginCall, options?: CallOptions): Promise<void> {
      const file = findInPath(call.plugin.type, path);
      await run(command, file, argsOf(call.runtime), requestConfig(call), options);
    },

    async bare(command: "GC" | "STATUS", { list: { name, cniVersion }, plugin, values }: BareCall, options?: CallOptions): Promise<void> {
      const file = findInPath(plugin.type, path);
      const args = argsOf({ containerId: "", netns: "", ifname: "" });
      await run(command, file, args, injected(plugin, { name, cniVersion, ...values }), options);
    },

    async versions(type: string, options?: CallOptions): Promise<string[]> {
      return readVersions(await exec({ ...versionRequest(findInPath(type, path), env), ...options }));
    },
  };
}

export type Calls = ReturnType<typeof createCalls>;

/**
 * The configuration that a plugin gets (specification, "Deriving request configuration from plugin configuration"). A `runtimeConfig`
 * written in the file stays only if the runtime has nothing for any of the plugin's capabilities.
 */
function requestConfig({ list: { name, cniVersion }, plugin, runtime, prevResult }: PluginCall): PluginConfig {
  const supplied = runtime.capabilityArgs ?? {};
  const wanted = Object.entries(plugin.capabilities).filter(([capability, is]) => is && Object.hasOwn(supplied, capability));
  const runtimeConfig = Object.fromEntries(wanted.map(([capability]) => [capability, supplied[capability]]));
  return injected(plugin, {
    name, cniVersion,
    ...(prevResult && { prevResult: formatResult(prevResult, cniVersion) }),
    ...(wanted.length > 0 && { runtimeConfig }),
  });
}

/** An error with what the caller was about; code and details stay the plugin's. */
export function within(error: unknown, what: string): CniError {
  const { code, message, details } = toCniError(error);
  return new CniError(code, `${what}: ${message}`, { ...(details !== undefined && { details }), cause: error });
}
