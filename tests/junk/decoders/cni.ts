/** What runtimes, administrators and other plugins write: configuration, results, versions, the cache, variables. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CniError, isObject, networkConfFromBytes, networkPluginConfFromBytes, parseJson, respond } from "@vethwork/cni";
import { parseCidr, parseIp, parseMac } from "../../../packages/cni/address.ts";
import { listCachedAttachments, readCachedAttachment, readCachedResult } from "../../../packages/cni/cache.ts";
import { checkContainerId, checkInterfaceName, checkNetworkName, readVariables } from "../../../packages/cni/environment.ts";
import { readResult, readVersions } from "../../../packages/cni/invoke.ts";
import { encodeSorted } from "../../../packages/cni/json.ts";
import { loadNetworkConf } from "../../../packages/cni/load.ts";
import { parseVersionInfo } from "../../../packages/cni/plugininfo.ts";
import { convertResult, parseResult, readBack } from "../../../packages/cni/results.ts";
import { assertAnswer, goodConfig, goodRequest, takesEverything } from "../../../packages/cni/testing/junk.ts";
import { compareVersions, parseVersion } from "../../../packages/cni/version.ts";
import type { Decoder } from "../trial.ts";
import { inFolder, ofBytes, ofJson, ofText } from "./stock.ts";

const result = {
  cniVersion: "1.1.0", interfaces: [{ name: "eth0", mac: "02:00:00:00:00:01", mtu: 1500, sandbox: "/run/netns/a" }],
  ips: [{ interface: 0, address: "10.1.2.3/24", gateway: "10.1.2.1" }, { address: "fd00::7/64" }],
  routes: [{ dst: "0.0.0.0/0", gw: "10.1.2.1", mtu: 1400, advmss: 1360, priority: 5, table: 7, scope: 0 }],
  dns: { nameservers: ["10.1.0.1"], domain: "a.b", search: ["a.b"], options: ["ndots:5"] },
};
const old = { cniVersion: "0.2.0", ip4: { ip: "10.1.2.3/24", gateway: "10.1.2.1", routes: [{ dst: "0.0.0.0/0" }] }, ip6: { ip: "fd00::7/64" } };
const middle = { cniVersion: "0.4.0", ips: [{ version: "4", address: "10.1.2.3/24", interface: 0 }], interfaces: [{ name: "eth0" }] };
const list = { cniVersion: "1.1.0", cniVersions: ["1.0.0", "1.1.0"], name: "pods", disableCheck: "true", plugins: [{ type: "bridge", capabilities: { portMappings: true } }, { type: "portmap" }] };
const cached = {
  kind: "cniCacheV1", containerId: "c1", config: "e30=", ifName: "eth0", networkName: "pods", netns: "/run/netns/a",
  cniArgs: [["A", "b"]], capabilityArgs: { portMappings: [{ hostPort: 80 }] }, result,
};
const versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

/** In each version that there is a form for, and read back from it. */
function convertedAll(value: unknown): void {
  for (const version of versions) {
    try {
      convertResult(value, version);
    } catch (error) {
      if (!(error instanceof CniError)) throw error;
    }
  }
  const read = parseResult(value);
  if (isObject(value)) readBack(read, value);
}

const variables = (text: string): Record<string, string> =>
  Object.fromEntries(text.split("\n").flatMap((line): [string, string][] => (line.includes("=") ? [[line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]] : [])));

export const decoders: readonly Decoder[] = [
  ofBytes("cni: request of a plugin", [new TextEncoder().encode(JSON.stringify(goodRequest("ADD", "1.1.0", goodConfig).config)), new TextEncoder().encode(JSON.stringify(goodRequest("DEL", "0.3.1", goodConfig).config))], (bytes) => {
    for (const verb of ["ADD", "DEL", "CHECK", "GC"]) assertAnswer(respond(takesEverything, { env: goodRequest(verb, "1.1.0", goodConfig).env, stdin: () => bytes, isOwnNetns: () => false }));
  }, { words: Object.keys(goodConfig) }),
  ofText("cni: JSON", [JSON.stringify(result), '{"a":[1,2.5e3,"\\u00e9",null,true]}'], (text) => encodeSorted(parseJson(text), 1), { words: ["\\u0000", "[[[[", '{"a":'] }),
  ofBytes("cni: conflist", [new TextEncoder().encode(JSON.stringify(list))], networkConfFromBytes, { throws: [CniError], words: Object.keys(list) }),
  ofBytes("cni: configuration of one plugin", [new TextEncoder().encode(JSON.stringify({ ...list.plugins[0], name: "n", cniVersion: "0.3.1" }))], networkPluginConfFromBytes, { throws: [CniError] }),
  ofText("cni: folder of configurations", [JSON.stringify(list), JSON.stringify({ name: "pods", type: "bridge" })], async (text) => inFolder((folder) => {
    for (const name of ["10-pods.conflist", "20-pods.conf"]) writeFileSync(join(folder, name), text);
    mkdirSync(join(folder, "pods"));
    writeFileSync(join(folder, "pods", "10-more.conf"), text);
    return loadNetworkConf(folder, "pods");
  }), { throws: [CniError], inputs: 300 }),
  ofJson("cni: result, prevResult", [result, middle, old], convertedAll, { throws: [CniError], words: Object.keys(result) }),
  ofText("cni: answer of a plugin", [JSON.stringify(result), JSON.stringify(old)], (text) => readResult(text, "1.0.0"), { throws: [CniError] }),
  ofText("cni: versions of a plugin", ['{"cniVersion":"1.1.0","supportedVersions":["0.1.0","1.1.0"]}', '{"code":4,"msg":"unknown CNI_COMMAND: VERSION","details":"x"}'], (text) => {
    for (const status of [1, 0]) {
      try {
        readVersions({ status, stdout: text, stderr: "" });
      } catch (error) {
        if (!(error instanceof CniError)) throw error;
      }
    }
    return parseVersionInfo(text);
  }),
  ofText("cni: a version", ["1.1.0", "0.3.1", "1.0.0-rc1"], (text) => compareVersions(text, "1.0.0") + parseVersion(text).length),
  ofText("cni: addresses", ["10.1.2.3/24", "fd00::1/64", "::ffff:10.0.0.1", "02:00:00:00:00:01"], (text) => [parseIp(text), parseCidr(text), parseMac(text)]),
  ofText("cni: variables", [`CNI_COMMAND=ADD\nCNI_CONTAINERID=c1\nCNI_NETNS=/n\nCNI_IFNAME=eth0\nCNI_PATH=/a:/b\nCNI_ARGS=A=b`], (text) => readVariables(variables(text)), { throws: [CniError] }),
  ofText("cni: names", ["eth0", "c1.a-b_c", "pods"], (text) => [checkContainerId(text), checkInterfaceName(text), checkNetworkName(text)], { throws: [] }),
  ofText("cni: cache of results", [JSON.stringify(cached), JSON.stringify(result)], async (text) => inFolder(async (folder) => {
    mkdirSync(join(folder, "results"));
    const file = join(folder, "results", "pods-c1-eth0");
    writeFileSync(file, text);
    await listCachedAttachments(folder, "c1");
    await listCachedAttachments(folder);
    await readCachedAttachment(file, "pods").catch((error: unknown) => {
      if (!(error instanceof CniError)) throw error;
    });
    return readCachedResult(file, "1.0.0");
  }), { words: Object.keys(cached), throws: [CniError], inputs: 500 }),
];
