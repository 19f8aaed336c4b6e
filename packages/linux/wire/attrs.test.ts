/** Codecs and attribute sets: what is written is read back, and bytes that nobody wrote give a value or a RangeError. */
import { expect, test } from "bun:test";
import { array, assert, bigInt, integer, option, property, record, string, uint8Array } from "fast-check";
import { link } from "../uapi/if_link.ts";
import { setElements, rule, table } from "../uapi/nf_tables.ts";
import { neighbour } from "../uapi/neighbour.ts";
import { filter } from "../uapi/pkt_cls.ts";
import { qdisc } from "../uapi/pkt_sched.ts";
import { route } from "../uapi/rtnetlink.ts";
import { attrs, message } from "./attrs.ts";
import { be16, be32, be64, bytes, cstring, decode, encode, flag, pad, s32, struct, u16, u32, u64, u8, type Codec } from "./codec.ts";
import { explain } from "./explain.ts";

const inner = attrs("INNER", { NUMBER: [1, u32], TEXT: [2, cstring], BIG: [3, be64] });
const outer = attrs("OUTER", { BYTE: [1, u8], SHORT: [2, be16], BYTES: [3, bytes], INNER: [4, inner], FLAG: [5, flag] });
const header = struct({ a: u8, _pad: pad(1), b: u16, c: s32 });
const whole = message(header, outer);

const U32 = { min: 0, max: 0xffff_ffff };
const text = string({ maxLength: 40 }).map((some) => some.replaceAll("\0", ""));
const value = record({
  a: integer({ min: 0, max: 255 }), b: integer({ min: 0, max: 65535 }), c: integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  attrs: record({
    BYTE: integer({ min: 0, max: 255 }), SHORT: integer({ min: 0, max: 65535 }), BYTES: uint8Array({ maxLength: 30 }),
    INNER: record({ NUMBER: integer(U32), TEXT: text, BIG: bigInt({ min: 0n, max: 2n ** 64n - 1n }) }, { requiredKeys: [] }),
  }, { requiredKeys: [] }),
});

test("a message is read back as it was written", () => {
  assert(property(value, option(integer({ min: 1, max: 1 })), (some, hasFlag) => {
    const given = { ...some, attrs: { ...some.attrs, ...(hasFlag !== null && { FLAG: true as const }) } };
    expect(whole.decode(encode(whole, given))).toEqual(given);
  }));
});

test("attributes that no table names are kept, and written back", () => {
  const raw = encode(attrs("WIDER", { ...outer.table, STRANGE: [99, bytes] }), { BYTE: 7, STRANGE: Uint8Array.of(1, 2, 3) });
  const read = decode(outer, raw);
  expect(read.BYTE).toBe(7);
  expect(encode(outer, { ...read, BYTE: 8 }).toHex()).toBe(raw.toHex().replace("07", "08"));
});

test("any bytes give a value or a RangeError, by every table", () => {
  const codecs: readonly Codec<unknown>[] = [whole, link, route, neighbour, table, rule, setElements, qdisc, filter];
  for (const codec of codecs) {
    assert(property(uint8Array({ maxLength: 200 }), (raw) => {
      try {
        decode(codec, raw);
        explain(codec, raw);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }), { numRuns: 300 });
  }
});

test("a message that was cut short, or of which a byte was changed, gives a value or a RangeError", () => {
  assert(property(value, integer({ min: 0, max: 200 }), array(integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 3 }), (some, at, noise) => {
    const raw = encode(whole, some).slice();
    noise.forEach((byte, index) => raw.length > 0 && (raw[(at + index * 7) % raw.length] = byte));
    try {
      whole.decode(raw.subarray(0, Math.max(0, raw.length - (at % 3))));
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }));
});

test("an attribute that claims too much or too little is named with its place", () => {
  expect(() => decode(outer, Uint8Array.of(9, 0, 1, 0, 7))).toThrow("Cannot decode OUTER: attribute 1 claims 9 bytes at offset 0 (4 to 5 are wanted)");
  expect(() => decode(outer, Uint8Array.of(3, 0, 1, 0))).toThrow("claims 3 bytes");
  expect(() => decode(outer, Uint8Array.of(5, 0, 2, 0, 7, 0, 0, 0))).toThrow(/^In OUTER_SHORT: /);
});

test("numbers out of range, text with a zero byte and unknown names are refused", () => {
  for (const [codec, wrong] of [[u8, 256], [u8, -1], [u16, 65536], [be32, 2 ** 32], [s32, 2 ** 31], [u32, 1.5]] as const) expect(() => encode(codec, wrong)).toThrow(RangeError);
  expect(() => encode(u64, -1n)).toThrow(RangeError);
  expect(() => encode(cstring, "a\0b")).toThrow(RangeError);
  // @ts-expect-error a name that the table lacks
  expect(() => encode(outer, { NOBODY: 1 })).toThrow(TypeError);
});

test("explain tells a request as its tables name it", () => {
  const request = encode(link, {
    ifi_index: 3,
    attrs: { IFNAME: "veth1f03", MTU: 1450, LINKINFO: { kind: "veth", data: { PEER: { attrs: { IFNAME: "eth0", NET_NS_FD: 7 } } } } },
  });
  expect(explain(link, request)).toEqual([
    "ifi_family=0 ifi_type=0 ifi_index=3 ifi_flags=0 ifi_change=0",
    'IFLA_IFNAME (3) "veth1f03"',
    "IFLA_MTU (4) 1450",
    "IFLA_LINKINFO (18)",
    '  IFLA_INFO_KIND (1) "veth"',
    "  IFLA_INFO_DATA (2)",
    "    VETH_INFO_PEER (1)",
    "      ifi_family=0 ifi_type=0 ifi_index=0 ifi_flags=0 ifi_change=0",
    '      IFLA_IFNAME (3) "eth0"',
    "      IFLA_NET_NS_FD (28) 7",
  ]);
});
