/**
 * Every reader of what others wrote, each with good examples to begin from, and what changes them: bits, bytes, pieces of one in another.
 * A reader gives a value or a typed error, whatever comes; anything else, and anything that takes long, is a fault.
 */
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CniError, formatResult, networkConfFromBytes, networkPluginConfFromBytes, parseJson, parseResult, parseVersionInfo } from "@vethwork/cni";
import { readCachedAttachment, readCachedResult } from "../../packages/cni/cache.ts";
import { KernelError } from "@vethwork/linux";
import { answersIn } from "../../packages/linux/netlink.ts";
import { datagramIn } from "../../packages/linux/packets.ts";
import { rule as routingRule } from "../../packages/linux/uapi/fib_rules.ts";
import { address } from "../../packages/linux/uapi/if_addr.ts";
import { link } from "../../packages/linux/uapi/if_link.ts";
import { neighbour } from "../../packages/linux/uapi/neighbour.ts";
import { acknowledgement } from "../../packages/linux/uapi/netlink.ts";
import { chain, rule, set, setElements, table } from "../../packages/linux/uapi/nf_tables.ts";
import { flow } from "../../packages/linux/uapi/nfnetlink_conntrack.ts";
import { filter } from "../../packages/linux/uapi/pkt_cls.ts";
import { qdisc } from "../../packages/linux/uapi/pkt_sched.ts";
import { route } from "../../packages/linux/uapi/rtnetlink.ts";
import { device } from "../../packages/linux/uapi/wireguard.ts";
import { decodeMessage as decodeBusMessage, messageLength } from "../../packages/linux/wire/busmessage.ts";
import { explain } from "../../packages/linux/wire/explain.ts";
import { readNode } from "../../packages/agent/readers/node.ts";
import { parseMasqueradeFile } from "../../packages/agent/masquerade-file.ts";
import { documentsIn } from "../../packages/agent/sources/documents.ts";
import { parseHeld } from "../../packages/plugins/dhcp/lease.ts";
import { decodeMessage } from "../../packages/plugins/dhcp/message.ts";
import { parseLease } from "../../packages/plugins/flannel/subnet-env.ts";
import { openBook } from "../../packages/plugins/shared/ipam/book.ts";
import { findObject } from "../../packages/plugins/shared/object-file.ts";
import seeds from "./seeds.json" with { type: "json" };

export interface Decoder {
  name: string;
  /** Good examples; `seeds.json` has them, those of bytes in base64. */
  seeds: readonly Uint8Array[];
  read: (bytes: Uint8Array) => unknown;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (name: string): Uint8Array[] => (Object.entries(seeds).find(([key]) => key === name)?.[1] ?? []).map((seed) => (seed.startsWith("base64:") ? new Uint8Array(Buffer.from(seed.slice(7), "base64")) : new TextEncoder().encode(seed)));
const decoder = (name: string, read: (bytes: Uint8Array) => unknown): Decoder => ({ name, seeds: bytesOf(name), read });

/** Files are read from a folder in memory, which goes with the process. */
export const folder = mkdtempSync(join(tmpdir(), "fuzz-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const inFile = (name: string, bytes: Uint8Array): string => {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  return file;
};

/** What comes over netlink: the frame of messages, and a body of each kind. */
const bodies = { link, address, route, neighbour, "routing rule": routingRule, qdisc, filter, "nft table": table, "nft chain": chain, "nft rule": rule, "nft set": set, "nft elements": setElements, flow, acknowledgement, "wireguard device": device };
const versions = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

export const decoders: readonly Decoder[] = [
  decoder("configuration", (bytes) => [networkConfFromBytes(bytes)]),
  decoder("plugin configuration", (bytes) => networkPluginConfFromBytes(bytes)),
  decoder("prevResult", (bytes) => {
    const result = parseResult(parseJson(text(bytes)), "1.0.0");
    return versions.map((version) => formatResult(result, version));
  }),
  decoder("version answer", (bytes) => parseVersionInfo(text(bytes))),
  decoder("cache file", (bytes) => {
    const file = inFile("cache", bytes);
    return Promise.all([readCachedAttachment(file, "mynet"), readCachedResult(file, "1.0.0")]);
  }),
  decoder("host-local folder", (bytes) => readBook(text(bytes))),
  decoder("record of a plugin", (bytes) => findObject(inFile("record", bytes))),
  decoder("netlink messages", (bytes) => answersIn(bytes)),
  ...Object.entries(bodies).map(([name, codec]) => decoder(`netlink ${name}`, (bytes) => [codec.decode(bytes), explain(codec, bytes)])),
  decoder("dhcp packet", (bytes) => decodeMessage(bytes)),
  decoder("dhcp frame", (bytes) => datagramIn(bytes)),
  decoder("dhcp lease file", (bytes) => parseHeld(parseJson(text(bytes)))),
  decoder("D-Bus message", (bytes) => (messageLength(bytes) === undefined ? undefined : decodeBusMessage(bytes))),
  decoder("YAML manifest", (bytes) => documentsIn(text(bytes)).map((one) => ("value" in one && typeof one.value === "object" && one.value !== null && !Array.isArray(one.value) ? nodeIn(one.value) : one))),
  decoder("masquerade file", (bytes) => parseMasqueradeFile(text(bytes))),
  decoder("subnet.env", (bytes) => parseLease(text(bytes))),
];

const nodeIn = (object: object): unknown => readNode(Object.fromEntries(Object.entries(object)));

/** Lines "name│text" become files of a book, which is then opened, asked, and written to. */
function readBook(lines: string): unknown {
  const at = join(folder, "book");
  rmSync(at, { recursive: true, force: true });
  mkdirSync(join(at, "by-attachment"), { recursive: true });
  for (const line of lines.split("\n").slice(0, 20)) {
    const [name = "", ...rest] = line.split("│");
    const entry = name.startsWith("e:");
    const file = name.replace(/^e:/, "").replaceAll(/[/\0]/g, "_").slice(0, 60);
    if (file !== "" && file !== "." && file !== ".." && (entry || file !== "by-attachment")) writeFileSync(join(at, ...(entry ? ["by-attachment"] : []), file), rest.join("│").replaceAll("¶", "\r\n").replaceAll("§", "\n"));
  }
  using book = openBook(at);
  const pod = { containerId: "pod1", ifname: "eth0" };
  return [book.attachments(), book.addresses(), book.find(pod), book.give(pod)];
}

/** True of what a reader may throw. */
export const isTyped = (error: unknown): boolean => error instanceof CniError || error instanceof KernelError || error instanceof RangeError || error instanceof SyntaxError || (error instanceof TypeError && error.message.startsWith("Cannot "));

// ── junk ──

/** A generator of numbers that a seed decides (xorshift, 32 bits). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A good example with something wrong, or noise. */
export function junkOf(examples: readonly Uint8Array[], random: (below: number) => number): Uint8Array {
  const [one, other] = [examples[random(examples.length)], examples[random(examples.length)]];
  if (!one || !other || random(20) === 0) return Uint8Array.from({ length: random(200) }, () => random(256));
  let bytes: Uint8Array = one.slice();
  for (let changes = 1 + random(4); changes > 0; changes--) bytes = changed(bytes, other, random);
  return bytes;
}

/** Bytes that lengths, texts and JSON are sensitive to. */
const TELLING = [0, 1, 0x7f, 0x80, 0xff, 0x22, 0x5b, 0x7b, 0x7d, 0x2c, 0x3a, 0x2f, 0x2e, 0x0a, 0x20, 0x30, 0x2d];

function changed(bytes: Uint8Array, other: Uint8Array, random: (below: number) => number): Uint8Array {
  const at = random(bytes.length + 1);
  const length = random(16);
  const put = (piece: Uint8Array, skip: number): Uint8Array => Uint8Array.from([...bytes.subarray(0, at), ...piece, ...bytes.subarray(at + skip)]).subarray(0, 16_384);
  const kind = random(7);
  if (kind === 0) return bytes.slice(0, at); // cut short
  if (kind === 1) return put(new Uint8Array(), length); // something lost
  if (kind === 2) return put(bytes.subarray(at, at + length), 0); // something twice
  if (kind === 3) return put(other.subarray(random(other.length + 1)).subarray(0, length * 4), length); // something else's
  const copy = bytes.slice();
  if (copy.length === 0) return copy;
  const place = at % copy.length;
  copy[place] = kind === 4 ? (copy[place] ?? 0) ^ (1 << random(8)) : kind === 5 ? (TELLING[random(TELLING.length)] ?? 0) : random(256);
  return copy;
}

export interface Found {
  decoder: string;
  seed: number;
  input: string;
  what: string;
}

const TOO_LONG_MS = 2_000;

/** Feeds a reader so many inputs, from the seeds on; gives the first that it does not stand. */
export async function feed({ name, seeds: examples, read }: Decoder, { from, inputs }: { from: number; inputs: number }): Promise<Found | undefined> {
  for (let seed = from; seed < from + inputs; seed++) {
    const input = seed < from + examples.length && from === 1 ? (examples[seed - 1] ?? new Uint8Array()) : junkOf(examples, randomFrom(seed * 2_654_435_761));
    const begun = performance.now();
    const found = (what: string): Found => ({ decoder: name, seed, input: `base64:${Buffer.from(input).toString("base64")}`, what });
    try {
      await read(input);
    } catch (error) {
      if (!isTyped(error)) return found(error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ""}` : String(error));
    }
    if (performance.now() - begun > TOO_LONG_MS) return found(`it took ${Math.round(performance.now() - begun)} ms`);
  }
  return undefined;
}
