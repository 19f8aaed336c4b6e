import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isWireguardKey } from "@vethwork/linux";
import { createLog } from "./log.ts";
import { deleteKey, ensureKey } from "./wireguard.ts";

function inFolder(act: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "vethwork-state."));
  try {
    act(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a key is made once, for root alone whatever the umask, and is the same afterwards", () => inFolder((above) => {
  const folder = join(above, "state");
  const log = createLog();
  const umask = process.umask(0);
  const made = ensureKey(folder, log);
  process.umask(umask);
  expect([isWireguardKey(made.key), made.secret.length]).toEqual([true, 32]);
  expect(ensureKey(folder, log)).toEqual(made);
  expect(log.changes).toEqual([`make key ${made.key}`]);
  expect(readdirSync(folder)).toEqual(["wireguard.key"]);
  const { mode } = statSync(join(folder, "wireguard.key"));
  expect([mode & 0o777, statSync(folder).mode & 0o777]).toEqual([0o600, 0o700]);
  expect([deleteKey(folder), deleteKey(folder)]).toEqual([true, false]);
}));

test("the public half is what others make of the secret one", () => inFolder((folder) => {
  writeFileSync(join(folder, "wireguard.key"), `${Buffer.alloc(32, 1).toString("base64")}\n`);
  const { secret, key } = ensureKey(folder, createLog());
  expect([[...secret], key]).toEqual([Array(32).fill(1), "pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk="]); // OpenSSL's
}));

test("what is no key is replaced, and that is said", () => inFolder((folder) => {
  const file = join(folder, "wireguard.key");
  for (const text of ["", "nonsense\n", `${Buffer.alloc(31).toString("base64")}\n`]) {
    writeFileSync(file, text);
    const log = createLog();
    const { key } = ensureKey(folder, log);
    expect(log.changes).toEqual([`make key ${key}, since what was in ${file} is none`]);
    expect(isWireguardKey(readFileSync(file, "utf8").trim())).toBe(true);
  }
}));
