/**
 * Between host-local and the reference host-local, on one folder, with pods running: what one gave the other gives back,
 * neither gives away what the other gave, and both answer the same to the same configuration.
 */
import { expect, test } from "bun:test";
import { find, type JsonObject } from "@vethwork/cni";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { referenceFolders, referenceLacks } from "../testing/reference.ts";
import { binFolder, onStage, stageLacks, type Stage } from "../testing/stage.ts";

const DATA = "/var/lib/cni/networks/mynet";
const ours = `${binFolder}/host-local`;
const lacks = stageLacks || referenceLacks;
const base = { cniVersion: "1.0.0", name: "mynet", type: "bridge" };
const range4 = { subnet: "10.1.2.0/28" };
const range6 = { subnet: "fd00:1:2::/64" };
const configs: Record<string, JsonObject> = {
  "one subnet": { ipam: { type: "host-local", ...range4 } },
  "start, end and gateway": { ipam: { type: "host-local", ...range4, rangeStart: "10.1.2.5", rangeEnd: "10.1.2.9", gateway: "10.1.2.6" } },
  "IPv6": { ipam: { type: "host-local", ranges: [[range6]] } },
  "both families": { ipam: { type: "host-local", ranges: [[range4], [range6]] } },
  "several ranges in a set": { ipam: { type: "host-local", ranges: [[{ ...range4, rangeEnd: "10.1.2.3" }, { subnet: "10.1.9.0/24", rangeStart: "10.1.9.7" }]] } },
  "routes": { ipam: { type: "host-local", ...range4, routes: [{ dst: "0.0.0.0/0" }, { dst: "192.0.2.0/24", gw: "10.1.2.9" }] } },
  "a capability's ranges": { ipam: { type: "host-local" }, runtimeConfig: { ipRanges: [[range4]] } },
  "a capability's address": { ipam: { type: "host-local", ...range4 }, runtimeConfig: { ips: ["10.1.2.9"] } },
  "a small subnet": { ipam: { type: "host-local", subnet: "10.1.2.0/30" } },
  "a result of old": { cniVersion: "0.2.0", ipam: { type: "host-local", ...range4, routes: [{ dst: "0.0.0.0/0" }] } },
};

/** The older one prints "dns": {} where there is none, which later versions of the specification's library leave out. */
const withoutEmptyDns = (out: string): string => out.replace(/,\s*"dns": \{\}/, "");

const run = (stage: Stage, program: string, command: string, name: string, config: object) =>
  stage.call({ command, config, program, pod: { name, netns: `/run/netns/${name}` } });
const files = async (stage: Stage): Promise<string> =>
  await stage.node.run(["sh", "-c", `cd ${DATA} && for f in *; do [ -f "$f" ] && [ "$f" != lock ] && echo "$f: $(cat "$f" | tr '\\r\\n' '__')"; done; true`]);
const wipe = async (stage: Stage): Promise<void> => void (await stage.node.run(["rm", "-rf", DATA]));

for (const folder of referenceFolders) {
  const theirs = `${folder}/host-local`;
  const title = (text: string): string => skipped(`${text} (${folder.startsWith("/usr") ? "Debian's own" : "the newest"})`, lacks);

  test.skipIf(lacks !== "")(title("the same configuration, the same result, the same files"), () => onStage(async (stage) => {
    for (const [what, conf] of Object.entries(configs)) {
      const config = { ...base, ...conf };
      const seen: unknown[] = [];
      for (const program of [theirs, ours]) {
        const said: unknown[] = [];
        for (const name of ["a", "b", "c"]) {
          const { code, out, result } = await run(stage, program, "ADD", name, config);
          said.push(code === 0 ? withoutEmptyDns(out) : find(result, "msg"));
        }
        said.push((await run(stage, program, "DEL", "b", config)).code, (await run(stage, program, "ADD", "d", config)).out.includes("10.1.2"), await files(stage));
        seen.push(said);
        await wipe(stage);
      }
      expect({ what, ours: seen[1] }).toEqual({ what, ours: seen[0] });
    }
  }), 60_000);

  test.skipIf(lacks !== "")(title("ADD by the one, CHECK and DEL by the other, and no address twice"), () => onStage(async (stage) => {
    const config = { ...base, ...configs["both families"] };
    for (const [first, second] of [[theirs, ours], [ours, theirs]] as const) {
      const given: unknown[] = [];
      for (const [at, program] of [first, second, first, second, second, first].entries()) {
        const { result } = await run(stage, program, "ADD", `pod${at}`, config);
        given.push(...(Array.isArray(result["ips"]) ? result["ips"].map((ip: JsonObject) => ip["address"]) : []));
      }
      expect(new Set(given).size).toBe(12);
      for (let at = 0; at < 6; at++) {
        expect((await run(stage, second, "CHECK", `pod${at}`, config)).code).toBe(0);
        expect(await run(stage, at % 2 === 0 ? second : first, "DEL", `pod${at}`, config)).toMatchObject({ code: 0, out: "", err: "" });
        expect((await run(stage, first, "CHECK", `pod${at}`, config)).code).toBe(1);
      }
      expect(await files(stage)).toMatch(/^last_reserved_ip\.0: .*\nlast_reserved_ip\.1: .*\n$/);
      await wipe(stage);
    }
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
