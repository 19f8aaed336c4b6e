/** Any bytes on stdin of any verb, with any variables: a result or a well-formed error. scripts/junk.ts asks for longer. */
import { test } from "node:test";
import * as fc from "fast-check";
import { definePlugin, respond } from "./index.ts";
import { assertAnswer, goodConfig, junk, takesEverything } from "./testing/junk.ts";

test("fifty thousand requests, most of them nearly good, give a result or a well-formed error", () => {
  fc.assert(fc.property(junk(goodConfig), ({ env, stdin }) => {
    assertAnswer(respond(takesEverything, { env, stdin: () => stdin, isOwnNetns: () => false }));
  }), { numRuns: 50_000 });
});

test("an error of the plugin's own making, whatever is thrown, is one, too", () => {
  for (const thrown of [new TypeError("x\n  y"), new RangeError(""), { toString: () => "odd" }, "text", undefined, null, 7]) {
    const broken = definePlugin({ ...takesEverything, add: () => { throw thrown; } });
    const { env, stdin } = { env: { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c", CNI_NETNS: "/n", CNI_IFNAME: "e", CNI_PATH: "/p" }, stdin: JSON.stringify({ cniVersion: "1.1.0", name: "n", ...goodConfig }) };
    assertAnswer(respond(broken, { env, stdin: () => stdin, isOwnNetns: () => false }));
  }
});
