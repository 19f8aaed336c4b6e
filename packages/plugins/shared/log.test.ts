/** The log's two forms, read back by what reads them. */
import { expect, test } from "bun:test";
import { logTo } from "./log.ts";

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

test("a line has the time, the level, words, and what it is about; what is unusual in a value is quoted", () => {
  const lines: string[] = [];
  logTo((line) => lines.push(line))("warning", "no lease\nobtained", { container: "3f6a", why: "a \"b\"\nc", left: undefined, seconds: 3 });
  const [first = "", ...rest] = (lines[0] ?? "").split(" ");
  expect(first).toEqual(time);
  expect(rest.join(" ")).toBe('warning no lease obtained container=3f6a why="a \\"b\\"\\nc" seconds=3\n');
});

test("as JSON a line is an object, and what is below the level that was asked for is left out", () => {
  const lines: string[] = [];
  const log = logTo((line) => lines.push(line), { format: "json", least: "warning" });
  log("info", "not worth it");
  log("error", "worth\nit", { node: "n", left: undefined });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toEqual({ time, level: "error", message: "worth\nit", node: "n" });
});
