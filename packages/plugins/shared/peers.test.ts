import { expect, test } from "bun:test";
import { parsePeers } from "./peers.ts";

const node = (over: object) => ({ name: "node-1", addresses: ["192.168.50.11"], podSubnets: ["10.244.1.0/24"], ...over });
const parse = (...nodes: unknown[]) => parsePeers(JSON.stringify({ nodes }), "nodes.json");

test("a list of nodes is read", () => {
  const [one] = parse(node({ podSubnets: ["10.244.1.0/24", "fd00:0:0:1::/64"] }));
  expect(one).toMatchObject({ name: "node-1" });
  expect(one?.addresses.map(String)).toEqual(["192.168.50.11"]);
  expect(one?.podSubnets.map(String)).toEqual(["10.244.1.0/24", "fd00:0:0:1::/64"]);
});

const wrong: readonly [what: string, nodes: unknown[], says: string][] = [
  ["a node without a name", [node({ name: "" })], 'nodes[0].name is ""'],
  ["a node without addresses", [node({ addresses: [] })], 'nodes[0].addresses of "node-1" is missing (a list is wanted)'],
  ["an address that is none", [node({ addresses: ["192.168.50"] })], 'nodes[0].addresses[0] of "node-1"'],
  ["a subnet that is none", [node({ podSubnets: ["10.244.1.0"] })], 'nodes[0].podSubnets[0] of "node-1"'],
  ["two nodes with one name", [node({}), node({ addresses: ["192.168.50.12"], podSubnets: ["10.244.2.0/24"] })], 'two nodes are called "node-1"'],
  ["two nodes with one address", [node({}), node({ name: "node-2", podSubnets: ["10.244.2.0/24"] })], 'both have address 192.168.50.11'],
  ["two nodes with pods in one subnet", [node({}), node({ name: "node-2", addresses: ["192.168.50.12"], podSubnets: ["10.244.0.0/16"] })], "overlaps"],
];
for (const [what, nodes, says] of wrong) {
  test(`${what} is refused, with the file's name`, () => {
    expect(() => parse(...nodes)).toThrow(RangeError);
    expect(() => parse(...nodes)).toThrow(says);
    expect(() => parse(...nodes)).toThrow('"nodes.json"');
  });
}

test("what is no JSON, or no list, is refused", () => {
  expect(() => parsePeers("{", "nodes.json")).toThrow(RangeError);
  expect(() => parsePeers("[]", "nodes.json")).toThrow('"nodes" is missing');
});
