/**
 * The Container Network Interface for TypeScript: the contract between what runs containers and what gives them a network,
 * specification 0.1.0 to 1.1.0. To write a plugin start at definePlugin.
 */
export { formatMac, parseCidr, parseIp, parseMac, type CidrAddress, type IpAddress } from "./address.ts";
export { cacheFile, defaultCacheDir, type CachedAttachment, type RuntimeConf } from "./cache.ts";
export type { CachedConfig } from "./cacheaccess.ts";
export type { CallOptions, CniOptions } from "./calls.ts";
export {
  config, object, parseConfig, required, rowsOf, schemaOf,
  type ConfigOf, type ConfigTable, type Ipam, type Option, type OptionRow, type Options, type WellKnown,
} from "./config.ts";
export { checkContainerId, checkInterfaceName, checkNetworkName, splitPath, type Args, type Environment } from "./environment.ts";
export { CniError, ErrorCode, messageOf, oneLine, toCniError, type ErrorObject } from "./errors.ts";
export {
  findInPath, inProcessExec, processExec, processExecSync, tracedExec,
  type Exec, type ExecOutcome, type ExecRequest, type ExecTrace, type SyncExec,
} from "./exec.ts";
export {
  delegateAdd, delegateCheck, delegateDel, delegateGc, delegateStatus, joinPath, pluginEnvironment,
  type DelegateContext, type Delegation, type Verb,
} from "./invoke.ts";
export { encode, encodeSorted, find, isObject, kindOf, parseJson, type JsonObject } from "./json.ts";
export { createCni, type Cni } from "./libcni.ts";
export { confFiles, loadNetworkConf, networkConfFromFile, networkPluginConfFromFile } from "./load.ts";
export {
  injected, networkConfFromBytes, networkListFromPlugin, networkPluginConfFromBytes, type NetworkList, type PluginConfig,
} from "./networks.ts";
export { parseVersionInfo } from "./plugininfo.ts";
export {
  boolean, cidr, cidrs, integer, invalidOption, ip, list, mac, oneOf, path, raw, record, string, stringList,
  type ParseMode, type Parser, type Range,
} from "./parsers.ts";
export type { Dns, Interface, IpConfig, Result, Route } from "./result.ts";
export { convertResult, formatResult, parseResult, printResult, versionOfResult } from "./results.ts";
export { runPlugin, type ProcessIo, type RunOptions } from "./run.ts";
export {
  definePlugin, respond,
  type Attachment, type Context, type Plugin, type PluginDefinition, type PluginRequest, type PluginResponse,
} from "./skel.ts";
export { createUndo, type Undo, type UndoStack } from "./undo.ts";
export { allVersions, atLeast, compareVersions, currentVersion, parseVersion } from "./version.ts";
