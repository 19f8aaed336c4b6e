/**
 * A plugin's options, declared once: how each is read, what it is when absent, and a sentence for people.
 *
 *     const options = config({
 *       mtu:    [integer({ min: 0, max: 65535 }), 0,        "MTU of the veth pair; 0 takes the kernel's default"],
 *       subnet: [cidr,                            required, "The pod addresses of this node"],
 *     });
 *
 * From this one table come the type of the configuration in the plugin's code, the error for a wrong value, the table in the
 * README, the JSON schema, and what the command explains. Keys that no table names are ignored: they may be another's.
 */
import { CniError, ErrorCode } from "./errors.ts";
import { find, isObject, type JsonObject } from "./json.ts";
import { invalidOption, raw, record, string, stringList, type ParseMode, type Parser } from "./parsers.ts";
import type { Dns } from "./result.ts";

/** The type of `required`; an object and not a symbol, since a symbol's type would widen in a table. */
export interface RequiredMark {
  readonly mandatory: true;
}

/** Stands where a default would, for an option that must be there. */
export const required: RequiredMark = { mandatory: true };

/** One option: its reader, its default (`required` for none, undefined for an option that may be missing), and its sentence. */
export type Option = readonly [parser: Parser<unknown>, fallback: unknown, about: string];
export type Options = Readonly<Record<string, Option>>;

/** What config() gives: the options of a plugin, with their types. */
export interface ConfigTable<F extends Options = Options> {
  readonly options: F;
}

type ValueOf<O> = O extends readonly [Parser<infer T>, infer D, string] ? (D extends undefined ? T | undefined : T) : never;

/** A table whose defaults fit their readers; the place of one that does not is `never`. */
export type Fitting<F> = {
  readonly [K in keyof F]: F[K] extends readonly [ObjectParser<infer T>, infer D, string]
    ? D extends Frozen<Partial<T>> | undefined | RequiredMark ? F[K] : never
    : F[K] extends readonly [Parser<infer T>, infer D, string]
      ? D extends Frozen<T> | undefined | RequiredMark ? F[K] : never
      : never;
};

/** A value as a table's text has it: the lists and objects in it are read-only. */
type Frozen<T> = T extends readonly (infer U)[] ? readonly Frozen<U>[]
  : T extends object ? { readonly [K in keyof T]: Frozen<T[K]> }
  : T;

/** An IPAM section: which plugin keeps the addresses, and that plugin's own options, unread. */
export type Ipam = { type: string } & JsonObject;

/** Keys that the specification gives to every plugin ("Plugin configuration objects"); a table may declare its own reading of one. */
export interface WellKnown {
  name: string;
  cniVersion: string;
  type: string;
  /** Absent when the section is, or when it names no plugin. */
  ipam?: Ipam;
  /** Absent when the section is, or when it says nothing. */
  dns?: Dns;
  /** What the runtime gave for the capabilities that the configuration declares. */
  runtimeConfig: JsonObject;
  args: JsonObject;
}

/** The type of a plugin's configuration, from its table. */
export type ConfigOf<T extends ConfigTable> = T extends ConfigTable<infer F>
  ? Omit<WellKnown, keyof F> & { -readonly [K in keyof F]: ValueOf<F[K]> }
  : never;

/** Declares a plugin's options. A default that its reader would not give does not compile. */
export function config<const F extends Options>(options: F & Fitting<F>): ConfigTable<F> {
  return { options };
}

/** The reader that object() gives. */
export interface ObjectParser<T> extends Parser<T> {
  /** Makes a default whole: `{}` stands for the defaults of all the options inside. */
  complete(partial: unknown): T;
}

/** An object within the configuration, with options of its own, declared like the plugin's. */
export function object<const F extends Options>(options: F & Fitting<F>): ObjectParser<{ -readonly [K in keyof F]: ValueOf<F[K]> }> {
  type Values = { -readonly [K in keyof F]: ValueOf<F[K]> };
  const table: ConfigTable<F> = { options };
  return {
    describe: "an object",
    get schema() { return schemaOf(table); },
    complete: (partial) => readTable<Values>(table, isObject(partial) ? partial : {}, { prefix: "" }),
    get zero() { return readTable<Values>(table, {}, { prefix: "", onInvalid() {} }); },
    parse(value, where, mode) {
      if (!isObject(value)) throw invalidOption(where, value, "an object");
      return readTable<Values>(table, value, { prefix: where && `${where}.`, onInvalid: mode?.onInvalid });
    },
  };
}

/**
 * Reads a plugin's configuration. Keys match in any case, as in Go; null is as good as absent; unknown keys are ignored.
 * Throws CniError 7, which names the option, for a wrong value or a mandatory option that is missing.
 */
export function parseConfig<T extends ConfigTable>(table: T, source: JsonObject, { onInvalid }: ParseMode = {}): ConfigOf<T> {
  const all: ConfigTable = { options: { ...wellKnown(), ...table.options } };
  return readTable<ConfigOf<T>>(all, source, { prefix: "", onInvalid });
}

/** A table as JSON Schema, draft 2020-12. */
export function schemaOf(table: ConfigTable): JsonObject {
  const entries = Object.entries(table.options);
  const mandatory = entries.filter(([, option]) => option[1] === required).map(([name]) => name);
  const properties = Object.fromEntries(entries.map(([name, [parser, fallback, about]]) => {
    const given = fallback === undefined || fallback === required ? {} : { default: fallback };
    return [name, { ...parser.schema, ...given, description: about }];
  }));
  return { type: "object", properties, ...(mandatory.length > 0 && { required: mandatory }) };
}

/** One option as people read it: a row of a README's table, a line of `explain`. */
export interface OptionRow {
  name: string;
  wanted: string;
  fallback: string;
  about: string;
}

/** The rows of a table, in the order they were declared. */
export function rowsOf(table: ConfigTable): OptionRow[] {
  return Object.entries(table.options).map(([name, [parser, fallback, about]]) => {
    const given = fallback === required ? "required" : fallback === undefined ? "none" : JSON.stringify(fallback);
    return { name, wanted: parser.describe, fallback: given, about };
  });
}

interface Reading {
  prefix: string;
  onInvalid?: ParseMode["onInvalid"] | undefined;
}

// The one place where the compiler takes our word: that the values read by a table's readers have the types the table infers.
function readTable<T>(table: ConfigTable, source: JsonObject, reading: Reading): T;
function readTable(table: ConfigTable, source: JsonObject, reading: Reading): JsonObject {
  const out: JsonObject = {};
  for (const [name, option] of Object.entries(table.options)) {
    const value = readOption(option, find(source, name), { prefix: reading.prefix + name, onInvalid: reading.onInvalid });
    if (value !== undefined || option !== known?.[name]) out[name] = value; // a well-known section that is absent stays absent
  }
  return out;
}

function readOption([parser, fallback]: Option, value: unknown, { prefix: where, onInvalid }: Reading): unknown {
  try {
    const absent = value === undefined || (value === "" && parser.emptyIsAbsent);
    if (!absent) return parser.parse(value, where, onInvalid && { onInvalid });
    if (fallback !== required) return preset(parser, fallback);
    throw new CniError(ErrorCode.INVALID_CONFIG, `missing option ${JSON.stringify(where)} (${parser.describe} is wanted)`);
  } catch (error) {
    if (!onInvalid || !(error instanceof CniError)) throw error;
    const instead = fallback === required ? parser.zero : fallback;
    if (fallback === required && instead === undefined) throw error;
    onInvalid(error);
    return fallback === required ? copyOf(instead) : preset(parser, instead);
  }
}

/** A fresh copy of a default: what a plugin does to it stays its own affair. */
function preset(parser: Parser<unknown>, fallback: unknown): unknown {
  if (typeof fallback !== "object") return fallback;
  if ("complete" in parser && typeof parser.complete === "function") return parser.complete(fallback);
  return copyOf(fallback);
}

function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) copy[key] = copyOf(value[key]);
  return copy;
}

/** Made when first needed, not at import: start-up is time that every pod waits for. */
let known: Options | undefined;
function wellKnown(): Options {
  const anyObject = record(raw);
  return known ??= {
    name: [string, "", "The network's name"],
    cniVersion: [string, "", "The version of the specification that this configuration is in"],
    type: [string, "", "The plugin's name, which is the name of its file"],
    ipam: [ipamSection, undefined, "The plugin that keeps the addresses, and its options"],
    dns: [dnsSection, undefined, "Name servers to hand to the container"],
    runtimeConfig: [anyObject, {}, "What the runtime supplies for declared capabilities"],
    args: [anyObject, {}, "Arguments from the runtime"],
  };
}

const ipamSection: Parser<Ipam | undefined> = {
  describe: "an object with a type",
  schema: { type: "object", properties: { type: { type: "string" } } },
  parse(value, where) {
    if (!isObject(value)) throw invalidOption(where, value, this.describe);
    const { type } = readTable<{ type: string }>({ options: { type: [string, "", ""] } }, value, { prefix: `${where}.` });
    return type === "" ? undefined : { ...value, type };
  },
};

const dnsSection: Parser<Dns | undefined> = {
  describe: "an object with nameservers, domain, search, options",
  schema: { type: "object" },
  parse(value, where) {
    if (!isObject(value)) throw invalidOption(where, value, this.describe);
    const lists: Options = { nameservers: [stringList, [], ""], domain: [string, "", ""], search: [stringList, [], ""], options: [stringList, [], ""] };
    const read = readTable<JsonObject>({ options: lists }, value, { prefix: `${where}.` });
    const said = Object.entries(read).filter(([, one]) => !(Array.isArray(one) || typeof one === "string") || one.length > 0);
    return said.length > 0 ? Object.fromEntries(said) : undefined;
  },
};
