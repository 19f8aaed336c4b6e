/** The conversation between plugin and daemon, from the plugin's side: what is an answer, and what is as good as no daemon. */
import { expect, test } from "bun:test";
import { assert, constantFrom, property, record, string } from "fast-check";
import { answering } from "@vethwork/linux/testing/answering.ts";
import { ask, questionFrom, type Question } from "./talk.ts";

const question: Question = { do: "status" };
const replied = async (reply: string, greetingMs = 5_000): Promise<unknown> => {
  let reply_: unknown;
  await answering(reply, (path) => {
    try {
      reply_ = ask(path, question, greetingMs);
    } catch (error) {
      reply_ = error;
    }
  });
  return reply_;
};

test("an answer may come in pieces, and behind lines that say how long it will take", async () => {
  const reply = `c.write('{"waitMs":30000}\\n{"le'); setTimeout(() => c.end('ase":{"a":1}}\\n'), 50)`;
  expect(await replied(reply)).toEqual({ answer: { lease: { a: 1 } } });
});

test("a refusal is the daemon's own error", async () => {
  expect(await replied(`c.end('{"error":{"code":11,"msg":"not now","details":"why"}}\\n')`)).toMatchObject({ name: "CniError", code: 11, message: "not now", details: "why" });
});

test("a daemon that says nothing, hangs up, or talks nonsense is as good as none", async () => {
  for (const [reply, says, ms] of [["", /took the question and says nothing/, 50], ["c.end()", /took the question and hung up/], ["c.end('42\\n')", /says 42/], ["c.end('{{\\n')", /error dialing DHCP daemon/]] as const) {
    expect(await replied(reply, ms)).toMatchObject({ away: { code: 11, message: expect.stringMatching(says) } });
  }
  expect(ask("/nowhere/dhcp.sock", question)).toMatchObject({ away: { code: 11, message: expect.stringContaining("ENOENT") } });
  expect(ask(`/${"x".repeat(200)}`, question)).toMatchObject({ away: { code: 11 } });
});

test("a question is read as it was asked, and what is none is refused by name", () => {
  const text = string({ minLength: 1, maxLength: 20 });
  const owner = record({ network: text, containerId: text, ifname: text });
  assert(property(owner, constantFrom("show" as const, "release" as const), (who, verb) => {
    const asked: Question = { do: verb, owner: who };
    expect(questionFrom(JSON.stringify(asked))).toEqual(asked);
  }));
  const wish = { network: "n", containerId: "c", ifname: "eth0", netns: "/run/netns/c", tell: { "61": "00" }, ask: [3] };
  const questions: Question[] = [{ do: "add", wish }, { do: "collect", network: "n", keep: [{ containerId: "c", ifname: "eth0" }] }, { do: "status" }];
  for (const one of questions) expect(questionFrom(JSON.stringify(one))).toEqual(one);
  for (const [line, says] of [["{}", "does not understand undefined"], ['{"do":"fly"}', 'does not understand "fly"'], ["[]", "undefined"], ['{"do":"add"}', "wish"], ['{"do":"show","owner":{}}', "owner.network"], ['{"do":"collect","network":"n","keep":[{}]}', "keep[0].containerId"], ["{", "JSON"]] as const) {
    expect(() => questionFrom(line)).toThrow(says);
  }
});
