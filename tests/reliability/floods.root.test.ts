/** Floods: as many at once as a node ever sees. Every pod is served, no address is given twice, and nothing is left of them. */
import { expect } from "bun:test";
import { join } from "node:path";
import { binFolder, stageTest, type Stage } from "../../packages/plugins/testing/stage.ts";
import type { Crowd } from "./crowd.ts";

const quiet = { code: 0, out: "", err: "" };
const config = { cniVersion: "1.0.0", name: "mynet", type: "bridge", isDefaultGateway: true, ipMasq: true, ipam: { type: "host-local", subnet: "10.1.2.0/24" } };

stageTest("300 ADDs at once through a chain of three, with GC in the middle, then 300 DELs: all are served, and nothing is left", async (stage) => {
  const said = await stage.node.run([process.execPath, join(import.meta.dir, "crowd.ts"), binFolder, "300", "chain"], { timeoutMs: 170_000 });
  const crowd: Crowd = JSON.parse(said);
  console.log(`300 ADDs at once: ${(crowd.addMs / 1000).toFixed(1)} s, 300 DELs: ${(crowd.delMs / 1000).toFixed(1)} s`);
  expect(crowd).toMatchObject({ count: 300, failures: [], duplicates: [], silent: [], left: [] });
}, 180_000);

/** What an attachment leaves traces in. */
const traces = (stage: Stage): Promise<string> => stage.node.run(["sh", "-c", "ip -br link | grep -v cni0; nft -s list ruleset; find /var/lib/cni -type f ! -name lock ! -name 'last_res*' | sort"]);

stageTest("ADD and DEL of one container at once, again and again: a DEL afterwards leaves nothing, and its neighbour loses nothing", async (stage) => {
  const [pod, neighbour] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  const call = (command: string, one = pod, more: object = {}) => stage.call({ command, config: { ...config, ...more }, pod: one });
  const { result: prevResult } = await call("ADD", neighbour);
  const before = await traces(stage);
  for (let round = 0; round < 15; round++) {
    const answers = await Promise.all(["ADD", "DEL", "ADD", "DEL"].map((command) => call(command)));
    expect(answers.filter(({ code }) => code !== 0 && code !== 1)).toEqual([]);
    for (let times = 0; times < 2; times++) expect(await call("DEL")).toMatchObject(quiet);
    expect({ round, traces: await traces(stage) }).toEqual({ round, traces: before });
    expect(await call("CHECK", neighbour, { prevResult })).toMatchObject(quiet);
  }
}, 120_000);
