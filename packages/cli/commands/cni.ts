/**
 * `vethwork cni`: attaches namespaces to networks by hand, as a runtime does it; Go's cnitool with words.
 *
 *     /etc/cni/net.d/*.conflist ──▶ the chain ──▶ /opt/cni/bin/* ──▶ /var/lib/cni/results
 *
 * It takes the same variables, folders and container ids as cnitool, and keeps the same cache: what one added, the other
 * deletes. Plugins that are this very program are called in this process; `--trace` shows each call either way.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import {
  CniError, ErrorCode, createCni, formatResult, inProcessExec, isObject, loadNetworkConf, parseJson, processExec, splitPath, toCniError,
  type Cni, type ExecTrace, type JsonObject, type NetworkList, type RuntimeConf,
} from "@vethwork/cni";
import { findPlugin } from "@vethwork/plugins/registry.ts";
import { ownType } from "@vethwork/plugins/shared/delegate.ts";
import { UsageError, readArguments, type Command } from "../usage.ts";

const help = `Usage: vethwork cni add      NETWORK NETNS [options]
       vethwork cni check    NETWORK NETNS [options]
       vethwork cni del      NETWORK NETNS [options]
       vethwork cni gc       NETWORK [--keep CONTAINER/IFNAME]… [options]
       vethwork cni status   NETWORK [options]
       vethwork cni validate NETWORK [options]
       vethwork cni list     [options]

Attaches a network namespace to a network, as a container runtime does. NETNS is the path of
a namespace, or the name of one in /run/netns.

  add            attaches, and prints the result
  check          asks whether the attachment is as it was added
  del            detaches; also what is half there, or gone
  gc             takes away every attachment of the network but those that are kept
  status         asks whether add would work now
  validate       finds the plugins, and prints the capabilities that they want
  list           the attachments that the cache knows

  --container-id ID  by default made of the namespace's path, as cnitool makes it
  --cache-dir DIR    where attachments are remembered; /var/lib/cni
  --keep ID/IFNAME   of gc: an attachment that stays; may be given several times
  --timeout MS       how long each plugin may take; no limit
  --trace            shows each plugin's stdin, stdout, stderr and time, on stderr
  --json             errors as JSON on stdout, too; list as JSON

Environment:
  NETCONFPATH  folder of networks; /etc/cni/net.d
  CNI_PATH     folders of plugins, with colons between; /opt/cni/bin
  CNI_IFNAME   name of the interface in the namespace; eth0
  CNI_ARGS     KEY=VALUE;KEY2=VALUE2 for the plugins
  CAP_ARGS     values for the capabilities, as a JSON object: {"portMappings":[…]}

Exit code: 0 done, 1 it failed, 2 not understood.
`;

const OPTIONS = {
  "container-id": { type: "string" },
  "cache-dir": { type: "string", default: "/var/lib/cni" },
  keep: { type: "string", multiple: true },
  timeout: { type: "string", default: "0" },
  trace: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

/** Word → how many words follow it. */
const WORDS = { add: 2, check: 2, del: 2, gc: 1, status: 1, validate: 1, list: 0 } as const;
type Word = keyof typeof WORDS;
const isWord = (text: string | undefined): text is Word => text !== undefined && Object.hasOwn(WORDS, text);

export const cni: Command = {
  name: "cni",
  about: "attach a namespace to a network by hand, as a runtime does",
  help,
  words: Object.keys(WORDS),
  run: async (args) => {
    const [word, ...rest] = args;
    if (!isWord(word)) throw new UsageError(`${word === undefined ? "a word is missing" : `there is no "${word}"`} (${Object.keys(WORDS).join(", ")} are wanted)`);
    const { values, positionals } = readArguments(rest, OPTIONS);
    if (positionals.length !== WORDS[word]) throw new UsageError(`"cni ${word}" takes ${["no words", "a network", "a network and a namespace"][WORDS[word]]}, not ${JSON.stringify(positionals.join(" "))}`);
    if (values.keep && word !== "gc") throw new UsageError(`"cni ${word}" takes no --keep`);
    if (!/^\d{1,9}$/.test(values.timeout)) throw new UsageError(`--timeout "${values.timeout}" (milliseconds are wanted)`);
    const [network = "", namespace = ""] = positionals;
    try {
      process.stdout.write(await perform(word, { network, namespace, ...values, timeoutMs: Number(values.timeout) }));
      return 0;
    } catch (error) {
      if (error instanceof UsageError) throw error;
      const told = toCniError(error);
      if (!values.json) throw new CniError(told.code, [told.message, told.details].filter(Boolean).join("; "), { cause: error });
      process.stdout.write(jsonOf(told));
      return 1;
    }
  },
};

interface Request {
  network: string;
  namespace: string;
  "container-id"?: string | undefined;
  "cache-dir": string;
  keep?: readonly string[] | undefined;
  timeoutMs: number;
  trace: boolean;
  json: boolean;
}

/** Does it; gives what there is to print. */
async function perform(word: Word, request: Request): Promise<string> {
  const runtime = openRuntime(request);
  if (word === "list") return listed(await runtime.getCachedAttachments(), request.json);
  const list = loadNetworkConf(process.env["NETCONFPATH"] || "/etc/cni/net.d", request.network);
  const limit = { timeoutMs: request.timeoutMs };
  if (word === "gc") return done(runtime.gcNetworkList(list, (request.keep ?? []).map(attachmentFrom), limit));
  if (word === "status") return done(runtime.getStatusNetworkList(list, limit));
  if (word === "validate") return `${JSON.stringify({ network: list.name, cniVersion: list.cniVersion, capabilities: await runtime.validateNetworkList(list, limit) }, undefined, 2)}\n`;
  return attach(word, { runtime, list, conf: confOf(request) }, limit);
}

interface Attaching {
  runtime: Cni;
  list: NetworkList;
  conf: RuntimeConf;
}

async function attach(word: "add" | "check" | "del", { runtime, list, conf }: Attaching, limit: { timeoutMs: number }): Promise<string> {
  if (word === "check") return done(runtime.checkNetworkList(list, conf, limit));
  if (word === "del") return done(runtime.delNetworkList(list, conf, limit));
  if (!existsSync(conf.netns)) throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `there is no namespace "${conf.netns}" (the path of one, or a name in /run/netns, is wanted)`);
  return jsonOf(formatResult(await runtime.addNetworkList(list, conf, limit), list.cniVersion));
}

const done = async (work: Promise<void>): Promise<string> => work.then(() => "");
const jsonOf = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

function openRuntime({ trace, "cache-dir": cacheDir }: Request): Cni {
  const path = splitPath(process.env["CNI_PATH"] || "/opt/cni/bin");
  return createCni({ path, cacheDir, exec: inProcessExec((file) => findPlugin(ownType(file) ?? ""), processExec), ...(trace && { trace: tell }) });
}

function tell({ plugin, command, stdin, stdout, stderr, status, durationMs }: ExecTrace): void {
  const part = (name: string, text: string): string => (text.trim() === "" ? "" : `  ${name.padEnd(6)} ${text.trim().replaceAll("\n", "\n         ")}\n`);
  process.stderr.write(`${command} ${plugin}: ${typeof status === "number" ? `exit code ${status}` : status} after ${durationMs.toFixed(1)} ms\n${part("stdin", stdin)}${part("stdout", stdout)}${part("stderr", stderr)}`);
}

function confOf({ namespace, "container-id": given }: Request): RuntimeConf {
  const netns = pathOf(namespace);
  const containerId = given ?? `cnitool-${new Bun.CryptoHasher("sha512").update(netns).digest("hex").slice(0, 20)}`;
  return { containerId, netns, ifname: process.env["CNI_IFNAME"] || "eth0", args: argsFrom(process.env["CNI_ARGS"] ?? ""), capabilityArgs: capabilitiesFrom(process.env["CAP_ARGS"] ?? "") };
}

/** A file counts first, as for cnitool; a bare name is then one of `ip netns`. */
function pathOf(namespace: string): string {
  const path = resolve(namespace);
  return namespace.includes("/") || existsSync(path) ? path : `/run/netns/${namespace}`;
}

function argsFrom(text: string): [string, string][] {
  return text.split(";").filter((pair) => pair !== "").map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new UsageError(`CNI_ARGS has "${pair}" (KEY=VALUE;KEY2=VALUE2 is wanted)`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
}

function capabilitiesFrom(text: string): JsonObject {
  if (text === "") return {};
  try {
    const json = parseJson(text);
    if (isObject(json)) return json;
  } catch (error) {
    throw new UsageError(`CAP_ARGS is no JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  throw new UsageError(`CAP_ARGS is ${text} (a JSON object is wanted)`);
}

function attachmentFrom(text: string): { containerID: string; ifname: string } {
  const at = text.indexOf("/");
  if (at < 1 || at === text.length - 1) throw new UsageError(`--keep "${text}" (CONTAINER/IFNAME is wanted)`);
  return { containerID: text.slice(0, at), ifname: text.slice(at + 1) };
}

function listed(attachments: Awaited<ReturnType<Cni["getCachedAttachments"]>>, json: boolean): string {
  if (json) return jsonOf(attachments.map(({ config: _config, ...rest }) => rest));
  if (attachments.length === 0) return "no attachments\n";
  const rows = [["NETWORK", "CONTAINER", "INTERFACE", "NAMESPACE"], ...attachments.map(({ network, containerId, ifname, netns }) => [network, containerId, ifname, netns])];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()}\n`).join("");
}
