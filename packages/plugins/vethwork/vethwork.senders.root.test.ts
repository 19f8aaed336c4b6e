/**
 * A pod has its own address and nobody else's: what it sends with another one reaches nobody, by real packets. Each row is an
 * address that a pod could wish to have; the oracle is a count in the receiver's own namespace.
 */
import { expect } from "bun:test";
import { address } from "../../../tests/conformance/node/node.ts";
import { stageTest, type Pod, type Stage } from "../testing/stage.ts";

const config = {
  cniVersion: "1.1.0", name: "mynet", type: "vethwork", network: ["10.244.0.0/16", "fd00:10:244::/48"], subnet: ["10.244.1.0/24", "fd00:10:244:1::/64"],
};
const receiver = { 4: "10.244.1.3", 6: "fd00:10:244:1::3" } as const;

const senders: readonly [whose: string, family: 4 | 6, source: string, arrives: boolean][] = [
  ["its own", 4, "10.244.1.2", true],
  ["its own", 6, "fd00:10:244:1::2", true],
  ["the receiver's", 4, "10.244.1.3", false],
  ["the receiver's", 6, "fd00:10:244:1::3", false],
  ["another pod's of the node", 4, "10.244.1.4", false],
  ["another pod's of the node", 6, "fd00:10:244:1::4", false],
  ["a free one of the subnet", 4, "10.244.1.77", false],
  ["a free one of the subnet", 6, "fd00:10:244:1::77", false],
  ["one of another node's pods", 4, "10.244.2.9", false],
  ["one of another node's pods", 6, "fd00:10:244:2::9", false],
  ["the node's", 4, address.node4, false],
  ["the node's", 6, address.node6, false],
  ["one of the world", 4, address.world4, false],
  ["one of the world", 6, address.world6, false],
  ["one of nobody", 4, "198.51.100.1", false],
  ["one of nobody", 6, "2001:db8:9::1", false],
  ["its gateway's", 4, "169.254.1.1", false],
  ["an address of the node's loopback", 4, "127.0.0.1", false],
];

/** What distributions and other networks set: off, strict, and loose, which would let pass whatever there is a route for. */
for (const all of [0, 1, 2]) {
  stageTest(`a pod sends with its own addresses alone, also where net.ipv4.conf.all.rp_filter is ${all}`, async (stage) => {
    await stage.node.run(["sysctl", "-qw", `net.ipv4.conf.all.rp_filter=${all}`]);
    const [pod, other] = await addPods(stage, config);
    for (const [whose, family, source, arrives] of senders) {
      expect({ whose, source, count: await packetsFrom(stage, { pod, other, family, source }) }).toEqual({ whose, source, count: arrives ? 1 : 0 });
    }
  });
}

stageTest("a pod that may forward sends with any address, where `sourceCheck` is false", async (stage) => {
  const open = { ...config, sourceCheck: false };
  await stage.node.run(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0"]);
  const [pod, other] = await addPods(stage, open);
  for (const [family, source] of [[4, "10.244.1.77"], [6, "fd00:10:244:1::77"], [4, "198.51.100.1"]] as const) {
    expect({ source, count: await packetsFrom(stage, { pod, other, family, source }) }).toEqual({ source, count: 1 });
  }
  expect(await stage.node.run(["nft", "list", "ruleset"])).not.toContain("senders");
});

stageTest("a pod that answers for others' addresses gets nothing of theirs, whoever asks", async (stage) => {
  const [pod, other] = await addPods(stage, config);
  for (const family of [4, 6] as const) {
    const { ip, request } = WORDS[family];
    await inPod(stage, pod, "ip", "addr", "add", `${receiver[family]}/${family === 4 ? 32 : 128}`, "dev", "eth0", ...(family === 6 ? ["nodad"] : []));
    await inPod(stage, pod, "sysctl", "-qw", "net.ipv4.conf.eth0.arp_notify=1", "net.ipv6.conf.eth0.ndisc_notify=1");
    await inPod(stage, pod, "ip", "link", "set", "eth0", "addrgenmode", "none", "down");
    await inPod(stage, pod, "ip", "link", "set", "eth0", "up"); // both tell all on the cable that the addresses are here
    for (const one of [pod, other]) await table(stage, one, `chain in { type filter hook prerouting priority -400; ${ip} daddr ${receiver[family]} ${request} counter; };`);
    expect((await stage.node.exec(["ping", "-n", "-c", "1", "-W", "5", receiver[family]])).code).toBe(0);
    expect([await packetsIn(stage, pod), await packetsIn(stage, other)]).toEqual([0, 1]);
  }
});

stageTest("CHECK tells of the rule that is gone and of the cable that has left its group; the next ADD brings the rule back", async (stage) => {
  const pod = await stage.addPod("pod1");
  const { result: prevResult } = await stage.call({ command: "ADD", config, pod });
  const check = () => stage.call({ command: "CHECK", config: { ...config, prevResult }, pod });
  expect((await check()).code).toBe(0);
  await stage.node.run(["nft", "flush", "chain", "inet", "vethwork", "senders-mynet"]);
  expect((await check()).result).toMatchObject({ code: 100, msg: expect.stringContaining("fib saddr . iif oif missing counter drop") });
  expect((await stage.call({ command: "ADD", config, pod: await stage.addPod("pod2") })).code).toBe(0);
  expect((await check()).code).toBe(0);
  const cable = (await stage.node.run(["ip", "-o", "link", "show", "group", "118"])).match(/veth[0-9a-f]{11}/g) ?? [];
  expect(cable).toHaveLength(2);
  for (const name of cable) await stage.node.run(["ip", "link", "set", name, "group", "0"]);
  expect((await check()).result).toMatchObject({ code: 100, msg: expect.stringContaining("has left group 118") });
});

async function addPods(stage: Stage, net: object): Promise<[Pod, Pod]> {
  const pods: [Pod, Pod] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  for (const pod of [...pods, await stage.addPod("pod3")]) expect((await stage.call({ command: "ADD", config: net, pod })).code).toBe(0);
  return pods;
}

const inPod = (stage: Stage, { name }: Pod, ...argv: string[]): Promise<string> => stage.node.run(["ip", "netns", "exec", name, ...argv]);

interface Sending {
  pod: Pod;
  other: Pod;
  family: 4 | 6;
  source: string;
}

const WORDS = { 4: { ip: "ip", request: "icmp type echo-request" }, 6: { ip: "ip6", request: "icmpv6 type echo-request" } } as const;
const MARKED = "7";

/**
 * How many of one packet with that sender reach the other pod. Its own kernel would not send for an address that it has not, so
 * the sender is written over on the way out. A packet of its own follows: when that is answered, the first has come or never will.
 */
async function packetsFrom(stage: Stage, { pod, other, family, source }: Sending): Promise<number> {
  const { ip, request } = WORDS[family];
  await table(stage, pod, `chain out { type filter hook postrouting priority 400; meta mark ${MARKED} ${request} ${ip} saddr set ${source}; };`);
  await table(stage, other, `chain in { type filter hook prerouting priority -400; ${ip} saddr ${source} ${request} counter; };`);
  await ping(stage, pod, ["-m", MARKED, "-W", "0.05", receiver[family]]);
  const came = await packetsIn(stage, other);
  expect((await ping(stage, pod, ["-W", "5", receiver[family]])).code).toBe(0);
  return source === own(family) ? came : packetsIn(stage, other);
}

const own = (family: 4 | 6): string | undefined => senders.find(([whose, of]) => whose === "its own" && of === family)?.[2];

const ping = (stage: Stage, { name }: Pod, argv: readonly string[]) => stage.node.exec(["ip", "netns", "exec", name, "ping", "-n", "-c", "1", ...argv]);

const table = (stage: Stage, pod: Pod, chains: string): Promise<string> =>
  inPod(stage, pod, "nft", `table inet seen; delete table inet seen; table inet seen { ${chains} }`);

const packetsIn = async (stage: Stage, pod: Pod): Promise<number> =>
  Number(/packets (\d+)/.exec(await inPod(stage, pod, "nft", "list", "table", "inet", "seen"))?.[1]);
