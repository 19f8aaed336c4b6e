/** A plugin as a process of its own, on whichever runtime these tests run. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

// Compiled, this file lies in dist beside the compiled plugin.
const here = import.meta.url;
const program = fileURLToPath(new URL(here.endsWith(".ts") ? "./testing/echo.ts" : "./testing/echo.js", here));
const env = { CNI_CONTAINERID: "pod-1", CNI_NETNS: "/nowhere/netns", CNI_IFNAME: "eth0", CNI_PATH: "/nowhere/bin" };

function run(command: string | undefined, input: string) {
  const variables = { ...env, ...(command !== undefined && { CNI_COMMAND: command }) };
  return spawnSync(process.execPath, [program], { env: variables, input, encoding: "utf8", timeout: 20_000, maxBuffer: 1 << 26 });
}

test("a plugin process answers on stdout and exits with 0", () => {
  const { status, stdout, stderr } = run("ADD", '{"name":"net","cniVersion":"1.0.0","word":"hello"}');
  assert.deepEqual([status, stderr], [0, ""]);
  assert.equal(stdout, '{\n    "cniVersion": "1.0.0",\n    "dns": {\n        "domain": "hello"\n    }\n}');
});

test("a plugin process that fails prints the error on stdout and exits with 1", () => {
  const { status, stdout, stderr } = run("ADD", '{"cniVersion":"1.0.0"}');
  assert.deepEqual([status, stderr], [1, ""]);
  assert.equal(stdout, '{\n    "code": 7,\n    "msg": "missing network name"\n}');
});

test("without a verb the process introduces itself with its own version and does not wait for stdin", () => {
  const { status, stdout, stderr } = run(undefined, "");
  assert.deepEqual([status, stdout], [0, ""]);
  assert.match(stderr, /^CNI echo plugin 1\.2\.3\n/);
});

test("a result larger than any pipe's buffer arrives whole", () => {
  const word = "x".repeat(3_000_000);
  const { status, stdout } = run("ADD", JSON.stringify({ name: "net", cniVersion: "1.0.0", word }));
  assert.equal(status, 0);
  assert.deepEqual(JSON.parse(stdout), { cniVersion: "1.0.0", dns: { domain: word } });
});
