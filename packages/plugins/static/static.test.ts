import { expect, test } from "bun:test";
import { parseJson, respond, type JsonObject } from "@vethwork/cni";
import * as fc from "fast-check";
import plugin from "./static.ts";

const base = { cniVersion: "1.1.0", name: "mynet", type: "bridge" };
function call(command: string, config: JsonObject, env: Record<string, string> = {}): { code: number; said: unknown } {
  const all = { CNI_COMMAND: command, CNI_CONTAINERID: "pod1", CNI_NETNS: "/run/netns/pod1", CNI_IFNAME: "eth0", CNI_PATH: "/opt/cni/bin", ...env };
  const { exitCode, stdout } = respond(plugin, { env: all, stdin: () => JSON.stringify({ ...base, ...config }), isOwnNetns: () => false });
  return { code: exitCode, said: stdout === "" ? undefined : parseJson(stdout) };
}
const ips = (config: JsonObject, env: Record<string, string> = {}): unknown => {
  const { said } = call("ADD", config, env);
  return typeof said === "object" && said !== null && "ips" in said ? said.ips : said;
};
const own = { ipam: { type: "static", addresses: [{ address: "10.1.2.5/24", gateway: "10.1.2.1" }, { address: "FD00::5/64" }] } };

test("ADD gives what the configuration says: addresses, routes, name servers", () => {
  const ipam = { ...own.ipam, routes: [{ dst: "0.0.0.0/0" }, { dst: "192.0.2.0/24", gw: "10.1.2.9", mtu: 1400 }], dns: { nameservers: ["192.0.2.53"], search: ["example"] } };
  expect(call("ADD", { ipam })).toEqual({ code: 0, said: {
    cniVersion: "1.1.0",
    ips: [{ address: "10.1.2.5/24", gateway: "10.1.2.1" }, { address: "fd00::5/64" }],
    routes: [{ dst: "0.0.0.0/0" }, { dst: "192.0.2.0/24", gw: "10.1.2.9", mtu: 1400 }],
    dns: { nameservers: ["192.0.2.53"], search: ["example"] },
  } });
  expect(call("ADD", { ipam: { type: "static" } })).toEqual({ code: 0, said: { cniVersion: "1.1.0" } });
});

test("CNI_ARGS adds addresses, and its gateways count for every address in their subnet", () => {
  const CNI_ARGS = "IgnoreUnknown=1;IP=10.7.0.2/16,fd07::2/64;GATEWAY=10.7.0.1,fd00::1";
  expect(ips(own, { CNI_ARGS })).toEqual([
    { address: "10.1.2.5/24", gateway: "10.1.2.1" }, { address: "fd00::5/64", gateway: "fd00::1" },
    { address: "10.7.0.2/16", gateway: "10.7.0.1" }, { address: "fd07::2/64" },
  ]);
});

test("the runtime's addresses take the place of all others, those of the capability before those of `args`", () => {
  const args = { cni: { ips: ["10.8.0.2/24"] } };
  expect(ips({ ...own, args })).toEqual([{ address: "10.8.0.2/24" }]);
  expect(ips({ ...own, args, runtimeConfig: { ips: ["10.9.0.2/24", "fd09::2/64"] } })).toEqual([{ address: "10.9.0.2/24" }, { address: "fd09::2/64" }]);
});

test("what does not read is refused, with where it stood", () => {
  const rows: readonly [JsonObject, Record<string, string>, string][] = [
    [{}, {}, 'missing option "ipam"'],
    [{ ipam: { type: "static", addresses: [{ address: "10.1.2.5" }] } }, {}, 'invalid option "ipam.addresses[0].address": "10.1.2.5"'],
    [own, { CNI_ARGS: "IP=10.1.2.9" }, 'invalid option "IP": "10.1.2.9"'],
    [own, { CNI_ARGS: "GATEWAY=x" }, 'invalid option "GATEWAY": "x"'],
    [{ ...own, runtimeConfig: { ips: ["10.1.2.9"] } }, {}, 'invalid option "ips": "10.1.2.9"'],
    [{ cniVersion: "0.2.0", ipam: { type: "static", addresses: [{ address: "10.1.2.5/24" }, { address: "10.1.3.5/24" }] } }, {}, "does not support more than 1 address per family"],
  ];
  for (const [config, env, words] of rows) {
    const { code, said } = call("ADD", config, env);
    expect({ code, said }).toEqual({ code: 1, said: expect.objectContaining({ msg: expect.stringContaining(words) }) });
  }
});

test("CHECK misses an address, and a gateway that is another; DEL and GC have nothing to do", () => {
  const { said } = call("ADD", own);
  const check = (prevResult: unknown): unknown => call("CHECK", { ...own, prevResult }).said;
  expect(check(said)).toBeUndefined();
  const result = { cniVersion: "1.1.0", ips: [{ address: "10.1.2.5/24", gateway: "10.1.2.1" }] };
  expect(check(result)).toMatchObject({ code: 100, msg: "static: Failed to match addr fd00::5/64 on interface eth0" });
  expect(check({ ...result, ips: [{ address: "10.1.2.5/24", gateway: "10.1.2.9" }, { address: "fd00::5/64" }] })).toMatchObject({ code: 100 });
  expect(check(undefined)).toMatchObject({ code: 7, msg: "Required prevResult missing" });
  for (const command of ["DEL", "DEL", "GC"]) expect(call(command, own)).toEqual({ code: 0, said: undefined });
  expect(call("DEL", { ipam: { type: "static", addresses: "none" } }).code).toBe(0);
  expect(call("STATUS", own).code).toBe(0);
  expect(call("STATUS", { ipam: { type: "static", addresses: [{}] } }).code).toBe(1);
});

test("any configuration gives a result or an error that says why", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.string(), (ipam, CNI_ARGS) => {
    const { said } = call("ADD", { ipam }, { CNI_ARGS });
    expect(said).toBeObject();
  }), { numRuns: 300 });
});
