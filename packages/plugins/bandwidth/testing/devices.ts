/** A pod with a device that plugins before are to have made, and what traffic control there is around it. */
import { isObject, parseJson, type JsonObject } from "@vethwork/cni";
import type { Answer, Pod, Stage } from "../../testing/stage.ts";

/** One end of a cable, with the other, `near`, on the node; or a device that has no end there. */
export type Device = "cable" | "alone";

export const netName = "mynet";
export const pod: Pod = { name: "abc123", netns: "/run/netns/pod1" };
export const prevResult: JsonObject = { cniVersion: "1.0.0", interfaces: [{ name: "near" }, { name: "eth0", sandbox: pod.netns }] };
export const limits = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 16_000_000, egressBurst: 1_600_000 };

/** Makes it; anew where it was made before. `id` is of the namespace, and of the cable where there are several. */
export async function addDevice(stage: Stage, device: Device, id = "pod1"): Promise<void> {
  const near = id === "pod1" ? "near" : `near-${id}`;
  const make = device === "cable" ? `ip link add ${near} mtu 1400 type veth peer name eth0 mtu 1400 netns ${id}; ip link set ${near} address 02:00:00:00:00:01; ip link set ${near} addrgenmode none up` : `ip -n ${id} link add eth0 mtu 1400 type bridge`;
  await stage.node.run(["sh", "-c", `ip link del ${near} 2>/dev/null; ip netns del ${id} 2>/dev/null; ip netns add ${id}; ${make}; ip -n ${id} link set eth0 addrgenmode none up`]);
}

export interface How {
  program?: string;
  ifname?: string;
  env?: Record<string, string>;
  pod?: Pod;
  /** Without the usual limits. */
  bare?: boolean;
}

/** Calls the plugin for eth0 of the pod. */
export const call = (stage: Stage, command: string, options: object = {}, { bare = false, ...how }: How = {}): Promise<Answer> =>
  stage.call({ command, pod, config: { cniVersion: "1.0.0", name: netName, type: "bandwidth", ...(!bare && limits), prevResult, ...options }, ...how });

/** The qdiscs that somebody put there, each in a line. */
export async function buckets(stage: Stage): Promise<{ node: string[]; pod: string[] }> {
  const [node, inPod] = await Promise.all([["tc", "-j", "qdisc", "show"], ["tc", "-n", "pod1", "-j", "qdisc", "show"]].map((argv) => stage.node.run(argv)));
  return { node: told(node), pod: told(inPod) };
}

function told(text = ""): string[] {
  const list = parseJson(text.trim() || "[]");
  return (Array.isArray(list) ? list.filter(isObject) : []).filter(({ handle }) => handle !== "0:").map(({ dev, kind, options }) => {
    const { rate, burst } = isObject(options) ? options : {};
    return [dev, kind, rate, typeof burst === "string" ? burst.replace(/\/1$/, "") : burst].filter((one) => one !== undefined).join(" ");
  });
}

/** Everything around the device, on the node and in the pod: links, qdiscs and filters, without numbers that are chance. */
export async function seen(stage: Stage): Promise<string[]> {
  const ofDevice = (at: string, dev: string): string => `tc ${at} filter show dev ${dev} parent ffff:; tc ${at} filter show dev ${dev} egress`;
  const script = `{ ip -br link; tc qdisc; ip -n pod1 -br link; tc -n pod1 qdisc; ${ofDevice("", "near")}; ${ofDevice("-n pod1", "eth0")}; } 2>/dev/null; true`;
  return (await stage.node.run(["sh", "-c", script])).split("\n").map((line) => line.replace(/index \d+|@if\d+|(?:[\da-f]{2}:){5}[\da-f]{2}/g, "").replaceAll(/\s+/g, " ").trim()).filter((line) => line !== "");
}
