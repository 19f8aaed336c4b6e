/**
 * The kernel's own word: names and numbers read from the C headers that Debian's linux-libc-dev installs. Enumerators,
 * macros that are integer expressions, and the layout of structs made of plain integers; whatever is not understood is
 * left out, so that a name is either right or unknown, never guessed.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const include = "/usr/include";

/** The text of a header by its name as in `#include <linux/if_link.h>`; undefined where it is not installed. */
export function headerText(name: string): string | undefined {
  const folders = existsSync(include) ? readdirSync(include).filter((folder) => folder.endsWith("-linux-gnu")) : [];
  const path = ["", ...folders].map((folder) => join(include, folder, name)).find((candidate) => existsSync(candidate));
  return path === undefined ? undefined : readFileSync(path, "utf8").replace(/\/\*[\s\S]*?\*\//g, " ").replace(/\\\n/g, " ");
}

/** Every integer a text names; later definitions may use earlier ones, of other headers too. */
export function numbersOf(texts: readonly string[]): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const text of texts) {
    for (const [, body = ""] of text.replace(/^\s*#.*$/gm, "").matchAll(/\benum\b\s*\w*\s*\{([^}]*)\}/g)) readEnum(body, numbers);
  }
  // A macro may stand before the one that it uses: twice is enough for every header there is.
  for (const text of [...texts, ...texts]) {
    for (const [, name = "", value = ""] of text.matchAll(/^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+(\S.*?)[ \t]*(?:\/\/.*)?$/gm)) {
      const number = evaluate(value.replace(ioctl, ioctlNumber), numbers);
      if (number !== undefined && !numbers.has(name)) numbers.set(name, number);
    }
  }
  return numbers;
}

/** A driver's request: which way its argument goes, the argument's size, the driver's letter, a number (asm-generic/ioctl.h). */
const ioctl = /\b_IO(W|R|WR)?\('(.)', ?(\d+)(?:, ?([\w ]+))?\)/g;

function ioctlNumber(whole: string, way: string | undefined, letter: string, number: string, type = ""): string {
  const size = way === undefined ? 0 : sizes[type];
  if (size === undefined) return whole;
  const direction = { W: 1, R: 2, WR: 3 }[way ?? ""] ?? 0;
  return String(direction * 2 ** 30 + size * 2 ** 16 + letter.charCodeAt(0) * 2 ** 8 + Number(number));
}

function readEnum(body: string, numbers: Map<string, number>): void {
  let last: number | undefined = -1;
  for (const item of body.split(",").map((text) => text.trim()).filter((text) => text !== "")) {
    const [name = "", value] = item.split("=").map((text) => text.trim());
    last = value === undefined ? (last === undefined ? undefined : last + 1) : evaluate(value, numbers);
    if (last !== undefined) numbers.set(name, last);
  }
}

/** An integer expression of C with | & + - * << >> ~ and parentheses; undefined when it holds anything else. */
export function evaluate(text: string, names: ReadonlyMap<string, number>): number | undefined {
  const tokens = text.match(/0[xX][\da-fA-F]+[uUlL]*|\d+[uUlL]*|\w+|<<|>>|\S/g) ?? [];
  let at = 0;
  const unary = (): number | undefined => {
    const token = tokens[at++] ?? "";
    if (token === "-") return apply(0, unary(), (_zero, value) => -value);
    if (token === "~") return apply(0, unary(), (_zero, value) => ~value);
    if (token === "(") {
      const value = level(0);
      return tokens[at++] === ")" ? value : undefined;
    }
    return integer(token) ?? names.get(token);
  };
  const level = (depth: number): number | undefined => {
    const operators = precedence[depth];
    if (operators === undefined) return unary();
    let value = level(depth + 1);
    for (let next = operators[tokens[at] ?? ""]; next !== undefined; next = operators[tokens[at] ?? ""]) {
      at += 1;
      value = apply(value, level(depth + 1), next);
    }
    return value;
  };
  const value = level(0);
  return at === tokens.length && tokens.length > 0 ? value : undefined;
}

type Operator = (left: number, right: number) => number;

/** Loosest first, as in C. */
const precedence: readonly Readonly<Record<string, Operator>>[] = [
  { "|": (left, right) => left | right },
  { "&": (left, right) => left & right },
  { "<<": (left, right) => left << right, ">>": (left, right) => left >> right },
  { "+": (left, right) => left + right, "-": (left, right) => left - right },
  { "*": (left, right) => left * right },
];

function apply(left: number | undefined, right: number | undefined, operator: Operator): number | undefined {
  return left === undefined || right === undefined ? undefined : operator(left, right);
}

function integer(token: string): number | undefined {
  const digits = /^(0[xX][\da-fA-F]+|\d+)[uUlL]*$/.exec(token)?.[1];
  if (digits === undefined) return undefined;
  return /^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
}

/** Where a field lies in its struct. */
export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const sizes: Readonly<Record<string, number>> = {
  __u8: 1, __s8: 1, "unsigned char": 1, char: 1, __u16: 2, __s16: 2, __be16: 2, __le16: 2, "unsigned short": 2, short: 2,
  __u32: 4, __s32: 4, __be32: 4, "unsigned int": 4, unsigned: 4, int: 4, __u64: 8, __s64: 8, __be64: 8, __kernel_sa_family_t: 2,
};

/**
 * The layout of a struct as C lays it out, a struct inside as its fields, without an array of no length at its end; undefined
 * when it is not there or holds more than integers.
 */
export function structOf(name: string, text: string): { fields: Field[]; size: number } | undefined {
  const written = new RegExp(`\\bstruct\\s+${name}\\s*\\{([^}]*)\\}`).exec(text)?.[1];
  if (written === undefined) return undefined;
  const body = written
    .replace(/^\s*#.*$/gm, "")
    .replace(/\b__struct_group\([^;]*?,([^,;]*;[^)]*)\)/g, "$1")
    .replace(/^\s*(\w+)\s*;/gm, (line, macro: string) => `${new RegExp(`#define\\s+${macro}[ \\t]+(.*)`).exec(text)?.[1] ?? line};`) // tc_gen stands for five fields
    .replace(/[^;]*\[\s*\]\s*;\s*$/, "");
  const fields: Field[] = [];
  let end = 0;
  let widest = 1;
  for (const line of body.split(";").map((item) => item.trim().replace(/\s+/g, " ")).filter((item) => item !== "")) {
    const [, type = "", names = ""] = /^(struct \w+|unsigned \w+(?= \w)|\w+) (.+)$/.exec(line) ?? [];
    const inner = type.startsWith("struct ") ? structOf(type.slice("struct ".length), text) : undefined;
    const size = inner?.size ?? sizes[type];
    const alignment = inner === undefined ? size : Math.max(...inner.fields.map((field) => Math.min(field.size, 8)));
    if (size === undefined || alignment === undefined || !/^\w+(?:, ?\w+)*$/.test(names)) return undefined;
    for (const field of names.split(/, ?/)) {
      const offset = Math.ceil(end / alignment) * alignment;
      const parts = inner?.fields ?? [{ name: field, offset: 0, size }];
      fields.push(...parts.map((part) => ({ ...part, offset: offset + part.offset })));
      end = offset + size;
      widest = Math.max(widest, alignment);
    }
  }
  return { fields, size: Math.ceil(end / widest) * widest };
}
