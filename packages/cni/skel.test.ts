/** The frame around a plugin: which requests reach it, in which order the others are refused, and what is printed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { boolean, CniError, cidr, config, definePlugin, ErrorCode, integer, isObject, required, respond } from "./index.ts";
import type { PluginDefinition, PluginRequest, Result, Undo } from "./index.ts";

const options = config({
  mtu: [integer({ min: 0, max: 65535 }), 0, "MTU of the link"],
  ipMasq: [boolean, true, "Whether to masquerade"],
  subnet: [cidr, undefined, "The subnet"],
});
type Definition = PluginDefinition<(typeof options)["options"]>;

const plugin = (verbs: Partial<Definition> = {}) =>
  definePlugin({ type: "probe", about: "Does nothing", config: options, add: () => ({}), del() {}, ...verbs });

const all = { CNI_CONTAINERID: "pod-1", CNI_NETNS: "/nowhere/netns", CNI_IFNAME: "eth0", CNI_PATH: "/nowhere/bin" };
const network = { cniVersion: "1.1.0", name: "net", type: "probe" };

function ask(command: string | undefined, { env = {}, stdin = network, verbs = {} }: {
  env?: Record<string, string | undefined>; stdin?: unknown; verbs?: Partial<Definition>;
} = {}) {
  const request: PluginRequest = {
    env: { ...all, CNI_COMMAND: command, ...env }, stdin: () => typeof stdin === "string" ? stdin : JSON.stringify(stdin),
  };
  return respond(plugin(verbs), request);
}

function failure(answer: { exitCode: number; stdout: string }): Record<string, unknown> {
  assert.equal(answer.exitCode, 1, answer.stdout);
  const error: unknown = JSON.parse(answer.stdout);
  assert.ok(isObject(error));
  return error;
}

const thrown = (value: unknown) => failure(ask("DEL", { verbs: { del() { throw value; } } }));
const notCalled = (): never => assert.fail("the plugin must not be called");

test("called by hand, a plugin says on stderr what it is, and that is no failure", () => {
  assert.deepEqual(ask(undefined), {
    exitCode: 0, stdout: "",
    stderr: "CNI probe plugin version unknown\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n",
  });
});

test("VERSION prints one line and does not read stdin", () => {
  const answer = respond(plugin(), { env: { CNI_COMMAND: "VERSION" }, stdin: notCalled });
  const versions = '["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]';
  assert.deepEqual(answer, { exitCode: 0, stdout: `{"cniVersion":"1.1.0","supportedVersions":${versions}}\n`, stderr: "" });
});

test("variables that a verb needs and that are missing are named together", () => {
  const none = { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_PATH: "" };
  const missing = (command: string) => failure(ask(command, { env: none, verbs: { add: notCalled, del: notCalled } }))["msg"];
  assert.equal(missing("ADD"), "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing");
  assert.equal(missing("CHECK"), "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing");
  assert.equal(missing("DEL"), "required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing");
  assert.equal(missing("GC"), "required env variables [CNI_PATH] missing");
  assert.equal(missing("STATUS"), "required env variables [CNI_PATH] missing");
});

test("a malformed variable is reported before a missing one, and only where the verb needs it", () => {
  const bad = { CNI_CONTAINERID: "a/b", CNI_PATH: "" };
  assert.deepEqual(failure(ask("ADD", { env: bad })), { code: 4, msg: "invalid characters in containerID", details: "a/b" });
  assert.equal(ask("GC", { env: { CNI_CONTAINERID: "a/b" } }).exitCode, 0);
});

test("an interface name is one that the kernel takes", () => {
  const say = (name: string) => failure(ask("ADD", { env: { CNI_IFNAME: name } }));
  assert.deepEqual(say("sixteencharacter"), {
    code: 4, msg: "interface name is too long", details: "interface name should be less than 16 characters",
  });
  assert.equal(say("äääääääää")["msg"], "interface name is too long"); // bytes count
  assert.equal(say("..")["msg"], "interface name is . or ..");
  for (const name of ["a/b", "a:b", "a b", "a\u0085", "a\u2003"]) {
    assert.equal(say(name)["msg"], "interface name contains / or : or whitespace characters");
  }
  assert.equal(ask("ADD", { env: { CNI_IFNAME: "fifteencharacte" } }).exitCode, 0);
});

test("the configuration is looked at before an unknown verb is refused, and verbs are case-sensitive", () => {
  assert.equal(failure(ask("add", { stdin: "{}" }))["msg"], "missing network name");
  assert.deepEqual(failure(ask("add")), { code: 4, msg: "unknown CNI_COMMAND: add" });
});

test("a configuration that is no JSON object, or has no proper name, is refused with its own code", () => {
  assert.deepEqual(failure(ask("ADD", { stdin: "" })), { code: 6, msg: "error unmarshall network config: unexpected end of JSON input" });
  assert.equal(failure(ask("ADD", { stdin: "{\n\n" }))["code"], 6);
  assert.equal(failure(ask("ADD", { stdin: [] }))["code"], 6);
  assert.equal(failure(ask("ADD", { stdin: { name: 5 } }))["code"], 6);
  assert.deepEqual(failure(ask("GC", { stdin: "null" })), { code: 7, msg: "missing network name" });
  assert.deepEqual(failure(ask("STATUS", { stdin: { name: "a b" } })),
    { code: 7, msg: "invalid characters found in network name", details: "a b" });
});

test("stdin that cannot be read is an I/O failure", () => {
  const env = { ...all, CNI_COMMAND: "ADD" };
  assert.deepEqual(failure(respond(plugin(), { env, stdin: () => { throw new TypeError("EIO"); } })),
    { code: 5, msg: "error reading from stdin: EIO" });
});

test("a version that the plugin does not speak is refused, with both sides named", () => {
  const verbs = { versions: ["0.4.0", "1.0.0"], add: notCalled };
  assert.deepEqual(failure(ask("ADD", { stdin: { ...network, cniVersion: "0.3.1" }, verbs })), {
    code: 1, msg: "incompatible CNI versions", details: 'config is "0.3.1", plugin supports ["0.4.0" "1.0.0"]',
  });
  assert.equal(failure(ask("DEL", { stdin: { name: "net" }, verbs }))["details"],
    'config is "0.1.0", plugin supports ["0.4.0" "1.0.0"]');
});

test("CHECK, GC and STATUS are refused for versions that do not have them", () => {
  const say = (command: string, cniVersion: string, versions?: string[]) =>
    failure(ask(command, { stdin: { ...network, cniVersion }, ...(versions && { verbs: { versions } }) }))["msg"];
  assert.equal(say("CHECK", "0.3.1"), "config version does not allow CHECK");
  assert.equal(say("GC", "1.0.0"), "config version does not allow GC");
  assert.equal(say("STATUS", "1.0.0"), "config version does not allow STATUS");
  assert.equal(say("CHECK", "0.4.0", ["0.3.1"]), "plugin version does not allow CHECK");
  assert.equal(say("GC", "1.1.0", ["1.0.0"]), "plugin version does not allow GC");
  assert.equal(failure(ask("CHECK", { stdin: { ...network, cniVersion: "x" } }))["code"], 6);
});

test("a verb that the plugin does not have succeeds silently", () => {
  for (const command of ["CHECK", "GC", "STATUS", "DEL"]) {
    assert.deepEqual(ask(command), { exitCode: 0, stdout: "", stderr: "" });
  }
});

test("the plugin's own namespace is refused before anything is done, unless that is meant", () => {
  const own = { CNI_NETNS: "/proc/self/ns/net" };
  for (const command of ["ADD", "DEL"]) {
    assert.deepEqual(failure(ask(command, { env: own, verbs: { add: notCalled, del: notCalled } })),
      { code: 8, msg: "plugin's netns and netns from CNI_NETNS should not be the same" });
    assert.equal(ask(command, { env: { ...own, CNI_NETNS_OVERRIDE: "True" } }).exitCode, 0);
  }
});

test("the plugin gets its options typed, with defaults, whatever the case of their keys", () => {
  let seen: unknown;
  ask("ADD", {
    stdin: { ...network, MTU: 1400, mtu: null, ipmasq: false, other: 1, prevResult: { ips: [{ address: "10.1.0.5/24" }] } },
    env: { CNI_PATH: "/a:/b", CNI_ARGS: "K=V" },
    verbs: {
      add({ config, args, prevResult, valid }) {
        seen = { mtu: config.mtu, ipMasq: config.ipMasq, subnet: config.subnet, name: config.name, args, prevResult, valid };
        return {};
      },
    },
  });
  assert.deepEqual(seen, {
    mtu: 1400, ipMasq: false, subnet: undefined, name: "net",
    args: { containerId: "pod-1", netns: "/nowhere/netns", ifname: "eth0", cniArgs: "K=V", path: ["/a", "/b"] },
    prevResult: { ips: [{ address: "10.1.0.5/24" }] }, valid: undefined,
  });
});

test("a wrong option is refused by name before the plugin is called; DEL goes on with the default and says so", () => {
  const stdin = { ...network, mtu: "big", prevResult: { cniVersion: "0.2.0" } };
  assert.deepEqual(failure(ask("ADD", { stdin, verbs: { add: notCalled } })),
    { code: 7, msg: 'invalid option "mtu": "big" (an integer from 0 to 65535 is wanted)' });
  let seen: unknown;
  const answer = ask("DEL", { stdin, verbs: { del: ({ config, prevResult }) => { seen = [config.mtu, prevResult]; } } });
  assert.deepEqual(seen, [0, undefined]);
  assert.equal(answer.exitCode, 0);
  assert.match(answer.stderr, /^probe: going on with DEL in spite of invalid option "mtu".*\n.*could not parse prevResult.*\n$/);
});

test("DEL reads an option that must be there, and is not, as the empty value of its kind", () => {
  const table = config({ master: [integer, required, ""], subnet: [cidr, required, ""] });
  let seen: unknown;
  const strict = definePlugin({
    type: "strict", about: "", config: table, add: notCalled,
    del: ({ config: { master, subnet } }) => { seen = { master, subnet }; },
  });
  const env = { ...all, CNI_COMMAND: "DEL" };
  const text = JSON.stringify({ ...network, subnet: "x" });
  assert.deepEqual(failure(respond(strict, { env: { ...env, CNI_COMMAND: "ADD" }, stdin: () => text })),
    { code: 7, msg: 'missing option "master" (an integer is wanted)' });
  assert.equal(respond(strict, { env, stdin: () => text }).exitCode, 0);
  assert.deepEqual(seen, { master: 0, subnet: "" });
});

test("a result is printed in the version of the configuration", () => {
  const result: Result = { interfaces: [{ name: "eth0", mtu: 1500 }], ips: [{ address: "10.1.2.3/24", interface: 0 }] };
  const answer = ask("ADD", { stdin: { ...network, cniVersion: "0.4.0" }, verbs: { add: () => result } });
  const version = ask("ADD", { stdin: { name: "net" }, verbs: { add: () => result } });
  assert.deepEqual(JSON.parse(answer.stdout), {
    cniVersion: "0.4.0", interfaces: [{ name: "eth0" }], ips: [{ version: "4", interface: 0, address: "10.1.2.3/24" }], dns: {},
  });
  assert.deepEqual(JSON.parse(version.stdout), { cniVersion: "0.1.0", ip4: { ip: "10.1.2.3/24" }, dns: {} });
});

test("what ADD deferred runs last first when it fails, and a step that fails does not stop the others", () => {
  const done: string[] = [];
  const answer = ask("ADD", {
    verbs: {
      add({ undo }) {
        undo.defer(() => done.push("switch"));
        undo.defer(() => { throw new TypeError("stuck"); });
        undo.defer(() => done.push("cable"));
        throw new CniError(101, "no power");
      },
    },
  });
  assert.deepEqual(failure(answer), { code: 101, msg: "no power" });
  assert.deepEqual(done, ["cable", "switch"]);
  assert.equal(answer.stderr, "probe: cannot undo a step of the failed ADD: stuck\n");
});

test("what the way back needs stays open until it has been walked, and is closed after success, too", () => {
  const add = (fails: boolean): string[] => {
    const done: string[] = [];
    const answer = ask("ADD", { verbs: { add: ({ undo }: { undo: Undo }) => {
      const socket = undo.use({ name: "socket", [Symbol.dispose]: () => void done.push("closed") });
      undo.defer(() => done.push(`undone by the ${socket.name}`));
      if (fails) throw new TypeError("no");
      return {};
    } } });
    assert.equal(answer.exitCode, fails ? 1 : 0);
    return done;
  };
  assert.deepEqual(add(true), ["undone by the socket", "closed"]);
  assert.deepEqual(add(false), ["closed"]);
});

test("an ADD that succeeds undoes nothing", () => {
  assert.equal(ask("ADD", { verbs: { add: ({ undo }) => { undo.defer(notCalled); return {}; } } }).exitCode, 0);
});

test("an ADD whose result the version cannot express is undone", () => {
  let undone = false;
  const add = ({ undo }: { undo: Undo }): Result => {
    undo.defer(() => { undone = true; });
    return { interfaces: [{ name: "eth0" }] };
  };
  assert.equal(failure(ask("ADD", { stdin: { name: "net", cniVersion: "0.2.0" }, verbs: { add } }))["msg"],
    "cannot convert: no valid IP addresses");
  assert.ok(undone);
});

test("whatever a plugin throws becomes an error object without a stack trace", () => {
  assert.deepEqual(thrown(new RangeError("too far")), { code: 999, msg: "too far" });
  assert.deepEqual(thrown("text"), { code: 999, msg: "text" });
  assert.deepEqual(thrown(undefined), { code: 999, msg: "undefined" });
  assert.deepEqual(thrown(Object.create(null)).code, 999);
  const inner = new CniError(ErrorCode.TRY_AGAIN, "busy", { cause: new TypeError("EBUSY") });
  assert.deepEqual(thrown(new TypeError("outer", { cause: inner })), { code: 11, msg: "busy", details: "EBUSY" });
});

test("GC is told which attachments are valid, under the key's old name as well, and nothing when the runtime does not say", () => {
  const valid = [{ containerID: "a", ifname: "eth0" }];
  const seen: unknown[] = [];
  const verbs: Partial<Definition> = { gc: (context) => { seen.push(context.valid); } };
  ask("GC", { stdin: { ...network, "cni.dev/valid-attachments": valid }, verbs });
  ask("GC", { stdin: { ...network, "cni.dev/attachments": valid }, verbs });
  ask("GC", { stdin: { ...network, "cni.dev/valid-attachments": [] }, verbs });
  ask("GC", { verbs });
  assert.deepEqual(seen, [valid, valid, [], undefined]);
  assert.equal(failure(ask("GC", { stdin: { ...network, "cni.dev/valid-attachments": [5] }, verbs }))["code"], 7);
});
