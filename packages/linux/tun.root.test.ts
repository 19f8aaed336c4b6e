/** Taps on a real kernel: what `ip` says of them, who may open them, and frames through them. */
import { expect } from "bun:test";
import { addTap, openSocket, openTap, parseCidr, parseIp } from "./index.ts";
import { errnoOf, ipJson, kernelTest } from "./testing/room.ts";

kernelTest("a tap stays when nobody has it open, with its owner, its group and its queues", (here, there) => {
  addTap(here, { name: "plain" });
  addTap(here, { name: "shared", owner: 1234, group: 5678, multiQueue: true });
  const told = ipJson(here, "link", "show").filter(({ ifname }: { ifname: string }) => ifname !== "lo");
  expect(told.map(({ ifname, linkinfo }: { ifname: string; linkinfo: unknown }) => [ifname, linkinfo])).toMatchObject([
    ["plain", { info_kind: "tun", info_data: { type: "tap", pi: false, persist: true, multi_queue: false } }],
    ["shared", { info_kind: "tun", info_data: { type: "tap", pi: false, persist: true, multi_queue: true, user: 1234, group: 5678 } }],
  ]);
  expect(here.links.get("plain").tun).toEqual({ tap: true, owner: undefined, group: undefined, multiQueue: false });
  expect(here.links.get("shared")).toMatchObject({ kind: "tun", tun: { tap: true, owner: 1234, group: 5678, multiQueue: true } });
  expect(there.links.find("plain")).toBeUndefined();
  expect(errnoOf(() => addTap(here, { name: "plain" }))).toBe("EBUSY");
  expect(errnoOf(() => addTap(here, { name: "lo" }))).toBe("EBUSY");
  expect(() => addTap(here, { name: "longer-than-fifteen" })).toThrow(RangeError);
  expect([here.links.delete("plain"), here.links.delete("plain")]).toEqual([true, false]);
  expect(here.links.get("lo").tun).toBeUndefined();
});

kernelTest("what is sent by a tap is read behind it, and what is written behind it arrives", (here) => {
  addTap(here, { name: "t" });
  using end = openTap(here, { name: "t" });
  const link = here.links.get("t");
  here.links.set(link, { up: true, linkLocal: false });
  here.addrs.add(link, { address: parseCidr("10.0.0.1/24") });
  using socket = openSocket(here, { kind: "udp", family: 4 });
  socket.send(new TextEncoder().encode("hello"), { ip: parseIp("10.0.0.9"), port: 9 });
  const frames = Array.from({ length: 20 }, () => end.receive()).filter((frame) => frame !== undefined);
  const asked = frames.find((frame) => frame[12] === 0x08 && frame[13] === 0x06) ?? new Uint8Array(); // ARP: who has 10.0.0.9
  expect(Array.from(asked.slice(38, 42))).toEqual([10, 0, 0, 9]);
  const mac = [0x02, 0, 0, 0, 0, 0x09];
  const ours = [...(link.mac?.bytes ?? [])];
  end.send(Uint8Array.of(...ours, ...mac, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2, ...mac, 10, 0, 0, 9, ...ours, 10, 0, 0, 1));
  const sent = Array.from({ length: 20 }, () => end.receive()).find((frame) => frame?.[12] === 0x08 && frame[13] === 0x00) ?? new Uint8Array();
  expect([Array.from(sent.slice(0, 6)), new TextDecoder().decode(sent.slice(42))]).toEqual([mac, "hello"]);
});
