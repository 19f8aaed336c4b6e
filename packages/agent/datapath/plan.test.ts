import { describe, expect, test } from "bun:test";
import { array, assert, constantFrom, property, record, tuple } from "fast-check";
import { cidrOf, contains, parseCidr, parseIp, type Family } from "@vethwork/linux";
import type { ClusterNode } from "../cluster.ts";
import type { DatapathOptions } from "./datapath.ts";
import { endOf, macOfNode } from "./ends.ts";
import { planOf, type Plan } from "./plan.ts";
import { nodeOf, optionsOf, outsideIp, type NodeSpec } from "./testing/cluster.ts";
import type { Reach, Underlay } from "./ways.ts";

const BOTH = [4, 6] as const;
const near = { 4: parseCidr("192.0.2.0/24"), 6: parseCidr("fd50:0:0:a::/64") } as const;

/** node-1 on wire a: its own address, others on the wire, and everything else behind the router. */
const onWireA = ({ mtu = 1500, routers = true } = {}): Underlay => (ip): Reach | undefined => {
  const link = { link: "eth0", mtu };
  if (String(ip) === String(outsideIp(1, ip.family))) return { ...link, own: true };
  if (contains(near[ip.family], ip)) return link;
  return routers ? { ...link, via: parseIp(ip.family === 4 ? "192.0.2.1" : "fd50:0:0:a::1") } : undefined;
};

const plan = (specs: readonly (NodeSpec | ClusterNode)[], over: Partial<DatapathOptions> = {}, underlay = onWireA()): Plan =>
  planOf(specs.map((spec) => ("at" in spec ? nodeOf(spec) : spec)), optionsOf("node-1", over), underlay);

const routesOf = ({ routes }: Plan): string[] => routes.map(({ dst, via, link, onlink }) => `${dst}${via ? ` via ${via}` : ""}${link ? ` dev ${link}` : " closed"}${onlink ? " onlink" : ""}`);
const waysOf = ({ peers }: Plan): string[] => peers.map(({ name, way, because }) => `${name} ${way}: ${because}`);
const tunnelsOf = ({ tunnels }: Plan): string[] => tunnels.map(({ name, local, mtu, ends }) => `${name} ${local} mtu ${mtu}: ${ends.map(({ mac, host, inside }) => `${inside.join(" ")} at ${mac} at ${host}`).join(", ")}`);
const key = (byte: number): string => Buffer.alloc(32, byte).toString("base64");
const withKey = (spec: NodeSpec, wireguardKey: string): ClusterNode => ({ ...nodeOf(spec), published: { wireguardKey } });

const dual = { outside: BOTH, inside: BOTH };

describe("the way to another node", () => {
  test("on a link of ours: by its address, in both families, and its pods' packets are as large as the link's", () => {
    const made = plan([{ at: 1, ...dual }, { at: 2, ...dual }]);
    expect(routesOf(made)).toEqual(["10.244.2.0/24 via 192.0.2.12 dev eth0", "fd00:10:244:2::/64 via fd50:0:0:a::12 dev eth0"]);
    expect([waysOf(made), tunnelsOf(made), made.podMtu, made.problems]).toEqual([["node-2 direct: on link eth0"], [], 1500, []]);
  });

  test("behind a router: wrapped, over IPv4 where there is a choice", () => {
    const made = plan([{ at: 1, ...dual }, { at: 3, wire: "b", ...dual }]);
    expect(routesOf(made)).toEqual(["10.244.3.0/24 via 10.244.3.0 dev vethwork-vxlan4 onlink", "fd00:10:244:3::/64 via fd00:10:244:3:: dev vethwork-vxlan4 onlink"]);
    expect(tunnelsOf(made)).toEqual([`vethwork-vxlan4 192.0.2.11 mtu 1450: 10.244.3.0 fd00:10:244:3:: at ${macOfNode("node-3")} at 198.51.100.13`]);
    expect([waysOf(made), made.podMtu, made.problems]).toEqual([["node-3 vxlan: behind 192.0.2.1, so wrapped"], 1450, []]);
  });

  test("both kinds are in one cluster, and the nodes reached without a tunnel are those that pods speak to by their own address", () => {
    const made = plan([{ at: 1 }, { at: 2 }, { at: 3, wire: "b" }]);
    expect(waysOf(made)).toEqual(["node-2 direct: on link eth0", "node-3 vxlan: behind 192.0.2.1, so wrapped"]);
    expect(made.openNodes.map(String)).toEqual(["192.0.2.11", "192.0.2.12"]);
    expect(made.podMtu).toBe(1450);
  });

  test("always wrapped: also on a link of ours, and MTUs are so before there is another node", () => {
    expect(waysOf(plan([{ at: 1 }, { at: 2 }], { tunnel: "always" }))).toEqual(["node-2 vxlan: always wrapped"]);
    expect([plan([{ at: 1 }], { tunnel: "always" }).podMtu, plan([{ at: 1 }]).podMtu]).toEqual([1450, 1500]);
    expect(plan([{ at: 1, outside: [6] }], { tunnel: "always" }).podMtu).toBe(1430);
  });

  test("never wrapped: what is behind a router is the routers', and that is said", () => {
    const made = plan([{ at: 1 }, { at: 2 }, { at: 3, wire: "b" }], { tunnel: "never" });
    expect(waysOf(made)).toEqual(["node-2 direct: on link eth0", "node-3 none: behind 192.0.2.1, and nothing is to be wrapped"]);
    expect(routesOf(made)).toEqual(["10.244.2.0/24 via 192.0.2.12 dev eth0"]);
    expect(made.problems).toEqual(['pods of node "node-3" are left to the routers: it is behind 192.0.2.1, and nothing is to be wrapped']);
    const alone = plan([{ at: 1 }, { at: 3, wire: "b" }], { tunnel: "never" }, onWireA({ routers: false }));
    expect(alone.problems).toEqual(['pods of node "node-3" are left to the routers: it is without a route to it at 198.51.100.13']);
  });

  test("over IPv6 alone: both families of pods go inside, with less room", () => {
    const made = plan([{ at: 1, outside: [6], inside: BOTH }, { at: 3, wire: "b", outside: [6], inside: BOTH }]);
    expect(routesOf(made)).toEqual(["10.244.3.0/24 via 10.244.3.0 dev vethwork-vxlan6 onlink", "fd00:10:244:3::/64 via fd00:10:244:3:: dev vethwork-vxlan6 onlink"]);
    expect(made.podMtu).toBe(1430);
  });

  test("a family of pods that is on no link: the node is wrapped whole, so that both sides decide alike", () => {
    const made = plan([{ at: 1, inside: BOTH }, { at: 2, inside: BOTH }]);
    expect(waysOf(made)).toEqual(["node-2 vxlan: on a link of ours, but not in each family that pods have, so wrapped"]);
    const back = plan([{ at: 1, inside: [4] }, { at: 2, inside: [6] }]);
    expect(waysOf(back)).toEqual(["node-2 vxlan: on a link of ours, but not in each family that pods have, so wrapped"]);
  });

  test("a node without a way outside has its tunnel all the same, for when there is one, and that is said", () => {
    const made = plan([{ at: 1 }, { at: 3, wire: "b" }], {}, onWireA({ routers: false }));
    expect(routesOf(made)).toEqual(["10.244.3.0/24 via 10.244.3.0 dev vethwork-vxlan4 onlink"]);
    expect([waysOf(made), made.problems]).toEqual([["node-3 vxlan: on no link of ours, so wrapped"], ['there is no route to node "node-3" at 198.51.100.13']]);
    expect(made.podMtu).toBe(1450);
  });

  test("without a family in common there is none", () => {
    const made = plan([{ at: 1, outside: [4] }, { at: 3, outside: [6] }]);
    expect(made.problems).toEqual(['node "node-3" cannot be reached: its addresses (fd50:0:0:a::13) and ours (192.0.2.11) have no family in common']);
    expect(routesOf(made)).toEqual([]);
  });

  test("a node without a pod subnet has none yet, and one on our link may be spoken to all the same", () => {
    const made = plan([{ at: 1 }, { at: 2, inside: [] }, { at: 3, wire: "b", inside: [] }]);
    expect(waysOf(made)).toEqual(["node-2 none: no pod subnet yet", "node-3 none: no pod subnet yet"]);
    expect([made.problems, made.openNodes.map(String)]).toEqual([[], ["192.0.2.11", "192.0.2.12"]]);
  });

  test("a node that says it has our address is not believed", () => {
    const made = plan([{ at: 1 }, { ...nodeOf({ at: 2 }), addresses: [outsideIp(1, 4)] }]);
    expect([routesOf(made), made.problems]).toEqual([[], ['node "node-2" says that it has 192.0.2.11, which is this node\'s']]);
  });
});

describe("encrypted", () => {
  const self = withKey({ at: 1 }, key(1));
  const over = { encrypt: "wireguard" } as const;

  test("a node with a key is reached by it, wherever it is; a node without is closed", () => {
    const made = plan([self, withKey({ at: 2 }, key(2)), { at: 3, wire: "b" }], over);
    expect(routesOf(made)).toEqual(["10.244.2.0/24 dev vethwork-wg", "10.244.3.0/24 closed"]);
    expect(waysOf(made)).toEqual([`node-2 wireguard: its key is ${key(2)}`, "node-3 none: no key published yet"]);
    const { encryption } = made;
    expect(encryption?.peers.map(({ key: its, endpoint, allowed }) => `${its} ${endpoint?.ip} ${endpoint?.port} ${allowed.join(" ")}`)).toEqual([`${key(2)} 192.0.2.12 8476 10.244.2.0/24`]);
    expect([encryption?.mtu, made.podMtu, made.tunnels, made.openNodes.map(String)]).toEqual([1440, 1440, [], ["192.0.2.11"]]);
  });

  test("a key that does not read is none, and one that two nodes have is nobody's", () => {
    const made = plan([self, withKey({ at: 2 }, "junk"), withKey({ at: 3 }, key(3)), withKey({ at: 4 }, key(3)), withKey({ at: 5 }, key(1))], over);
    expect(routesOf(made)).toEqual(["10.244.2.0/24 closed", "10.244.3.0/24 closed", "10.244.4.0/24 closed", "10.244.5.0/24 closed"]);
    expect(waysOf(made)[0]).toBe("node-2 none: its published key does not read");
    expect(made.problems).toEqual(["node-3", "node-4", "node-5"].map((name) => `node "${name}" has the key of another node`));
  });

  test("the room is less, most over IPv6, and is kept free before there is another node", () => {
    expect(plan([self], over).podMtu).toBe(1440);
    expect(plan([{ at: 1, outside: [6] }], over).podMtu).toBe(1420);
  });
});

describe("packets' sizes", () => {
  test("the tightest way counts, and an MTU that was asked for stands, with a word where it does not fit", () => {
    const jumbo: Underlay = (ip) => { const reach = onWireA({ mtu: 9000 })(ip); return reach && (reach.via ? { ...reach, mtu: 1500 } : reach); };
    expect(plan([{ at: 1 }, { at: 2 }], {}, jumbo).podMtu).toBe(9000);
    expect(plan([{ at: 1 }, { at: 2 }, { at: 3, wire: "b" }], {}, jumbo).podMtu).toBe(1450);
    const asked = plan([{ at: 1 }, { at: 3, wire: "b" }], { mtu: 1500 });
    expect([asked.podMtu, asked.tunnels[0]?.mtu, asked.problems]).toEqual([1500, 1450, ["packets of 1500 bytes are asked for, and no more than 1450 get through to all nodes"]]);
    expect(plan([{ at: 1 }], { mtu: 1400 })).toMatchObject({ podMtu: 1400, problems: [] });
  });

  test("too small for IPv6 is said", () => {
    expect(plan([{ at: 1, inside: BOTH, outside: BOTH }, { at: 3, wire: "b", inside: BOTH, outside: BOTH }], {}, onWireA({ mtu: 1300 })).problems)
      .toEqual(["pods have IPv6, and packets of no more than 1250 bytes get through (1280 are wanted)"]);
  });
});

test("an address that is said to be ours and is on no link is told of", () => {
  expect(plan([{ ...nodeOf({ at: 1 }), addresses: [parseIp("192.0.2.99")] }]).problems).toEqual(["192.0.2.99 is said to be this node's address, and no link of it has that"]);
  expect(plan([{ ...nodeOf({ at: 1 }), addresses: [] }]).problems).toEqual(["this node has no address in the cluster"]);
});

test("without this node among them there is no plan", () => expect(() => plan([{ at: 2 }])).toThrow('this node, "node-1", is not among the cluster\'s 1'));

const families = constantFrom<readonly Family[]>([4], [6], [4, 6]);
const spec = record({ wire: constantFrom("a" as const, "b" as const), outside: families, inside: families });
const some = tuple(spec, array(spec, { maxLength: 8 })).map(([first, others]): NodeSpec[] => [{ ...first, at: 1, wire: "a" }, ...others.map((one, at) => ({ ...one, at: at + 2 }))]);
const over = record({ tunnel: constantFrom("auto" as const, "always" as const, "never" as const), encrypt: constantFrom("none" as const, "wireguard" as const) });

test("every subnet has one route at the most, and whoever is routed to by a tunnel is known at its other end", () => {
  assert(property(some, over, (specs, options) => {
    const made = plan(specs.map((one) => (one.at % 3 === 0 ? nodeOf(one) : withKey(one, key(one.at)))), options);
    const texts = made.routes.map(({ dst }) => String(dst));
    expect(new Set(texts).size).toBe(texts.length);
    for (const { dst, link, via, node } of made.routes) {
      if (link?.startsWith("vethwork-vxlan")) {
        const end = made.tunnels.find(({ name }) => name === link)?.ends.find(({ mac }) => String(mac) === String(macOfNode(node)));
        expect(end?.inside.map(String)).toContain(String(endOf(dst)));
      } else if (link === "vethwork-wg") {
        expect(made.encryption?.peers.some(({ allowed }) => allowed.some((one) => String(one) === String(dst)))).toBe(true);
      } else if (link !== undefined) {
        expect(via && contains(near[via.family], via)).toBe(true);
      }
    }
    if (options.encrypt === "wireguard") expect(made.routes.every(({ link }) => link === undefined || link === "vethwork-wg")).toBe(true);
    expect(made.peers.map(({ name }) => name)).toEqual(specs.slice(1).map(({ at }) => `node-${at}`));
  }));
});

test("two nodes on one wire decide alike about each other", () => {
  assert(property(spec, spec, over, (one, other, options) => {
    const [a, b] = [{ ...one, at: 1, wire: "a" as const }, { ...other, at: 2, wire: "a" as const }].map((its) => withKey(its, key(its.at)));
    if (!a || !b) return;
    const fromB: Underlay = (ip) => { const reach = onWireA()(ip); const isOwn = String(ip) === String(outsideIp(2, ip.family)); return reach && { link: "eth0", mtu: 1500, ...(isOwn && { own: true }) }; };
    const [there, back] = [planOf([a, b], optionsOf("node-1", options), onWireA()), planOf([a, b], optionsOf("node-2", options), fromB)];
    expect(there.peers[0]?.way).toBe(back.peers[0]?.way ?? "none");
    expect(cidrOf(there.openNodes[0] ?? parseIp("0.0.0.0")).prefix).toBeGreaterThan(0);
  }));
});
