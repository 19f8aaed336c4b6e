import { expect, test } from "bun:test";
import { chainOf, commentOf, iptablesComment, networkMark, ownerMark } from "./names.ts";

test("chains have the names that the reference plugins give them", () => {
  expect(chainOf("CNI-", { network: "test", containerId: "1234" })).toBe("CNI-2bbe0c48b91a7d1b8a6753a8");
  expect(chainOf("CNI-", { network: "mynet", containerId: "abc123" })).toBe("CNI-70a29d9dc18bc4d652ea5d59");
  expect(chainOf("CNI-", { network: "testalongnamethatdoesnotmakesense", containerId: "1234" })).toBe("CNI-374f33fe84ab0ed84dcdebe3");
  expect(chainOf("CNI-DN-", { network: "mynet", containerId: "abc123" })).toBe("CNI-DN-70a29d9dc18bc4d652ea5");
  expect(chainOf("CNI-SN-", { network: "mynet", containerId: "abc123" })).toBe("CNI-SN-70a29d9dc18bc4d652ea5");
  expect(iptablesComment({ network: "mynet", containerId: "abc123" })).toBe('name: "mynet" id: "abc123"');
});

test("comments begin with the digests that the reference plugins look for", () => {
  const owner = { network: "mynet", ifname: "eth0", containerId: "abc123" };
  expect(ownerMark(owner)).toBe("d23676b4f2d9fe04-ebce0e3dd4dafae3");
  expect(ownerMark({ network: "unit-test", ifname: "eth0", containerId: "one" })).toBe("6fd94d501e58f0aa-287fc69eff0574a2");
  expect(ownerMark({ network: "alternate", ifname: "net1", containerId: "three" })).toBe("82783ef24bdc7036-acb19d111858e348");
  expect(ownerMark(owner).startsWith(networkMark("mynet"))).toBe(true);
  expect(commentOf(owner)).toBe("d23676b4f2d9fe04-ebce0e3dd4dafae3, net: mynet, if: eth0, id: abc123");
});

test("a comment is cut to what the kernel keeps, in whole characters", () => {
  const long = commentOf({ network: "n".repeat(64), ifname: "eth0", containerId: "c".repeat(64) });
  expect(long).toHaveLength(127);
});
