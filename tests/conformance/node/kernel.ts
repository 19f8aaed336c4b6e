/**
 * What the running kernel was built with, asked of the kernel itself: it is told to make one of each, in a namespace that
 * nobody else sees. Kernels of small virtual machines often lack half of these; tests/e2e/vm has one that has them all.
 */
import { cleanEnv } from "./node.ts";

/** An option, and the shell line that succeeds where the kernel has it. */
const probes = {
  CONFIG_BRIDGE_VLAN_FILTERING: "ip link add x type bridge vlan_filtering 1",
  CONFIG_DUMMY: "ip link add x type dummy",
  CONFIG_IPVLAN: "ip link add x link near type ipvlan mode l2",
  CONFIG_NET_VRF: "ip link add x type vrf table 1",
  CONFIG_VLAN_8021Q: "ip link add x link near type vlan id 1",
} as const;

export type KernelOption = keyof typeof probes;

let known: ReadonlySet<string> | undefined;

/** The first of the options that the kernel lacks; "" where it has them all. Needs root. */
export function kernelLacks(...options: readonly KernelOption[]): string {
  known ??= probe();
  return options.find((option) => !known?.has(option)) ?? "";
}

function probe(): ReadonlySet<string> {
  const lines = Object.entries(probes).map(([option, line]) => `${line} 2>/dev/null && echo ${option}; ip link del x 2>/dev/null`);
  const script = ["ip link add near type veth peer name far", ...lines].join("\n");
  const child = Bun.spawnSync(["unshare", "--net", "sh", "-c", script], { env: cleanEnv, stdin: "ignore", stderr: "ignore" });
  return new Set(child.stdout.toString().split("\n"));
}
