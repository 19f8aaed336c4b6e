/** What is asked of the kernel about flows, explained by the tables that ask it; and a flow as the kernel told it. */
import { expect, test } from "bun:test";
import { assert, integer, property, uint8Array } from "fast-check";
import { createConntrack, textOf, type Conntrack, type FlowFilter, type Tuple } from "./conntrack.ts";
import { parseIp } from "./ip.ts";
import { requestsOf } from "./testing/wire.ts";

/** What is asked, while the kernel tells these flows. */
const over = (answers: readonly Uint8Array[], act: (conntrack: Conntrack) => void): string[] => requestsOf((socket) => act(createConntrack(socket)), answers);
const asked = (filter: FlowFilter): string[] => over([], (conntrack) => conntrack.list(filter));
const udp: Tuple = { source: parseIp("192.0.2.9"), destination: parseIp("192.0.2.1"), protocol: 17, sourcePort: 40000, destinationPort: 8080 };

test("a filter asks the kernel for the parts of the tuples that it names, and for no others", () => {
  expect(asked({ family: 4, original: { protocol: 17, destinationPort: 8080 } })).toEqual([
    "nfgen_family=2 version=0 res_id=0",
    "CTA_TUPLE_ORIG (1)", "  CTA_TUPLE_PROTO (2)", "    CTA_PROTO_NUM (1) 17", "    CTA_PROTO_DST_PORT (3) 8080",
    "CTA_FILTER (25)", "  CTA_FILTER_ORIG_FLAGS (1) 40", "  CTA_FILTER_REPLY_FLAGS (2) 0",
  ]);
  expect(asked({ original: { protocol: 17, destination: parseIp("192.0.2.1") }, reply: { source: parseIp("10.1.2.5") } })).toEqual([
    "nfgen_family=2 version=0 res_id=0",
    "CTA_TUPLE_ORIG (1)", "  CTA_TUPLE_IP (1)", "    CTA_IP_V4_DST (2) c0 00 02 01", "  CTA_TUPLE_PROTO (2)", "    CTA_PROTO_NUM (1) 17",
    "CTA_TUPLE_REPLY (2)", "  CTA_TUPLE_IP (1)", "    CTA_IP_V4_SRC (1) 0a 01 02 05",
    "CTA_FILTER (25)", "  CTA_FILTER_ORIG_FLAGS (1) 10", "  CTA_FILTER_REPLY_FLAGS (2) 1",
  ]);
  // By IPv6 addresses the kernel picks the wrong ones: it is asked for the rest, and the addresses are compared here.
  expect(asked({ original: { protocol: 17, destination: parseIp("fd00::1") }, reply: { source: parseIp("fd00::5") } })).toEqual([
    "nfgen_family=10 version=0 res_id=0",
    "CTA_TUPLE_ORIG (1)", "  CTA_TUPLE_PROTO (2)", "    CTA_PROTO_NUM (1) 17", "CTA_FILTER (25)", "  CTA_FILTER_ORIG_FLAGS (1) 8", "  CTA_FILTER_REPLY_FLAGS (2) 0",
  ]);
});

test("a mark is asked for under its mask, translations by their bits, and nothing where the kernel cannot pick", () => {
  expect(asked({ mark: { value: 0x2000, mask: 0xf000 }, destinationNat: true, sourceNat: false })).toEqual([
    "nfgen_family=0 version=0 res_id=0", "CTA_MARK (8) 8192", "CTA_MARK_MASK (21) 61440", "CTA_STATUS (3) 32", "CTA_STATUS_MASK (26) 48",
  ]);
  expect(asked({})).toEqual(["nfgen_family=0 version=0 res_id=0"]);
  expect(asked({ original: { destinationPort: 53 }, zone: 4 })).toEqual(["nfgen_family=0 version=0 res_id=0"]);
});

test("one flow is forgotten by tuple, zone and number", () => {
  const lines = over([], (conntrack) => expect(conntrack.delete({ original: udp, zone: 9, id: 77 })).toBe(true));
  expect(lines).toEqual([
    "nfgen_family=2 version=0 res_id=0",
    "CTA_TUPLE_ORIG (1)", "  CTA_TUPLE_IP (1)", "    CTA_IP_V4_SRC (1) c0 00 02 09", "    CTA_IP_V4_DST (2) c0 00 02 01",
    "  CTA_TUPLE_PROTO (2)", "    CTA_PROTO_NUM (1) 17", "    CTA_PROTO_SRC_PORT (2) 40000", "    CTA_PROTO_DST_PORT (3) 8080",
    "CTA_ZONE (18) 9", "CTA_ID (12) 77",
  ]);
  expect(textOf(udp)).toBe("udp 192.0.2.9:40000 → 192.0.2.1:8080");
  expect(textOf({ ...udp, source: parseIp("fd00::1"), destination: parseIp("fd00::2"), protocol: 99 })).toBe("protocol 99 [fd00::1]:40000 → [fd00::2]:8080");
});

/** Told by Linux 6.18: udp 192.0.2.9:40000 → 192.0.2.1:8080, which leads to 10.1.2.5:80. */
const told = Uint8Array.fromHex([
  "02000000340001801400018008000100c000020908000200c00002011c0002800500010011000000060002009c400000060003001f900000",
  "3400028014000180080001000a01020508000200c00002091c00028005000100110000000600020000500000060003009c40000006001200",
  "0003000008000300000001a8080008000000200008000c004f55020508000b000000000108000700000000631c0018800800010000000000",
  "08000200000000000800030000000000",
].join(""));

test("a flow is read as the kernel told it", () => {
  over([told], (conntrack) => {
    const [flow] = conntrack.list();
    expect(flow && [textOf(flow.original), textOf(flow.reply)]).toEqual(["udp 192.0.2.9:40000 → 192.0.2.1:8080", "udp 10.1.2.5:80 → 192.0.2.9:40000"]);
    expect(flow).toMatchObject({ status: 0x1a8, replied: false, assured: false, sourceNat: false, destinationNat: true, mark: 0x2000, zone: 3, timeoutSeconds: 99, id: 0x4f550205 });
  });
});

test("any bytes give flows or a RangeError", () => {
  assert(property(uint8Array({ maxLength: 200 }), integer({ min: 0, max: told.length - 1 }), (raw, at) => {
    const changed = told.slice();
    changed.set(raw.subarray(0, told.length - at), at);
    for (const bytes of [raw, changed]) {
      try {
        over([bytes], (conntrack) => conntrack.list());
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
  }));
});
