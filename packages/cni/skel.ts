/**
 * The frame that every plugin hangs in: from a request to the plugin's code, and from what it did to an answer.
 *
 *     CNI_… variables ─┐                                       ┌─ stdout: the result, or the error, as JSON
 *                      ├─ check ─ version ─ options ─ plugin ──┤
 *     stdin: config ───┘      nothing is touched until here    └─ exit code 0 or 1; a failed ADD is undone
 *
 * The checks, their order, codes and words are those of Go's skel. Three things are better: a plugin is not started in its own
 * namespace (Go's looks after the work is done); an ADD whose result cannot be told in the network's version is undone; and DEL
 * works with a configuration that has become wrong since ADD.
 */
import { parseConfig, type ConfigOf, type ConfigTable, type Options } from "./config.ts";
import { checkNetworkName, readVariables, type Args, type Environment, type Variables } from "./environment.ts";
import { CniError, ErrorCode, messageOf, oneLine, toCniError } from "./errors.ts";
import { encode, find, isObject, kindOf, parseJson, textOf, type JsonObject } from "./json.ts";
import { isOwnNetns } from "./netns.ts";
import type { Result } from "./result.ts";
import { formatResult, parseResult, printObject, readBack } from "./results.ts";
import { createUndo, type Undo } from "./undo.ts";
import { allVersions, atLeast, currentVersion, parseVersion } from "./version.ts";

/** One interface of one container, as GC lists them. */
export interface Attachment {
  containerID: string;
  ifname: string;
}

/** What a plugin is called with. */
export interface Context<C> {
  /** The options, read by the plugin's table. On DEL one that is wrong has its default. */
  config: C;
  /** The whole configuration as it came, for handing on to a delegate. */
  raw: JsonObject;
  /** On GC and STATUS only `path` means anything. */
  args: Args;
  undo: Undo;
  /** What the plugin before made (ADD), or what the chain made at last (CHECK, DEL). */
  prevResult: Result | undefined;
  /** GC: the attachments that are still valid. Undefined: the runtime did not say, so nothing is known to be stale. */
  valid: Attachment[] | undefined;
}

/** A plugin. All verbs are synchronous; a verb that is missing succeeds silently. */
export interface Plugin<C = unknown> {
  /** The name of its file, and the `type` that configurations call it by. */
  type: string;
  /** One sentence: what it does for a container. */
  about: string;
  config: ConfigTable;
  /** The versions of the specification that it speaks. */
  versions: readonly string[];
  /** Makes the attachment, or throws; what it deferred is then undone. */
  add(context: Context<C>): Result;
  /** Takes it away. Whatever is gone already is no error. */
  del(context: Context<C>): void;
  /** Throws when the attachment is not what ADD left. Changes nothing. */
  check?(context: Context<C>): void;
  /** Takes away what belongs to no valid attachment. */
  gc?(context: Context<C>): void;
  /** Throws CniError 50 or 51 when ADD could not work now. */
  status?(context: Context<C>): void;
}

/** What definePlugin takes: a plugin with its table; `versions` is all of them unless it says less. */
export type PluginDefinition<F extends Options> = Omit<Plugin<ConfigOf<ConfigTable<F>>>, "config" | "versions"> & {
  config: ConfigTable<F>;
  versions?: readonly string[];
};

/** Declares a plugin; the type of `context.config` comes from the table. */
export function definePlugin<F extends Options>(definition: PluginDefinition<F>): Plugin<ConfigOf<ConfigTable<F>>> {
  return { versions: allVersions, ...definition };
}

/** A request as a process gets it. */
export interface PluginRequest {
  env: Environment;
  /** Called once at most, and not at all for VERSION. */
  stdin: () => Uint8Array | string;
  /** The plugin's own version, for a person who calls it by hand. */
  version?: string;
  /** Whether a path is the namespace that the plugin runs in. */
  isOwnNetns?: (path: string) => boolean;
}

/** The answer as a process gives it. */
export interface PluginResponse {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Serves one request. Never throws; touches nothing but through the plugin. */
export function respond(plugin: Plugin, request: PluginRequest): PluginResponse {
  const log: string[] = [];
  const stderr = (): string => (log.length === 0 ? "" : `${log.join("\n")}\n`);
  try {
    if (!request.env["CNI_COMMAND"]) return { exitCode: 0, stdout: "", stderr: introduction(plugin, request.version) };
    const stdout = serve(plugin, request, log);
    return { exitCode: 0, stdout, stderr: stderr() };
  } catch (error) {
    return { exitCode: 1, stdout: encode(toCniError(error), 4), stderr: stderr() };
  }
}

function introduction({ type, versions }: Plugin, version = "version unknown"): string {
  return `CNI ${type} plugin ${version}\nCNI protocol versions supported: ${versions.join(", ")}\n`;
}

function serve(plugin: Plugin, request: PluginRequest, log: string[]): string {
  const variables = readVariables(request.env);
  if (variables.command === "VERSION") {
    return `${encode({ cniVersion: currentVersion, supportedVersions: plugin.versions })}\n`;
  }
  const raw = networkIn(parsed(read(request.stdin)) ?? {});
  const added = perform(plugin, { variables, raw, log, isOwnNetns: request.isOwnNetns ?? isOwnNetns });
  return added ? printObject(added.printed) : "";
}

/** A call of a plugin of this very program by another one. */
export interface PluginCall {
  /** The variables, all of them. */
  env: Environment;
  /** The whole configuration. */
  raw: JsonObject;
}

/**
 * Does what a process of its own would do, without the process and without text between the two: the same checks, the same options,
 * the same undoing. Gives what ADD's printed result would be read as. Throws CniError; warnings go to `log`.
 */
export function callPlugin(plugin: Plugin, { env, raw }: PluginCall, log: string[]): Result | undefined {
  try {
    const copy: unknown = JSON.parse(JSON.stringify(raw)); // each its own, as with processes
    // Whose namespace CNI_NETNS is was asked by the caller's own frame, before anything was touched.
    const added = perform(plugin, { variables: readVariables(env), raw: networkIn(copy), log, isOwnNetns: () => false });
    return added && readBack(added.result, added.printed);
  } catch (error) {
    const { code, msg, details } = toCniError(error).toJSON();
    throw new CniError(code, msg, details === undefined ? {} : { details });
  }
}

interface Performance extends Required<Pick<PluginRequest, "isOwnNetns">> {
  variables: Variables;
  raw: JsonObject;
  log: string[];
}

/** What ADD gave, and the same as the object that the configuration's version prints. */
interface Added {
  result: Result;
  printed: JsonObject;
}

/** From a configuration that reads to the plugin's code. */
function perform(plugin: Plugin, { variables, raw, log, isOwnNetns: isOwn }: Performance): Added | undefined {
  const { command } = variables;
  if (command !== "ADD" && command !== "DEL" && command !== "CHECK" && command !== "GC" && command !== "STATUS") {
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `unknown CNI_COMMAND: ${oneLine(command)}`);
  }
  const version = gate(plugin, command, raw);
  if (command === "ADD" || command === "DEL") refuseOwnNetns(variables, isOwn);
  const context = contextFor(plugin, { command, raw, version, args: variables.args, log });
  if (command === "ADD") return addOrUndo(plugin, context, version, log);
  if (command === "DEL") plugin.del(context);
  if (command === "CHECK") plugin.check?.(context);
  if (command === "GC") plugin.gc?.(context);
  if (command === "STATUS") plugin.status?.(context);
  return undefined;
}

function networkIn(raw: unknown): JsonObject {
  if (!isObject(raw)) throw undecodable(`${kindOf(raw)} (an object is wanted)`);
  const name = find(raw, "name") ?? "";
  if (typeof name !== "string") throw undecodable(`name is ${kindOf(name)} (a string is wanted)`);
  const problem = checkNetworkName(name);
  if (problem) throw problem;
  return raw;
}

function read(stdin: () => Uint8Array | string): string {
  try {
    return textOf(stdin());
  } catch (error) {
    throw new CniError(ErrorCode.IO_FAILURE, `error reading from stdin: ${oneLine(messageOf(error))}`, { cause: error });
  }
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw undecodable(messageOf(error));
  }
}

function undecodable(what: string): CniError {
  return new CniError(ErrorCode.DECODING_FAILURE, `error unmarshall network config: ${what}`);
}

/** Since which version a verb may be asked for (specification, "CNI operations"). */
const since: Readonly<Record<string, string>> = { CHECK: "0.4.0", GC: "1.1.0", STATUS: "1.1.0" };

/** The configuration's version, if the plugin speaks it and it allows the verb. Throws CniError 1 or 6. */
function gate({ versions }: Plugin, command: string, raw: JsonObject): string {
  const given = find(raw, "cniVersion") ?? "";
  if (typeof given !== "string") throw badVersion(`it is ${kindOf(given)} (a string is wanted)`);
  const version = given === "" ? "0.1.0" : given;
  const needed = since[command];
  if (needed !== undefined) {
    readable(version);
    if (!atLeast(version, needed)) {
      throw new CniError(ErrorCode.INCOMPATIBLE_VERSION, `config version does not allow ${command}`);
    }
    if (!versions.some((one) => atLeast(one, version))) {
      throw new CniError(ErrorCode.INCOMPATIBLE_VERSION, `plugin version does not allow ${command}`);
    }
  }
  if (versions.includes(version)) return version;
  const supported = versions.map((one) => JSON.stringify(one)).join(" ");
  const details = `config is ${JSON.stringify(version)}, plugin supports [${supported}]`;
  throw new CniError(ErrorCode.INCOMPATIBLE_VERSION, "incompatible CNI versions", { details });
}

function readable(version: string): void {
  try {
    parseVersion(version);
  } catch (error) {
    throw badVersion(messageOf(error));
  }
}

function badVersion(what: string): CniError {
  return new CniError(ErrorCode.DECODING_FAILURE, `decoding version from network config: ${what}`);
}

/** A runtime that passes the plugin's own namespace would have the host's eth0 renamed or deleted. */
function refuseOwnNetns({ args, netnsOverride }: Variables, isOwn: (path: string) => boolean): void {
  if (netnsOverride || args.netns === "" || !isOwn(args.netns)) return;
  throw new CniError(ErrorCode.INVALID_NETNS, "plugin's netns and netns from CNI_NETNS should not be the same");
}

interface Reading {
  command: string;
  raw: JsonObject;
  version: string;
  args: Args;
  log: string[];
}

function contextFor(plugin: Plugin, { command, raw, version, args, log }: Reading): Context<unknown> & { undo: ReturnType<typeof createUndo> } {
  const warn = (error: CniError): void => void log.push(`${plugin.type}: going on with DEL in spite of ${oneLine(error.message)}`);
  const config = parseConfig(plugin.config, raw, command === "DEL" ? { onInvalid: warn } : {});
  let prevResult: Result | undefined;
  try {
    if (command === "ADD" || command === "CHECK" || command === "DEL") prevResult = readPrevResult(raw, version);
  } catch (error) {
    if (command !== "DEL") throw error;
    warn(toCniError(error));
  }
  return { config, raw, args, undo: createUndo(), prevResult, valid: command === "GC" ? readValid(raw) : undefined };
}

/** A previous result without a version is in the configuration's; one in another form of result is refused. */
function readPrevResult(raw: JsonObject, version: string): Result | undefined {
  const prevResult = find(raw, "prevResult");
  if (prevResult === undefined) return undefined;
  try {
    return parseResult(prevResult, version);
  } catch (error) {
    throw new CniError(ErrorCode.DECODING_FAILURE, `could not parse prevResult: ${messageOf(error)}`, { cause: error });
  }
}

/** An earlier text of the specification called the key "cni.dev/attachments"; Go's library sends both. */
function readValid(raw: JsonObject): Attachment[] | undefined {
  const given = find(raw, "cni.dev/valid-attachments") ?? find(raw, "cni.dev/attachments");
  if (given === undefined) return undefined;
  const list = Array.isArray(given) ? given : [given];
  return list.map((item: unknown, at) => {
    const containerID = isObject(item) ? find(item, "containerID") : undefined;
    const ifname = isObject(item) ? find(item, "ifname") : undefined;
    if (typeof containerID === "string" && typeof ifname === "string") return { containerID, ifname };
    const wanted = "an object with containerID and ifname is wanted";
    throw new CniError(ErrorCode.INVALID_CONFIG, `invalid option "cni.dev/valid-attachments[${at}]": ${encode(item)} (${wanted})`);
  });
}

/** Nothing stays behind a failed ADD, and a result that the network's version cannot express is a failure, too. */
function addOrUndo(plugin: Plugin, context: ReturnType<typeof contextFor>, version: string, log: string[]): Added {
  try {
    const result = plugin.add(context);
    const printed = formatResult(result, version);
    for (const failure of context.undo.forget()) log.push(`${plugin.type}: cannot close what ADD had open: ${oneLine(messageOf(failure))}`);
    return { result, printed };
  } catch (error) {
    for (const failure of context.undo.run()) log.push(`${plugin.type}: cannot undo a step of the failed ADD: ${oneLine(messageOf(failure))}`);
    throw error;
  }
}
