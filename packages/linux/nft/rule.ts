/**
 * Rules: words put together, as text for people and as expressions for the kernel.
 *
 * A rule of an inet table sees IPv4 and IPv6. Before the first word that reads an IPv4 header stands a test for
 * IPv4, which nft(8) leaves out of what it prints; so do we.
 */
import { NF, NFPROTO } from "../uapi/nfnetlink.ts";
import { tagOf, USERDATA_RULE_COMMENT, userdataText } from "./userdata.ts";
import type { Rule, TableFamily } from "./objects.ts";
import type { Expression } from "./fields.ts";

export const FAMILIES = {
  ip: NFPROTO.IPV4,
  ip6: NFPROTO.IPV6,
  inet: NFPROTO.INET,
  arp: NFPROTO.ARP,
  bridge: NFPROTO.BRIDGE,
  netdev: NFPROTO.NETDEV,
} as const satisfies Record<TableFamily, number>;

/** The rule as `nft list ruleset` prints it. */
export function textOf({ words, comment }: Pick<Rule, "words" | "comment">): string {
  const text = words.map((word) => word.text);
  return [...text, ...(comment === undefined ? [] : [`comment ${JSON.stringify(comment)}`])].join(" ");
}

/** The rule as the kernel runs it, with the tests that its words need. */
export function expressionsOf({ chain, words }: Rule): Expression[] {
  const known = new Set<string>();
  return words.flatMap(({ needs = [], expressions }) => {
    const missing = needs.filter(({ id, impliedBy }) => !known.has(id) && FAMILIES[chain.table.family] !== impliedBy);
    for (const { id } of missing) known.add(id);
    return [...missing.flatMap((need) => need.expressions), ...expressions];
  });
}

/** A rule as the kernel has it. */
export interface KernelRule {
  handle: bigint;
  /** Read when they are looked at: most rules are passed over by their comments. */
  readonly expressions: readonly Expression[];
  userdata: Uint8Array | undefined;
}

export const commentOf = ({ userdata }: KernelRule): string => userdataText(userdata);

/** True where the kernel's rule does what `rule` says, counters apart, and carries its comment. */
export function sameRule(kernel: KernelRule, rule: Rule): boolean {
  return commentOf(kernel) === (rule.comment ?? "") && sameExpressions(kernel.expressions, expressionsOf(rule));
}

/** True where no packet gets past the rule: it has no condition, and drops or rejects. */
export function endsEverything({ expressions }: KernelRule): boolean {
  const [last, ...before] = expressions.toReversed();
  return last !== undefined && isEnd(last) && before.every(isNoCondition);
}

function isEnd(one: Expression): boolean {
  if (one.kind === "immediate") return one.data?.DATA?.VERDICT?.CODE === NF.DROP;
  return one.kind === "reject" || (one.kind === "target" && one.data?.NAME === "REJECT"); // iptables-nft writes it so
}

const isNoCondition = (one: Expression): boolean =>
  one.kind === "counter" || (one.kind === "unknown" && one.name === "log") || (one.kind === "match" && one.data?.NAME === "comment");

/** True where expressions do the same, also where a prefix is read otherwise. */
function sameExpressions(some: readonly Expression[], others: readonly Expression[]): boolean {
  if (areAlike(some, others)) return true;
  const hasMask = [some, others].some((list) => list.some(({ kind }) => kind === "bitwise"));
  return hasMask && areAlike(withShortLoads(some), withShortLoads(others));
}

/** What is zero may be absent, what was counted is left out. */
function areAlike(some: readonly Expression[], others: readonly Expression[]): boolean {
  return some.length === others.length && some.every((one, at) => {
    const other = others[at];
    return one.kind === "counter" ? other?.kind === "counter" : isAlike(one, other);
  });
}

/**
 * A prefix of whole bytes can be compared under its mask, or by loading no more than those bytes, as nft(8) does since 0.9.2:
 * here the one is put as the other.
 */
function withShortLoads(expressions: readonly Expression[]): Expression[] {
  const out: Expression[] = [];
  for (const one of expressions) {
    const [load, mask] = out.slice(-2);
    if (one.kind === "cmp" && load?.kind === "payload" && mask?.kind === "bitwise") {
      const length = wholeBytesOf(mask.data?.MASK?.VALUE, mask.data?.XOR?.VALUE);
      const value = one.data?.DATA?.VALUE;
      if (length > 0 && value) {
        out.splice(-2, 2, { ...load, data: { ...load.data, LEN: length } }, { ...one, data: { ...one.data, DATA: { VALUE: value.subarray(0, length) } } });
        continue;
      }
    }
    out.push(one);
  }
  return out;
}

/** How many bytes a mask keeps from the start, where it keeps those and nothing else; otherwise 0. */
function wholeBytesOf(mask: Uint8Array = new Uint8Array(), flipped: Uint8Array = new Uint8Array()): number {
  const kept = mask.findIndex((byte) => byte !== 0xff);
  return kept > 0 && mask.subarray(kept).every((byte) => byte === 0) && flipped.every((byte) => byte === 0) ? kept : 0;
}

function isAlike(one: unknown, other: unknown): boolean {
  if (one === other || (isNothing(one) && isNothing(other))) return true;
  if (one instanceof Uint8Array) return other instanceof Uint8Array && one.length === other.length && one.every((byte, at) => byte === other[at]);
  return hasFields(one) && hasFields(other) && sameFields(one, other);
}

/** What is not understood is not compared. */
function sameFields(one: Fields, other: Fields): boolean {
  for (const key in one) if (key !== "unknown" && !isAlike(one[key], other[key])) return false;
  for (const key in other) if (key !== "unknown" && !(key in one) && !isNothing(other[key])) return false;
  return true;
}

type Fields = Readonly<Record<string, unknown>>;
const hasFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !(value instanceof Uint8Array);
const isNothing = (value: unknown): boolean => value === 0 || value === undefined;

/** The comment in the form in which rules keep it. */
export const commentBytes = (comment: string): Uint8Array => tagOf(USERDATA_RULE_COMMENT, comment);
