import { expect, test } from "bun:test";
import { verdictOn } from "./compare.ts";
import type { Step } from "./facts.ts";
import type { Row, Table } from "./table.ts";

const step = (name: string, ...lines: string[]): Step => ({ name, lines, looked: true, said: lines.find((line) => line.includes("error")) ?? "" });
const table: Table = { type: "bridge", rows: {} };
const row: Row = { config: {} };
const good = [step("ADD", "bridge exit: 0", "node link cni0"), step("DEL", "bridge exit: 0")];
const faults = (some: Row, theirs: readonly Step[], ours: readonly Step[], crossed?: { over: readonly Step[]; back: readonly Step[] }): string[] =>
  verdictOn(table, some, { theirs, ours, ...(crossed && { crossed }) }).faults;

test("the same is no fault, and what only one has is one, with the steps in which it is so", () => {
  expect(faults(row, good, good)).toEqual([]);
  const more = [step("ADD", "bridge exit: 0", "node link cni0", "node link eth9"), step("DEL", "bridge exit: 0", "node link eth9")];
  expect(faults(row, good, more)).toEqual(["the reference (-) and ours (+):", "  [ADD, DEL] + node link eth9"]);
  expect(faults(row, more, good)).toEqual(["the reference (-) and ours (+):", "  [ADD, DEL] - node link eth9"]);
});

test("of a link that the other lacks one line is told", () => {
  const more = [step("ADD", "bridge exit: 0", "node link cni0", "node link eth9", "node link eth9 mtu: 1500", "node sysctl net/ipv4/conf/eth9/forwarding: 1"), good[1] ?? step("")];
  expect(faults(row, good, more)).toEqual(["the reference (-) and ours (+):", "  [ADD] + node link eth9"]);
});

test("a named difference is none, only on the side that it is of, and has to be seen", () => {
  const alias = [step("ADD", "bridge exit: 0", "node link cni0", "node link veth(pod1/eth0) ifalias: vethwork mynet pod1/eth0"), step("DEL", "bridge exit: 0")];
  const named: Row = { ...row, differences: ["cable-alias"] };
  expect(faults(named, good, alias)).toEqual([]);
  expect(faults(named, alias, good)).toEqual(["the reference (-) and ours (+):", "  [ADD] - node link veth(pod1/eth0) ifalias: vethwork mynet pod1/eth0"]);
  expect(faults(named, good, good)).toEqual(['the row names the difference "cable-alias", which is not to be seen']);
});

test("where a part of a line differs, the rest of it has to be the same", () => {
  const address = (more: string): Step[] => [step("ADD", "bridge exit: 0", `pod1 link eth0 address fd00::2/64 family inet6 scope global${more}`), step("DEL", "bridge exit: 0")];
  const named: Row = { ...row, differences: ["no-dad"] };
  expect(faults(named, address(" valid 1"), address(" nodad true valid 1"))).toEqual([]);
  expect(faults(named, address(" valid 1"), address(" nodad true valid 2"))).toHaveLength(3);
});

test("a refusal has our code, and the reference's, too; one that is not refused is told", () => {
  const refused = (code: number): Step[] => [step("ADD", "bridge exit: 1", `bridge error: ${code}`), step("DEL", "bridge exit: 0")];
  const wanted: Row = { ...row, refused: 7 };
  expect(faults(wanted, refused(999), refused(7))).toEqual([]);
  expect(faults(wanted, refused(999), refused(4))).toEqual(["ADD is refused by ours with code 4 (7 is in the row): bridge error: 4"]);
  expect(faults(wanted, good, refused(7))).toEqual(["ADD by the reference is not refused"]);
  expect(faults(row, good, refused(7))).toEqual(["ADD by ours fails: bridge error: 7"]);
  expect(faults({ ...row, refusedBy: { who: "ours", difference: "tap-taken" } }, good, refused(7))).toEqual([]);
});

test("who comes second has to end as it ends by itself", () => {
  const left = [step("ADD", "bridge exit: 0"), step("DEL", "bridge exit: 0", "node link eth9")];
  expect(faults(row, good, good, { over: good, back: good })).toEqual([]);
  expect(faults(row, good, good, { over: left, back: good })).toEqual(["what ours leaves (-), and leaves when the reference added (+):", "  [DEL] + node link eth9"]);
  const failing = [step("ADD", "bridge exit: 0"), step("DEL", "bridge exit: 1")];
  expect(faults(row, good, good, { over: good, back: failing })).toEqual(["what the reference leaves (-), and leaves when ours added (+):", "  [DEL] - bridge exit: 0", "  [DEL] + bridge exit: 1"]);
});
