/** bandwidth with as many packets as will go: what arrives is what was asked for, in both directions and families. */
import { expect } from "bun:test";
import { parseIp, type Family, type Netns } from "@vethwork/linux";
import { address } from "../../../tests/conformance/node/node.ts";
import { stageTest, type Stage } from "../testing/stage.ts";
import { isClose, measure, netnsOn, type Flow } from "../testing/throughput.ts";

const MBIT = 1e6;
const limits = { ingressRate: 20 * MBIT, ingressBurst: 5 * MBIT, egressRate: 50 * MBIT, egressBurst: 12 * MBIT };
const spent = { afterBytes: 2e6, forMs: 600 }; // more than the larger bucket holds
const ipam = { type: "host-local", ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "fd00:1:2::/64" }]], routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] };
const podIp = { 4: "10.1.2.2", 6: "fd00:1:2::2" } as const;
const gateway = { 4: "10.1.2.1", 6: "fd00:1:2::1" } as const;
const world = { 4: address.world4, 6: address.world6 } as const;

/** A pod on a cable, with limits, and a world that has a way to it. */
async function addPod(stage: Stage, options: object): Promise<void> {
  const pod = await stage.addPod("pod1");
  const common = { cniVersion: "1.0.0", name: "slow" };
  const { code, result: prevResult } = await stage.call({ command: "ADD", pod, config: { ...common, type: "ptp", ipam } });
  expect(code).toBe(0);
  expect(await stage.call({ command: "ADD", pod, config: { ...common, type: "bandwidth", ...options, prevResult } })).toMatchObject({ code: 0, err: "" });
  await stage.node.run(["sh", "-c", `ip -n world route add 10.1.2.0/24 via ${address.node4}; ip -n world route add fd00:1:2::/64 via ${address.node6}`]);
}

/** Both directions, one after the other: answers to what goes one way would compete with what goes the other. `free` runs beside. */
function expectLimits({ pod, other, ip, family, kind = "tcp", free }: Ends & { free?: Pick<Ends, "other" | "ip"> }): void {
  const ways = ({ other: far, ip: farIp }: Pick<Ends, "other" | "ip">): [Flow, Flow] => [
    { kind, from: far, to: pod, address: parseIp(podIp[family]) }, { kind, from: pod, to: far, address: parseIp(farIp) },
  ];
  const [towards, from] = ways({ other, ip });
  const [freeTowards, freeFrom] = free ? ways(free) : [];
  for (const [what, limited, beside, rate] of [["to the pod", towards, freeTowards, limits.ingressRate], ["from the pod", from, freeFrom, limits.egressRate]] as const) {
    const [measured, freely] = measure(beside ? [limited, beside] : [limited], { ...spent, until: ([first]) => isClose(first, rate) });
    const isFree = freely === undefined || freely > 2 * rate;
    expect({ what, family, kind, measured, isAsAsked: isClose(measured, rate), freely, isFree }).toEqual({ what, family, kind, measured, isAsAsked: true, freely, isFree: true });
  }
}

interface Ends {
  pod: Netns;
  other: Netns;
  /** Of the other. */
  ip: string;
  family: Family;
  kind?: "tcp" | "udp";
}

stageTest("a pod gets and sends at the rates of its limits: TCP and UDP, IPv4 and IPv6", async (stage) => {
  await addPod(stage, { runtimeConfig: { bandwidth: limits } });
  using other = netnsOn(stage);
  using pod = netnsOn(stage, "pod1");
  for (const family of [4, 6] as const) {
    for (const kind of ["tcp", "udp"] as const) expectLimits({ pod, other, ip: gateway[family], family, kind });
  }
});

for (const [option, isWorldLimited] of [["unshapedSubnets", false], ["shapedSubnets", true]] as const) {
  stageTest(`${option}: what goes to the one side and comes from it is limited, and not to the other, by IPv4 and by IPv6`, async (stage) => {
    await addPod(stage, { ...limits, [option]: ["192.0.2.0/24", "2001:db8::/64"] });
    using node = netnsOn(stage);
    using pod = netnsOn(stage, "pod1");
    using there = netnsOn(stage, "world");
    for (const family of [4, 6] as const) {
      const [nodes, worlds] = [{ other: node, ip: gateway[family] }, { other: there, ip: world[family] }];
      expectLimits({ pod, family, ...(isWorldLimited ? { ...worlds, free: nodes } : { ...nodes, free: worlds }) });
    }
  });
}

stageTest("a device without an end on the node, macvlan here, is limited in the pod", async (stage) => {
  const made = await stage.addPod("pod1");
  const common = { cniVersion: "1.0.0", name: "slow" };
  const onWire = { type: "static", addresses: [{ address: `${podIp[4]}/24` }, { address: `${podIp[6]}/64` }] };
  const { code, result: prevResult } = await stage.call({ command: "ADD", pod: made, config: { ...common, type: "macvlan", master: "eth0", ipam: onWire } });
  expect(code).toBe(0);
  expect((await stage.call({ command: "ADD", pod: made, config: { ...common, type: "bandwidth", ...limits, prevResult } })).code).toBe(0);
  await stage.node.run(["sh", "-c", `ip -n world addr add ${gateway[4]}/24 dev eth0; ip -n world addr add ${gateway[6]}/64 dev eth0 nodad`]);
  using pod = netnsOn(stage, "pod1");
  using other = netnsOn(stage, "world");
  for (const family of [4, 6] as const) expectLimits({ pod, other, ip: gateway[family], family });
});

stageTest("a burst of less than a packet still lets packets pass, at about the rate", async (stage) => {
  await addPod(stage, { ingressRate: 20 * MBIT, ingressBurst: 8, egressRate: 20 * MBIT, egressBurst: 12_000 });
  using node = netnsOn(stage);
  using pod = netnsOn(stage, "pod1");
  const measured = measure([{ kind: "udp", from: node, to: pod, address: parseIp(podIp[4]) }, { kind: "udp", from: pod, to: node, address: parseIp(gateway[4]) }], { afterBytes: 2e4, forMs: 1000 });
  for (const bits of measured) expect({ bits, isNear: bits > 10 * MBIT && bits < 21 * MBIT }).toEqual({ bits, isNear: true });
});

stageTest("the burst that runtimes write where there is none passes at once, all of it, and then who waits does not wait long", async (stage) => {
  await addPod(stage, { runtimeConfig: { bandwidth: { egressRate: 10 * MBIT, egressBurst: 2 ** 32 - 1 } } });
  using node = netnsOn(stage);
  using pod = netnsOn(stage, "pod1");
  const flows: Flow[] = [{ kind: "tcp", from: pod, to: node, address: parseIp(gateway[4]) }];
  measure(flows, { afterBytes: 450e6, forMs: 1 }); // of 512 MiB; in the reference it is over after 193 MB at this rate, and this would take minutes
  const isSpent = (): boolean => isClose(measure(flows, { afterBytes: 1e5, forMs: 100 })[0], 10 * MBIT);
  for (let tries = 0; tries < 100 && !isSpent(); tries++) continue;
  const pinged = stage.node.exec(["ping", "-c1", "-W5", podIp[4]]);
  const [measured] = measure(flows, { afterBytes: 1e5, forMs: 600, until: ([rate]) => isClose(rate, 10 * MBIT) });
  expect({ measured, isAsAsked: isClose(measured, 10 * MBIT) }).toEqual({ measured, isAsAsked: true });
  const rttMs = Number(/time=([\d.]+) ms/.exec((await pinged).out)?.[1]);
  expect({ rttMs, isShort: rttMs < 2000 }).toEqual({ rttMs, isShort: true });
});
