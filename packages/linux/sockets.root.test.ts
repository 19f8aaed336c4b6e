/** Sockets of two namespaces that one process holds: each end is in its own, and each says whom it speaks with. */
import { expect, test } from "bun:test";
import { missing, skipped } from "../../tests/conformance/node/needs.ts";
import { ipJson } from "./testing/room.ts";
import { isErrno, openSocket, parseCidr, parseIp, Netns, type Family, type Ip } from "./index.ts";

const lacks = missing({ root: true });
const near = { 4: parseIp("10.0.0.1"), 6: parseIp("fd00::1") } as const;
const far = { 4: parseIp("10.0.0.2"), 6: parseIp("fd00::2") } as const;

const cableTest = (title: string, act: (a: Netns, b: Netns, family: Family) => void): void => {
  for (const family of [4, 6] as const) {
    test.skipIf(lacks !== "")(skipped(`IPv${family}: ${title}`, lacks), () => {
      using a = Netns.create();
      using b = Netns.create();
      a.links.add({ kind: "veth", name: "v", peer: { name: "v", netnsFd: b.fd } });
      for (const [netns, ip] of [[a, near[family]], [b, far[family]]] as const) {
        netns.links.set(netns.links.get("v"), { up: true });
        netns.addrs.add(netns.links.get("v"), { address: parseCidr(`${ip}/${family === 4 ? 24 : 64}`), nodad: true });
      }
      while (!operational(a) || !operational(b)) continue; // the kernel notices the cable in a thread of its own
      act(a, b, family);
    });
  }
};

cableTest("a connection: both ends name each other", (a, b, family) => {
  using server = openSocket(b, { kind: "tcp", family });
  server.bind(far[family]);
  server.listen();
  expect(fails(() => server.accept(), "EAGAIN")).toBe(true);
  using client = openSocket(a, { kind: "tcp", family });
  client.connect(server.name());
  expect(client.wait("out", 5000) && client.established()).toBe(true);
  expect(server.wait("in", 5000)).toBe(true);
  const { socket: accepted, peer } = server.accept();
  expect([String(peer.ip), peer.port]).toEqual([String(near[family]), client.name().port]);
  client.send(new TextEncoder().encode("hello"));
  expect(accepted.wait("in", 5000)).toBe(true);
  expect(new TextDecoder().decode(accepted.receive().bytes)).toBe("hello");
  accepted[Symbol.dispose]();
});

cableTest("a refused connection is the kernel's error, one that nobody answers is a time-out", (a, b, family) => {
  using refused = openSocket(a, { kind: "tcp", family });
  refused.connect({ ip: far[family], port: 9 });
  refused.wait("out", 5000);
  expect(fails(() => refused.established(), "ECONNREFUSED")).toBe(true);
  b.links.set(b.links.get("v"), { up: false });
  using unanswered = openSocket(a, { kind: "udp", family });
  expect(unanswered.wait("in", 20)).toBe(false);
});

cableTest("datagrams arrive with their sender's address", (a, b, family) => {
  using server = openSocket(b, { kind: "udp", family });
  server.bind(far[family]);
  using client = openSocket(a, { kind: "udp", family });
  client.send(Uint8Array.of(1, 2, 3), server.name());
  expect(server.wait("in", 5000)).toBe(true);
  const { bytes, from } = server.receive();
  expect([...bytes]).toEqual([1, 2, 3]);
  expect(String(from.ip)).toBe(String(near[family]));
  expect(fails(() => server.receive(), "EAGAIN")).toBe(true);
});

cableTest("as many datagrams wait as there is room for", (a, b, family) => {
  const arrived = (receiveBuffer: number): number => {
    using server = openSocket(b, { kind: "udp", family, receiveBuffer });
    server.bind(far[family]);
    using client = openSocket(a, { kind: "udp", family });
    client.send(new Uint8Array(1), server.name()); // who the neighbour is may take a second to find out, and few may wait for that
    expect(server.wait("in", 5000)).toBe(true);
    for (let sent = 0; sent < 100; sent++) client.send(new Uint8Array(1000), server.name());
    let count = -1;
    while (server.wait("in", 100) && server.receive()) count++;
    return count;
  };
  expect(arrived(1_000_000)).toBe(100);
  expect(arrived(20_000)).toBeLessThan(100);
});

cableTest("an address that is not the namespace's own cannot be bound", (a, _b, family) => {
  using socket = openSocket(a, { kind: "udp", family });
  const other: Ip = far[family];
  expect(fails(() => socket.bind(other), "EADDRNOTAVAIL")).toBe(true);
});

const operational = (netns: Netns): boolean => ipJson(netns, "link", "show", "v")[0].operstate === "UP";

function fails(work: () => unknown, errno: string): boolean {
  try {
    work();
    return false;
  } catch (error) {
    return isErrno(error, errno);
  }
}
