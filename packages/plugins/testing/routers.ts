/**
 * A pod on two routers that know nothing of each other, and both lead to 203.0.113.9 (2001:db8:9::9). An answer that comes
 * to the wrong router is lost, so a ping that is answered went there and back by its own interface.
 *
 *     router0 10.1.0.1 ── eth0 10.1.0.5 ┐
 *                                       pod1      default via 10.1.0.1
 *     router1 10.9.0.1 ── net1 10.9.0.7 ┘         198.51.100.0/24 via 10.9.0.1
 */
import type { JsonObject } from "@vethwork/cni";
import type { Pod, Stage } from "./stage.ts";

export const pod: Pod = { name: "pod1", netns: "/run/netns/pod1" };

/** What plugins before would have said of it. */
export const prevResult: JsonObject = {
  cniVersion: "1.0.0", interfaces: [{ name: "port0" }, { name: "net1", mac: "02:00:00:00:09:07", sandbox: pod.netns }, { name: "eth0", sandbox: pod.netns }],
  ips: [
    { address: "10.9.0.7/24", gateway: "10.9.0.1", interface: 1 }, { address: "fd09::7/64", gateway: "fd09::1", interface: 1 },
    { address: "10.1.0.5/24", gateway: "10.1.0.1", interface: 2 },
  ],
};

/** Makes it; anew where it was made before. One ip for each namespace, since some tests make it a hundred times. */
export async function addRouters(stage: Stage): Promise<void> {
  const names = ["pod1", "router0", "router1"];
  const inPod = ["link set lo up"];
  const batches = [batch("-force", names.map((name) => `netns del ${name}`)), batch("", names.map((name) => `netns add ${name}`))];
  for (const [at, name, net, own] of [[0, "eth0", 1, 5], [1, "net1", 9, 7]] as const) {
    batches.push(batch(`-n router${at}`, [
      "link set lo up", `link add port type veth peer name ${name} netns pod1`, "link set port addrgenmode none up",
      `addr add 10.${net}.0.1/24 dev port`, `addr add fd0${net}::1/64 dev port nodad`, "addr add 203.0.113.9/32 dev lo", "addr add 2001:db8:9::9/128 dev lo nodad",
    ]));
    inPod.push(`link set ${name} addrgenmode none up`, `addr add 10.${net}.0.${own}/24 dev ${name}`, `addr add fd0${net}::${own}/64 dev ${name} nodad`);
  }
  inPod.push("route add default via 10.1.0.1", "route add default via fd01::1", "route add 198.51.100.0/24 via 10.9.0.1 mtu 1300", "route add 2001:db8:7::/48 via fd09::1");
  await stage.node.run(["sh", "-c", [...batches, batch("-n pod1", inPod)].join("\n")]);
}

const batch = (options: string, lines: readonly string[]): string => [`ip ${options} -b - <<END`, ...lines, "END"].join("\n");

/** Rules and routes of the pod, without the kernel's own table. */
export async function routingOf(stage: Stage): Promise<string[]> {
  const told = await Promise.all([["-4", "rule"], ["-6", "rule"], ["-4", "route", "show", "table", "all"], ["-6", "route", "show", "table", "all"]].map((argv) => stage.node.run(["ip", "-n", "pod1", ...argv])));
  return told.join("").split("\n").map((line) => line.trim().replaceAll(/\s+/g, " ")).filter((line) => line !== "" && !/table local|^(?:local|broadcast|anycast|multicast) /.test(line)).toSorted();
}

/** Whether a ping from a namespace, and an address or device in it, is answered. */
export const ping = async (stage: Stage, netns: string, from: string, to: string): Promise<boolean> =>
  (await stage.node.exec(["ip", "netns", "exec", netns, "ping", "-c1", "-W1", "-I", from, to])).code === 0;
