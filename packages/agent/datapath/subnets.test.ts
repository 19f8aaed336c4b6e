import { expect, test } from "bun:test";
import { array, assert, integer, nat, property, record } from "fast-check";
import { contains, overlaps, parseCidr, parseIp } from "@vethwork/linux";
import type { ClusterNode } from "../cluster.ts";
import { subnetsOf } from "./subnets.ts";

const node = (name: string, podSubnets: string[], addresses: string[] = []): ClusterNode =>
  ({ name, addresses: addresses.map(parseIp), podSubnets: podSubnets.map(parseCidr), zone: "", published: {} });

const told = (nodes: readonly ClusterNode[], clusterSubnets: readonly string[] = []) => {
  const { of, problems } = subnetsOf(nodes, { self: "me", clusterSubnets: clusterSubnets.map(parseCidr) });
  return { of: Object.fromEntries([...of].map(([name, subnets]) => [name, subnets.map(String)])), problems };
};

const rows: readonly [title: string, nodes: ClusterNode[], of: Record<string, string[]>, problems: string[]][] = [
  ["nodes with subnets of their own keep them, of both families, without bits of a host", [node("me", ["10.244.1.0/24", "fd00:0:0:1::/64"]), node("b", ["10.244.2.9/24"])], { me: ["10.244.1.0/24", "fd00:0:0:1::/64"], b: ["10.244.2.0/24"] }, []],
  ["a subnet that two have is that of the first in the list", [node("a", ["10.244.2.0/24"]), node("b", ["10.244.2.0/24"])], { a: ["10.244.2.0/24"] }, ['pods 10.244.2.0/24 of node "b" are not routed: node "a" has 10.244.2.0/24']],
  ["but this node's own, wherever it stands in the list", [node("a", ["10.244.0.0/16"]), node("me", ["10.244.2.0/24"])], { me: ["10.244.2.0/24"] }, ['pods 10.244.0.0/16 of node "a" are not routed: node "me" has 10.244.2.0/24']],
  ["a subnet inside another's is not believed", [node("a", ["10.244.0.0/16"]), node("b", ["10.244.2.0/24"]), node("c", ["10.245.0.0/24"])], { a: ["10.244.0.0/16"], c: ["10.245.0.0/24"] }, ['pods 10.244.2.0/24 of node "b" are not routed: node "a" has 10.244.0.0/16']],
  ["nor one around others'", [node("b", ["10.244.2.0/24"]), node("c", ["10.244.3.0/24"]), node("a", ["10.244.0.0/16"])], { b: ["10.244.2.0/24"], c: ["10.244.3.0/24"] }, ['pods 10.244.0.0/16 of node "a" are not routed: node "b" has 10.244.2.0/24']],
  ["nor one that holds a node", [node("a", ["192.0.2.0/24"], ["198.51.100.1"]), node("b", ["10.244.2.0/24"], ["192.0.2.7"])], { b: ["10.244.2.0/24"] }, ['pods 192.0.2.0/24 of node "a" are not routed: 192.0.2.7 of node "b" is in them']],
  ["nor the whole address space", [node("a", ["0.0.0.0/0"]), node("me", ["10.244.2.0/24"], ["192.0.2.7"])], { me: ["10.244.2.0/24"] }, ['pods 0.0.0.0/0 of node "a" are not routed: pods are never in 0.0.0.0/8']],
  ["nor half of it", [node("a", ["128.0.0.0/1"])], {}, ['pods 128.0.0.0/1 of node "a" are not routed: pods are never in 169.254.0.0/16']],
  ["nor addresses that are a machine's or a link's own", [node("a", ["127.0.0.0/24"]), node("b", ["::/127"]), node("c", ["fe80::/64"]), node("d", ["224.0.1.0/24"])], {}, [
    'pods 127.0.0.0/24 of node "a" are not routed: pods are never in 127.0.0.0/8', 'pods ::/127 of node "b" are not routed: pods are never in ::/8',
    'pods fe80::/64 of node "c" are not routed: pods are never in fe80::/10', 'pods 224.0.1.0/24 of node "d" are not routed: pods are never in 224.0.0.0/3',
  ]],
  ["this node's own pods are not in doubt because another says that it is where they are", [node("me", ["10.244.1.0/24"], ["192.0.2.7"]), node("b", ["10.244.2.0/24"], ["10.244.1.5"])], { me: ["10.244.1.0/24"], b: ["10.244.2.0/24"] }, ['pods 10.244.1.0/24 are this node\'s, and 10.244.1.5 of node "b" is in them: one of both is wrong']],
];
for (const [title, nodes, of, problems] of rows) test(title, () => expect(told(nodes)).toEqual({ of, problems }));

/** What one node that is taken over may write into its own Node object, where the cluster's pods are known to be in 10.244/16. */
const known: readonly [title: string, bad: ClusterNode, problem: string][] = [
  ["the API server's address", node("bad", ["203.0.113.10/32"]), 'pods 203.0.113.10/32 of node "bad" are not routed: the cluster\'s pods are in 10.244.0.0/16'],
  ["half of the internet", node("bad", ["64.0.0.0/2"]), 'pods 64.0.0.0/2 of node "bad" are not routed: pods are never in 127.0.0.0/8'],
  ["more than all pods", node("bad", ["10.0.0.0/8"]), 'pods 10.0.0.0/8 of node "bad" are not routed: the cluster\'s pods are in 10.244.0.0/16'],
  ["a family that there is not", node("bad", ["2001:db8::/64"]), 'pods 2001:db8::/64 of node "bad" are not routed: the cluster\'s pods are in 10.244.0.0/16'],
  ["this node's pods", node("bad", ["10.244.1.128/25"]), 'pods 10.244.1.128/25 of node "bad" are not routed: node "me" has 10.244.1.0/24'],
  ["an address among this node's pods", node("bad", [], ["10.244.1.5"]), '10.244.1.5 of node "bad" is not believed: it is a pod\'s'],
  ["an address among another node's pods", node("bad", [], ["10.244.2.5"]), '10.244.2.5 of node "bad" is not believed: it is a pod\'s'],
];
for (const [what, bad, problem] of known) {
  test(`a node that says that it has ${what} changes nothing for the others`, () => {
    const others = [node("me", ["10.244.1.0/24"], ["192.0.2.1"]), node("b", ["10.244.2.0/24"], ["192.0.2.2"])];
    const of = { me: ["10.244.1.0/24"], b: ["10.244.2.0/24"] };
    for (const all of [[...others, bad], [bad, ...others]]) expect(told(all, ["10.244.0.0/16"])).toEqual({ of, problems: [problem] });
  });
}

const cidr = record({ a: nat(3), b: nat(3), prefix: integer({ min: 12, max: 26 }) }).map(({ a, b, prefix }) => `10.${a * 16}.${b * 64}.0/${prefix}`);
const someNodes = array(record({ subnets: array(cidr, { maxLength: 2 }), at: nat(40) }), { maxLength: 12 })
  .map((all) => all.map(({ subnets, at }, index) => node(`n${index}`, subnets, [`10.${(at % 4) * 16}.${at}.9`])));

test("no two subnets that are believed overlap, none of another's holds a node, and each that is not is told of", () => {
  assert(property(someNodes, (nodes) => {
    const { of, problems } = subnetsOf(nodes, { self: "n0", clusterSubnets: [] });
    const all = [...of.values()].flat();
    for (const [at, one] of all.entries()) for (const other of all.slice(at + 1)) expect(overlaps(one, other)).toBe(false);
    const others = [...of].filter(([name]) => name !== "n0").flatMap(([, subnets]) => subnets);
    for (const one of others) for (const { addresses } of nodes) for (const ip of addresses) expect(contains(one, ip)).toBe(false);
    expect(all.length + problems.filter((one) => one.includes("are not routed")).length).toBe(nodes.flatMap(({ podSubnets }) => podSubnets).length);
  }));
});
