/**
 * What is started for one call: a plugin's own file, or a runtime's library that starts a whole chain of them.
 *
 *     a plugin    bridge                                     CNI_… variables, the configuration on stdin
 *     vethwork    vethwork cni add bench /run/netns/pod      our library; plugins that are the program itself run inside
 *     libcni      gocni                                      Go's library (tests/conformance/cnitool), every plugin a process
 *
 * The process of a library is counted, too; in a runtime it would be there already, so that a chain's figures are a little worse
 * for both than what a runtime sees.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildGoCni, goCniLacks } from "../tests/conformance/cnitool/go-cni.ts";
import type { Runtime, Side } from "./cases.ts";

/** One process, and how to know that it did its work. */
export interface Start {
  argv: string[];
  env: Record<string, string>;
  stdin: Uint8Array;
  failed(exitCode: number | null, stdout: string): boolean;
}

export const NETNS = "/run/netns";
/** In the node, whose /run is its own. */
const NETWORKS = "/run/bench-networks";
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** What the machine lacks to start plugins so; "" when nothing. */
export const runtimeLacks = (runtime: Runtime | undefined): string => (runtime === "libcni" ? goCniLacks() : "");

/** Gives the function that says what to start for a command and a pod. A chain's list becomes a file that the libraries find. */
export function startsOf(side: Side): (command: string, pod: string) => Start {
  if (side.runtime === undefined) return (command, pod) => pluginStart(side, command, pod);
  mkdirSync(NETWORKS, { recursive: true });
  writeFileSync(join(NETWORKS, "bench.conflist"), JSON.stringify(side.config));
  if (side.runtime === "vethwork") return (command, pod) => vethworkStart(side, command, pod);
  const program = buildGoCni();
  return (command, pod) => libcniStart(program, side, command, pod);
}

function pluginStart({ bin, type, config }: Side, command: string, pod: string): Start {
  return {
    argv: [join(bin, type)],
    env: { PATH, CNI_COMMAND: command, CNI_CONTAINERID: pod, CNI_NETNS: join(NETNS, pod), CNI_IFNAME: "eth0", CNI_PATH: bin },
    stdin: Buffer.from(JSON.stringify(forPod(config, pod))),
    failed: (exitCode) => exitCode !== 0,
  };
}

function vethworkStart({ bin, type, capabilities = {} }: Side, command: string, pod: string): Start {
  return {
    argv: [join(bin, type), "cni", command.toLowerCase(), "bench", join(NETNS, pod), "--container-id", pod],
    env: { PATH, NETCONFPATH: NETWORKS, CNI_PATH: bin, CAP_ARGS: JSON.stringify(forPod(capabilities, pod)) },
    stdin: new Uint8Array(),
    failed: (exitCode) => exitCode !== 0,
  };
}

/** It ends with 0 when a plugin refuses, too: that is an answer. */
function libcniStart(program: string, { bin, capabilities = {} }: Side, command: string, pod: string): Start {
  const request = {
    command: command.toLowerCase(), conf: join(NETWORKS, "bench.conflist"), path: [bin], cacheDir: "/var/lib/cni",
    containerId: pod, netns: join(NETNS, pod), ifName: "eth0", capabilityArgs: forPod(capabilities, pod),
  };
  return {
    argv: [program],
    env: { PATH },
    stdin: Buffer.from(JSON.stringify(request)),
    failed: (exitCode, stdout) => exitCode !== 0 || stdout.startsWith('{"error"'),
  };
}

const forPod = (value: object, pod: string): unknown => JSON.parse(JSON.stringify(value).replaceAll('"HOST_PORT"', () => String(portOf(pod))));

/** Each pod's own, from 10000 on. */
function portOf(pod: string): number {
  if (!ports.has(pod)) ports.set(pod, 10_000 + ports.size);
  return ports.get(pod) ?? 0;
}
const ports = new Map<string, number>();
