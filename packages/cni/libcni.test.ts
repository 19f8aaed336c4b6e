/** The runtime's side: which plugin is asked what, in which order, with which words; and what the cache then knows. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CniError } from "./errors.ts";
import { networkConfFromBytes, networkListFromPlugin, networkPluginConfFromBytes } from "./networks.ts";
import type { RuntimeConf } from "./cache.ts";
import { bench, listOf, refusal, type Asked } from "./testing/plugins.ts";

const runtime: RuntimeConf = { containerId: "pod1", netns: "/run/netns/pod1", ifname: "eth0" };
const chain = listOf("1.0.0", [{ type: "one", mine: 1 }, { type: "two", capabilities: { portMappings: true, other: true, off: false } }, { type: "three" }]);
const list = networkConfFromBytes(chain);
const TYPES = ["one", "two", "three"];
const ips = (address: string) => ({ cniVersion: "1.0.0", ips: [{ address }] });
const brief = (asked: readonly Asked[]): string[] => asked.map(({ type, command }) => `${command} ${type}`);
const fault = async (work: Promise<unknown>): Promise<CniError | undefined> => work.then(() => undefined, (error: unknown) => (error instanceof CniError ? error : undefined));

test("ADD goes through the chain in order, each with the result of the one before; DEL goes back, each with the last result", async () => {
  using on = bench(TYPES, ({ type, command }) => (command === "ADD" ? { stdout: JSON.stringify(ips(`10.0.0.${TYPES.indexOf(type) + 1}/24`)) } : undefined));
  const result = await on.cni.addNetworkList(list, runtime);
  expect(result).toEqual({ ips: [{ address: "10.0.0.3/24" }] });
  expect(brief(on.asked)).toEqual(["ADD one", "ADD two", "ADD three"]);
  expect(on.asked.map(({ config }) => config["prevResult"])).toEqual([undefined, ips("10.0.0.1/24"), ips("10.0.0.2/24")]);
  on.asked.length = 0;
  await on.cni.checkNetworkList(list, runtime);
  await on.cni.delNetworkList(list, runtime);
  expect(brief(on.asked)).toEqual(["CHECK one", "CHECK two", "CHECK three", "DEL three", "DEL two", "DEL one"]);
  expect(on.asked.map(({ config }) => config["prevResult"])).toEqual(Array.from({ length: 6 }, () => ips("10.0.0.3/24")));
});

test("a plugin gets its own object with the list's name and version, and all six variables", async () => {
  using on = bench(TYPES);
  await on.cni.addNetworkList(list, { ...runtime, args: [["K8S_POD_NAME", "web"], ["IgnoreUnknown", "1"]] });
  const [one] = on.asked;
  expect(one?.config).toEqual({ cniVersion: "1.0.0", name: "net", type: "one", mine: 1 });
  expect(one?.env).toEqual({
    PATH: "/usr/bin:/bin", CNI_COMMAND: "ADD", CNI_CONTAINERID: "pod1", CNI_NETNS: "/run/netns/pod1", CNI_IFNAME: "eth0",
    CNI_ARGS: "K8S_POD_NAME=web;IgnoreUnknown=1", CNI_PATH: join(on.folder, "bin"),
  });
});

test("runtimeConfig has what the runtime supplies and the plugin declares, and nothing else", async () => {
  using on = bench(TYPES);
  const capabilityArgs = { portMappings: [{ hostPort: 80, containerPort: 8080, protocol: "tcp" }], off: 1, mac: "02:00:00:00:00:01" };
  await on.cni.addNetworkList(list, { ...runtime, capabilityArgs });
  expect(on.asked.map(({ config }) => config["runtimeConfig"])).toEqual([undefined, { portMappings: capabilityArgs.portMappings }, undefined]);
});

test("the cache has the attachment in Go's place and form, and forgets it after DEL", async () => {
  using on = bench(TYPES);
  await on.cni.addNetworkList(list, { ...runtime, args: [["A", "b"]], capabilityArgs: { mac: "02:00:00:00:00:01" } });
  const file = join(on.cacheDir, "results", "net-pod1-eth0");
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
    kind: "cniCacheV1", containerId: "pod1", config: Buffer.from(chain).toString("base64"), ifName: "eth0", networkName: "net",
    netns: "/run/netns/pod1", cniArgs: [["A", "b"]], capabilityArgs: { mac: "02:00:00:00:00:01" }, result: { cniVersion: "1.0.0" },
  });
  expect(readdirSync(on.cacheDir)).toEqual(["results"]);
  expect(await on.cni.getNetworkListCachedResult(list, runtime)).toEqual({});
  expect(await on.cni.getNetworkListCachedConfig(list, runtime)).toEqual({ config: chain, runtime: { ...runtime, args: [["A", "b"]], capabilityArgs: { mac: "02:00:00:00:00:01" } } });
  expect(await on.cni.getCachedAttachments()).toMatchObject([{ containerId: "pod1", network: "net", ifname: "eth0", netns: "/run/netns/pod1" }]);
  expect(await on.cni.getCachedAttachments("pod2")).toEqual([]);
  await on.cni.delNetworkList(list, runtime);
  expect(existsSync(file)).toBe(false);
  expect([await on.cni.getNetworkListCachedResult(list, runtime), await on.cni.getNetworkListCachedConfig(list, runtime)]).toEqual([undefined, undefined]);
});

test("an error ends ADD there, names the plugin, keeps its code and details, and caches nothing", async () => {
  using on = bench(TYPES, ({ type }) => (type === "two" ? refusal(11, "try again", "no room") : undefined));
  const error = await fault(on.cni.addNetworkList(list, runtime));
  expect(error).toMatchObject({ code: 11, message: 'plugin type="two" failed (add): try again', details: "no room" });
  expect(brief(on.asked)).toEqual(["ADD one", "ADD two"]);
  expect(await on.cni.getCachedAttachments()).toEqual([]);
  expect(await fault(on.cni.delNetworkList(list, runtime))).toMatchObject({ code: 11, message: 'plugin type="two" failed (delete): try again' });
});

test("what a plugin says without an error object is told as it was said", async () => {
  for (const [outcome, message] of [
    [{ status: 1, stderr: "boom" }, 'netplugin failed: "boom": exit status 1'], [{ status: 3, stderr: "" }, "netplugin failed with no error message: exit status 3"],
    [{ status: "SIGKILL", stderr: "" }, "signal: SIGKILL"], [{ status: 1, stdout: "oh no" }, 'error parsing its diagnostic message "oh no"'],
  ] as const) {
    using on = bench(["one"], () => ({ stdout: "", ...outcome }));
    expect((await fault(on.cni.addNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }])), runtime)))?.message).toContain(message);
  }
});

test("a result that is no result is an error of its own", async () => {
  for (const stdout of ["{", "[]", '{"cniVersion":"1.0.0","ips":[{"address":"nowhere"}]}', '{"cniVersion":"9.9.9"}']) {
    using on = bench(["one"], () => ({ stdout }));
    expect(await fault(on.cni.addNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }])), runtime))).toBeInstanceOf(CniError);
  }
});

test("CHECK is of 0.4.0 and later, and not where the list switches it off", async () => {
  using on = bench(["one"]);
  const old = networkConfFromBytes(listOf("0.3.1", [{ type: "one" }]));
  expect(await fault(on.cni.checkNetworkList(old, runtime))).toMatchObject({ code: 1, message: 'configuration version "0.3.1" does not support the CHECK command' });
  await on.cni.checkNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }], { disableCheck: true })), runtime);
  expect(on.asked).toEqual([]);
});

test("DEL of before 0.4.0 has no previous result", async () => {
  using on = bench(["one"]);
  const old = networkConfFromBytes(listOf("0.3.1", [{ type: "one" }]));
  await on.cni.addNetworkList(old, runtime);
  await on.cni.delNetworkList(old, runtime);
  expect(on.asked.map(({ config }) => "prevResult" in config)).toEqual([false, false]);
});

test("DEL works without a cache, twice, and with a file that is no cache, which is then gone", async () => {
  using on = bench(["one"]);
  const one = networkConfFromBytes(listOf("1.0.0", [{ type: "one" }]));
  await on.cni.delNetworkList(one, runtime);
  await on.cni.delNetworkList(one, runtime);
  mkdirSync(join(on.cacheDir, "results"), { recursive: true });
  writeFileSync(join(on.cacheDir, "results", "net-pod1-eth0"), "{ half");
  expect((await fault(on.cni.checkNetworkList(one, runtime)))?.message).toStartWith('failed to get network "net" cached result: ');
  await on.cni.delNetworkList(one, runtime);
  expect(brief(on.asked)).toEqual(["DEL one", "DEL one", "DEL one"]);
  expect(readdirSync(join(on.cacheDir, "results"))).toEqual([]);
});

test("GC deletes what is in the cache and not in the list, then asks every plugin, with both names of the list", async () => {
  using on = bench(["one", "two"]);
  const gc = networkConfFromBytes(listOf("1.1.0", [{ type: "one" }, { type: "two" }]));
  for (const containerId of ["a", "b"]) await on.cni.addNetworkList(gc, { ...runtime, containerId });
  await on.cni.addNetworkList({ ...gc, name: "other" }, { ...runtime, containerId: "c" });
  on.asked.length = 0;
  const valid = [{ containerID: "a", ifname: "eth0" }];
  await on.cni.gcNetworkList(gc, valid);
  expect(brief(on.asked)).toEqual(["DEL two", "DEL one", "GC one", "GC two"]);
  expect(on.asked[0]?.env["CNI_CONTAINERID"]).toBe("b");
  expect(on.asked[2]?.config).toMatchObject({ name: "net", cniVersion: "1.1.0", "cni.dev/valid-attachments": valid, "cni.dev/attachments": valid });
  expect((await on.cni.getCachedAttachments()).map(({ containerId }) => containerId)).toEqual(["a", "c"]);
  expect((await on.cni.getCachedAttachments("c")).map(({ network }) => network)).toEqual(["other"]);
});

test("GC goes on after errors and tells all of them; before 1.1.0 it only deletes; a list may switch it off", async () => {
  using on = bench(["one", "two"], ({ command, type }) => (command === "GC" ? refusal(100, `cannot ${type}`) : undefined));
  const error = await fault(on.cni.gcNetworkList(networkConfFromBytes(listOf("1.1.0", [{ type: "one" }, { type: "two" }])), []));
  expect(error?.message).toBe("failed to GC plugin one: cannot one; failed to GC plugin two: cannot two");
  on.asked.length = 0;
  await on.cni.gcNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }])), []);
  await on.cni.gcNetworkList(networkConfFromBytes(listOf("1.1.0", [{ type: "one" }], { disableGC: true })), []);
  expect(on.asked).toEqual([]);
});

test("STATUS asks each plugin from 1.1.0 on, and gives the first error as it is", async () => {
  using on = bench(["one", "two"], ({ type }) => (type === "two" ? refusal(50, "not ready") : undefined));
  expect(await fault(on.cni.getStatusNetworkList(networkConfFromBytes(listOf("1.1.0", [{ type: "one" }, { type: "two" }]))))).toMatchObject({ code: 50, message: "not ready" });
  expect(on.asked.map(({ command, env }) => [command, env["CNI_CONTAINERID"], env["CNI_IFNAME"]])).toEqual([["STATUS", "", ""], ["STATUS", "", ""]]);
  on.asked.length = 0;
  await on.cni.getStatusNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "two" }])));
  expect(on.asked).toEqual([]);
});

test("validation finds every plugin, asks for its versions, and gives the capabilities that are wanted", async () => {
  using on = bench(TYPES, ({ type, command }) => (command === "VERSION" && type === "three" ? { stdout: '{"cniVersion":"1.0.0","supportedVersions":["0.4.0"]}' } : undefined));
  expect(await fault(on.cni.validateNetworkList(list))).toMatchObject({ message: '[plugin three does not support config version "1.0.0"]' });
  expect((await on.cni.validateNetworkList({ ...list, plugins: list.plugins.slice(0, 2) })).sort()).toEqual(["other", "portMappings"]);
  const missing = networkConfFromBytes(listOf("1.0.0", [{ type: "nobody" }, { type: "one" }]));
  expect((await fault(on.cni.validateNetworkList(missing)))?.message).toContain('failed to find plugin "nobody" in path');
  expect(await on.cni.getVersionInfo("three")).toEqual(["0.4.0"]);
});

test("a plugin that does not know VERSION is of the time of 0.1.0", async () => {
  using on = bench(["one"], ({ command }) => (command === "VERSION" ? refusal(4, "unknown CNI_COMMAND: VERSION") : undefined));
  expect(await on.cni.getVersionInfo("one")).toEqual(["0.1.0"]);
});

test("what may not be a container, a network, an interface or a plugin is refused before anything runs", async () => {
  using on = bench(["one"]);
  const one = networkConfFromBytes(listOf("1.0.0", [{ type: "one" }]));
  for (const wrong of [{ ...runtime, containerId: "" }, { ...runtime, containerId: "a/b" }, { ...runtime, ifname: "" }, { ...runtime, ifname: "sixteen-letters-" }, { ...runtime, ifname: "a/b" }]) {
    expect(await fault(on.cni.addNetworkList(one, wrong))).toMatchObject({ code: wrong.containerId === "" ? 3 : 4 });
  }
  for (const type of ["../one", "one/../one", "nobody"]) expect(await fault(on.cni.addNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type }])), runtime))).toMatchObject({ code: 4 });
  expect(on.asked).toEqual([]);
});

test("a plugin alone goes the same way, and a list made of it has its name", async () => {
  using on = bench(["one"]);
  const plugin = networkPluginConfFromBytes('{"cniVersion":"0.4.0","name":"solo","type":"one"}');
  await on.cni.addNetwork(plugin, runtime);
  expect(await on.cni.getNetworkCachedResult(plugin, runtime)).toEqual({});
  expect((await on.cni.getNetworkCachedConfig(plugin, runtime))?.config).toBe(plugin.source);
  await on.cni.checkNetwork(plugin, runtime);
  await on.cni.delNetwork(plugin, runtime);
  expect(brief(on.asked)).toEqual(["ADD one", "CHECK one", "DEL one"]);
  expect(await on.cni.validateNetwork(plugin)).toEqual([]);
  expect(networkListFromPlugin(plugin)).toMatchObject({ name: "solo", cniVersion: "0.4.0", plugins: [{ type: "one" }] });
});

test("every call is reported with what went in, what came out and how long it took; stderr is handed on", async () => {
  const traces: string[] = [];
  const said: string[] = [];
  using on = bench(["one"], () => ({ stderr: "by the way\n" }), {
    trace: ({ plugin, command, stdin, stdout, durationMs }) => traces.push(`${command} ${plugin} ${stdin.length > 0} ${stdout.length > 0} ${durationMs >= 0}`),
    onStderr: (text, plugin) => said.push(`${plugin}: ${text}`),
  });
  await on.cni.addNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }])), runtime);
  expect(traces).toEqual(["ADD one true true true"]);
  expect(said).toEqual(["one: by the way\n"]);
});
