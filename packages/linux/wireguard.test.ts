/** What is sent for WireGuard, explained by the tables that send it, and what the kernel's answers mean: this kernel may lack it. */
import { expect, test } from "bun:test";
import { parseCidr, parseIp } from "./ip.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { requestsOf } from "./testing/wire.ts";
import { family } from "./uapi/genetlink.ts";
import { device } from "./uapi/wireguard.ts";
import { encode, type Value } from "./wire/codec.ts";
import { createWireguard, isWireguardKey, type WireguardChanges } from "./wireguard.ts";

const link = { index: 7, name: "wg0" };
const key = (byte: number): string => Buffer.alloc(32, byte).toString("base64");
const hex = (byte: number, count: number): string => Array<string>(count).fill(byte.toString(16).padStart(2, "0")).join(" ");
const sent = (changes: WireguardChanges): string[] => requestsOf((socket) => createWireguard(socket).set(link, changes));

test("keys and the port are one message, peers that go come before those that stay", () => {
  const peer = { key: key(2), endpoint: { ip: parseIp("192.0.2.12"), port: 51_820 }, allowed: [parseCidr("10.244.2.7/24"), parseCidr("fd00:0:0:2::/64")] };
  expect(sent({ privateKey: new Uint8Array(32).fill(1), port: 51_820, ensure: [peer], remove: [key(3)] })).toEqual([
    "cmd=1 version=1", "WGDEVICE_A_IFINDEX (1) 7", `WGDEVICE_A_PRIVATE_KEY (3) ${hex(1, 32)}`, "WGDEVICE_A_LISTEN_PORT (6) 51820",
    "cmd=1 version=1", "WGDEVICE_A_IFINDEX (1) 7", "WGDEVICE_A_PEERS (8)",
    "  - (0)", `    WGPEER_A_PUBLIC_KEY (1) ${hex(3, 32)}`, "    WGPEER_A_FLAGS (3) 1",
    "  - (0)", `    WGPEER_A_PUBLIC_KEY (1) ${hex(2, 32)}`, "    WGPEER_A_FLAGS (3) 2", `    WGPEER_A_ENDPOINT (4) 02 00 ca 6c c0 00 02 0c ${hex(0, 8)}`,
    "    WGPEER_A_ALLOWEDIPS (9)",
    "      - (0)", "        WGALLOWEDIP_A_FAMILY (1) 2", "        WGALLOWEDIP_A_IPADDR (2) 0a f4 02 00", "        WGALLOWEDIP_A_CIDR_MASK (3) 24",
    "      - (0)", "        WGALLOWEDIP_A_FAMILY (1) 10", `        WGALLOWEDIP_A_IPADDR (2) fd 00 00 00 00 00 00 02 ${hex(0, 8)}`, "        WGALLOWEDIP_A_CIDR_MASK (3) 64",
  ]);
  expect(sent({})).toEqual([]);
});

test("many peers are sent in several messages", () => {
  const ensure = Array.from({ length: 250 }, (_, at) => ({ key: key(at), allowed: [parseCidr(`10.244.${at}.0/24`)] }));
  const lines = sent({ ensure });
  expect(lines.filter((line) => line.startsWith("cmd="))).toHaveLength(3);
  expect(lines.filter((line) => line.includes("PUBLIC_KEY"))).toHaveLength(250);
});

/** A socket that answers with these messages, whatever is asked. */
const answering = (...parts: Value<typeof device>[]) => (): NetlinkSocket => ({
  get: (_, decode) => decode(encode(family, { attrs: { FAMILY_ID: 31 } })),
  dump: (_, decode) => parts.map((part) => decode(encode(device, part).slice())),
  request: () => {}, visit: () => {}, batch: () => {}, series: () => [], [Symbol.dispose]: () => {},
});

test("a device is read from as many messages as it takes, and a peer that goes on in the next is one", () => {
  const peer = (byte: number, ...allowed: string[]) => ({
    PUBLIC_KEY: new Uint8Array(32).fill(byte),
    ALLOWEDIPS: allowed.map(parseCidr).map(({ ip, prefix }) => ({ FAMILY: ip.family === 4 ? 2 : 10, IPADDR: ip.bytes, CIDR_MASK: prefix })),
  });
  const endpoint = Uint8Array.of(10, 0, 0xca, 0x6c, 0, 0, 0, 0, ...parseIp("fd50::12").bytes, 0, 0, 0, 0);
  const socket = answering(
    { attrs: { IFINDEX: 7, PUBLIC_KEY: new Uint8Array(32).fill(9), LISTEN_PORT: 51_820, PEERS: [{ ...peer(1, "10.244.1.0/24"), ENDPOINT: endpoint }] } },
    { attrs: { PEERS: [peer(1, "fd00:0:0:1::/64"), peer(2)] } },
  );
  const { peers, ...own } = createWireguard(socket).get(link);
  expect(own).toEqual({ key: key(9), port: 51_820 });
  expect(peers.map(({ key: its, allowed }) => [its, allowed.map(String)])).toEqual([[key(1), ["10.244.1.0/24", "fd00:0:0:1::/64"]], [key(2), []]]);
  expect(String(peers[0]?.endpoint?.ip)).toBe("fd50::12");
  expect(createWireguard(answering({ attrs: { IFINDEX: 7 } })).get(link)).toEqual({ key: "", port: 0, peers: [] });
});

test("a key is 32 bytes in base64 and nothing else", () => {
  expect(isWireguardKey(key(7))).toBe(true);
  for (const text of ["", "AAAA", key(7).slice(0, -1), `${key(7)} `, `${key(7).slice(0, -2)}B=`, Buffer.alloc(31).toString("base64"), Buffer.alloc(33).toString("base64")]) {
    expect(isWireguardKey(text)).toBe(false);
    expect(() => sent({ remove: [text] })).toThrow("32 bytes in base64 are wanted");
  }
});
