/**
 * A stage for plugins: a node of namespaces, pods that are empty namespaces in it, and the real binary, called as a
 * runtime calls it.
 *
 *     await onStage(async (stage) => {
 *       const pod = await stage.addPod("pod1");
 *       const added = await stage.call({ command: "ADD", config, pod });
 *       expect(added.result.ips[0].address).toBe("10.244.0.2/32");
 *     });
 *
 * What the plugin does stays in the node and goes with it; the stage fails a test that leaves something on the machine.
 */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { networkState, remains, type NetworkState } from "../../../tests/conformance/node/leftovers.ts";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { startNode, type Node, type Output } from "../../../tests/conformance/node/node.ts";

/** The built links, one for each CNI type: of the shipped binary, and of the one with fault points (linux/faults.ts). */
export const binFolder = join(import.meta.dir, "../../../dist/cni-bin");
export const faultyBinFolder = join(import.meta.dir, "../../../dist/test/cni-bin");

/** A container's network namespace, under the name it has in the node. */
export interface Pod {
  name: string;
  /** The path of its namespace, as the node sees it. */
  netns: string;
}

export interface PluginCall {
  command: string;
  /** An object is printed as JSON; text goes to the plugin's stdin as it is. */
  config: object | string;
  /** CNI_CONTAINERID and CNI_NETNS; variables in `env` come before it. */
  pod?: Pod;
  /** CNI_IFNAME; eth0 unless given. */
  ifname?: string;
  /** More variables, or others. One that is "" is not set at all. */
  env?: Record<string, string>;
  /** The plugin's file; unless given, the link of the configuration's type in `binFolder`. */
  program?: string;
  timeoutMs?: number;
}

/** What a plugin answered: exit code, both outputs, and what stdout says as JSON. */
export interface Answer extends Output {
  /** The result, or the error object; {} where stdout is empty. */
  result: JsonObject;
}

export interface Stage {
  node: Node;
  /** The folder of the plugins' links, as CNI_PATH has it. */
  bin: string;
  /** Makes an empty namespace with a name. */
  addPod(name: string): Promise<Pod>;
  deletePod(pod: Pod): Promise<void>;
  call(call: PluginCall): Promise<Answer>;
  /** Everything that ADD may have made in the node. */
  state(): Promise<NetworkState>;
}

/** What the machine lacks for these tests; "" where nothing. */
export const stageLacks: string = missing({
  root: true,
  programs: ["ip", "nft", "nsenter"],
  files: { [binFolder]: "npm run build", [faultyBinFolder]: "npm run build -- --test" },
});

/** A test on a stage of its own, skipped with the reason where the machine lacks something. */
export function stageTest(title: string, act: (stage: Stage) => Promise<void>, timeoutMs = 60_000): void {
  test.skipIf(stageLacks !== "")(skipped(title, stageLacks), () => onStage(act), timeoutMs);
}

/** Plays on a new node, takes it down in any case, and looks whether anything of it is left. */
export async function onStage(act: (stage: Stage) => Promise<void>): Promise<void> {
  const node = await startNode();
  try {
    await act(stageOn(node));
  } finally {
    await node.stop();
  }
  expect(remains(node)).toEqual([]);
}

function stageOn(node: Node): Stage {
  return {
    node,
    bin: binFolder,
    addPod: async (name) => {
      await node.run(["ip", "netns", "add", name]);
      return { name, netns: `/run/netns/${name}` };
    },
    deletePod: async ({ name }) => void (await node.run(["ip", "netns", "del", name])),
    call: (call) => callPlugin(node, call),
    state: () => networkState(node),
  };
}

async function callPlugin(node: Node, { command, config, pod, ifname = "eth0", env, program, timeoutMs = 30_000 }: PluginCall): Promise<Answer> {
  const variables = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: pod?.name ?? "",
    CNI_NETNS: pod?.netns ?? "",
    CNI_IFNAME: ifname,
    CNI_PATH: binFolder,
    ...env,
  };
  const set = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ""));
  const stdin = typeof config === "string" ? config : JSON.stringify(config);
  const type = typeof config === "object" && "type" in config ? String(config.type) : "vethwork";
  const output = await node.exec([program ?? join(binFolder, type)], { env: set, stdin, timeoutMs });
  return { ...output, result: objectIn(output.out) };
}

function objectIn(text: string): JsonObject {
  if (text === "") return {};
  const json = parseJson(text);
  return isObject(json) ? json : {};
}

/** True where the built binary serves a type. */
export const isBuilt = (type: string): boolean => existsSync(join(binFolder, type));
