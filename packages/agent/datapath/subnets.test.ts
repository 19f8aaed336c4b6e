import { expect, test } from "bun:test";
import { array, assert, integer, nat, property, record } from "fast-check";
import { contains, overlaps, parseCidr, parseIp } from "@vethwork/linux";
import type { ClusterNode } from "../cluster.ts";
import { subnetsOf } from "./subnets.ts";

const node = (name: string, podSubnets: string[], addresses: string[] = []): ClusterNode =>
  ({ name, addresses: addresses.map(parseIp), podSubnets: podSubnets.map(parseCidr), zone: "", published: {} });

const told = (nodes: readonly ClusterNode[], self = "me") => {
  const { of, problems } = subnetsOf(nodes, self);
  return { of: Object.fromEntries([...of].map(([name, subnets]) => [name, subnets.map(String)])), problems };
};

const rows: readonly [title: string, nodes: ClusterNode[], of: Record<string, string[]>, problems: string[]][] = [
  ["nodes with subnets of their own keep them, of both families, without bits of a host", [node("me", ["10.244.1.0/24", "fd00:0:0:1::/64"]), node("b", ["10.244.2.9/24"])], { me: ["10.244.1.0/24", "fd00:0:0:1::/64"], b: ["10.244.2.0/24"] }, []],
  ["a subnet that two have is that of the first in the list", [node("a", ["10.244.2.0/24"]), node("b", ["10.244.2.0/24"])], { a: ["10.244.2.0/24"] }, ['pods 10.244.2.0/24 of node "b" are not routed: node "a" has 10.244.2.0/24']],
  ["but this node's own, wherever it stands in the list", [node("a", ["10.244.0.0/16"]), node("me", ["10.244.2.0/24"])], { me: ["10.244.2.0/24"] }, ['pods 10.244.0.0/16 of node "a" are not routed: node "me" has 10.244.2.0/24']],
  ["a subnet inside another's is not believed", [node("a", ["10.244.0.0/16"]), node("b", ["10.244.2.0/24"]), node("c", ["10.245.0.0/24"])], { a: ["10.244.0.0/16"], c: ["10.245.0.0/24"] }, ['pods 10.244.2.0/24 of node "b" are not routed: node "a" has 10.244.0.0/16']],
  ["nor one around others'", [node("b", ["10.244.2.0/24"]), node("c", ["10.244.3.0/24"]), node("a", ["10.244.0.0/16"])], { b: ["10.244.2.0/24"], c: ["10.244.3.0/24"] }, ['pods 10.244.0.0/16 of node "a" are not routed: node "b" has 10.244.2.0/24']],
  ["nor one that holds a node", [node("a", ["192.0.2.0/24"], ["198.51.100.1"]), node("b", ["10.244.2.0/24"], ["192.0.2.7"])], { b: ["10.244.2.0/24"] }, ['pods 192.0.2.0/24 of node "a" are not routed: 192.0.2.7 of node "b" is in them']],
  ["nor the whole address space", [node("a", ["0.0.0.0/0"]), node("me", ["10.244.2.0/24"], ["192.0.2.7"])], { me: ["10.244.2.0/24"] }, ['pods 0.0.0.0/0 of node "a" are not routed: 192.0.2.7 of node "me" is in them']],
];
for (const [title, nodes, of, problems] of rows) test(title, () => expect(told(nodes)).toEqual({ of, problems }));

const cidr = record({ a: nat(3), b: nat(3), prefix: integer({ min: 12, max: 26 }) }).map(({ a, b, prefix }) => `10.${a * 16}.${b * 64}.0/${prefix}`);
const someNodes = array(record({ subnets: array(cidr, { maxLength: 2 }), at: nat(40) }), { maxLength: 12 })
  .map((all) => all.map(({ subnets, at }, index) => node(`n${index}`, subnets, [`10.${(at % 4) * 16}.${at}.9`])));

test("no two subnets that are believed overlap, none holds a node, and each that is not is told of", () => {
  assert(property(someNodes, (nodes) => {
    const { of, problems } = subnetsOf(nodes, "n0");
    const all = [...of.values()].flat();
    for (const [at, one] of all.entries()) for (const other of all.slice(at + 1)) expect(overlaps(one, other)).toBe(false);
    for (const one of all) for (const { addresses } of nodes) for (const ip of addresses) expect(contains(one, ip)).toBe(false);
    expect(all.length + problems.length).toBe(nodes.flatMap(({ podSubnets }) => podSubnets).length);
  }));
});
