/** The figures as Prometheus reads them, and as docs/agent.md lists them. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { createRegistry, metrics } from "./metrics.ts";

const page = join(import.meta.dir, "../../docs/agent.md");

test("counters add up, gauges are set, a histogram's buckets hold all that is not larger", () => {
  const registry = createRegistry();
  registry.add("passes", 1, "done");
  registry.add("passes", 2, "done");
  registry.add("passes", 1, "failed");
  registry.set("info", 1, 'a"b\\c\nd');
  registry.set("peers", 3, "direct");
  registry.reset("peers");
  registry.set("peers", 1, "vxlan");
  for (const seconds of [0.0005, 0.003, 60]) registry.observe("duration", seconds);
  const text = registry.text();
  expect(text).toContain('# TYPE vethwork_passes_total counter\nvethwork_passes_total{result="done"} 3\nvethwork_passes_total{result="failed"} 1\n');
  expect(text).toContain('vethwork_build_info{version="a\\"b\\\\c\\nd"} 1\n');
  expect(text).toContain('# TYPE vethwork_peers gauge\nvethwork_peers{way="vxlan"} 1\n');
  expect(text).toContain('_bucket{le="0.001"} 1\nvethwork_pass_duration_seconds_bucket{le="0.0025"} 1\nvethwork_pass_duration_seconds_bucket{le="0.005"} 2\n');
  expect(text).toEndWith('_bucket{le="+Inf"} 3\nvethwork_pass_duration_seconds_sum 60.0035\nvethwork_pass_duration_seconds_count 3\n');
});

test("names keep to Prometheus' conventions", () => {
  for (const { name, type, help } of metrics) {
    expect(name).toMatch(/^(?:vethwork|process)_[a-z_]+$/);
    expect({ name, isCounter: name.endsWith("_total") }).toEqual({ name, isCounter: type === "counter" });
    expect(help).toMatch(/^[A-Z0-9].*\.$/);
    expect(name).not.toMatch(/_(?:ms|milliseconds|kb|mib|percent)\b/);
  }
});

test("the page about the agent lists each of them (UPDATE=1 writes the list)", async () => {
  const rows = metrics.map(({ name, type, help, ...more }) => `| \`${name}${"label" in more && more.label ? `{${more.label}}` : ""}\` | ${type} | ${help} |`);
  const wanted = `<!-- metrics -->\n| metric | type | what it is |\n|---|---|---|\n${rows.join("\n")}\n<!-- /metrics -->`;
  const text = await Bun.file(page).text();
  const fresh = text.replace(/<!-- metrics -->[^]*<!-- \/metrics -->/, () => wanted);
  if (process.env["UPDATE"]) await Bun.write(page, fresh);
  else expect(text).toBe(fresh);
});
