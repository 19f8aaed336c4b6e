/**
 * Go's libcni and ours on one node: what one began, the other finishes, out of the same cache, with our plugin and with the
 * reference's chain.
 *
 *     Go: add ──▶ cache ──▶ ours: check, del          ours: add ──▶ cache ──▶ Go: check, del          GC: likewise
 */
import { beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCni, networkConfFromFile, type Cni, type Exec, type NetworkList, type RuntimeConf } from "@vethwork/cni";
import { networkState, remains } from "../node/leftovers.ts";
import { missing, skipped } from "../node/needs.ts";
import { startNode, type Node } from "../node/node.ts";
import { buildGoCni, goCni, goCniLacks } from "./go-cni.ts";

const dist = join(import.meta.dir, "../../../dist/cni-bin");
const reference = "/usr/lib/cni";

interface Chain {
  name: string;
  /** Name in the bin folder → program. */
  plugins: Record<string, string>;
  list: object;
}

const ofReference = (...types: string[]) => Object.fromEntries(types.map((type) => [type, join(reference, type)]));
/** Without portmap: the reference's CHECK looks for IPv6 rules that an IPv4 pod never had. */
const chains: readonly Chain[] = [
  {
    name: "our plugin",
    plugins: { vethwork: join(dist, "vethwork") },
    list: { cniVersion: "1.1.0", name: "mynet", plugins: [{ type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24", capabilities: { mac: true } }] },
  },
  {
    name: "the reference's chain",
    plugins: ofReference("bridge", "host-local", "tuning"),
    list: {
      cniVersion: "1.0.0", name: "mynet",
      plugins: [
        { type: "bridge", bridge: "cni0", isGateway: true, ipMasq: true, ipam: { type: "host-local", subnet: "10.244.0.0/24", routes: [{ dst: "0.0.0.0/0" }] } },
        { type: "tuning", capabilities: { mac: true } },
      ],
    },
  },
];

interface Both {
  node: Node;
  ours: Cni;
  list: NetworkList;
  go(command: "add" | "check" | "del" | "gc", more?: Partial<RuntimeConf>, valid?: readonly string[]): Promise<unknown>;
  cached(): string[];
  state(): ReturnType<typeof networkState>;
}

const runtimeOf = (pod: string): RuntimeConf => ({
  containerId: pod, netns: `/run/netns/${pod}`, ifname: "eth0", args: [["IgnoreUnknown", "1"], ["K8S_POD_NAME", pod]],
  capabilityArgs: { mac: pod === "pod1" ? "02:00:00:00:00:01" : "02:00:00:00:00:02", portMappings: [{ hostPort: pod === "pod1" ? 8081 : 8082, containerPort: 80, protocol: "tcp" }] },
});

const refersToNothing = [...Object.values(chains[1]?.plugins ?? {}), join(dist, "vethwork")];
const lacks = goCniLacks() || missing({ programs: ["iptables"], files: Object.fromEntries(refersToNothing.map((file) => [file, file.startsWith(dist) ? "npm run build" : "containernetworking-plugins"])) });

beforeAll(() => {
  if (lacks === "") buildGoCni();
}, 120_000);

for (const chain of chains) {
  const play = (title: string, act: (both: Both) => Promise<void>) => {
    const whole = `${chain.name}: ${title}`;
    test.skipIf(lacks !== "")(skipped(whole, lacks), () => onStage(chain, act), 60_000);
  };

  play("what Go added, ours checks and deletes; nothing is left", async ({ node, ours, list, go, cached, state }) => {
    await node.run(["ip", "netns", "add", "pod1"]);
    const before = await quiet(state);
    const result = await go("add", runtimeOf("pod1"));
    expect(await ours.getNetworkListCachedResult(list, runtimeOf("pod1"))).toMatchObject({ ips: [{ address: expect.stringContaining("10.244.0.") }] });
    expect((await ours.getNetworkListCachedConfig(list, runtimeOf("pod1")))?.runtime).toEqual(runtimeOf("pod1"));
    expect(result).toMatchObject({ cniVersion: list.cniVersion });
    await ours.checkNetworkList(list, runtimeOf("pod1"));
    await ours.delNetworkList(list, runtimeOf("pod1"));
    expect(cached()).toEqual([]);
    expect(await quiet(state)).toEqual(before);
  });

  play("what ours added, Go checks and deletes; nothing is left", async ({ node, ours, list, go, cached, state }) => {
    await node.run(["ip", "netns", "add", "pod1"]);
    const before = await quiet(state);
    const { ips = [] } = await ours.addNetworkList(list, runtimeOf("pod1"));
    const [address = ""] = (ips[0]?.address ?? "").split("/");
    expect((await node.exec(["ping", "-c", "1", "-W", "5", address])).code).toBe(0);
    expect(await go("check", runtimeOf("pod1"))).toBeNull();
    expect(await go("del", runtimeOf("pod1"))).toBeNull();
    expect(cached()).toEqual([]);
    expect(await quiet(state)).toEqual(before);
  });

  play("both write the same file about the same attachment, field by field", async ({ node, ours, list, go }) => {
    const files: unknown[] = [];
    for (const add of [() => go("add", runtimeOf("pod1")), () => ours.addNetworkList(list, runtimeOf("pod1"))]) {
      await node.run(["ip", "netns", "add", "pod1"]);
      await add();
      files.push(JSON.parse(readFileSync(join(node.dir, "cache/results/mynet-pod1-eth0"), "utf8")));
      await ours.delNetworkList(list, runtimeOf("pod1"));
      await node.run(["ip", "netns", "del", "pod1"]);
      await node.run(["sh", "-c", "rm -f /var/lib/cni/networks/*/last_reserved_ip.*"]); // both begin at the first address
    }
    const [byGo, byOurs] = files;
    expect(withoutMacs(byOurs)).toEqual(withoutMacs(byGo));
    expect(Object.keys(Object(byOurs))).toEqual(Object.keys(Object(byGo)));
  });

  play("GC by either takes what the other added, and leaves what is valid", async ({ node, ours, list, go, cached }) => {
    for (const pod of ["pod1", "pod2"]) await node.run(["ip", "netns", "add", pod]);
    const keep = [{ containerID: "pod2", ifname: "eth0" }];
    await ours.addNetworkList(list, runtimeOf("pod2"));
    await go("add", runtimeOf("pod1"));
    await ours.gcNetworkList(list, keep);
    expect(cached()).toEqual(["mynet-pod2-eth0"]);
    expect((await node.exec(["ip", "-n", "pod1", "link", "show", "eth0"])).code).not.toBe(0);
    await ours.addNetworkList(list, runtimeOf("pod1"));
    await go("gc", undefined, ["pod2"]);
    expect(cached()).toEqual(["mynet-pod2-eth0"]);
    expect((await node.exec(["ip", "-n", "pod1", "link", "show", "eth0"])).code).not.toBe(0);
    await ours.checkNetworkList(list, runtimeOf("pod2"));
  });
}

/** Both libraries on one node, with one cache, one list, and one folder of plugins. */
async function onStage({ plugins, list }: Chain, act: (both: Both) => Promise<void>): Promise<void> {
  const node = await startNode();
  try {
    const bin = join(node.dir, "cni-bin");
    mkdirSync(bin);
    for (const [name, program] of Object.entries(plugins)) symlinkSync(program, join(bin, name));
    const conf = join(node.dir, "mynet.conflist");
    writeFileSync(conf, JSON.stringify(list));
    const cacheDir = join(node.dir, "cache");
    const exec: Exec = async ({ path, env, stdin }) => {
      const cni = Object.entries(env).flatMap(([key, value]) => (key.startsWith("CNI_") && value !== undefined ? [[key, value]] : []));
      const { code, out, err } = await node.exec([path], { env: Object.fromEntries(cni), stdin });
      return { status: code, stdout: out, stderr: err };
    };
    const go: Both["go"] = async (command, { containerId, netns, ifname, args, capabilityArgs } = {}, valid) => {
      const { result, error } = await goCni(node, {
        command, conf, path: [bin], cacheDir,
        ...(containerId !== undefined && { containerId }), ...(netns !== undefined && { netns }), ...(ifname !== undefined && { ifName: ifname }),
        ...(args && { args }), ...(capabilityArgs && { capabilityArgs }), ...(valid && { validAttachments: valid.map((containerID) => ({ containerID, ifname: "eth0" })) }),
      });
      expect(error).toBeUndefined();
      return result;
    };
    const results = join(cacheDir, "results");
    await act({
      node, go, ours: createCni({ path: [bin], cacheDir, exec }), list: networkConfFromFile(conf),
      cached: () => (existsSync(results) ? readdirSync(results) : []), state: () => networkState(node),
    });
  } finally {
    await node.stop();
  }
  expect(remains(node)).toEqual([]);
}

/** What the reference's chain keeps on purpose after its last pod: its bridge, and iptables' empty chains. */
async function quiet(state: Both["state"]): Promise<object> {
  const { links, addresses, routes, files, netns } = await state();
  const kept = (line: string): boolean => /\bcni0\b|\b10\.244\.0\.(?:0|1|255)\b|xtables\.lock/.test(line);
  return Object.fromEntries(Object.entries({ links, addresses, routes, files, netns }).map(([key, lines]) => [key, lines.filter((line) => !kept(line))]));
}

/** Names and MAC addresses of host ends that the kernel chose. */
function withoutMacs(value: unknown): unknown {
  const text = JSON.stringify(value).replace(/"veth[0-9a-f]{8}"/g, '"veth"').replace(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g, "mac");
  return JSON.parse(text);
}
