import { expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "./files.ts";

/** Runs oxlint with the repository's own configuration, in a repository that holds this one file. */
function lint(path: string, text: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), "vethwork-lint-"));
  try {
    cpSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), text);
    const done = Bun.spawnSync({ cmd: [join(root, "node_modules/.bin/oxlint"), "--format=unix"], cwd: folder, stdout: "pipe" });
    return [...done.stdout.toString().matchAll(/\[Error\/[\w-]+\(([\w-]+)\)\]|\[Error\/([\w-]+)\]/g)].map((match) => match[1] ?? match[2] ?? "");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const rows: readonly (readonly [rule: string, text: string])[] = [
  ["no-explicit-any", "export const a = (b: any): void => b();"],
  ["consistent-type-assertions", "export const a = JSON.parse('1') as number;"],
  ["consistent-type-assertions", "export const a = <number>JSON.parse('1');"],
  ["no-non-null-assertion", "export const a = (b: string | undefined): string => b!;"],
  ["no-throw-literal", "export const a = (): void => { throw 'x'; };"],
  ["no-unused-vars", "const a = 1;\nexport const b = 2;"],
  ["eqeqeq", "export const a = (b: number): boolean => b == 1;"],
  ["prefer-node-protocol", "import { join } from 'path';\nexport const a = join('b');"],
];

for (const [rule, text] of rows) {
  test(`${text.split("\n")[0]} is refused`, () => expect(lint("packages/cni/a.ts", text)).toEqual([rule]));
}

test("a constant assertion and a name that begins with an underscore pass", () => {
  expect(lint("packages/cni/a.ts", "export const a = { b: 1 } as const;\nexport const f = (_x: number): number => 1;")).toEqual([]);
});

test("the wire tables may assert types, the rest of linux may not", () => {
  const text = "export const a = JSON.parse('1') as number;";
  expect(lint("packages/linux/wire/a.ts", text)).toEqual([]);
  expect(lint("packages/linux/a.ts", text)).toEqual(["consistent-type-assertions"]);
});

test("the repository itself passes", () => {
  const done = Bun.spawnSync({ cmd: [join(root, "node_modules/.bin/oxlint"), "--quiet", "--format=unix"], cwd: root, stdout: "pipe" });
  expect(done.stdout.toString().trim()).toBe("");
  expect(done.exitCode).toBe(0);
});
