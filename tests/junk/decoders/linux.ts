/**
 * What the kernel, the system bus and the wire say. Messages of netlink are made from the same tables that read them
 * (../netlink.ts), every one that linux/uapi exports: a new one is fuzzed without being named here.
 */
import { parseCidr, parseIp, parseMac } from "@vethwork/linux";
import { ipFrom } from "@vethwork/linux/ip.ts";
import { macFrom } from "@vethwork/linux/mac.ts";
import { answersIn } from "@vethwork/linux/netlink.ts";
import { commentedIn, keysIn } from "@vethwork/linux/nft/elements.ts";
import { TYPES, split } from "@vethwork/linux/nft/types.ts";
import { userdataText } from "@vethwork/linux/nft/userdata.ts";
import { datagramIn, frameOf } from "@vethwork/linux/packets.ts";
import { attributesOf } from "@vethwork/linux/wire/attrs.ts";
import { decodeMessage, encodeMessage, messageLength } from "@vethwork/linux/wire/busmessage.ts";
import { decode } from "@vethwork/linux/wire/codec.ts";
import { decodeValues, encodeValues } from "@vethwork/linux/wire/dbus.ts";
import { explain } from "@vethwork/linux/wire/explain.ts";
import { messageTables, seedsFor } from "../netlink.ts";
import type { Decoder } from "../trial.ts";
import { ofBytes, ofText } from "./stock.ts";

const seedsOfElements = seedsFor("nf_tables: setElements", (await messageTables()).find(({ name }) => name === "nf_tables: setElements")?.codec);
const frame = frameOf({ mac: macFrom(Uint8Array.of(2, 0, 0, 0, 0, 1)) }, {
  mac: macFrom(Uint8Array.of(2, 0, 0, 0, 0, 2)), from: { ip: ipFrom(Uint8Array.of(10, 0, 0, 1)), port: 67 }, to: { ip: ipFrom(Uint8Array.of(10, 0, 0, 2)), port: 68 }, payload: new Uint8Array(40),
});
const busCall = encodeMessage({ kind: "call", serial: 7, path: "/a/b", interface: "a.b", member: "C", destination: "d.e", signature: "sasa{sv}", body: ["x", ["y", "z"], [["k", { signature: "u", value: 3 }]]] });
const busError = encodeMessage({ kind: "error", serial: 8, replySerial: 7, errorName: "a.b.Failed", sender: ":1.1", signature: "s", body: ["no"] });

export const decoders: readonly Decoder[] = [
  ...(await messageTables()).map(({ name, codec }) => ofBytes(`netlink: ${name}`, seedsFor(name, codec), (bytes) => {
    const value = decode(codec, bytes);
    explain(codec, bytes);
    return value;
  }, { throws: [RangeError] })),
  ofBytes("netlink: answers", [Uint8Array.of(36, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 239, 255, 255, 255, 16, 0, 0, 0, 16, 0, 5, 0, 1, 0, 0, 0, 9, 0, 0, 0), Uint8Array.of(16, 0, 0, 0, 3, 0, 2, 0, 1, 0, 0, 0, 9, 0, 0, 0)], answersIn),
  ofBytes("netlink: attributes", [Uint8Array.of(8, 0, 1, 0, 1, 2, 3, 4, 5, 0, 2, 128, 9, 0, 0, 0)], (bytes) => attributesOf("any", bytes)),
  ofBytes("nftables: elements with a comment", seedsOfElements, (bytes) => commentedIn(bytes, "pods/c1")),
  ofBytes("nftables: keys of elements", seedsOfElements, keysIn),
  ofBytes("nftables: user data", [Uint8Array.of(0, 3, 97, 98, 0, 240, 4, 1, 2, 3, 4)], (bytes) => [userdataText(bytes), userdataText(bytes, 240)], { throws: [] }),
  ofBytes("nftables: keys of sets", [new Uint8Array(64).fill(7)], (bytes) => {
    const all = Object.keys(TYPES).filter((name): name is keyof typeof TYPES => name in TYPES);
    for (const type of all) split([type], bytes.subarray(0, TYPES[type].length));
    return split(all, bytes);
  }),
  ofText("linux: addresses", ["10.1.2.3/24", "fd00::1/64", "::ffff:1.2.3.4", "02:00:00:00:00:01"], (text) => [parseIp, parseCidr, parseMac].map((read) => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof RangeError) || !error.message.startsWith("Cannot read")) throw error;
      return undefined;
    }
  })),
  ofBytes("linux: bytes of addresses", [new Uint8Array(4), new Uint8Array(16), new Uint8Array(6)], (bytes) => (bytes.length % 2 === 0 ? [String(ipFrom(bytes))] : String(macFrom(bytes)))),
  ofBytes("packets: a frame", [frame], datagramIn, { throws: [RangeError] }),
  ofBytes("D-Bus: message", [busCall, busError], (bytes) => [messageLength(bytes), decodeMessage(bytes)], { throws: [RangeError], words: ["l\x01\x00\x01", "a{sv}", "(((((", "aaaaaaaa", "v"] }),
  ofBytes("D-Bus: values", [encodeValues("sasa{sv}", ["x", ["y"], []])], (bytes) => [decodeValues("sasa{sv}", bytes), decodeValues("v", bytes, { littleEndian: false })]),
];
