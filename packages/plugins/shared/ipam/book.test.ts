import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CniError, ErrorCode } from "@vethwork/cni";
import { parseCidr, parseIp } from "@vethwork/linux";
import * as fc from "fast-check";
import { findBook, openBook, type Book, type Wish } from "./book.ts";
import type { Pool } from "./pool.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "vethwork-book-"));
  folders.push(folder);
  return folder;
}

const pool: Pool = { subnet: parseCidr("10.1.2.0/28"), first: parseIp("10.1.2.1"), last: parseIp("10.1.2.14"), gateway: parseIp("10.1.2.1") };
const none = (): CniError => new CniError(ErrorCode.TRY_AGAIN, "none left");
const one = { containerId: "one", ifname: "eth0" };
const two = { containerId: "two", ifname: "eth0" };
const take = (book: Book, attached = one, wish: Partial<Wish> = {}): string => String(book.take(attached, [{ set: [pool], ...wish }], none)[0]);
const within = <T>(folder: string, work: (book: Book) => T): T => {
  using book = openBook(folder);
  return work(book);
};

test("an address that was given back rests until all others had their turn", () => {
  const folder = newFolder();
  expect(within(folder, (book) => [take(book), book.give(one), take(book), book.give(one), take(book, two)])).toEqual(
    ["10.1.2.2", true, "10.1.2.3", true, "10.1.2.4"]);
  expect(readFileSync(`${folder}/10.1.2.4`, "utf8")).toBe("two\r\neth0");
  expect(readFileSync(`${folder}/last_reserved_ip.0`, "utf8")).toBe("10.1.2.4");
  expect(statSync(`${folder}/10.1.2.4`).mode & 0o777).toBe(0o600);
});

test("where the second wish cannot be had, the first is given back", () => {
  const folder = newFolder();
  within(folder, (book) => {
    take(book, two, { only: parseIp("10.1.2.9") });
    expect(() => book.take(one, [{ set: [pool] }, { set: [pool], only: parseIp("10.1.2.9") }], none)).toThrow("none left");
    expect(book.find(one)).toEqual([]);
    expect(book.addresses()).toEqual(["10.1.2.9"]);
    expect(book.attachments()).toEqual([expect.objectContaining(two)]);
  });
});

test("a file that another program made is found, given back, and never given away", () => {
  const folder = newFolder();
  within(folder, (book) => take(book));
  writeFileSync(`${folder}/10.1.2.3`, "two\r\neth0");
  within(folder, (book) => {
    expect(book.find(two)).toEqual(["10.1.2.3"]);
    expect(take(book, { containerId: "three", ifname: "eth0" })).toBe("10.1.2.4");
    expect(book.give(two)).toBe(true);
  });
  expect(readdirSync(folder)).not.toContain("10.1.2.3");
});

test("a file of long ago, which names the container alone, is found by any of its interfaces", () => {
  const folder = newFolder();
  writeFileSync(`${folder}/10.1.2.3`, "two");
  within(folder, (book) => {
    expect(book.find(two)).toEqual(["10.1.2.3"]);
    expect(book.give(two)).toBe(true);
    expect(book.addresses()).toEqual([]);
  });
});

test("a file that another program deleted is forgotten", () => {
  const folder = newFolder();
  within(folder, (book) => take(book));
  rmSync(`${folder}/10.1.2.2`);
  expect(within(folder, (book) => [book.find(one), book.attachments(), book.give(one)])).toEqual([[], [], false]);
});

test("an empty file, as a power failure leaves it, blocks nothing", () => {
  const folder = newFolder();
  for (const address of ["10.1.2.2", "10.1.2.3"]) writeFileSync(`${folder}/${address}`, "");
  expect(within(folder, (book) => [take(book), book.addresses()])).toEqual(["10.1.2.2", ["10.1.2.2"]]);
});

test("what the boot before took is free; what another program took meanwhile, or what is to be kept, is not", () => {
  for (const keepOverBoots of [false, true]) {
    const folder = newFolder();
    within(folder, (book) => take(book));
    const entry = `${folder}/by-attachment/one:eth0`;
    writeFileSync(entry, readFileSync(entry, "utf8").replace(/^boot .*$/m, "boot 00000000-another"));
    writeFileSync(`${folder}/10.1.2.3`, "two\r\neth0");
    using book = openBook(folder, { keepOverBoots });
    expect(book.addresses().toSorted()).toEqual(keepOverBoots ? ["10.1.2.2", "10.1.2.3"] : ["10.1.2.3"]);
    expect(book.find(one)).toEqual(keepOverBoots ? ["10.1.2.2"] : []);
    expect(readdirSync(`${folder}/by-attachment`)).toHaveLength(keepOverBoots ? 2 : 1);
  }
});

test("an address that another program gave to the same container in this boot is kept", () => {
  const folder = newFolder();
  within(folder, (book) => take(book));
  const entry = `${folder}/by-attachment/one:eth0`;
  writeFileSync(entry, readFileSync(entry, "utf8").replace(/^boot .*$/m, "boot 00000000-another"));
  utimesSync(entry, 1000, 1000); // the entry is of long ago, the file is not
  utimesSync(folder, 2000, 2000);
  expect(within(folder, (book) => book.find(one))).toEqual(["10.1.2.2"]);
});

test("the book is read once after another's change, and not again", () => {
  const folder = newFolder();
  within(folder, (book) => take(book));
  const mark = statSync(folder).mtimeMs;
  expect(new Date(mark).getFullYear()).toBeLessThan(1986);
  within(folder, (book) => take(book, two));
  expect(statSync(folder).mtimeMs).toBe(mark);
  writeFileSync(`${folder}/10.1.2.7`, "three\r\neth0");
  expect(statSync(folder).mtimeMs).not.toBe(mark);
  within(folder, () => {});
  expect(statSync(folder).mtimeMs).toBe(mark);
  expect(readdirSync(`${folder}/by-attachment`)).toContain("three:eth0");
});

test("no book is made by looking for one", () => {
  expect(findBook(join(newFolder(), "mynet"))).toBeUndefined();
});

test("whatever comes, in any order, the book says who has what, and no two have the same", () => {
  const step = fc.record({ who: fc.integer({ min: 0, max: 5 }), what: fc.constantFrom("take", "give", "foreign", "vanish"), at: fc.integer({ min: 2, max: 14 }) });
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const folder = newFolder();
    const truth = new Map<string, string>();
    for (const { who, what, at } of steps) {
      const attached = { containerId: `c${who}`, ifname: "eth0" };
      const address = `10.1.2.${at}`;
      if (what === "foreign" && !truth.has(address)) {
        writeFileSync(`${folder}/${address}`, `c${who}\r\neth0`);
        truth.set(address, attached.containerId);
      } else if (what === "vanish" && truth.delete(address)) {
        rmSync(`${folder}/${address}`);
      } else if (what === "give") {
        within(folder, (book) => book.give(attached));
        for (const [ip, owner] of truth) if (owner === attached.containerId) truth.delete(ip);
      } else if (what === "take" && truth.size < 13) {
        const got = within(folder, (book) => take(book, attached));
        expect(truth.has(got)).toBe(false);
        truth.set(got, attached.containerId);
      }
    }
    within(folder, (book) => {
      expect(book.addresses().toSorted()).toEqual([...truth.keys()].toSorted());
      for (const [ip, owner] of truth) expect(book.find({ containerId: owner, ifname: "eth0" })).toContain(ip);
    });
  }), { numRuns: 60 });
});
