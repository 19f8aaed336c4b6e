/**
 * Conditions in nft's words: what else must hold of a packet that comes to a host port.
 *
 *     ["ip", "saddr", "!=", "10.0.0.0/8"]                  all but those of 10/8
 *     ["iifname", "{", "eth0,", "eth1", "}"]               what comes in by either
 *     ["meta mark & 0x10 == 0x10 fib saddr type != local"]
 *
 * The kernel takes expressions and no text, so the words are read here: those that look at a packet before its flow is
 * translated. One of several values is a rule for each, none of several values one rule.
 */
import { CniError, ErrorCode } from "@vethwork/cni";
import { parseCidr, parseIp, words, type Cidr, type Family, type Ip } from "@vethwork/linux";

/** What one rule asks of a packet. */
export type Alternative = readonly words.Word[];

/** The alternatives, one of which must hold; a single empty one where nothing is asked. CniError 7 for what does not read. */
export function conditionsOf(option: string, family: Family, given: readonly string[]): Alternative[] {
  const tokens = given.join(" ").match(/[{},]|"[^"]*"|[^\s{},"]+/g) ?? [];
  const refused = (what: string, wanted: string): CniError =>
    new CniError(ErrorCode.INVALID_CONFIG, `Cannot use ${option} ${JSON.stringify(given.join(" "))}: ${what} (${wanted} is wanted)`);
  let alternatives: Alternative[] = [[]];
  for (let at = 0; at < tokens.length; ) {
    const length = [3, 2, 1].find((count) => Object.hasOwn(matchers, tokens.slice(at, at + count).join(" "))) ?? 0;
    const name = tokens.slice(at, at + length).join(" ");
    const matcher = matchers[name];
    if (!matcher) throw refused(`${JSON.stringify(tokens[at])} is not understood`, `one of ${Object.keys(matchers).join(", ")}`);
    if (matcher.family !== undefined && matcher.family !== family) throw refused(`no IPv${family} packet has "${name}"`, `ip${family === 6 ? "6" : ""}`);
    at += length;
    const { mask, isNegated, values, next } = operandAt(tokens, at);
    const found = values.map((value) => matcher.word({ value, mask, isNegated }));
    if (values.length === 0 || found.includes(undefined)) throw refused(`"${name}" is followed by ${JSON.stringify(tokens.slice(at, next).join(" "))}`, matcher.wanted);
    const known = found.filter((word) => word !== undefined);
    alternatives = isNegated ? alternatives.map((one) => [...one, ...known]) : known.flatMap((word) => alternatives.map((one) => [...one, word]));
    at = next;
  }
  return alternatives;
}

interface Operand {
  value: string;
  mask: string | undefined;
  isNegated: boolean;
}

interface Matcher {
  family?: Family;
  wanted: string;
  /** Undefined where the value does not read. */
  word(operand: Operand): words.Word | undefined;
}

/** What follows a field's name: a mask, a sign, and a value or several in braces. */
function operandAt(tokens: readonly string[], start: number): { mask: string | undefined; isNegated: boolean; values: string[]; next: number } {
  let at = start;
  const mask = tokens[at] === "&" || tokens[at] === "and" ? tokens[at + 1] : undefined;
  if (mask !== undefined) at += 2;
  const isNegated = tokens[at] === "!=" || tokens[at] === "ne";
  if (isNegated || tokens[at] === "==" || tokens[at] === "eq") at += 1;
  if (tokens[at] !== "{") return { mask, isNegated, values: tokens.slice(at, at + 1), next: at + 1 };
  const end = tokens.indexOf("}", at);
  if (end < 0) return { mask, isNegated, values: [], next: tokens.length };
  return { mask, isNegated, values: tokens.slice(at + 1, end).filter((token) => token !== ","), next: end + 1 };
}

interface Comparing<T> {
  eq(value: T): words.Word;
  ne(value: T): words.Word;
}

/** A field without a mask. */
const plain = <T>(field: Comparing<T>, wanted: string, read: (text: string) => T | undefined): Matcher => ({
  wanted,
  word: ({ value, mask, isNegated }) => {
    const known = mask === undefined ? read(value.replace(/^"(.*)"$/, "$1")) : undefined;
    return known === undefined ? undefined : isNegated ? field.ne(known) : field.eq(known);
  },
});

const device = (field: Comparing<string>): Matcher => plain(field, "a device's name", (text) => (/^[^\s/]{1,15}$/.test(text) ? text : undefined));
const port = (field: Comparing<number>): Matcher => plain(field, "a port from 0 to 65535", (text) => numberIn(text, 0xffff));
const address = (family: Family, field: Comparing<Ip | Cidr>): Matcher => ({
  ...plain(field, `an IPv${family} address or prefix`, (text) => addressIn(text, family)),
  family,
});

const mark: Matcher = {
  wanted: "a number of 32 bits",
  word: ({ value, mask, isNegated }) => {
    const [number, bits] = [numberIn(value, 0xffff_ffff), mask === undefined ? undefined : numberIn(mask, 0xffff_ffff)];
    if (number === undefined || (mask !== undefined && bits === undefined)) return undefined;
    const wanted = bits === undefined ? number : { value: number, mask: bits };
    return isNegated ? words.mark.ne(wanted) : words.mark.eq(wanted);
  },
};

const FIB_TYPES = ["local", "unicast", "broadcast", "multicast"] as const;
const fib = (field: typeof words.fib.saddr): Matcher => plain(field, `one of ${FIB_TYPES.join(", ")}`, (text) => FIB_TYPES.find((type) => type === text));
const PROTOCOLS = ["tcp", "udp", "sctp"] as const;

const matchers: Readonly<Record<string, Matcher>> = {
  "ip saddr": address(4, words.ip.saddr), "ip daddr": address(4, words.ip.daddr),
  "ip6 saddr": address(6, words.ip6.saddr), "ip6 daddr": address(6, words.ip6.daddr),
  iifname: device(words.iifname), "meta iifname": device(words.iifname), oifname: device(words.oifname), "meta oifname": device(words.oifname),
  mark, "meta mark": mark,
  "meta l4proto": plain(words.meta.l4proto, `one of ${PROTOCOLS.join(", ")}`, (text) => PROTOCOLS.find((name) => name === text)),
  "tcp sport": port(words.tcp.sport), "tcp dport": port(words.tcp.dport), "udp sport": port(words.udp.sport), "udp dport": port(words.udp.dport),
  "sctp sport": port(words.sctp.sport), "sctp dport": port(words.sctp.dport), "th sport": port(words.th.sport), "th dport": port(words.th.dport),
  "fib saddr type": fib(words.fib.saddr), "fib daddr type": fib(words.fib.daddr),
};

function numberIn(text: string, max: number): number | undefined {
  const number = /^(?:\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN;
  return number <= max ? number : undefined;
}

function addressIn(text: string, family: Family): Ip | Cidr | undefined {
  try {
    const read = text.includes("/") ? parseCidr(text) : parseIp(text);
    return read.family === family ? read : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
