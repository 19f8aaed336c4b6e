/**
 * The way through a node whose administrator, Docker or libvirt has set the forward policy to drop. The plugin puts an
 * accept for its own prefixes at the head of that chain, whoever made it, and takes it out with its last pod.
 */
import { expect } from "bun:test";
import { address } from "../../../tests/conformance/node/node.ts";
import { stageTest, type Stage } from "../testing/stage.ts";

const config = { cniVersion: "1.1.0", name: "mynet", type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24" };
const dual = { ...config, network: ["10.244.0.0/16", "fd00:10:244::/48"], subnet: ["10.244.0.0/24", "fd00:10:244::/64"] };

const others: readonly [who: string, argv: readonly string[]][] = [
  ["a chain of nft that runs before ours", ["nft", "table inet guard { chain through { type filter hook forward priority -10; policy drop; }; }"]],
  ["a chain of nft that runs after ours", ["nft", "table ip guard { chain through { type filter hook forward priority 10; policy drop; }; }"]],
  ["a chain of nft whose last rule rejects the rest", ["nft", "table inet guard { chain through { type filter hook forward priority 0; policy accept; counter reject; }; }"]],
  ["iptables, as Docker sets it", ["iptables-nft", "-P", "FORWARD", "DROP"]],
];

for (const [who, argv] of others) {
  stageTest(`pods reach the world and each other where what is forwarded is dropped by ${who}`, async (stage) => {
    await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    await stage.node.run(argv);
    const before = await stage.state();
    const pods = [await stage.addPod("pod1"), await stage.addPod("pod2")];
    for (const pod of pods) expect((await stage.call({ command: "ADD", config, pod })).code).toBe(0);
    expect(await reaches(stage, "pod1", "10.244.0.3")).toBe(true);
    expect(await reaches(stage, "pod1", address.world4)).toBe(true);
    for (const pod of pods) expect((await stage.call({ command: "DEL", config, pod })).code).toBe(0);
    for (const pod of pods) await stage.deletePod(pod);
    expect(await stage.state()).toEqual(before);
  });
}

stageTest("iptables still reads and writes its own chain with our accept in it", async (stage) => {
  await stage.node.run(["iptables-nft", "-P", "FORWARD", "DROP"]);
  await stage.node.run(["iptables-nft", "-A", "FORWARD", "-s", "192.0.2.0/24", "-j", "ACCEPT"]);
  const pod = await stage.addPod("pod1");
  await stage.call({ command: "ADD", config, pod });
  const rules = (await stage.node.run(["iptables-nft", "-S", "FORWARD"])).trim().split("\n");
  expect(rules).toHaveLength(4);
  expect(rules).toContain("-P FORWARD DROP");
  expect(rules.filter((rule) => rule.includes("10.244.0.0/16") && rule.includes("ACCEPT"))).toHaveLength(2);
  await stage.node.run(["iptables-nft", "-A", "FORWARD", "-s", "203.0.113.0/24", "-j", "ACCEPT"]);
  await stage.call({ command: "DEL", config, pod });
  expect((await stage.node.run(["iptables-nft", "-S", "FORWARD"])).trim().split("\n")).toEqual([
    "-P FORWARD DROP", "-A FORWARD -s 192.0.2.0/24 -j ACCEPT", "-A FORWARD -s 203.0.113.0/24 -j ACCEPT",
  ]);
});

stageTest("each family gets an accept only where the chain sees it, once for each network", async (stage) => {
  await stage.node.run(["nft", "table ip6 guard { chain through { type filter hook forward priority 0; policy drop; }; }"]);
  const pods = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  for (const pod of pods) expect((await stage.call({ command: "ADD", config: dual, pod })).code).toBe(0);
  const chain = await stage.node.run(["nft", "-s", "list", "chain", "ip6", "guard", "through"]);
  expect(chain.split("\n").map((line) => line.trim()).filter((line) => line.includes("accept"))).toEqual([
    'ip6 daddr fd00:10:244::/48 counter accept comment "vethwork mynet to pods"',
    'ip6 saddr fd00:10:244::/48 counter accept comment "vethwork mynet from pods"',
  ]);
  expect(await reaches(stage, "pod1", "fd00:10:244::3")).toBe(true);
});

stageTest("a rule that drops before our accept cannot be helped: the policy can, a rule not", async (stage) => {
  const table = "table ip guard { chain through { type filter hook forward priority 10; policy accept; ip daddr 10.244.0.3 drop; }; }";
  await stage.node.run(["nft", table]);
  for (const name of ["pod1", "pod2"]) await stage.call({ command: "ADD", config, pod: await stage.addPod(name) });
  expect(await reaches(stage, "pod1", "10.244.0.3")).toBe(false);
  expect(await reaches(stage, "pod2", address.world4)).toBe(false);
  expect(await reaches(stage, "pod1", address.world4)).toBe(true);
});

stageTest("CHECK tells of a chain that began to drop after ADD, and the next pod's ADD helps both", async (stage) => {
  const pods = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  const [pod, next] = pods;
  if (!pod || !next) return;
  const { result: prevResult } = await stage.call({ command: "ADD", config, pod });
  await stage.node.run(["iptables-nft", "-P", "FORWARD", "DROP"]);
  const check = () => stage.call({ command: "CHECK", config: { ...config, prevResult }, pod });
  expect((await check()).result).toMatchObject({ code: 100, msg: expect.stringContaining('chain "FORWARD" of table "filter" drops what "vethwork mynet from pods" should accept') });
  await stage.call({ command: "ADD", config, pod: next });
  expect((await check()).code).toBe(0);
  expect(await reaches(stage, "pod1", address.world4)).toBe(true);
});

async function reaches(stage: Stage, pod: string, ip: string): Promise<boolean> {
  return (await stage.node.exec(["ip", "netns", "exec", pod, "ping", "-c", "1", "-W", "1", ip])).code === 0;
}
