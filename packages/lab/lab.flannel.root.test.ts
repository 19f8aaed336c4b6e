/** flannel in the lab: each node has what flanneld would leave there, host-gw's routes between them, and pods talk by the plugin. */
import { expect } from "bun:test";
import { find, isObject, parseJson } from "@vethwork/cni";
import { parseCidr, type Ip } from "@vethwork/linux";
import { LabFailure } from "./failure.ts";
import { openNetwork, outputOf, type Machine } from "./machine.ts";
import { probe, protocols } from "./probe.ts";
import { labTest } from "./testing/labtest.ts";

/** flanneld's share of node n, and its way to the other: all nodes are on one wire, so nothing is wrapped. */
const scriptFor = (own: number, other: number): string => `
mkdir -p /run/flannel
cat >/run/flannel/subnet.env <<ENV
FLANNEL_NETWORK=10.245.0.0/16
FLANNEL_SUBNET=10.245.${own}.1/24
FLANNEL_IPV6_NETWORK=fd00:10:245::/48
FLANNEL_IPV6_SUBNET=fd00:10:245:${own}::1/64
FLANNEL_MTU=1500
FLANNEL_IPMASQ=true
ENV
cat >/etc/cni/net.d/20-flannel.conflist <<CONF
{"cniVersion":"1.0.0","name":"flannel","plugins":[{"type":"flannel","delegate":{"hairpinMode":true,"isDefaultGateway":true}}, {"type":"tuning"}]}
CONF
ip route add 10.245.${other}.0/24 via 192.168.50.${10 + other}
ip route add fd00:10:245:${other}::/64 via fd50::${10 + other}`;

/** What an attachment leaves on a node, beside the bridge, which stays. */
const traces = (machine: Machine): Promise<string> =>
  outputOf(machine, ["sh", "-c", "ls /sys/class/net /run/netns; find /var/lib/cni -type f ! -name lock ! -name 'last_reserved*'; nft list ruleset; ip -br addr show type veth"]);

async function addPod(machine: Machine, name: string): Promise<Ip[]> {
  await outputOf(machine, ["ip", "netns", "add", name]);
  const result = parseJson(await outputOf(machine, ["vethwork", "cni", "add", "flannel", name]));
  const ips = isObject(result) ? find(result, "ips") : undefined;
  return Array.isArray(ips) ? ips.filter(isObject).map((ip) => parseCidr(String(find(ip, "address"))).ip) : [];
}

labTest("flannel: pods of two nodes reach each other with TCP, UDP and ICMP, unchanged, and leave nothing", { nodes: 2, pods: 2, families: [4, 6] }, async ({ nodes }) => {
  const [one, two] = nodes.map(({ machine }) => machine);
  if (!one || !two) throw new LabFailure("there are no two nodes");
  const before: string[] = [];
  for (const [machine, own, other] of [[one, 1, 2], [two, 2, 1]] as const) {
    await outputOf(machine, ["sh", "-euc", scriptFor(own, other)]);
    await addPod(machine, "warm"); // the bridge stays by intention
    await outputOf(machine, ["sh", "-ec", "vethwork cni del flannel warm; ip netns del warm"]);
    before.push(await traces(machine));
  }
  const pods = [{ machine: one, name: "a" }, { machine: one, name: "b" }, { machine: two, name: "c" }];
  const parties = [];
  for (const pod of pods) parties.push({ ...pod, addresses: await addPod(pod.machine, pod.name) });
  expect(parties.map(({ addresses }) => addresses.join(" "))).toEqual(["10.245.1.3 fd00:10:245:1::3", "10.245.1.4 fd00:10:245:1::4", "10.245.2.3 fd00:10:245:2::3"]);

  for (const from of parties) {
    for (const to of parties.filter((party) => party !== from)) {
      using near = openNetwork(from.machine, from.name);
      using far = openNetwork(to.machine, to.name);
      for (const [at, address] of to.addresses.entries()) {
        const seen = protocols.map((protocol) => probe(protocol, { from: near, to: far, address, timeoutMs: 2000 })).map((outcome) => (outcome.reached ? String(outcome.seen) : outcome.why));
        expect({ from: from.name, to: String(address), seen: new Set(seen) }).toEqual({ from: from.name, to: String(address), seen: new Set([String(from.addresses[at])]) });
      }
    }
  }
  for (const { machine, name } of pods) await outputOf(machine, ["sh", "-ec", `vethwork cni check flannel ${name}; vethwork cni del flannel ${name}; ip netns del ${name}`]);
  expect([await traces(one), await traces(two)]).toEqual(before);
});
