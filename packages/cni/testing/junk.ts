/**
 * Junk: requests as no runtime should make them. Some are noise; most are good requests with something changed, since only
 * those come past the first check.
 */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  boolean, cidr, cidrs, config, definePlugin, integer, ip, isObject, list, mac, object, oneOf, parseJson, record, required, string, stringList, type Plugin, type Result,
} from "../index.ts";

export interface JunkRequest {
  env: Record<string, string>;
  stdin: Uint8Array;
}

const verbs = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"] as const;
const versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

/** One option of each kind, and verbs that use what they get. */
export const takesEverything: Plugin = definePlugin({
  type: "all",
  about: "takes everything",
  config: config({
    flag: [boolean, true, "a flag"], count: [integer({ min: 0, max: 100 }), 1, "a number"], text: [string, "", "a text"], texts: [stringList, [], "texts"],
    prefix: [cidr, required, "a prefix"], prefixes: [cidrs, [], "prefixes"], address: [ip, undefined, "an address"], hardware: [mac, undefined, "a MAC address"],
    choice: [oneOf("one", "two"), "one", "one of two"], table: [record(string), {}, "names and texts"], parts: [list(object({ name: [string, required, "a name"] })), [], "parts"],
  }),
  add: ({ args, prevResult }): Result => ({ ...prevResult, interfaces: [...(prevResult?.interfaces ?? []), { name: args.ifname }] }),
  del: () => {},
  check: ({ prevResult }) => void JSON.stringify(prevResult),
  gc: ({ valid }) => void valid?.map(({ ifname }) => ifname.length),
  status: () => {},
});

/** A configuration that it takes. */
export const goodConfig = { type: "all", flag: false, count: 7, texts: ["a"], prefix: "10.0.0.0/8", prefixes: ["fd00::/8"], address: "10.0.0.1", hardware: "02:00:00:00:00:01", choice: "two", table: { a: "b" }, parts: [{ name: "p" }] };

/** A request that a runtime could make, for a plugin that takes `config`. */
export function goodRequest(command: string, version: string, config: object): { env: Record<string, string>; config: Record<string, unknown> } {
  const ips = version >= "1.0.0" ? [{ address: "10.1.2.3/24" }] : [{ version: "4", address: "10.1.2.3/24" }];
  const prevResult = version >= "0.3.0" ? { cniVersion: version, ips } : { cniVersion: version, ip4: { ip: "10.1.2.3/24" } };
  return {
    env: { CNI_COMMAND: command, CNI_CONTAINERID: "c1", CNI_NETNS: "/nowhere/ns", CNI_IFNAME: "eth0", CNI_ARGS: "IgnoreUnknown=1;A=b", CNI_PATH: "/nowhere/bin" },
    config: { cniVersion: version, name: "net", prevResult, "cni.dev/valid-attachments": [{ containerID: "c1", ifname: "eth0" }], ...config },
  };
}

/** Any request: the configuration's keys are those of `config` and the specification's own. */
export function junk(config: object): fc.Arbitrary<JunkRequest> {
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }), fc.string(), fc.integer(), fc.constantFrom(null, "", "10.0.0.0/8", "fd00::/8", "300.1.1.1", "../..", "\0", -1, 2 ** 60, [], {}, [[]], { a: { b: {} } }),
  );
  const keys = [...Object.keys(goodRequest("ADD", "1.1.0", config).config), "type", "args", "runtimeConfig", "ipam", "dns", "capabilities", "__proto__", "constructor"];
  const replaced = fc.array(fc.tuple(fc.constantFrom(...keys), value), { maxLength: 3 });
  const variables = fc.array(fc.tuple(fc.constantFrom("CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"), fc.oneof(fc.string().map(withoutZero), fc.constantFrom("", "a/b", "x".repeat(300), ";", "=", "A=;B", "ADD "))), { maxLength: 2 });
  const dropped = fc.subarray(keys, { maxLength: 2 });

  const changed = fc.tuple(fc.constantFrom(...verbs), fc.constantFrom(...versions), replaced, dropped).map(([verb, version, changes, missing]) => {
    const { env, config: good } = goodRequest(verb, version, config);
    const bad = Object.fromEntries([...Object.entries(good).filter(([key]) => !missing.includes(key)), ...changes]);
    return { env, stdin: bytesOf(JSON.stringify(bad)) };
  });
  const damaged = fc.tuple(changed, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.option(fc.nat())).map(([request, flips, cut]) => {
    const stdin = request.stdin.slice(0, cut === null ? undefined : cut % (request.stdin.length + 1));
    for (const [at, byte] of flips) if (stdin.length > 0) stdin[at % stdin.length] = byte;
    return { ...request, stdin };
  });
  const noise = fc.tuple(fc.constantFrom(...verbs), fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(bytesOf), fc.string().map(bytesOf)))
    .map(([verb, stdin]) => ({ env: goodRequest(verb, "1.1.0", config).env, stdin }));
  return fc.tuple(fc.oneof({ weight: 4, arbitrary: changed }, { weight: 3, arbitrary: damaged }, { weight: 1, arbitrary: noise }), variables)
    .map(([request, more]) => ({ ...request, env: { ...request.env, ...Object.fromEntries(more) } }));
}

/** Asserts that an answer is a result or a well-formed error, and nothing else. */
export function assertAnswer({ exitCode, stdout, stderr }: { exitCode: number; stdout: string; stderr: string }): void {
  assert.doesNotMatch(`${stdout}${stderr}`, /\n\s+at .*[:(]\d+:\d+/, "a stack trace");
  if (exitCode === 0) {
    if (stdout === "") return;
    const result = parseJson(stdout);
    assert.ok(isObject(result) && typeof result["cniVersion"] === "string", `no result: ${stdout}`);
    return;
  }
  assert.equal(exitCode, 1);
  const error = parseJson(stdout);
  assert.ok(isObject(error), `no error object: ${stdout}`);
  const { code, msg, details = "" } = error;
  assert.ok(typeof code === "number" && Number.isInteger(code) && code > 0, `code is ${String(code)}`);
  assert.ok(typeof msg === "string" && msg !== "" && !msg.includes("\n"), `msg is ${JSON.stringify(msg)}`);
  assert.ok(typeof details === "string");
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const withoutZero = (text: string): string => text.replaceAll("\0", "0"); // no environment can hold one
