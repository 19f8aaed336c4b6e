/** Frames on a real kernel: over links without addresses, in both directions, and nobody else's. */
import { expect } from "bun:test";
import { BROADCAST, EVERYBODY, NOBODY, listenDatagrams, openSocket, parseCidr, parseIp, receiveDatagram, sendDatagram, type Link, type Netns } from "./index.ts";
import { closeFile, poll } from "./libc.ts";
import { errnoOf, kernelTest } from "./testing/room.ts";

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const hello = new TextEncoder().encode("hello");

function cable(a: Netns, b: Netns): [Link, Link] {
  a.links.add({ kind: "veth", name: "v", peer: { name: "w", netnsFd: b.fd } });
  a.links.set(a.links.get("v"), { up: true, linkLocal: false });
  b.links.set(b.links.get("w"), { up: true, linkLocal: false });
  while (!a.links.get("v").operational || !b.links.get("w").operational) continue;
  return [a.links.get("v"), b.links.get("w")];
}

kernelTest("a datagram goes from a link without an address to everybody, and the kernel's own UDP takes it", (here, there) => {
  const [near, far] = cable(here, there);
  const fd = listenDatagrams(there, far, 67);
  const datagram = { mac: BROADCAST, from: { ip: NOBODY, port: 68 }, to: { ip: EVERYBODY, port: 67 }, payload: hello };
  sendDatagram(here, near, datagram);
  expect(poll([fd], 1, 1000)).toBe(true);
  const came = receiveDatagram(fd);
  expect([String(came?.mac), String(came?.from.ip), came?.from.port, String(came?.to.ip), text(came?.payload)]).toEqual([String(near.mac), "0.0.0.0", 68, "255.255.255.255", "hello"]);
  expect(receiveDatagram(fd)).toBeUndefined();
  closeFile(fd);

  there.addrs.add(far, { address: parseCidr("10.0.0.2/24") });
  using server = openSocket(there, { kind: "udp", family: 4 });
  server.bind(parseIp("10.0.0.2"), 67);
  sendDatagram(here, near, { ...datagram, ...(far.mac && { mac: far.mac }), from: { ip: parseIp("10.0.0.1"), port: 68 }, to: { ip: parseIp("10.0.0.2"), port: 67 } });
  expect(server.wait("in", 1000)).toBe(true); // which looks at both checksums
  expect(text(server.receive().bytes)).toBe("hello");
});

kernelTest("what the kernel sends arrives, whose checksum it leaves to a card, and nothing else of what comes in", (here, there) => {
  const [near, far] = cable(here, there);
  const fd = listenDatagrams(there, far, 68);
  here.addrs.add(near, { address: parseCidr("10.0.0.1/24") });
  there.addrs.add(far, { address: parseCidr("10.0.0.2/24") });
  using sender = openSocket(here, { kind: "udp", family: 4 });
  using ping = openSocket(here, { kind: "icmp", family: 4 });
  sender.send(hello, { ip: parseIp("10.0.0.2"), port: 69 });
  sender.send(new Uint8Array(4000), { ip: parseIp("10.0.0.2"), port: 68 }); // in fragments
  ping.send(Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0), { ip: parseIp("10.0.0.2"), port: 0 });
  sender.send(hello, { ip: parseIp("10.0.0.2"), port: 68 });
  expect(poll([fd], 1, 1000)).toBe(true);
  expect(text(receiveDatagram(fd)?.payload)).toBe("hello");
  expect(receiveDatagram(fd)).toBeUndefined();
  closeFile(fd);
});

kernelTest("a link that is down sends nothing and says so", (here, there) => {
  const [near] = cable(here, there);
  here.links.set(near, { up: false });
  expect(errnoOf(() => sendDatagram(here, near, { mac: BROADCAST, from: { ip: NOBODY, port: 68 }, to: { ip: EVERYBODY, port: 67 }, payload: hello }))).toBe("ENETDOWN");
});
