/** Comments that say whose something is: whole for every name, and told apart from each other. */
import { expect, test } from "bun:test";
import { commentOf, markOf, networkMark, policyIn, wishOf } from "./wish.ts";

const owner = { network: "mynet", containerId: "4c1d", ifname: "eth0" };

test("a comment names network, container and interface, and with a policy also that and the bridge", () => {
  expect(commentOf({ owner, policy: "open", bridge: "" })).toBe("mynet/4c1d/eth0");
  expect(commentOf({ owner, policy: "isolated", bridge: "cni0" })).toBe("mynet/4c1d/eth0 isolated cni0");
  expect(markOf(owner).startsWith(networkMark("mynet"))).toBe(true);
});

test("what is read from a comment is what was written", () => {
  for (const wish of [{ policy: "open", bridge: "" }, { policy: "same-bridge", bridge: "cni0" }, { policy: "isolated", bridge: "br-1.x" }] as const) {
    expect(policyIn(commentOf({ owner, ...wish }))).toEqual(wish);
  }
});

test("the longest names leave a comment whole, and different", () => {
  const long = (network: string, containerId: string) => commentOf({ owner: { network, containerId, ifname: "i".repeat(15) }, policy: "same-bridge", bridge: "b".repeat(15) });
  const comments = [long("n".repeat(300), "c".repeat(300)), long("n".repeat(299), "c".repeat(300)), long("n".repeat(300), "c".repeat(299)), long("n".repeat(16), "c".repeat(64))];
  for (const comment of comments) expect(comment.length).toBeLessThanOrEqual(127);
  expect(new Set(comments).size).toBe(comments.length);
});

test("all addresses of the result are meant, and the bridge is its first interface", () => {
  const before = { interfaces: [{ name: "cni0" }, { name: "veth0" }], ips: [{ address: "10.1.2.3/24", interface: 1 }, { address: "fd00::3/64" }] };
  const { addresses, bridge } = wishOf(owner, "same-bridge", before);
  expect([addresses.map(String), bridge]).toEqual([["10.1.2.3", "fd00::3"], "cni0"]);
  expect(wishOf(owner, "open", {}).bridge).toBe("");
});
