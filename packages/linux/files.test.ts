/** Files and locks: what is there, what is gone, who holds what, and what happens when several do it at once. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, statfsSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  appendText, createText, deleteEmptyFolder, deleteFile, ensureFolder, findText, findTime, folderOf, forgetContent, isFile, isSameFile, listFolder, lockFile, readText, replaceText, setTime, writeText,
} from "./files.ts";
import { skipped } from "../../tests/conformance/node/needs.ts";

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "files-"))));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);

test("text is written, added to, replaced and read, whatever its letters and its length", () => {
  const long = "ä€😀".repeat(10_000);
  writeText(at("text"), long);
  appendText(at("text"), "end");
  expect(findText(at("text"))).toBe(`${long}end`);
  replaceText(at("text"), "new");
  expect(readText(at("text"))).toBe("new");
  writeText(at("text"), "");
  expect(findText(at("text"))).toBe("");
  expect(statSync(at("text")).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).filter((name) => name.endsWith(".new"))).toEqual([]);
});

const pagesOf = (path: string): number => Number(Bun.spawnSync(["fincore", "--noheadings", "--output", "PAGES", path]).stdout.toString());
const lacks = Bun.which("fincore") === null ? "fincore" : isInMemory(tmpdir()) ? "a disk" : "";
test.skipIf(lacks !== "")(skipped("what the kernel holds of a file is forgotten, and comes back from the disk", lacks), () => {
  writeFileSync(at("large"), "x".repeat(1 << 20));
  const fd = openSync(at("large"), "r");
  fsyncSync(fd);
  closeSync(fd);
  expect(pagesOf(at("large"))).toBeGreaterThan(0);
  forgetContent(at("large"));
  expect(pagesOf(at("large"))).toBe(0);
  expect(readText(at("large"))).toBe("x".repeat(1 << 20));
  expect(pagesOf(at("large"))).toBeGreaterThan(0);
  expect(() => forgetContent(at("nothing"))).toThrow("ENOENT");
});

function isInMemory(path: string): boolean {
  return statfsSync(path).type === 0x01021994; // linux/magic.h TMPFS_MAGIC
}

test("what is absent is undefined or false, below a file, too; what cannot be done is the kernel's error", () => {
  writeText(at("plain"), "");
  for (const path of [at("nothing"), at("nothing", "below"), at("plain", "below")]) {
    expect([findText(path), findTime(path), deleteFile(path), deleteEmptyFolder(path), listFolder(path)]).toEqual([undefined, undefined, false, false, []]);
  }
  expect(() => readText(at("nothing"))).toThrow(/^Cannot open ".*nothing": ENOENT, no such file or directory$/);
  expect(() => writeText(at("nothing", "below"), "")).toThrow("ENOENT");
  expect(() => findText(folder)).toThrow("EISDIR");
  expect(() => findText("zero\0byte")).toThrow(RangeError);
});

test("of many who make a file one wins", () => {
  expect([createText(at("once"), "first"), createText(at("once"), "second"), readText(at("once"))]).toEqual([true, false, "first"]);
  expect([deleteFile(at("once")), deleteFile(at("once"))]).toEqual([true, false]);
});

test("folders are made with those above them, listed, and deleted when empty", () => {
  ensureFolder(at("a", "b", "c"));
  ensureFolder(at("a", "b", "c"));
  writeText(at("a", "b", "one"), "");
  expect(listFolder(at("a", "b")).sort()).toEqual(["c", "one"]);
  expect([deleteEmptyFolder(at("a", "b")), deleteEmptyFolder(at("a", "b", "c"))]).toEqual([false, true]);
  expect(() => ensureFolder(at("a", "b", "one"))).toThrow("EEXIST");
  expect(() => ensureFolder(at("a", "b", "one", "two"))).toThrow("ENOTDIR");
});

test("a folder with thousands of names is listed whole", () => {
  mkdirSync(at("many"));
  for (let number = 0; number < 5000; number++) writeFileSync(at("many", `a-name-of-some-length-${number}`), "");
  expect(new Set(listFolder(at("many"))).size).toBe(5000);
});

test("times are kept to the second and beyond, and links lead to the same file", () => {
  writeText(at("time"), "");
  setTime(at("time"), 1_000_000_000);
  expect(findTime(at("time"))).toBe(1_000_000_000);
  utimesSync(at("time"), 5, 7.5);
  expect(findTime(at("time"))).toBe(7.5);
  symlinkSync(at("time"), at("link"));
  expect([isFile(at("time")), isFile(at("link")), isFile(folder), isFile(at("nothing")), isFile(at("time", "below"))]).toEqual([true, true, false, false, false]);
  expect([isSameFile(at("time"), at("link")), isSameFile(at("time"), at("text")), isSameFile(at("time"), at("nothing"))]).toEqual([true, false, false]);
});

test("the folder of a path", () => {
  expect(["/a/b", "/a", "a/b", "a", "/"].map(folderOf)).toEqual(["/a", "/", "a", ".", "/"]);
});

test("a lock is held by one; the other is told who has it", () => {
  const path = at("locked", "lock");
  {
    using _held = lockFile({ path, timeoutMs: 100 });
    const other = `import { lockFile } from ${JSON.stringify(join(import.meta.dir, "files.ts"))};
      try { lockFile({ path: ${JSON.stringify(path)}, timeoutMs: 30 }); } catch (error) { console.log(error.message); }`;
    const said = Bun.spawnSync([process.execPath, "-e", other]).stdout.toString();
    expect(said).toMatch(new RegExp(`^Cannot lock ".*lock": process ${process.pid} .*holds it \\(waited 30 ms\\)`));
  }
  using again = lockFile({ path, timeoutMs: 0 });
  expect(again).toBeDefined();
});

test("a lock whose holder was killed is free, and one whose file was deleted is taken anew", async () => {
  const path = at("left", "lock");
  const holder = `import { lockFile } from ${JSON.stringify(join(import.meta.dir, "files.ts"))};
    lockFile({ path: ${JSON.stringify(path)}, timeoutMs: 1000 }); console.log("held"); await Bun.sleep(60_000);`;
  const child = Bun.spawn([process.execPath, "-e", holder], { stdout: "pipe" });
  await child.stdout.getReader().read();
  expect(() => lockFile({ path, timeoutMs: 0 })).toThrow("holds it");
  child.kill("SIGKILL");
  await child.exited;
  {
    using _held = lockFile({ path, timeoutMs: 1000 });
    deleteFile(path);
    deleteEmptyFolder(folderOf(path));
    using other = lockFile({ path, timeoutMs: 1000 }); // another file of that name: another lock
    expect(other).toBeDefined();
  }
});
