/**
 * Plugins for tests of the runtime's side: files that say what they were asked with, as processes or, at the seam that libcni has
 * for it, as a function.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCni, type Cni } from "../libcni.ts";
import type { CniOptions } from "../calls.ts";
import type { Exec, ExecOutcome } from "../exec.ts";
import { isObject, parseJson, type JsonObject } from "../json.ts";

/** One call, as the plugin got it. */
export interface Asked {
  type: string;
  command: string;
  env: Record<string, string | undefined>;
  config: JsonObject;
}

/** Answers a call; what it throws or leaves out is said for it. */
export type Answer = (asked: Asked) => Partial<ExecOutcome> | undefined;

export interface Bench extends Disposable {
  folder: string;
  cacheDir: string;
  cni: Cni;
  /** The calls, in order; VERSION is not among them. */
  asked: Asked[];
}

const versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/** libcni with plugins of these types, each answering ADD with an empty result unless `answer` has another. */
export function bench(types: readonly string[], answer: Answer = () => undefined, options: Partial<CniOptions> = {}): Bench {
  const folder = mkdtempSync(join(tmpdir(), "cni-"));
  const path = join(folder, "bin");
  mkdirSync(path);
  for (const type of types) writeFileSync(join(path, type), "");
  const asked: Asked[] = [];
  const exec: Exec = ({ path: file, env, stdin }) => {
    const config = parseJson(stdin);
    const call = { type: file.slice(file.lastIndexOf("/") + 1), command: env["CNI_COMMAND"] ?? "", env, config: isObject(config) ? config : {} };
    if (call.command !== "VERSION") asked.push(call);
    const usual = call.command === "VERSION" ? { cniVersion: "1.1.0", supportedVersions: versions } : { cniVersion: call.config["cniVersion"] };
    const stdout = call.command === "ADD" || call.command === "VERSION" ? JSON.stringify(usual) : "";
    return Promise.resolve({ status: 0, stderr: "", stdout, ...answer(call) });
  };
  const cacheDir = join(folder, "cache");
  const cni = createCni({ path: [path], cacheDir, exec, env: { PATH: "/usr/bin:/bin" }, ...options });
  return { folder, cacheDir, cni, asked, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A plugin's error, as it prints it. */
export const refusal = (code: number, msg: string, details?: string): Partial<ExecOutcome> => ({ status: 1, stdout: JSON.stringify({ cniVersion: "1.0.0", code, msg, ...(details && { details }) }) });

/** A list of plugins, as a file has it. */
export const listOf = (cniVersion: string, plugins: readonly object[], more: object = {}): string => JSON.stringify({ cniVersion, name: "net", plugins, ...more });

/** Asserts that a value has all that `wanted` has; a regular expression stands for any text that it matches. */
export function assertHas(actual: unknown, wanted: unknown): void {
  if (wanted instanceof RegExp) return assert.match(String(actual), wanted);
  if (typeof wanted !== "object" || wanted === null) return assert.deepEqual(actual, wanted);
  assert.ok(typeof actual === "object" && actual !== null, `${JSON.stringify(actual)} is no object (${JSON.stringify(wanted)} is wanted)`);
  if (Array.isArray(wanted)) assert.equal(Array.isArray(actual) && actual.length, wanted.length);
  for (const [key, value] of Object.entries(wanted)) assertHas(Reflect.get(actual, key), value);
}
