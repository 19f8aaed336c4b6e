import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { root } from "./files.ts";
import { evaluate, headerText, numbersOf, structOf } from "./headers.ts";
import { compare, headersOf, type UapiModule } from "./uapi.ts";

const modules = new Map<string, UapiModule>();
for (const file of [...new Bun.Glob("packages/linux/uapi/*.ts").scanSync({ cwd: root })].filter((path) => !path.endsWith(".test.ts")).sort()) {
  modules.set(file, await import(join(root, file)));
}
const wanted = [...new Set([...modules.values()].flatMap(headersOf))];
const missing = wanted.filter((name) => headerText(name) === undefined);
const kernels = missing.filter((name) => name.startsWith("linux/"));

/** What C programs get by way of sys/file.h and poll.h. */
const generic = ["asm-generic/fcntl.h", "asm-generic/poll.h"];

/** Names that the headers of the oldest Debian we test on do not have yet → the kernel that brought them. */
const newer: Readonly<Record<string, string>> = {};

describe("packages/linux/uapi", () => {
  for (const [file, exports] of modules) {
    test.skipIf(kernels.length > 0)(`the numbers and structs of ${file} are the kernel's (needs linux-libc-dev)`, () => {
      // A name may come from another file's header: AF_INET6 is an attribute of IFLA_AF_SPEC.
      const texts = [...headersOf(exports), ...wanted, ...generic].flatMap((name) => headerText(name) ?? []);
      const { checked, faults, unknown } = compare(exports, texts);
      expect(headersOf(exports)).not.toEqual([]);
      expect(faults).toEqual([]);
      if (missing.length === 0) expect(unknown.filter((name) => !(name in newer))).toEqual([]);
      expect(checked).toBeGreaterThan(0);
    });
  }
});

const header = `
enum { IFLA_UNSPEC, IFLA_ADDRESS, IFLA_MTU = 4, IFLA_LINK, __IFLA_MAX };
#define IFLA_MAX (__IFLA_MAX - 1)
enum flags { IFF_UP = 1<<0, };
#define IFF_UP IFF_UP
#define NLM_F_DUMP (NLM_F_ROOT|NLM_F_MATCH)
#define NLM_F_ROOT 0x100
#define NLM_F_MATCH	0x200	/* rest of line */
#define POLLIN 04
#define NFT_CONTINUE -1
#define TUNSETIFF _IOW('T', 202, int)
#define TUNSETFILTER _IOW('T', 203, struct filter)
struct ifaddrmsg { __u8 ifa_family; __u8 ifa_prefixlen; __u32 ifa_index; };
struct around { __u8 a; struct ifaddrmsg inner; };
struct odd { __u8 a; char name[16]; };
#define some_fields __u32 index; int action
struct open { some_fields; __be16 last; struct around keys[]; };
struct grouped { __struct_group(head, hdr, /* nothing */, __u8 a; __be16 b;); struct around keys[]; };
`.replace(/\/\*.*?\*\//g, "");
const set = (name: string, table: Record<string, readonly [number, unknown]>) => ({ kind: "blob", nested: true, name, table });
const struct = (fields: Record<string, { size: number }>) => ({ kind: "fixed", fields });

test("enumerators count on, macros use each other, and octal is octal", () => {
  expect(Object.fromEntries(numbersOf([header]))).toEqual({
    IFLA_UNSPEC: 0, IFLA_ADDRESS: 1, IFLA_MTU: 4, IFLA_LINK: 5, __IFLA_MAX: 6, IFLA_MAX: 5, IFF_UP: 1,
    NLM_F_DUMP: 0x300, NLM_F_ROOT: 0x100, NLM_F_MATCH: 0x200, POLLIN: 4, NFT_CONTINUE: -1, TUNSETIFF: 0x400454ca,
  });
});

test("an expression binds as C's does, and what is no integer is nothing", () => {
  expect(evaluate("1 | 2 << 3 + 1 & 0xff", new Map())).toBe(33);
  expect(evaluate("~(A - 1)", new Map([["A", 4]]))).toBe(-4);
  for (const text of ["", "sizeof(x)", "B", "1 +", "(1", '"text"', "1 2"]) expect(evaluate(text, new Map())).toBeUndefined();
});

test("a struct is laid out with C's gaps, and one with more than integers is left alone", () => {
  expect(structOf("ifaddrmsg", header)).toEqual({
    size: 8,
    fields: [{ name: "ifa_family", offset: 0, size: 1 }, { name: "ifa_prefixlen", offset: 1, size: 1 }, { name: "ifa_index", offset: 4, size: 4 }],
  });
  expect(structOf("around", header)?.fields.map(({ name, offset }) => `${name} ${offset}`))
    .toEqual(["a 0", "ifa_family 4", "ifa_prefixlen 5", "ifa_index 8"]);
  expect(structOf("odd", header)).toBeUndefined();
  expect(structOf("none", header)).toBeUndefined();
});

test("fields that a macro or a group stands for are laid out, an array without a length takes no room", () => {
  expect(structOf("open", header)).toEqual({
    size: 12, fields: [{ name: "index", offset: 0, size: 4 }, { name: "action", offset: 4, size: 4 }, { name: "last", offset: 8, size: 2 }],
  });
  expect(structOf("grouped", header)).toEqual({ size: 4, fields: [{ name: "a", offset: 0, size: 1 }, { name: "b", offset: 2, size: 2 }] });
});

test("a wrong number is reported, in a table, among plain numbers and alone", () => {
  expect(compare({ IFLA: set("IFLA", { MTU: [5, 0] }), IFF: { UP: 2 }, IFLA_MAX: 7 }, [header]).faults).toEqual([
    "IFLA_MTU is 4 in C (ours: 5)", "IFF_UP is 1 in C (ours: 2)", "IFLA_MAX is 5 in C (ours: 7)",
  ]);
});

test("a name that no header has is reported as unknown", () => {
  expect(compare({ IFLA: set("IFLA", { MTUX: [5, 0] }) }, [header])).toEqual({ checked: 0, faults: [], unknown: ["IFLA_MTUX"] });
});

test("right numbers pass, in both spellings and signs", () => {
  expect(compare({ IFLA: set("IFLA", { LINK: [5, 0] }), POLL: { IN: 4 }, NFT: { CONTINUE: 0xffff_ffff } }, [header]))
    .toEqual({ checked: 3, faults: [], unknown: [] });
});

test("a field at the wrong place and a struct of the wrong length are reported", () => {
  const u8 = { size: 1 };
  const u32 = { size: 4 };
  const right = struct({ ifa_family: u8, ifa_prefixlen: u8, _pad: { size: 2 }, ifa_index: u32 });
  expect(compare({ ifaddrmsg: right }, [header])).toEqual({ checked: 3, faults: [], unknown: [] });
  const wrong = struct({ ifa_family: u8, ifa_prefixlen: u8, ifa_index: u32 });
  expect(compare({ ifaddrmsg: wrong }, [header]).faults).toHaveLength(2);
});
