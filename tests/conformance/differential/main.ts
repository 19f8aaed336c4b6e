/**
 * Plays rows by hand and tells what differs, to write a row or to understand one.
 *
 *   bun tests/conformance/differential/main.ts PATTERN          rows of which "type: name" fits the regular expression
 *   bun tests/conformance/differential/main.ts PATTERN --facts  also everything that our own play told
 *   bun tests/conformance/differential/main.ts PATTERN --script the play as shell text, for stage.sh
 *
 * Needs root and the built binary. The tests are in differential.root.test.ts.
 */
import { referenceFolders } from "../../../packages/plugins/testing/reference.ts";
import { binFolder } from "../../../packages/plugins/testing/stage.ts";
import { kernelLacks } from "../node/kernel.ts";
import { verdictOn } from "./compare.ts";
import { playsOf } from "./plays.ts";
import { scriptOf, steps } from "./play.ts";
import { needsOf } from "./table.ts";
import { tables } from "./tables.ts";

const [pattern = "", ...flags] = process.argv.slice(2);
for (const table of tables) {
  for (const [name, row] of Object.entries(table.rows)) {
    const title = `${table.type}: ${name}`;
    if (!new RegExp(pattern).test(title)) continue;
    const lacks = table.reference?.lacks || kernelLacks(...needsOf(table, row));
    if (lacks !== "") {
      console.log(`${title} (needs ${lacks})`);
      continue;
    }
    if (flags.includes("--script")) console.log(scriptOf(table, row, { adder: referenceFolders[0] ?? "", other: binFolder, seen: steps }));
    const begun = performance.now();
    const plays = await playsOf(table, row);
    const { faults, seen } = verdictOn(table, row, plays);
    console.log([`${faults.length === 0 ? "✔" : "✘"} ${title} (${Math.round(performance.now() - begun)} ms)${seen.size > 0 ? ` [${[...seen].join(" ")}]` : ""}`, ...faults].join("\n"));
    if (flags.includes("--facts")) for (const { name: step, lines } of plays.ours) console.log(lines.map((line) => `${step}: ${line}`).join("\n"));
  }
}
