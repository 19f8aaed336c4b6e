/** Plugins as real processes: what they get, how they end, and what a runtime does that has no more time. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CniError } from "./errors.ts";
import { findInPath, inProcessExec, processExec, processExecSync, tracedExec, type ExecTrace } from "./exec.ts";
import { config } from "./config.ts";
import { definePlugin } from "./skel.ts";
import { assertHas } from "./testing/plugins.ts";

let folder = "";
before(() => void (folder = mkdtempSync(join(tmpdir(), "exec-"))));
after(() => rmSync(folder, { recursive: true }));

function script(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

const env = { PATH: "/usr/bin:/bin", CNI_COMMAND: "ADD" };
const echo = definePlugin({ type: "echo", about: "says its name", config: config({}), add: () => ({ interfaces: [{ name: "echo0" }] }), del: () => {} });

test("a process gets its stdin and its variables and no others, and its outputs and exit code come back", async () => {
  const path = script("tell", 'cat; echo "$CNI_COMMAND" >&2; env | grep -c "^HOME=" >&2; exit 3');
  for (const outcome of [await processExec({ path, env, stdin: "hello" }), processExecSync({ path, env, stdin: "hello" })]) {
    assert.deepEqual(outcome, { status: 3, stdout: "hello", stderr: "ADD\n0\n" });
  }
});

test("a megabyte goes in and out, and a plugin that reads nothing is no error", async () => {
  const large = "x".repeat(1 << 20);
  assert.equal((await processExec({ path: script("cat", "cat"), env, stdin: large })).stdout, large);
  assert.equal(processExecSync({ path: script("cat", "cat"), env, stdin: large }).stdout, large);
  assertHas(await processExec({ path: script("deaf", "exec <&-; echo done"), env, stdin: large }), { status: 0, stdout: "done\n" });
});

test("one that was killed is told by its signal", async () => {
  const path = script("suicide", "kill -9 $$");
  assert.equal((await processExec({ path, env, stdin: "" })).status, "SIGKILL");
  assert.equal(processExecSync({ path, env, stdin: "" }).status, "SIGKILL");
});

test("what takes too long, or is called off, is stopped with all it holds open", async () => {
  const path = script("slow", "exec sleep 60");
  assertHas(await failure(processExec({ path, env, stdin: "", timeoutMs: 50 })), { code: 11, message: 'plugin "slow" was stopped in add after 50 ms' });
  assert.throws(() => processExecSync({ path, env, stdin: "", timeoutMs: 50 }), /was stopped in add after 50 ms/);
  assertHas(await failure(processExec({ path, env, stdin: "", signal: AbortSignal.timeout(20) })), { code: 11, message: 'plugin "slow" was stopped in add by the caller' });
  assertHas(await failure(processExec({ path, env, stdin: "", signal: AbortSignal.abort() })), { code: 11 });
});

test("what cannot be started is an error that names the file", async () => {
  const path = join(folder, "no-program");
  writeFileSync(path, "");
  chmodSync(path, 0o644);
  for (const file of [path, join(folder, "nothing")]) assertHas(await failure(processExec({ path: file, env, stdin: "" })), { code: 5, message: new RegExp(file) });
  assert.throws(() => processExecSync({ path, env, stdin: "" }), CniError);
});

test("the first folder that has a file of that name has the plugin", () => {
  for (const name of ["first", "second"]) mkdirSync(join(folder, name));
  mkdirSync(join(folder, "first", "bridge"));
  writeFileSync(join(folder, "second", "bridge"), "");
  const path = [join(folder, "nowhere"), join(folder, "first"), join(folder, "second")];
  assert.equal(findInPath("bridge", path), join(folder, "second", "bridge"));
  for (const wrong of ["", "../bridge", "a/b", "nobody"]) assert.throws(() => findInPath(wrong, path), CniError);
  assert.throws(() => findInPath("bridge", []), /no paths provided/);
});

test("a plugin of this process answers as a process would, and foreign ones are run", async () => {
  const own = (path: string) => (path.endsWith("/echo") ? echo : undefined);
  const request = { path: "/anywhere/echo", env: { ...env, CNI_CONTAINERID: "a", CNI_NETNS: "/n", CNI_IFNAME: "e", CNI_PATH: "/p" }, stdin: '{"cniVersion":"1.0.0","name":"n","type":"echo"}' };
  const outcome = await inProcessExec(own)(request);
  assert.deepEqual({ ...outcome, stdout: JSON.parse(outcome.stdout) }, { status: 0, stderr: "", stdout: { cniVersion: "1.0.0", interfaces: [{ name: "echo0" }] } });
  const foreign = script("foreign", "echo foreign");
  assert.equal((await inProcessExec(own)({ ...request, path: foreign })).stdout, "foreign\n");
  assertHas(await inProcessExec(own)({ ...request, stdin: "{" }), { status: 1, stdout: /"code": 6/ });
});

test("a traced call tells plugin, verb, stdin, outputs and time", async () => {
  const seen: ExecTrace[] = [];
  await tracedExec(processExec, (trace) => seen.push(trace))({ path: script("cat", "cat"), env, stdin: "in" });
  assertHas(seen, [{ plugin: "cat", command: "ADD", stdin: "in", stdout: "in", stderr: "", status: 0 }]);
  assert.ok(seen.every(({ durationMs }) => durationMs > 0));
});

const failure = (work: Promise<unknown>): Promise<unknown> => work.then(() => undefined, (error: unknown) => error);
