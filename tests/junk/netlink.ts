/**
 * Netlink messages by the tables of linux/uapi: every message that they export, and bytes that fit each.
 *
 *     link ──▶ ifinfomsg of chance, then IFLA_… in any order, nested as the table nests them, a value of its size each
 *
 * Mutation then makes them lie (./mutate.ts).
 */
import { Glob } from "bun";
import { join } from "node:path";
import { encode, u16, type Codec } from "@vethwork/linux/wire/codec.ts";
import { createRandom, seedOf, type Random } from "./random.ts";

const folder = join(import.meta.dir, "../../packages/linux/uapi");
const DEEPEST = 6;
const SEEDS = 12;

export interface MessageTable {
  /** File and export, as in "if_link: link". */
  name: string;
  codec: Codec<unknown>;
}

/** What of a codec says how it is made up; see linux/wire/attrs.ts. */
interface Parts {
  kind?: unknown;
  size?: number;
  header?: Parts;
  body?: Parts;
  table?: Record<string, readonly [number, Parts]>;
  kinds?: Record<string, Parts>;
  of?: Parts;
  type?: number;
  first?: Parts;
  item?: Parts;
}

const isCodec = (value: unknown): value is Codec<unknown> => typeof value === "object" && value !== null && "kind" in value && (value.kind === "blob" || value.kind === "fixed");
const isMessage = (value: unknown): value is Codec<unknown> => isCodec(value) && "header" in value && "body" in value;
const partsOf = (codec: Codec<unknown>): Parts => ({ ...codec });

/** Every message that a table of linux/uapi exports. */
export async function messageTables(): Promise<MessageTable[]> {
  const files = [...new Glob("*.ts").scanSync(folder)].sort();
  const tables = await Promise.all(files.map(async (file) => {
    const module: Record<string, unknown> = await import(join(folder, file));
    return Object.entries(module).flatMap(([name, codec]) => (isMessage(codec) ? [{ name: `${file.slice(0, -3)}: ${name}`, codec }] : []));
  }));
  return tables.flat();
}

/** Bytes that fit. */
export function seedsFor(name: string, codec: Codec<unknown> | undefined): [Uint8Array, ...Uint8Array[]] {
  const one = (index: number): Uint8Array => (codec ? made(createRandom(seedOf(0, name, index)), partsOf(codec), 0) : new Uint8Array());
  return [one(0), ...Array.from({ length: SEEDS - 1 }, (_, at) => one(at + 1))];
}

function made(random: Random, parts: Parts, depth: number): Uint8Array {
  const { header, body, table, kinds, of, type, first, item, size } = parts;
  const inside = (some: Parts): Uint8Array => made(random, some, depth + 1);
  if (header && body) return joined([inside(header), inside(body)]);
  if (depth > DEEPEST) return new Uint8Array();
  if (kinds && table) return tagged(random, parts, depth);
  if (table) {
    const some = Object.values(table).filter(() => !random.once(3));
    return joined(some.map(([number, codec]) => attribute(number, inside(codec))));
  }
  if (of) return joined(Array.from({ length: random.below(4) }, (_, at) => attribute(type ?? at + 1, inside(of))));
  if (first && item) return joined([inside(first), ...Array.from({ length: random.below(4) }, () => inside(item))]);
  if (size !== undefined) return random.once(3) ? new Uint8Array(size) : random.bytes(size);
  return random.once(2) ? new TextEncoder().encode(`${random.pick(["eth0", "veth", "pods/c1/eth0", ""])}\0`) : random.bytes(random.below(20));
}

/** The kind's name, then what is of that kind. */
function tagged(random: Random, { kinds = {}, table = {} }: Parts, depth: number): Uint8Array {
  const [firstKind, ...otherKinds] = Object.keys(kinds);
  const kind = random.pick([firstKind ?? "", ...otherKinds]);
  const [[kindType] = [1], [dataType] = [2]] = Object.values(table);
  const data = kinds[kind];
  return joined([attribute(kindType, new TextEncoder().encode(`${kind}\0`)), ...(data ? [attribute(dataType, made(random, data, depth + 1))] : [])]);
}

/** length, type, payload, up to a multiple of four, which the length does not count. */
const attribute = (type: number, body: Uint8Array): Uint8Array => joined([Uint8Array.of(...encode(u16, (4 + body.length) & 0xffff), ...encode(u16, type), ...body)]);

const padded = (bytes: Uint8Array): Uint8Array[] => [bytes, new Uint8Array(-bytes.length & 3)];
const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts.flatMap(padded)));
