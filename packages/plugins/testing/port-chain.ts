/**
 * Pods with host ports: a plugin that connects the pod, and portmap behind it, called one after the other as a runtime does.
 *
 *        world 192.0.2.254 ═══ 192.0.2.1 node 10.1.2.1 ─── cni0 ─┬─ pod1 10.1.2.2
 *     2001:db8::fe         2001:db8::1        fd00:1:2::1        └─ pod2 10.1.2.3
 */
import { expect } from "bun:test";
import { find, type JsonObject } from "@vethwork/cni";
import { dualIpam } from "./interface-suite.ts";
import { binFolder, type Answer, type Pod, type Stage } from "./stage.ts";

export interface PortMapping {
  hostPort: number;
  containerPort: number;
  protocol: string;
  hostIP?: string;
}

export const bridge = { type: "bridge", isDefaultGateway: true, ipam: dualIpam };

export interface PortPod {
  pod: Pod;
  /** What the plugin before portmap said. */
  before: JsonObject;
  /** Calls portmap for the pod with its options, or others. */
  portmap(command: string, more?: object, how?: { program?: string; env?: Record<string, string> }): Promise<Answer>;
  /** Takes the pod down: portmap first, as runtimes do. */
  end(): Promise<void>;
}

export interface PodWish {
  name: string;
  /** The network's name; "mynet" unless given. */
  network?: string;
  /** The plugin before. */
  main?: JsonObject & { type: string };
  /** portmap's own options. */
  options?: object;
  ports?: readonly PortMapping[];
}

/** Connects a pod, and maps its ports. */
export async function addPortPod(stage: Stage, wish: PodWish): Promise<PortPod> {
  const one = await connectPod(stage, wish);
  const added = await one.portmap("ADD");
  expect({ pod: wish.name, code: added.code, msg: find(added.result, "msg"), details: find(added.result, "details") }).toEqual({ pod: wish.name, code: 0, msg: undefined, details: undefined });
  return one;
}

/** Connects a pod, whose ports are not mapped yet. */
export async function connectPod(stage: Stage, { name, network = "mynet", main = bridge, options = {}, ports = [] }: PodWish): Promise<PortPod> {
  const pod = await stage.addPod(name);
  const base = { cniVersion: "1.1.0", name: network };
  const connected = await stage.call({ command: "ADD", config: { ...base, ...main }, pod });
  expect({ pod: name, code: connected.code, msg: find(connected.result, "msg") }).toEqual({ pod: name, code: 0, msg: undefined });
  const before = connected.result;
  const portmap: PortPod["portmap"] = (command, more = {}, { program, env } = {}) => {
    const config = { ...base, type: "portmap", ...options, runtimeConfig: { portMappings: ports }, prevResult: before, ...more };
    return stage.call({ command, config, pod, program: program ?? `${binFolder}/portmap`, ...(env && { env }) });
  };
  return {
    pod, before, portmap,
    end: async () => {
      expect(await portmap("DEL")).toMatchObject({ code: 0, out: "", err: "" });
      expect((await stage.call({ command: "DEL", config: { ...base, ...main }, pod })).code).toBe(0);
      await stage.deletePod(pod);
    },
  };
}
