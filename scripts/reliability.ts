/**
 * Writes the figures of docs/reliability.md: plays every row of tests/reliability, and crowds of pods with our plugins and the reference's.
 *
 *   npm run faults [-- --whole] [--only ROW] [--no-crowds]        needs root; --whole fails every call by every errno, and takes an hour
 *
 * What is not as promised is printed, and is the exit code; the page is then left as it is. With --only nothing is written.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startNode } from "../tests/conformance/node/node.ts";
import type { Crowd } from "../tests/reliability/crowd.ts";
import { page, playedTable, withSection } from "../tests/reliability/page.ts";
import type { Played } from "../tests/reliability/play.ts";
import { rows } from "../tests/reliability/rows.ts";
import { playAll } from "../tests/reliability/run.ts";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({ options: { whole: { type: "boolean", default: false }, only: { type: "string" }, "no-crowds": { type: "boolean", default: false } } });
const chosen = rows.filter(({ name }) => values.only === undefined || name === values.only);
if (chosen.length === 0) {
  console.error(`faults: there is no row ${JSON.stringify(values.only)} (one of ${rows.map(({ name }) => JSON.stringify(name)).join(", ")} is wanted)`);
  process.exit(2);
}
process.exitCode = await main();

async function main(): Promise<number> {
  const played: Played[] = [];
  for (const [name, promise] of playAll(values.whole ? "whole" : "short", chosen)) {
    const one = await promise;
    played.push(one);
    console.error(`${name}: ${one.lacks === "" ? `${one.calls.ADD} calls of ADD, ${one.calls.DEL} of DEL` : "this kernel lacks it"}`);
    for (const line of one.wrong) console.error(`  ${line}`);
  }
  if (played.some(({ wrong }) => wrong.length > 0)) return 1;
  if (values.only !== undefined) return 0;
  let text = readFileSync(page, "utf8");
  text = withSection(text, "faults", playedTable(played));
  if (!values["no-crowds"]) text = withSection(text, "floods", await crowdsTable());
  writeFileSync(page, text);
  return 0;
}

async function crowdsTable(): Promise<string> {
  const folders = [["ours", join(root, "dist/cni-bin")], ["reference", join(root, ".cache/reference-plugins/usr/lib/cni")]] as const;
  const lines: string[] = [];
  for (const [count, kind, what] of [[300, "chain", "bridge, portmap, firewall"], [2000, "one", "ptp"]] as const) {
    for (const [whose, folder] of folders) {
      const { addMs, delMs, failures, duplicates, silent, left } = await crowdOf(folder, count, kind);
      console.error(`${count} of ${kind}, ${whose}: ${addMs.toFixed(0)} ms, ${delMs.toFixed(0)} ms; ${failures[0] ?? ""}`);
      lines.push(`| ${count} × ${what} | ${whose} | ${(addMs / 1000).toFixed(1)} s | ${(delMs / 1000).toFixed(1)} s | ${failures.length} | ${duplicates.length} | ${silent.length} | ${left.length} |`);
    }
  }
  const machine = `Linux ${release()}, ${cpus().length} processors; other work on the machine only adds to the times.`;
  return `${machine}\n\n| at once | whose | ADDs | DELs | failed | addresses given twice | of those asked, silent | left |\n|---|---|---|---|---|---|---|---|\n${lines.join("\n")}`;
}

async function crowdOf(folder: string, count: number, kind: string): Promise<Crowd> {
  const node = await startNode();
  try {
    const crowd: Crowd = JSON.parse(await node.run([process.execPath, join(root, "tests/reliability/crowd.ts"), folder, String(count), kind], { timeoutMs: 900_000 }));
    return crowd;
  } finally {
    await node.stop();
  }
}
