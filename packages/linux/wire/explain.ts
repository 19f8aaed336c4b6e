/**
 * explain(): what a message says, in lines that a person can read and a golden file can hold.
 *
 *     ifinfomsg  ifi_family=0 ifi_index=0 …
 *     IFLA_IFNAME (3) "veth1f03"
 *     IFLA_LINKINFO (18)
 *       IFLA_INFO_KIND (1) "veth"
 *
 * It walks the same tables that encode and decode, so it cannot disagree with them.
 */
import { attributesOf, type RawAttribute } from "./attrs.ts";
import { cstring, decode, type Codec } from "./codec.ts";

/** Explains bytes by the codec that would decode them. */
export function explain(codec: Codec<unknown>, raw: Uint8Array): string[] {
  const some = codec as unknown as Explainable;
  if (some.header && some.body) {
    const { header, body } = some;
    return [fieldsOf(header.decode(raw)), ...explain(body as Codec<unknown>, raw.subarray((header.size + 3) & ~3))];
  }
  if (some.kinds && some.table) return explainTagged(some, raw);
  if (some.table) return attributesOf(some.name, raw).flatMap((item) => explainAttribute(some, item));
  const { of, first, item } = some;
  if (of) return attributesOf("list", raw).flatMap(({ type, body }) => [`- (${type})`, ...indent(explain(of, body))]);
  if (first && item) {
    const items = Array.from({ length: Math.floor((raw.length - first.size) / item.size) }, (_, at) => item.decode(raw.subarray(first.size + at * item.size)));
    return [fieldsOf(first.decode(raw)), ...items.map((one) => `- ${fieldsOf(one)}`)];
  }
  if (some.fields && some.decode) return [fieldsOf(some.decode(raw))];
  return [text(decode(codec as Codec<unknown>, raw))];
}

interface Explainable {
  name: string;
  table?: Record<string, readonly [number, Codec<unknown>]>;
  kinds?: Record<string, Codec<unknown>>;
  header?: Decodable;
  body?: unknown;
  of?: Codec<unknown>;
  first?: Decodable;
  item?: Decodable;
  fields?: object;
  decode?(raw: Uint8Array): object;
}

interface Decodable {
  size: number;
  decode(raw: Uint8Array): object;
}

const fieldsOf = (struct: object): string => Object.entries(struct).map(([name, value]) => `${name}=${String(value)}`).join(" ");

function explainAttribute(set: Explainable, { type, body }: RawAttribute): string[] {
  const [name, codec] = named(set, type);
  if (!codec) return [`${name} ${text(body)}`];
  return onOneLine(`${name} (${type})`, explain(codec, body));
}

function explainTagged(set: Explainable, raw: Uint8Array): string[] {
  let kind = "";
  return attributesOf(set.name, raw).flatMap(({ type, body }) => {
    const [name, codec] = named(set, type);
    const inner = set.kinds?.[kind];
    if (codec && kind === "") {
      kind = cstring.read(body);
      return [`${name} (${type}) ${text(kind)}`];
    }
    return inner ? [`${name} (${type})`, ...indent(explain(inner, body))] : [`${name} (${type}) ${text(body)}`];
  });
}

function named(set: Explainable, type: number): [string, Codec<unknown> | undefined] {
  const found = Object.entries(set.table ?? {}).find(([, [number]]) => number === type);
  return found ? [`${set.name}_${found[0]}`, found[1][1]] : [`${set.name}_? (${type})`, undefined];
}

function onOneLine(head: string, lines: string[]): string[] {
  const [only] = lines;
  const scalar = lines.length === 1 && only !== undefined && !only.includes(" (");
  return scalar ? [`${head} ${only}`] : [head, ...indent(lines)];
}

const indent = (lines: string[]): string[] => lines.map((line) => `  ${line}`);

function text(value: unknown): string {
  if (value instanceof Uint8Array) return [...value].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  if (typeof value === "string") return JSON.stringify(value);
  return String(value);
}

/** The name of the attribute that begins at `offset` of a message's body: where an extended acknowledgement points. */
export function attributeAt(codec: Codec<unknown>, raw: Uint8Array, offset: number): string | undefined {
  const some = codec as unknown as Explainable;
  if (some.header && some.body) {
    const start = (some.header.size + 3) & ~3;
    return attributeAt(some.body as Codec<unknown>, raw.subarray(start), offset - start);
  }
  for (const item of attributesOf("a request", raw)) {
    if (offset < item.offset || offset > item.offset + item.body.length) continue;
    const [name, inner] = some.of ? [`element ${item.type}`, some.of] : named(some, item.type);
    if (offset === item.offset) return name;
    const tagged = some.kinds && inner ? (some.kinds[kindIn(some, raw)] ?? inner) : inner;
    return tagged && tagged.kind === "blob" && tagged.nested ? attributeAt(tagged, item.body, offset - item.offset - 4) : name;
  }
  return undefined;
}

function kindIn(set: Explainable, raw: Uint8Array): string {
  const [first] = attributesOf(set.name, raw);
  return first ? cstring.read(first.body) : "";
}
