/**
 * Readers for the values in a network configuration: each takes what JSON gave, and gives a typed value or an error that names the
 * option, what it holds, and what was wanted. A plugin with a value of its own kind writes one more: three fields, no base class.
 */
import { formatMac, parseCidr, parseIp, parseMac } from "./address.ts";
import { CniError, ErrorCode } from "./errors.ts";
import { isObject, type JsonObject } from "./json.ts";

/** How values that will not do are treated. */
export interface ParseMode {
  /**
   * Called instead of throwing: the option then has its default, or, if it is mandatory, the empty value of its kind. For DEL: a
   * network that was edited since must still be possible to leave. Only a mandatory option without an empty value still throws.
   */
  onInvalid?: (error: CniError) => void;
}

/**
 * A reader of one kind of value. What people ask for, `describe` and `schema`, is made when it is asked for: a table is declared at
 * every start of a plugin, and read by people now and then.
 */
export interface Parser<T> {
  /** What is wanted, to follow "is wanted": "an integer from 0 to 65535". */
  readonly describe: string;
  /** The same as JSON Schema, draft 2020-12. */
  readonly schema: JsonObject;
  /** What a mandatory option is on DEL when it cannot be read: cleaning up must not fail for that. */
  readonly zero?: T;
  /** Whether the empty string means that the option is not there. */
  readonly emptyIsAbsent?: boolean;
  /** @param where the option's path, like `ipam.ranges[0]`; `mode` is for readers with options inside. Throws CniError 7. */
  parse(value: unknown, where: string, mode?: ParseMode): T;
}

/** The bounds of an integer, both included. */
export interface Range {
  min?: number;
  max?: number;
}

/** The error for an option whose value will not do; its one sentence has the option, the value, and what is wanted. */
export function invalidOption(where: string, value: unknown, wanted: string): CniError {
  return new CniError(ErrorCode.INVALID_CONFIG, `invalid option ${JSON.stringify(where)}: ${shown(value)} (${wanted} is wanted)`);
}

/** Any text. */
export const string: Parser<string> = {
  describe: "a string", schema: { type: "string" }, zero: "",
  parse: (value, where) => typeof value === "string" ? value : refuse(where, value, "a string"),
};

/** Where a file or a folder is. Not relative: who calls a plugin is in some folder, and it is nobody's business which. */
export const path: Parser<string> = {
  describe: "an absolute path, without .. in it", schema: { type: "string" }, zero: "", emptyIsAbsent: true,
  parse(value, where) {
    const isPath = typeof value === "string" && value.startsWith("/") && !value.includes("\0") && !value.split("/").includes("..");
    return isPath ? value : refuse(where, value, this.describe);
  },
};

/** true or false, not "true" or 1. */
export const boolean: Parser<boolean> = {
  describe: "true or false", schema: { type: "boolean" }, zero: false,
  parse: (value, where) => typeof value === "boolean" ? value : refuse(where, value, "true or false"),
};

/** A whole number, `integer`, or one within bounds, `integer({ min: 0, max: 65535 })`. 1.0 and 1e3 are whole numbers here. */
export const integer: Parser<number> & ((range: Range) => Parser<number>) =
  /* @__PURE__ */ Object.assign((range: Range) => integerWithin(range), integerWithin({}));

/** A list of texts. */
export const stringList: Parser<string[]> = /* @__PURE__ */ list(string);

/** "10.1.2.3/24", the text kept as it is. */
export const cidr: Parser<string> = {
  describe: "an address with a prefix length, like 10.1.0.0/16", schema: { type: "string" }, zero: "", emptyIsAbsent: true,
  parse(value, where) {
    return typeof value === "string" && parseCidr(value) ? value : refuse(where, value, this.describe);
  },
};

/** One subnet or several: "10.1.0.0/16" or ["10.1.0.0/16", "fd01::/48"]. */
export const cidrs: Parser<string[]> = {
  describe: "an address with a prefix length, like 10.1.0.0/16, or a list of them",
  schema: { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }] }, zero: [], emptyIsAbsent: true,
  parse(value, where) {
    if (typeof value === "string") return [cidr.parse(value, where)];
    return Array.isArray(value) ? value.map((item, at) => cidr.parse(item, `${where}[${at}]`)) : refuse(where, value, this.describe);
  },
};

/** "10.1.2.3" or "fd01::3", the text kept as it is. */
export const ip: Parser<string> = {
  describe: "an IP address", schema: { type: "string" }, zero: "", emptyIsAbsent: true,
  parse(value, where) {
    return typeof value === "string" && parseIp(value) ? value : refuse(where, value, this.describe);
  },
};

/** A hardware address in any spelling; given in lower case with colons. */
export const mac: Parser<string> = {
  describe: "a MAC address, like 0a:58:0a:01:00:05", schema: { type: "string" }, zero: "", emptyIsAbsent: true,
  parse(value, where) {
    const bytes = typeof value === "string" ? parseMac(value) : undefined;
    return bytes ? formatMac(bytes) : refuse(where, value, this.describe);
  },
};

/** Whatever JSON allows, unread. */
export const raw: Parser<unknown> = { describe: "any value", schema: {}, zero: undefined, parse: (value) => value };

/** One of a few words, exactly as written here. */
export function oneOf<const T extends string>(...words: readonly [T, ...T[]]): Parser<T> {
  return {
    get describe() { return `one of ${words.map((word) => JSON.stringify(word)).join(", ")}`; },
    schema: { enum: words },
    parse(value, where) {
      return words.find((word) => word === value) ?? refuse(where, value, this.describe);
    },
  };
}

/** A list of one kind of value. */
export function list<T>(item: Parser<T>): Parser<T[]> {
  return {
    get describe() { return `a list, each item ${item.describe}`; },
    get schema() { return { type: "array", items: item.schema }; },
    zero: [],
    parse(value, where, mode) {
      if (!Array.isArray(value)) return refuse(where, value, this.describe);
      return value.map((one, at) => item.parse(one, `${where}[${at}]`, mode));
    },
  };
}

/** A map with keys of the user's choice (their case is kept) and one kind of value. */
export function record<T>(item: Parser<T>): Parser<Record<string, T>> {
  return {
    get describe() { return Object.is(item, raw) ? "an object" : `an object, each value ${item.describe}`; },
    get schema() { return { type: "object", additionalProperties: item.schema }; },
    zero: {},
    parse(value, where, mode) {
      if (!isObject(value)) return refuse(where, value, this.describe);
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, item.parse(one, `${where}.${key}`, mode)]));
    },
  };
}

function integerWithin({ min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER }: Range): Parser<number> {
  const describe = wordsFor(min, max);
  const lower = min > Number.MIN_SAFE_INTEGER && { minimum: min };
  const upper = max < Number.MAX_SAFE_INTEGER && { maximum: max };
  return {
    describe, schema: { type: "integer", ...lower, ...upper }, zero: min > 0 ? min : 0,
    parse(value, where) {
      const whole = typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
      return whole ? value : refuse(where, value, describe);
    },
  };
}

function wordsFor(min: number, max: number): string {
  if (min === Number.MIN_SAFE_INTEGER) return max === Number.MAX_SAFE_INTEGER ? "an integer" : `an integer up to ${max}`;
  return max === Number.MAX_SAFE_INTEGER ? `an integer from ${min}` : `an integer from ${min} to ${max}`;
}

function refuse(where: string, value: unknown, wanted: string): never {
  throw invalidOption(where, value, wanted);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
