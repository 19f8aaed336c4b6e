/** WireGuard on a real kernel: what was set is read back, and packets get through to whom has the key, and to nobody else. */
import { expect } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { wireguardIn, openSocket, parseCidr, parseIp, type Netns } from "./index.ts";
import { errnoOf, ipJson, kernelTest, lacksLink } from "./testing/room.ts";

const lacks = lacksLink({ kind: "wireguard", name: "wg0" }, "CONFIG_WIREGUARD");
const PORT = 51_820;

function newKey(): { secret: Uint8Array; key: string } {
  const { d = "", x = "" } = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  return { secret: new Uint8Array(Buffer.from(d, "base64url")), key: Buffer.from(x, "base64url").toString("base64") };
}

kernelTest("a device has the keys, the port and the peers that it was given", (here) => {
  here.links.add({ kind: "wireguard", name: "wg0", mtu: 1420 });
  const link = here.links.get("wg0");
  expect(ipJson(here, "link", "show", "wg0")).toMatchObject([{ mtu: 1420, linkinfo: { info_kind: "wireguard" } }]);
  expect(wireguardIn(here).get(link)).toEqual({ key: "", port: expect.any(Number), peers: [] });
  const own = newKey();
  const peers = Array.from({ length: 250 }, (_, at) => ({ ...newKey(), endpoint: { ip: parseIp(`192.0.2.${at}`), port: PORT }, allowed: [parseCidr(`10.244.${at}.0/24`), parseCidr(`fd00:0:0:${at.toString(16)}::/64`)] }));
  wireguardIn(here).set(link, { privateKey: own.secret, port: PORT, ensure: peers });
  const told = () => wireguardIn(here).get(link);
  expect([told().key, told().port, told().peers.length]).toEqual([own.key, PORT, 250]);
  const lines = (some: ReturnType<typeof told>["peers"]) => some.map(({ key, endpoint, allowed }) => `${key} ${endpoint?.ip}:${endpoint?.port} ${allowed.join(" ")}`).sort();
  expect(lines(told().peers)).toEqual(lines(peers));
  const [first, second, ...rest] = peers;
  wireguardIn(here).set(link, { remove: [first?.key ?? ""], ensure: [{ key: second?.key ?? "", allowed: [parseCidr("10.244.0.0/24")] }] });
  expect(told().peers).toHaveLength(rest.length + 1);
  expect(told().peers.find(({ key }) => key === second?.key)?.allowed.map(String)).toEqual(["10.244.0.0/24"]);
}, { option: lacks });

kernelTest("a peer with more addresses than one message holds is read as one", (here) => {
  here.links.add({ kind: "wireguard", name: "wg0" });
  const link = here.links.get("wg0");
  const allowed = Array.from({ length: 1000 }, (_, at) => parseCidr(`fd00:0:0:${at.toString(16)}::/64`));
  const peer = newKey();
  wireguardIn(here).set(link, { ensure: [{ key: peer.key, allowed }] });
  const { peers } = wireguardIn(here).get(link);
  expect([peers.length, peers[0]?.allowed.length]).toEqual([1, 1000]);
}, { option: lacks });

for (const [family, outside, inside] of [[4, ["192.0.2.1", "192.0.2.2"], ["10.244.1.0", "10.244.2.0"]], [6, ["2001:db8::1", "2001:db8::2"], ["fd00:0:0:1::", "fd00:0:0:2::"]]] as const) {
  kernelTest(`IPv${family}: packets get through to who has the key, and from an address that is not allowed they do not`, (here, there) => {
    const [one, other] = [newKey(), newKey()];
    here.links.add({ kind: "veth", name: "v", peer: { name: "v", netnsFd: there.fd } });
    const dress = (netns: Netns, at: 0 | 1, own: typeof one, its: typeof one): void => {
      const wire = netns.links.get("v");
      netns.links.set(wire, { up: true, linkLocal: false });
      netns.addrs.add(wire, { address: parseCidr(`${outside[at]}/${family === 4 ? 24 : 64}`), nodad: true });
      netns.links.add({ kind: "wireguard", name: "wg0" });
      const link = netns.links.get("wg0");
      netns.addrs.add(link, { address: parseCidr(`${inside[at]}/${family === 4 ? 32 : 128}`), nodad: true });
      netns.links.set(link, { up: true });
      const subnet = parseCidr(`${inside[1 - at]}/${family === 4 ? 24 : 64}`);
      wireguardIn(netns).set(link, { privateKey: own.secret, port: PORT, ensure: [{ key: its.key, endpoint: { ip: parseIp(outside[1 - at] ?? ""), port: PORT }, allowed: [subnet] }] });
      netns.routes.add({ dst: subnet, link: link.index });
    };
    dress(here, 0, one, other);
    dress(there, 1, other, one);
    using server = openSocket(there, { kind: "udp", family });
    server.bind(parseIp(inside[1]), 9);
    using client = openSocket(here, { kind: "udp", family });
    client.bind(parseIp(inside[0]));
    client.send(new TextEncoder().encode("hello"), server.name());
    expect(server.wait("in", 10_000)).toBe(true);
    expect(String(server.receive().from.ip)).toBe(inside[0]);
    using stranger = openSocket(here, { kind: "udp", family });
    stranger.bind(parseIp(outside[0]));
    stranger.send(new TextEncoder().encode("hello"), server.name());
    expect(server.wait("in", 300)).toBe(false);
  }, { option: lacks });
}

kernelTest("a kernel without WireGuard says so", (here) => {
  expect(errnoOf(() => here.links.add({ kind: "wireguard", name: "wg0" }))).toBe("EOPNOTSUPP");
  expect(() => wireguardIn(here).get(here.links.get("lo"))).toThrow(/^Cannot find the kernel's "wireguard": ENOENT/);
}, { option: lacks === "" ? "a kernel without CONFIG_WIREGUARD" : "" });
