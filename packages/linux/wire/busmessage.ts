/**
 * D-Bus messages (D-Bus Specification, section "Message Format").
 *
 *     'l' or 'B', kind, flags, 1      byte order, and the protocol's version
 *     u  length of the body
 *     u  serial, which the answer names
 *     a(yv)  fields: a number, and a variant for it
 *     … to a multiple of 8, then the body, whose signature is one of the fields
 */
import { viewOf } from "./codec.ts";
import { aligned, decodeValues, encodeValues, isList, wrong, type BusValue } from "./dbus.ts";

export interface BusMessage {
  kind: "call" | "reply" | "error" | "signal";
  serial: number;
  /** Of an answer: what it is the answer to. */
  replySerial?: number;
  path?: string;
  interface?: string;
  member?: string;
  errorName?: string;
  destination?: string;
  sender?: string;
  /** What the body is; "" for none. */
  signature: string;
  body: readonly BusValue[];
}

const HEADER = "yyyyuua(yv)";
const LARGEST = 128 * 1024 * 1024; // of a whole message
const KINDS = { call: 1, reply: 2, error: 3, signal: 4 } as const;
const FIELDS = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, sender: 7, signature: 8 } as const;
const FIELD_TYPES: Readonly<Record<keyof typeof FIELDS, string>> =
  { path: "o", interface: "s", member: "s", errorName: "s", replySerial: "u", destination: "s", sender: "s", signature: "g" };

/** A message as bytes. */
export function encodeMessage({ kind, serial, signature, body, ...fields }: BusMessage): Uint8Array {
  const content = encodeValues(signature, body);
  const given = Object.entries({ ...fields, ...(signature !== "" && { signature }) });
  const header = given.flatMap(([name, value]): BusValue[] => (isField(name) ? [[FIELDS[name], { signature: FIELD_TYPES[name], value }]] : []));
  const head = encodeValues(HEADER, ["l".charCodeAt(0), KINDS[kind], 0, 1, content.length, serial, header]);
  const whole = new Uint8Array(aligned(head.length, 8) + content.length);
  whole.set(head);
  whole.set(content, aligned(head.length, 8));
  return whole;
}

const isField = (name: string): name is keyof typeof FIELDS => name in FIELDS;

/** How long the message is that begins here; undefined while too little of it has come to tell. RangeError where it is none. */
export function messageLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 16) return undefined;
  const { length, fields } = beginningOf(bytes);
  const whole = aligned(16 + fields, 8) + length;
  if (whole > LARGEST) throw wrong(`a message claims ${whole} bytes (at most ${LARGEST})`);
  return whole;
}

function beginningOf(bytes: Uint8Array): { littleEndian: boolean; length: number; fields: number } {
  const [order, , , version] = bytes;
  const littleEndian = order === "l".charCodeAt(0);
  if ((!littleEndian && order !== "B".charCodeAt(0)) || version !== 1) throw wrong(`no message begins with ${bytes.subarray(0, 4).join(" ")}`);
  const view = viewOf(bytes);
  return { littleEndian, length: view.getUint32(4, littleEndian), fields: view.getUint32(12, littleEndian) };
}

/** The message that the bytes are. Fields that the specification does not name yet are passed over, as it asks. */
export function decodeMessage(bytes: Uint8Array): BusMessage {
  const whole = messageLength(bytes);
  if (whole === undefined || whole > bytes.length) throw wrong(`it ends ${(whole ?? 16) - bytes.length} bytes too soon`);
  const { littleEndian } = beginningOf(bytes);
  const { values: [, number, , , length, serial, list], end } = decodeValues(HEADER, bytes, { littleEndian });
  const kind = Object.entries(KINDS).find(([, one]) => one === number)?.[0];
  if (!isKind(kind) || typeof serial !== "number" || !isList(list)) throw wrong(`there is no message of kind ${String(number)}`);
  const fields = Object.fromEntries(list.flatMap((field): [string, BusValue][] => fieldIn(field)));
  const signature = textIn(fields, "signature") ?? "";
  const begin = aligned(end, 8);
  const body = decodeValues(signature, bytes.subarray(begin, whole), { littleEndian });
  if (body.end !== length) throw wrong(`a body of "${signature}" ends at ${body.end} of ${String(length)}`);
  const { replySerial } = fields;
  const texts = (["path", "interface", "member", "errorName", "destination", "sender"] as const).map((name) => [name, textIn(fields, name)] as const);
  return {
    kind, serial, signature, body: body.values,
    ...Object.fromEntries(texts.filter(([, text]) => text !== undefined)),
    ...(typeof replySerial === "number" && { replySerial }),
  };
}

const isKind = (name: string | undefined): name is keyof typeof KINDS => name !== undefined && name in KINDS;

/** The field under its name; nothing where it has none, or is of another type than it should be. */
function fieldIn(field: BusValue): [string, BusValue][] {
  const [number, variant] = isList(field) ? field : [];
  const name = Object.entries(FIELDS).find(([, one]) => one === number)?.[0];
  if (name === undefined || !isField(name) || typeof variant !== "object" || !("signature" in variant)) return [];
  if (variant.signature !== FIELD_TYPES[name]) throw wrong(`field ${name} is of type "${variant.signature}" ("${FIELD_TYPES[name]}" is wanted)`);
  return [[name, variant.value]];
}

function textIn(fields: Readonly<Record<string, BusValue>>, name: string): string | undefined {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}
