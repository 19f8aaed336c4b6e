/** The runtime's side: which plugin is asked what, in which order, with which words; and what the cache then knows. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CniError } from "./errors.ts";
import { networkConfFromBytes, networkListFromPlugin, networkPluginConfFromBytes } from "./networks.ts";
import type { RuntimeConf } from "./cache.ts";
import { assertHas, bench, listOf, refusal, type Asked } from "./testing/plugins.ts";

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
  assert.deepEqual(result, { ips: [{ address: "10.0.0.3/24" }] });
  assert.deepEqual(brief(on.asked), ["ADD one", "ADD two", "ADD three"]);
  assert.deepEqual(on.asked.map(({ config }) => config["prevResult"]), [undefined, ips("10.0.0.1/24"), ips("10.0.0.2/24")]);
  on.asked.length = 0;
  await on.cni.checkNetworkList(list, runtime);
  await on.cni.delNetworkList(list, runtime);
  assert.deepEqual(brief(on.asked), ["CHECK one", "CHECK two", "CHECK three", "DEL three", "DEL two", "DEL one"]);
  assert.deepEqual(on.asked.map(({ config }) => config["prevResult"]), Array.from({ length: 6 }, () => ips("10.0.0.3/24")));
});

test("a plugin gets its own object with the list's name and version, and all six variables", async () => {
  using on = bench(TYPES);
  await on.cni.addNetworkList(list, { ...runtime, args: [["K8S_POD_NAME", "web"], ["IgnoreUnknown", "1"]] });
  const [one] = on.asked;
  assert.deepEqual(one?.config, { cniVersion: "1.0.0", name: "net", type: "one", mine: 1 });
  assert.deepEqual(one?.env, {
    PATH: "/usr/bin:/bin", CNI_COMMAND: "ADD", CNI_CONTAINERID: "pod1", CNI_NETNS: "/run/netns/pod1", CNI_IFNAME: "eth0",
    CNI_ARGS: "K8S_POD_NAME=web;IgnoreUnknown=1", CNI_PATH: join(on.folder, "bin"),
  });
});

test("runtimeConfig has what the runtime supplies and the plugin declares, and nothing else", async () => {
  using on = bench(TYPES);
  const capabilityArgs = { portMappings: [{ hostPort: 80, containerPort: 8080, protocol: "tcp" }], off: 1, mac: "02:00:00:00:00:01" };
  await on.cni.addNetworkList(list, { ...runtime, capabilityArgs });
  assert.deepEqual(on.asked.map(({ config }) => config["runtimeConfig"]), [undefined, { portMappings: capabilityArgs.portMappings }, undefined]);
});

test("the cache has the attachment in Go's place and form, and forgets it after DEL", async () => {
  using on = bench(TYPES);
  await on.cni.addNetworkList(list, { ...runtime, args: [["A", "b"]], capabilityArgs: { mac: "02:00:00:00:00:01" } });
  const file = join(on.cacheDir, "results", "net-pod1-eth0");
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), {
    kind: "cniCacheV1", containerId: "pod1", config: Buffer.from(chain).toString("base64"), ifName: "eth0", networkName: "net",
    netns: "/run/netns/pod1", cniArgs: [["A", "b"]], capabilityArgs: { mac: "02:00:00:00:00:01" }, result: { cniVersion: "1.0.0" },
  });
  assert.deepEqual(readdirSync(on.cacheDir), ["results"]);
  assert.deepEqual(await on.cni.getNetworkListCachedResult(list, runtime), {});
  assert.deepEqual(await on.cni.getNetworkListCachedConfig(list, runtime), { config: chain, runtime: { ...runtime, args: [["A", "b"]], capabilityArgs: { mac: "02:00:00:00:00:01" } } });
  assertHas(await on.cni.getCachedAttachments(), [{ containerId: "pod1", network: "net", ifname: "eth0", netns: "/run/netns/pod1" }]);
  assert.deepEqual(await on.cni.getCachedAttachments("pod2"), []);
  await on.cni.delNetworkList(list, runtime);
  assert.equal(existsSync(file), false);
  assert.deepEqual([await on.cni.getNetworkListCachedResult(list, runtime), await on.cni.getNetworkListCachedConfig(list, runtime)], [undefined, undefined]);
});

test("an error ends ADD there, names the plugin, keeps its code and details, and caches nothing", async () => {
  using on = bench(TYPES, ({ type }) => (type === "two" ? refusal(11, "try again", "no room") : undefined));
  const error = await fault(on.cni.addNetworkList(list, runtime));
  assertHas(error, { code: 11, message: 'plugin type="two" failed (add): try again', details: "no room" });
  assert.deepEqual(brief(on.asked), ["ADD one", "ADD two"]);
  assert.deepEqual(await on.cni.getCachedAttachments(), []);
  assertHas(await fault(on.cni.delNetworkList(list, runtime)), { code: 11, message: 'plugin type="two" failed (delete): try again' });
});

test("what a plugin says without an error object is told as it was said", async () => {
  for (const [outcome, message] of [
    [{ status: 1, stderr: "boom" }, 'netplugin failed: "boom": exit status 1'], [{ status: 3, stderr: "" }, "netplugin failed with no error message: exit status 3"],
    [{ status: "SIGKILL", stderr: "" }, "signal: SIGKILL"], [{ status: 1, stdout: "oh no" }, 'error parsing its diagnostic message "oh no"'],
  ] as const) {
    using on = bench(["one"], () => ({ stdout: "", ...outcome }));
    assert.ok((await fault(on.cni.addNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }])), runtime)))?.message.includes(message));
  }
});

test("a result that is no result is an error of its own", async () => {
  for (const stdout of ["{", "[]", '{"cniVersion":"1.0.0","ips":[{"address":"nowhere"}]}', '{"cniVersion":"9.9.9"}']) {
    using on = bench(["one"], () => ({ stdout }));
    assert.ok(await fault(on.cni.addNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }])), runtime)) instanceof CniError);
  }
});

test("CHECK is of 0.4.0 and later, and not where the list switches it off", async () => {
  using on = bench(["one"]);
  const old = networkConfFromBytes(listOf("0.3.1", [{ type: "one" }]));
  assertHas(await fault(on.cni.checkNetworkList(old, runtime)), { code: 1, message: 'configuration version "0.3.1" does not support the CHECK command' });
  await on.cni.checkNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }], { disableCheck: true })), runtime);
  assert.deepEqual(on.asked, []);
});

test("DEL of before 0.4.0 has no previous result", async () => {
  using on = bench(["one"]);
  const old = networkConfFromBytes(listOf("0.3.1", [{ type: "one" }]));
  await on.cni.addNetworkList(old, runtime);
  await on.cni.delNetworkList(old, runtime);
  assert.deepEqual(on.asked.map(({ config }) => "prevResult" in config), [false, false]);
});

test("DEL works without a cache, twice, and with a file that is no cache, which is then gone", async () => {
  using on = bench(["one"]);
  const one = networkConfFromBytes(listOf("1.0.0", [{ type: "one" }]));
  await on.cni.delNetworkList(one, runtime);
  await on.cni.delNetworkList(one, runtime);
  mkdirSync(join(on.cacheDir, "results"), { recursive: true });
  writeFileSync(join(on.cacheDir, "results", "net-pod1-eth0"), "{ half");
  assert.ok((await fault(on.cni.checkNetworkList(one, runtime)))?.message.startsWith('failed to get network "net" cached result: '));
  await on.cni.delNetworkList(one, runtime);
  assert.deepEqual(brief(on.asked), ["DEL one", "DEL one", "DEL one"]);
  assert.deepEqual(readdirSync(join(on.cacheDir, "results")), []);
});

test("GC deletes what is in the cache and not in the list, then asks every plugin, with both names of the list", async () => {
  using on = bench(["one", "two"]);
  const gc = networkConfFromBytes(listOf("1.1.0", [{ type: "one" }, { type: "two" }]));
  for (const containerId of ["a", "b"]) await on.cni.addNetworkList(gc, { ...runtime, containerId });
  await on.cni.addNetworkList({ ...gc, name: "other" }, { ...runtime, containerId: "c" });
  on.asked.length = 0;
  const valid = [{ containerID: "a", ifname: "eth0" }];
  await on.cni.gcNetworkList(gc, valid);
  assert.deepEqual(brief(on.asked), ["DEL two", "DEL one", "GC one", "GC two"]);
  assert.equal(on.asked[0]?.env["CNI_CONTAINERID"], "b");
  assertHas(on.asked[2]?.config, { name: "net", cniVersion: "1.1.0", "cni.dev/valid-attachments": valid, "cni.dev/attachments": valid });
  assert.deepEqual((await on.cni.getCachedAttachments()).map(({ containerId }) => containerId), ["a", "c"]);
  assert.deepEqual((await on.cni.getCachedAttachments("c")).map(({ network }) => network), ["other"]);
});

test("GC goes on after errors and tells all of them; before 1.1.0 it only deletes; a list may switch it off", async () => {
  using on = bench(["one", "two"], ({ command, type }) => (command === "GC" ? refusal(100, `cannot ${type}`) : undefined));
  const error = await fault(on.cni.gcNetworkList(networkConfFromBytes(listOf("1.1.0", [{ type: "one" }, { type: "two" }])), []));
  assert.equal(error?.message, "failed to GC plugin one: cannot one; failed to GC plugin two: cannot two");
  on.asked.length = 0;
  await on.cni.gcNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }])), []);
  await on.cni.gcNetworkList(networkConfFromBytes(listOf("1.1.0", [{ type: "one" }], { disableGC: true })), []);
  assert.deepEqual(on.asked, []);
});

test("STATUS asks each plugin from 1.1.0 on, and gives the first error as it is", async () => {
  using on = bench(["one", "two"], ({ type }) => (type === "two" ? refusal(50, "not ready") : undefined));
  assertHas(await fault(on.cni.getStatusNetworkList(networkConfFromBytes(listOf("1.1.0", [{ type: "one" }, { type: "two" }])))), { code: 50, message: "not ready" });
  assert.deepEqual(on.asked.map(({ command, env }) => [command, env["CNI_CONTAINERID"], env["CNI_IFNAME"]]), [["STATUS", "", ""], ["STATUS", "", ""]]);
  on.asked.length = 0;
  await on.cni.getStatusNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "two" }])));
  assert.deepEqual(on.asked, []);
});

test("validation finds every plugin, asks for its versions, and gives the capabilities that are wanted", async () => {
  using on = bench(TYPES, ({ type, command }) => (command === "VERSION" && type === "three" ? { stdout: '{"cniVersion":"1.0.0","supportedVersions":["0.4.0"]}' } : undefined));
  assertHas(await fault(on.cni.validateNetworkList(list)), { message: '[plugin three does not support config version "1.0.0"]' });
  assert.deepEqual((await on.cni.validateNetworkList({ ...list, plugins: list.plugins.slice(0, 2) })).sort(), ["other", "portMappings"]);
  const missing = networkConfFromBytes(listOf("1.0.0", [{ type: "nobody" }, { type: "one" }]));
  assert.ok((await fault(on.cni.validateNetworkList(missing)))?.message.includes('failed to find plugin "nobody" in path'));
  assert.deepEqual(await on.cni.getVersionInfo("three"), ["0.4.0"]);
});

test("a plugin that does not know VERSION is of the time of 0.1.0", async () => {
  using on = bench(["one"], ({ command }) => (command === "VERSION" ? refusal(4, "unknown CNI_COMMAND: VERSION") : undefined));
  assert.deepEqual(await on.cni.getVersionInfo("one"), ["0.1.0"]);
});

test("what may not be a container, a network, an interface or a plugin is refused before anything runs", async () => {
  using on = bench(["one"]);
  const one = networkConfFromBytes(listOf("1.0.0", [{ type: "one" }]));
  for (const wrong of [{ ...runtime, containerId: "" }, { ...runtime, containerId: "a/b" }, { ...runtime, ifname: "" }, { ...runtime, ifname: "sixteen-letters-" }, { ...runtime, ifname: "a/b" }]) {
    assertHas(await fault(on.cni.addNetworkList(one, wrong)), { code: wrong.containerId === "" ? 3 : 4 });
  }
  for (const type of ["../one", "one/../one", "nobody"]) assertHas(await fault(on.cni.addNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type }])), runtime)), { code: 4 });
  assert.deepEqual(on.asked, []);
});

test("a plugin alone goes the same way, and a list made of it has its name", async () => {
  using on = bench(["one"]);
  const plugin = networkPluginConfFromBytes('{"cniVersion":"0.4.0","name":"solo","type":"one"}');
  await on.cni.addNetwork(plugin, runtime);
  assert.deepEqual(await on.cni.getNetworkCachedResult(plugin, runtime), {});
  assert.equal((await on.cni.getNetworkCachedConfig(plugin, runtime))?.config, plugin.source);
  await on.cni.checkNetwork(plugin, runtime);
  await on.cni.delNetwork(plugin, runtime);
  assert.deepEqual(brief(on.asked), ["ADD one", "CHECK one", "DEL one"]);
  assert.deepEqual(await on.cni.validateNetwork(plugin), []);
  assertHas(networkListFromPlugin(plugin), { name: "solo", cniVersion: "0.4.0", plugins: [{ type: "one" }] });
});

test("every call is reported with what went in, what came out and how long it took; stderr is handed on", async () => {
  const traces: string[] = [];
  const said: string[] = [];
  using on = bench(["one"], () => ({ stderr: "by the way\n" }), {
    trace: ({ plugin, command, stdin, stdout, durationMs }) => traces.push(`${command} ${plugin} ${stdin.length > 0} ${stdout.length > 0} ${durationMs >= 0}`),
    onStderr: (text, plugin) => said.push(`${plugin}: ${text}`),
  });
  await on.cni.addNetworkList(networkConfFromBytes(listOf("1.0.0", [{ type: "one" }])), runtime);
  assert.deepEqual(traces, ["ADD one true true true"]);
  assert.deepEqual(said, ["one: by the way\n"]);
});
