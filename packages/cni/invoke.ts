/**
 * What a plugin's answer means, for a runtime and for a plugin that calls another.
 *
 *     bridge ADD ──► host-local ADD ──► an address      same variables, the whole configuration, another program
 *
 * An IPAM plugin is the usual delegate: `bridge` makes the link and asks the plugin named in its `ipam` section for an address. The
 * functions here are for such plugins; they wait for the answer, as plugins do everything in order. A delegate that is the caller's
 * own program may be called without starting it again: it sees the same variables and the same configuration either way.
 */
import { findInPath, processExecSync, type ExecOutcome, type ExecRequest, type SyncExec } from "./exec.ts";
import type { Args, Environment } from "./environment.ts";
import { CniError, ErrorCode, messageOf, oneLine } from "./errors.ts";
import { encode, find, isObject, kindOf, parseJson, type JsonObject } from "./json.ts";
import { parseVersionInfo, unknownVersionVerb } from "./plugininfo.ts";
import type { Result } from "./result.ts";
import { parseResult, versionOfResult } from "./results.ts";
import { callPlugin, type Plugin } from "./skel.ts";
import { currentVersion } from "./version.ts";

/** The verbs, as CNI_COMMAND has them. */
export type Verb = "ADD" | "CHECK" | "DEL" | "GC" | "STATUS" | "VERSION";

/** What a plugin must know of its own call to call another: its context has it. */
export interface DelegateContext {
  args: Args;
  raw: JsonObject;
}

/** A call of a delegate: the plugin's type, the caller's context, and how to run it. */
export interface Delegation {
  type: string;
  context: DelegateContext;
  exec?: SyncExec;
  /** Finds the delegate's file, by default as findInPath does; a program with cheaper calls at hand than `node:fs` brings its own. */
  find?: (type: string, path: readonly string[]) => string;
  /** The plugin behind a file, where the file is this very program: it is then called in this process. */
  own?: (path: string) => Plugin | undefined;
}

/** Has another plugin add, with the caller's whole configuration, and gives its result. Throws the delegate's error as a CniError. */
export function delegateAdd(call: Delegation): Result {
  const answer = delegate("ADD", call);
  return answer.result ?? readResult(answer.stdout, configVersion(call.context.raw));
}

export function delegateCheck(call: Delegation): void {
  delegate("CHECK", call);
}

/** Has another plugin delete. It is asked with the caller's whole configuration, whether or not its ADD succeeded. */
export function delegateDel(call: Delegation): void {
  delegate("DEL", call);
}

export function delegateGc(call: Delegation): void {
  delegate("GC", call);
}

export function delegateStatus(call: Delegation): void {
  delegate("STATUS", call);
}

/** The variables of a call, on top of the caller's own environment; all six are always set. */
export function pluginEnvironment(env: Environment, command: Verb, args: Args): Environment {
  return {
    ...env,
    CNI_COMMAND: command,
    CNI_CONTAINERID: args.containerId,
    CNI_NETNS: args.netns,
    CNI_ARGS: args.cniArgs,
    CNI_IFNAME: args.ifname,
    CNI_PATH: joinPath(args.path),
  };
}

/** Folders as CNI_PATH. */
export function joinPath(path: readonly string[]): string {
  return path.join(process.platform === "win32" ? ";" : ":");
}

/**
 * The error that a call ended with, undefined when it went well. A plugin's own error object comes through with code, message and
 * details; what is none becomes one with code 0, which tells the output.
 */
export function failureOf({ status, stdout, stderr }: ExecOutcome): CniError | undefined {
  if (status === 0) return undefined;
  const how = typeof status === "number" ? `exit status ${status}` : `signal: ${status}`;
  if (stdout === "") {
    const said = stderr === "" ? "netplugin failed with no error message" : `netplugin failed: ${JSON.stringify(stderr)}`;
    return new CniError(0, `${said}: ${how}`);
  }
  try {
    return readError(stdout);
  } catch (error) {
    const what = oneLine(messageOf(error));
    return new CniError(0, `netplugin failed but error parsing its diagnostic message ${JSON.stringify(stdout)}: ${what}`);
  }
}

/** Reads what ADD printed. A result without a version is in the configuration's, here given. Throws CniError 6. */
export function readResult(stdout: string, version: string): Result {
  let json: unknown;
  try {
    json = parseJson(stdout) ?? {};
  } catch (error) {
    throw unreadable(oneLine(messageOf(error)));
  }
  if (!isObject(json)) throw unreadable(`it is ${kindOf(json)} (an object is wanted)`);
  return parseResult(json, versionOfResult(json) || version);
}

/** The request that asks a plugin which versions it speaks; nothing in it is looked at but the verb. */
export function versionRequest(path: string, env: Environment): ExecRequest {
  const args: Args = { containerId: "", netns: "dummy", ifname: "dummy", cniArgs: "", path: ["dummy"] };
  return { path, env: pluginEnvironment(env, "VERSION", args), stdin: `{"cniVersion":"${currentVersion}"}` };
}

/** Reads the answer to versionRequest; a plugin that does not know the verb is of the time of 0.1.0. Throws CniError. */
export function readVersions(outcome: ExecOutcome): string[] {
  const failure = failureOf(outcome);
  if (!failure) return parseVersionInfo(outcome.stdout);
  if (failure.message === unknownVersionVerb) return ["0.1.0"];
  throw failure;
}

/** Of a delegate in this process its result, of another one what it printed. */
interface Answer {
  result?: Result | undefined;
  stdout: string;
}

function delegate(command: Verb, { type, context: { args, raw }, exec = processExecSync, find: findFile = findInPath, own }: Delegation): Answer {
  const path = findFile(type, args.path);
  const plugin = own?.(path);
  if (plugin) {
    const log: string[] = [];
    const result = callPlugin(plugin, { env: pluginEnvironment({}, command, args), raw }, log);
    for (const line of log) process.stderr.write(`${line}\n`);
    return { result, stdout: "" };
  }
  const outcome = exec({ path, env: pluginEnvironment(process.env, command, args), stdin: encode(raw) });
  const failure = failureOf(outcome);
  if (failure) throw failure;
  if (outcome.stderr !== "") process.stderr.write(outcome.stderr);
  return outcome;
}

function configVersion(raw: JsonObject): string {
  const version = find(raw, "cniVersion");
  return typeof version === "string" ? version : "";
}

function readError(stdout: string): CniError {
  const json = parseJson(stdout) ?? {};
  if (!isObject(json)) throw new TypeError(`it is ${kindOf(json)} (an object is wanted)`);
  const code = find(json, "code") ?? 0;
  const message = find(json, "msg") ?? "";
  const details = find(json, "details") ?? "";
  if (typeof code !== "number" || !Number.isSafeInteger(code) || code < 0) throw new TypeError(`code is ${JSON.stringify(code)}`);
  if (typeof message !== "string") throw new TypeError(`msg is ${kindOf(message)} (a string is wanted)`);
  if (typeof details !== "string") throw new TypeError(`details is ${kindOf(details)} (a string is wanted)`);
  return new CniError(code, message, details === "" ? {} : { details });
}

function unreadable(what: string): CniError {
  return new CniError(ErrorCode.DECODING_FAILURE, `failed to unmarshal raw result: ${what}`);
}
