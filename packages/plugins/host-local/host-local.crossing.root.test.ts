/**
 * host-local and the reference host-local in turns and at once, on one folder: neither gives away what the other gave. That
 * each gives back what the other gave, and answers the same, is among the rows of tests/conformance/differential.
 */
import { expect, test } from "bun:test";
import type { JsonObject } from "@vethwork/cni";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { referenceFolders, referenceLacks } from "../testing/reference.ts";
import { binFolder, onStage, stageLacks, type Stage } from "../testing/stage.ts";

const DATA = "/var/lib/cni/networks/mynet";
const ours = `${binFolder}/host-local`;
const lacks = stageLacks || referenceLacks;
const base = { cniVersion: "1.0.0", name: "mynet", type: "bridge" };

const run = (stage: Stage, program: string, command: string, name: string, config: object) =>
  stage.call({ command, config, program, pod: { name, netns: `/run/netns/${name}` } });
const files = async (stage: Stage): Promise<string> =>
  await stage.node.run(["sh", "-c", `cd ${DATA} && for f in *; do [ -f "$f" ] && [ "$f" != lock ] && echo "$f: $(cat "$f" | tr '\\r\\n' '__')"; done; true`]);

for (const folder of referenceFolders) {
  const theirs = `${folder}/host-local`;
  const title = (text: string): string => skipped(`${text} (${folder.startsWith("/usr") ? "Debian's own" : "the newest"})`, lacks);

  test.skipIf(lacks !== "")(title("in turns, and no address twice"), () => onStage(async (stage) => {
    const config = { ...base, ipam: { type: "host-local", ranges: [[{ subnet: "10.1.2.0/28" }], [{ subnet: "fd00:1:2::/64" }]] } };
    const given: unknown[] = [];
    for (const [at, program] of [theirs, ours, theirs, ours, ours, theirs].entries()) {
      const { result } = await run(stage, program, "ADD", `pod${at}`, config);
      given.push(...(Array.isArray(result["ips"]) ? result["ips"].map((ip: JsonObject) => ip["address"]) : []));
    }
    expect(new Set(given).size).toBe(12);
    for (let at = 0; at < 6; at++) {
      expect(await run(stage, at % 2 === 0 ? ours : theirs, "DEL", `pod${at}`, config)).toMatchObject({ code: 0, out: "", err: "" });
      expect((await run(stage, ours, "CHECK", `pod${at}`, config)).code).toBe(1);
    }
    expect(await files(stage)).toMatch(/^last_reserved_ip\.0: .*\nlast_reserved_ip\.1: .*\n$/);
  }), 60_000);

  test.skipIf(lacks !== "")(title("both at once, forty processes, forty addresses"), () => onStage(async (stage) => {
    const config = { ...base, ipam: { type: "host-local", subnet: "10.1.0.0/16" } };
    const answers = await Promise.all(Array.from({ length: 40 }, (_, at) => run(stage, at % 2 === 0 ? theirs : ours, "ADD", `pod${at}`, config)));
    expect(new Set(answers.map(({ out }) => /"address": "([^"]+)"/.exec(out)?.[1])).size).toBe(40);
    const ended = await Promise.all(Array.from({ length: 40 }, (_, at) => run(stage, at % 2 === 0 ? ours : theirs, "DEL", `pod${at}`, config)));
    expect(ended.every(({ code }) => code === 0)).toBe(true);
    expect(await files(stage)).toMatch(/^last_reserved_ip\.0: \S+\n$/);
  }), 60_000);
}
