/** A delegate: that it is called in the caller's own process is seen by nobody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CniError, allVersions, config, definePlugin, delegateAdd, delegateDel, isObject, list, object, respond, string, stringList, toCniError, type Context, type Delegation, type Result } from "./index.ts";

interface Seen {
  config: object;
  raw: object;
  args: object;
  prevResult: Result | undefined;
}

const options = config({ mode: [string, "plain", "What to do"], words: [stringList, [], "Words"], ipam: [object({ routes: [list(object({ dst: [string, "", ""] })), [], ""] }), {}, ""] });
const answers: Readonly<Record<string, () => Result>> = {
  plain: () => ({ ips: [{ address: "10.1.2.3/24", gateway: "10.1.2.1" }, { address: "fd00::3/64" }], routes: [{ dst: "0.0.0.0/0", mtu: 1400 }], dns: { nameservers: ["10.1.0.1"] } }),
  interfaces: () => ({ interfaces: [{ name: "e<0>", mac: "0a:58:00:00:00:01", mtu: 1400, sandbox: "/n" }], ips: [{ address: "10.1.2.3/24", interface: 0 }] }),
  nothing: () => ({}),
  broken: () => ({ ips: [{ address: "10.1.2.3" }] }),
  refusing: () => { throw new CniError(11, "later", { details: "there is none left" }); },
  failing: () => { throw new TypeError("Cannot do it:\nno", { cause: new RangeError("too much") }); },
};

/** What the delegate saw, and what its caller got. */
function outcomeOf(own: boolean, verb: (call: Delegation) => unknown, raw: Record<string, unknown>) {
  const seen: Seen[] = [];
  const see = ({ config: read, raw: whole, args, prevResult }: Context<unknown>): void => void seen.push({ config: isObject(read) ? { ...read } : {}, raw: whole, args, prevResult });
  const plugin = definePlugin({
    type: "echo", about: "Answers as it is told", config: options,
    add: (context) => {
      see(context);
      return answers[context.config.mode]?.() ?? {};
    },
    del: see,
  });
  const call: Delegation = {
    type: "echo", find: (type) => `/bin/${type}`,
    context: { raw, args: { containerId: "c1", netns: "/n", ifname: "eth0", cniArgs: "K=V", path: ["/a", "/bin"] } },
    ...(own ? { own: () => plugin } : { exec: ({ env, stdin }) => {
      const { exitCode, stdout, stderr } = respond(plugin, { env, stdin: () => stdin, isOwnNetns: () => false });
      return { status: exitCode, stdout, stderr };
    } }),
  };
  try {
    return { seen, result: verb(call) };
  } catch (error) {
    return { seen, error: { ...toCniError(error).toJSON(), isCni: error instanceof CniError } };
  }
}

test("a delegate in the caller's process sees and answers what one in a process of its own does, in every version", () => {
  for (const mode of Object.keys(answers)) {
    for (const cniVersion of [...allVersions, "", "9.9.9"]) {
      const raw = { type: "bridge", name: "net", cniVersion, mode, Words: ["a", "<b>"], words: null, ipam: { type: "echo", routes: [{ dst: "::/0" }] }, gone: undefined, "10": 1 };
      assert.deepEqual(outcomeOf(true, delegateAdd, raw), outcomeOf(false, delegateAdd, raw), `${mode} ${cniVersion}`);
    }
  }
});

test("DEL goes on in spite of a wrong option, and a wrong request is refused, wherever the delegate runs", () => {
  const good = { name: "net", cniVersion: "1.0.0", prevResult: { cniVersion: "1.0.0", ips: [{ address: "10.1.2.3/24" }] } };
  for (const raw of [good, { ...good, words: 7 }, { ...good, prevResult: 7 }, { ...good, name: "no/name" }, { ...good, name: "" }]) {
    assert.deepEqual(outcomeOf(true, delegateDel, raw), outcomeOf(false, delegateDel, raw), JSON.stringify(raw));
  }
});

test("a delegate in the caller's process cannot change its caller's configuration", () => {
  const raw = { name: "net", cniVersion: "1.0.0", words: ["a"] };
  const { seen } = outcomeOf(true, delegateAdd, raw);
  assert.notEqual(seen[0]?.raw, raw);
  assert.deepEqual(seen[0]?.raw, raw);
});
