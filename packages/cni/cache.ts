/**
 * What a runtime remembers of each attachment: one file, so that DEL, CHECK and GC work after a restart, from another program, and
 * when the configuration has been edited or removed in the meantime.
 *
 *     /var/lib/cni/results/<network>-<container>-<interface>
 *
 * Place and format are those of Go's libcni, so that containerd, podman and we can finish what another began. Names may contain "-",
 * so a file's name says nothing for certain; what counts is the JSON inside. Unlike Go we write it whole or not at all.
 */
import { fs, paths } from "./builtin.ts";
import { CniError, ErrorCode, messageOf } from "./errors.ts";
import { encode, encodeSorted, find, isObject, parseJson, type JsonObject } from "./json.ts";
import type { Result } from "./result.ts";
import { formatResult, parseResult } from "./results.ts";

/** Where Go's libcni keeps it. */
export const defaultCacheDir = "/var/lib/cni";

const KIND = "cniCacheV1";

/** What the runtime decides about an attachment. */
export interface RuntimeConf {
  containerId: string;
  /** Path of the network namespace; "" on DEL when it is gone. */
  netns: string;
  ifname: string;
  /** CNI_ARGS, in order. */
  args?: readonly (readonly [key: string, value: string])[];
  /** Values for the capabilities that plugins declare. */
  capabilityArgs?: JsonObject;
}

/** An attachment as the cache remembers it. */
export interface CachedAttachment {
  containerId: string;
  network: string;
  ifname: string;
  netns: string;
  cniArgs: readonly (readonly [key: string, value: string])[];
  capabilityArgs: JsonObject;
  /** The text of the network's list when it was attached, without plugins from the drop-in folder. */
  config: string;
}

/** The three names that an attachment's file is called by. Throws CniError 4 when one is missing or would leave the folder. */
export function cacheFile(dir: string, network: string, { containerId, ifname }: RuntimeConf): string {
  const names = [network, containerId, ifname];
  if (names.includes("")) {
    const [n, c, i] = names.map((name) => JSON.stringify(name));
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT,
      `cache file path requires network name (${n}), container ID (${c}), and interface name (${i})`);
  }
  const outside = names.find((name) => /[/\\\0]/.test(name));
  if (outside !== undefined) {
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `Cannot cache an attachment called ${JSON.stringify(outside)}: it is no file name`);
  }
  return paths().join(dir, "results", names.join("-"));
}

/** What is remembered when an attachment has been made. */
export interface CacheEntry {
  file: string;
  network: string;
  /** The text of the list. */
  source: string;
  result: Result;
  version: string;
  runtime: RuntimeConf;
}

/** Writes an attachment's file; a reader sees the old content or the new one. Throws CniError 5. */
export async function writeCache({ file, network, source, result, version, runtime }: CacheEntry): Promise<void> {
  const { containerId, ifname, netns, args = [], capabilityArgs = {} } = runtime;
  const parts = [
    `"kind":${encode(KIND)}`, `"containerId":${encode(containerId)}`, `"config":"${Buffer.from(source).toString("base64")}"`,
    `"ifName":${encode(ifname)}`, `"networkName":${encode(network)}`,
    netns && `"netns":${encode(netns)}`, args.length > 0 && `"cniArgs":${encode(args)}`,
    Object.keys(capabilityArgs).length > 0 && `"capabilityArgs":${encodeSorted(capabilityArgs)}`,
    `"result":${encodeSorted(formatResult(result, version))}`,
  ];
  const text = `{${parts.filter((part) => part !== false && part !== "").join(",")}}`;
  try {
    await replaceFile(file, text);
  } catch (error) {
    throw new CniError(ErrorCode.IO_FAILURE, `Cannot write "${file}": ${messageOf(error)}`, { cause: error });
  }
}

/**
 * The result of an attachment as its network's version can say it; undefined when there is none. Also reads a bare result, which is
 * what very old versions of Go's library wrote. Throws CniError.
 */
export async function readCachedResult(file: string, version: string): Promise<Result | undefined> {
  const text = await readText(file);
  if (text === undefined) return undefined;
  const json = resultIn(text);
  if (!isObject(json)) return parseResult(json);
  const bare = find(json, "kind") !== KIND;
  const cached = bare ? json : find(json, "result");
  if (cached === undefined) return undefined;
  const result = parseResult(cached);
  try {
    formatResult(result, version);
  } catch (error) {
    const what = `failed to convert cached result to config version ${JSON.stringify(version)}: ${messageOf(error)}`;
    throw new CniError(ErrorCode.INTERNAL, what, { cause: error });
  }
  return result;
}

/** The attachment in a file; undefined when there is no file. Throws CniError 6 when it is no cache file. */
export async function readCachedAttachment(file: string, network: string): Promise<CachedAttachment | undefined> {
  const text = await readText(file);
  if (text === undefined) return undefined;
  const quoted = JSON.stringify(network);
  const refuse = (what: string): CniError => new CniError(ErrorCode.DECODING_FAILURE, what);
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    throw refuse(`failed to unmarshal cached network ${quoted} config: ${messageOf(error)}`);
  }
  if (!isObject(json)) throw refuse(`failed to unmarshal cached network ${quoted} config: it is no object`);
  const kind = find(json, "kind");
  if (kind !== KIND) throw refuse(`read cached network ${quoted} config has wrong kind: ${typeof kind === "string" ? kind : ""}`);
  return attachmentFrom(json);
}

function resultIn(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw new CniError(ErrorCode.DECODING_FAILURE, messageOf(error), { cause: error });
  }
}

/** A file of another kind, or half a file: passed over, as by Go. */
const UNREADABLE = undefined;

/**
 * All attachments, in the order of their file names, or those of one container. Files that are none are passed over, a missing folder
 * holds none. Throws CniError 5 when the folder cannot be read.
 */
export async function listCachedAttachments(dir: string, containerId = ""): Promise<CachedAttachment[]> {
  const folder = paths().join(dir, "results");
  const found: CachedAttachment[] = [];
  for (const name of await fileNames(folder)) {
    const part = `-${containerId}-`;
    if (containerId !== "" && !(name.indexOf(part) > 0 && !name.endsWith(part))) continue;
    const attachment = await readCachedAttachment(paths().join(folder, name), "").then((one) => one, () => UNREADABLE);
    if (!attachment || attachment.ifname === "" || attachment.network === "") continue;
    if (containerId === "" || attachment.containerId === containerId) found.push(attachment);
  }
  return found;
}

/** Forgets an attachment. Gives whether there was a file; any other failure counts as none, as in Go. */
export async function deleteCache(file: string): Promise<boolean> {
  return fs().promises.unlink(file).then(() => true, () => false);
}

function attachmentFrom(json: JsonObject): CachedAttachment {
  const text = (key: string): string => {
    const value = find(json, key);
    return typeof value === "string" ? value : "";
  };
  const args = find(json, "cniArgs");
  const pairs = (Array.isArray(args) ? args : []).map((pair: unknown): [string, string] => {
    const [key, value]: unknown[] = Array.isArray(pair) ? pair : [];
    return [typeof key === "string" ? key : "", typeof value === "string" ? value : ""];
  });
  const capabilityArgs = find(json, "capabilityArgs");
  return {
    containerId: text("containerId"), network: text("networkName"), ifname: text("ifName"), netns: text("netns"), cniArgs: pairs,
    capabilityArgs: isObject(capabilityArgs) ? capabilityArgs : {}, config: Buffer.from(text("config"), "base64").toString(),
  };
}

let written = 0;

/** The half-written file lies beside the folder of results: whoever lists that folder must not meet it. */
async function replaceFile(file: string, text: string): Promise<void> {
  const { mkdir, rename, rm, writeFile } = fs().promises;
  const folder = paths().dirname(file);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = paths().join(paths().dirname(folder), `.results-${process.pid}-${written++}`);
  try {
    await writeFile(temporary, text, { mode: 0o600 });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await fs().promises.readFile(file, "utf8");
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw new CniError(ErrorCode.IO_FAILURE, `Cannot read "${file}": ${messageOf(error)}`, { cause: error });
  }
}

async function fileNames(folder: string): Promise<string[]> {
  try {
    return (await fs().promises.readdir(folder)).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw new CniError(ErrorCode.IO_FAILURE, `Cannot list "${folder}": ${messageOf(error)}`, { cause: error });
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
