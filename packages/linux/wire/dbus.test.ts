/** D-Bus values and messages: what is written is read back, in the bytes that the specification shows; junk gives a value or a RangeError. */
import { expect, test } from "bun:test";
import { array, assert, bigInt, boolean, constantFrom, double, integer, oneof, property, string, tuple, uint8Array, type Arbitrary } from "fast-check";
import { decodeMessage, encodeMessage, messageLength, type BusMessage } from "./busmessage.ts";
import { decodeValues, encodeValues, typesIn, type BusValue } from "./dbus.ts";

/** A value with its signature. */
interface Typed {
  signature: string;
  value: BusValue;
}

const typed = (signature: string, values: Arbitrary<BusValue>): Arbitrary<Typed> => values.map((value) => ({ signature, value }));
const numbers = (bits: number, signed: boolean): Arbitrary<number> => integer({ min: signed ? -(2 ** (bits - 1)) : 0, max: 2 ** (signed ? bits - 1 : bits) - 1 });
const large = (signed: boolean): Arbitrary<bigint> => bigInt({ min: signed ? -(2n ** 63n) : 0n, max: 2n ** (signed ? 63n : 64n) - 1n });
const text = string({ unit: "binary", maxLength: 12 }).map((some) => some.replaceAll("\0", ""));

const plain: Arbitrary<Typed> = oneof(
  typed("y", numbers(8, false)), typed("b", boolean()), typed("n", numbers(16, true)), typed("q", numbers(16, false)), typed("i", numbers(32, true)),
  typed("u", numbers(32, false)), typed("x", large(true)), typed("t", large(false)), typed("d", double()), typed("s", text), typed("o", constantFrom("/", "/a/b")), typed("g", constantFrom("", "s", "a{sv}")),
);
const nested = (inner: Arbitrary<Typed>): Arbitrary<Typed> => oneof(
  inner.map((one): Typed => ({ signature: "v", value: { signature: one.signature, value: one.value } })),
  array(inner, { minLength: 1, maxLength: 3 }).map((items): Typed => ({ signature: `(${items.map((one) => one.signature).join("")})`, value: items.map((one) => one.value) })),
  tuple(inner, integer({ min: 0, max: 3 })).map(([one, count]): Typed => ({ signature: `a${one.signature}`, value: Array.from({ length: count }, () => one.value) })),
  tuple(text, inner, integer({ min: 0, max: 2 })).map(([key, one, count]): Typed => ({ signature: `a{s${one.signature}}`, value: Array.from({ length: count }, () => [key, one.value]) })),
);
const anything = oneof(plain, nested(plain), nested(nested(plain)));

test("values are read back as they were written, wherever they begin", () => {
  assert(property(array(anything, { maxLength: 4 }), integer({ min: 0, max: 9 }), (some, at) => {
    const signature = some.map((one) => one.signature).join("");
    const bytes = encodeValues(signature, some.map((one) => one.value), at);
    const room = new Uint8Array(at + bytes.length);
    room.set(bytes, at);
    expect(decodeValues(signature, room, { at })).toEqual({ values: some.map((one) => one.value), end: room.length });
    expect(typesIn(signature)).toEqual(some.map((one) => one.signature));
  }), { numRuns: 300 });
});

test("the bytes are the specification's: alignment, lengths without padding, zeros behind texts", () => {
  const bytes = (signature: string, ...values: BusValue[]): string => Buffer.from(encodeValues(signature, values)).toString("hex");
  expect(bytes("yu", 5, 7)).toBe("0500000007000000");
  expect(bytes("s", "foo")).toBe("03000000666f6f00");
  expect(bytes("ax", [5n])).toBe("08000000000000000500000000000000"); // section "Marshaling containers", its own example
  expect(bytes("ax", [])).toBe("0000000000000000");
  expect(bytes("gb", "s", true)).toBe("0173000001000000");
  expect(bytes("v", { signature: "u", value: 1 })).toBe("0175000001000000");
});

test("the other byte order is read, too", () => {
  const bytes = Uint8Array.of(0, 0, 0, 2, 0x68, 0x69, 0, 0, 0, 0, 0, 1);
  expect(decodeValues("su", bytes, { littleEndian: false })).toEqual({ values: ["hi", 1], end: 12 });
});

test("a value that its type does not have is refused when it is written", () => {
  const rows: readonly (readonly [string, BusValue])[] = [["y", 256], ["y", 1.5], ["i", 2 ** 31], ["x", 1], ["t", -1n], ["b", 1], ["s", 7], ["s", "a\0b"], ["as", "a"], ["v", "a"], ["(ss)", ["a"]]];
  for (const [signature, value] of rows) expect(() => encodeValues(signature, [value]), signature).toThrow(TypeError);
  expect(() => encodeValues("ss", ["a"])).toThrow("2 are wanted");
});

test("what is no signature is refused", () => {
  for (const signature of ["a", "(", "()", ")", "(s", "{ss}", "a{s}", "a{vs}", "a{(s)s}", "a{sss}", "z", "a".repeat(100) + "s"]) expect(() => typesIn(signature), signature).toThrow(RangeError);
});

const message: BusMessage = {
  kind: "call", serial: 3, destination: "org.fedoraproject.FirewallD1", path: "/org/fedoraproject/FirewallD1",
  interface: "org.fedoraproject.FirewallD1.zone", member: "addSource", signature: "ss", body: ["trusted", "10.1.2.5/32"],
};

test("a message is read back as it was written, and its length is known from its first sixteen bytes", () => {
  const fields = constantFrom<Partial<BusMessage>>({}, { kind: "error", errorName: "a.b.C", replySerial: 7, sender: ":1.0" }, { kind: "reply", replySerial: 2 ** 32 - 1 });
  assert(property(fields, array(anything, { maxLength: 3 }), (some, body) => {
    const whole: BusMessage = { ...message, ...some, signature: body.map((one) => one.signature).join(""), body: body.map((one) => one.value) };
    const bytes = encodeMessage(whole);
    expect(decodeMessage(bytes)).toEqual(whole);
    expect([messageLength(bytes.subarray(0, 16)), messageLength(bytes.subarray(0, 15))]).toEqual([bytes.length, undefined]);
    expect(() => decodeMessage(bytes.subarray(0, -1))).toThrow(RangeError);
  }));
});

test("a field that nobody has named yet is passed over", () => {
  const header = encodeValues("yyyyuua(yv)", ["l".charCodeAt(0), 2, 0, 1, 0, 9, [[5, { signature: "u", value: 4 }], [77, { signature: "a{sv}", value: [["x", { signature: "i", value: 1 }]] }]]]);
  const bytes = new Uint8Array(Math.ceil(header.length / 8) * 8);
  bytes.set(header);
  expect(decodeMessage(bytes)).toEqual({ kind: "reply", serial: 9, replySerial: 4, signature: "", body: [] });
});

const valueOrRangeError = (work: () => unknown): void => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    expect(String(error)).not.toContain("call stack");
  }
};

test("any bytes, and a message of which bytes were changed, give a value or a RangeError", () => {
  const good = encodeMessage({ ...message, signature: "a{sv}as", body: [[["key", { signature: "(ub)", value: [1, true] }]], ["x", "y"]] });
  assert(property(uint8Array({ maxLength: 100 }), anything, (bytes, { signature }) => {
    valueOrRangeError(() => decodeMessage(bytes));
    valueOrRangeError(() => decodeValues(signature, bytes));
    valueOrRangeError(() => decodeValues("v", bytes));
  }), { numRuns: 500 });
  assert(property(array(tuple(integer({ min: 0, max: good.length - 1 }), integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }), (noise) => {
    const bytes = good.slice();
    for (const [at, byte] of noise) bytes[at] = byte;
    valueOrRangeError(() => decodeMessage(bytes));
  }), { numRuns: 1000 });
});

test("values in values end at a depth, not at the end of the stack", () => {
  const deep = Uint8Array.from(Array.from({ length: 100_000 }, () => [1, "v".charCodeAt(0), 0]).flat());
  expect(() => decodeValues("v", deep)).toThrow("nested more than 64 times");
});
