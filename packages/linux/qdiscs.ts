/**
 * Qdiscs: how packets wait for a link to send them, and where filters look at them (tc(8)).
 *
 *     to send ──► clsact's egress filters ──► root qdisc, a tbf 1: say ──► link ──► the wire
 *     up the stack ◄── filters of ingress or clsact (ffff:) ◄───────────── link ◄── the wire
 *
 * A tbf is a bucket of tokens that fills at a rate: a packet takes out as many as it has bytes, or waits until there are as
 * many. One that is larger than the bucket would wait for ever, and is dropped. Filters are in ./filters.ts.
 */
import { unless } from "./errors.ts";
import type { Link } from "./links.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { NLM_F } from "./uapi/netlink.ts";
import { TC_H, qdisc as qdiscMessage, type TCA } from "./uapi/pkt_sched.ts";
import { RTM } from "./uapi/rtnetlink.ts";
import type { Value } from "./wire/codec.ts";

/** A place for qdiscs and filters as tc(8) writes it: "root", "ingress", a qdisc ("1:", "ffff:"), a class of one ("1:30"). */
export type Handle = string;

/** How long a tick is, in which the kernel counts the filling of a bucket: /proc/net/psched's second number, since 2.6.31. */
export const TICK_NS = 64;

/** What a tbf lets pass. */
export interface Tbf {
  /** Bytes a second. */
  rate: number;
  /** How many bytes may wait; what comes beyond them is dropped. */
  limit: number;
  /** The bucket: how many ticks it takes to fill it at that rate. */
  buffer: number;
}

export interface NewTbf extends Omit<Tbf, "buffer"> {
  kind: "tbf";
  /** Unless given, the kernel chooses one. */
  handle?: Handle;
  /** The bucket in ticks, or in bytes: those the kernel turns into ticks, and tells the lower 32 bits of them. */
  bucket: { ticks: number } | { bytes: number };
}

/** A place for filters: "ingress" sees what comes in, "clsact" also what leaves. A link has one of them at most. */
export interface NewHook {
  kind: "ingress" | "clsact";
}

export type NewQdisc = NewTbf | NewHook;

export interface Qdisc {
  /** "tbf", "clsact", "noqueue", … */
  kind: string;
  handle: Handle;
  parent: Handle;
  /** Index of the link. */
  link: number;
  tbf: Tbf | undefined;
}

type On = Pick<Link, "index" | "name">;

export interface Qdiscs {
  /** Fails with EEXIST where the place has one that the kernel did not put there by itself. */
  add(link: On, qdisc: NewQdisc): void;
  /** Makes it so: another tbf in its place gets these numbers, or goes. */
  ensure(link: On, qdisc: NewQdisc): void;
  /** All of the namespace, or of a link. */
  list(link?: On): Qdisc[];
  find(link: On, parent: "root" | "ingress"): Qdisc | undefined;
  /** True if there was one; then the kernel puts back what a link has by itself. Filters go with it. */
  delete(link: On, parent: "root" | "ingress"): boolean;
}

type Message = Value<typeof qdiscMessage>;

const NAMED: Readonly<Record<string, number>> = { root: TC_H.ROOT, ingress: TC_H.INGRESS };
const ABSENT = ["ENOENT", "EINVAL"] as const; // EINVAL: a link without a queue of its own, or with the kernel's

export function createQdiscs(rtnl: () => NetlinkSocket): Qdiscs {
  const put = (verb: string, link: On, qdisc: NewQdisc, flags: number): void =>
    rtnl().request({ what: `${verb} ${qdisc.kind} to "${link.name}"`, type: RTM.NEWQDISC, flags: NLM_F.CREATE | flags, codec: qdiscMessage, value: messageOf(link, qdisc) });
  // One alone can be asked for, but of a place that had an ingress qdisc once the kernel then says nothing at all.
  const list = (link?: On): Qdisc[] =>
    rtnl().dump({ what: "list qdiscs", type: RTM.GETQDISC, codec: qdiscMessage, value: {} }, qdiscFrom).filter((one) => !link || one.link === link.index);
  return {
    add: (link, qdisc) => put("add", link, qdisc, NLM_F.EXCL),
    ensure: (link, qdisc) => put("set", link, qdisc, NLM_F.REPLACE),
    list,
    find: (link, parent) => list(link).find((one) => one.parent === parent),
    delete: (link, parent) => {
      const value = { tcm_ifindex: link.index, tcm_parent: handleNumber(parent) };
      const request = { what: `delete the ${parent} qdisc of "${link.name}"`, type: RTM.DELQDISC, codec: qdiscMessage, value };
      return unless(ABSENT, () => (rtnl().request(request), true)) ?? false;
    },
  };
}

function messageOf({ index }: On, qdisc: NewQdisc): Message {
  if (qdisc.kind !== "tbf") return { tcm_ifindex: index, tcm_handle: handleNumber("ffff:"), tcm_parent: TC_H.INGRESS, attrs: { kind: qdisc.kind } };
  const { rate, limit, bucket, handle } = qdisc;
  const U32 = 0xffff_ffff;
  const data: Value<(typeof TCA)["kinds"]["tbf"]> = {
    PARMS: { rate: Math.min(rate, U32), limit, ...("ticks" in bucket && { buffer: bucket.ticks }) },
    ...(rate > U32 && { RATE64: BigInt(rate) }),
    ...("bytes" in bucket && { BURST: bucket.bytes }),
  };
  return { tcm_ifindex: index, tcm_handle: handle === undefined ? 0 : handleNumber(handle), tcm_parent: TC_H.ROOT, attrs: { kind: "tbf", data } };
}

function qdiscFrom(body: Uint8Array): Qdisc {
  const { tcm_ifindex, tcm_handle, tcm_parent, attrs } = qdiscMessage.decode(body);
  const told = attrs.kind === "tbf" ? attrs.data : undefined;
  const { rate = 0, limit = 0, buffer = 0 } = told?.PARMS ?? {};
  return {
    kind: attrs.kind === "unknown" ? attrs.name : attrs.kind,
    handle: handleText(tcm_handle),
    parent: handleText(tcm_parent),
    link: tcm_ifindex,
    tbf: told && { rate: told.RATE64 === undefined ? rate : Number(told.RATE64), limit, buffer },
  };
}

/** A handle as a number: "1:30" is 0x10030, since both parts are hexadecimal. RangeError for what is none. */
export function handleNumber(handle: Handle): number {
  const named = NAMED[handle];
  if (named !== undefined) return named;
  const [, major, minor = ""] = /^([\da-f]{1,4}):([\da-f]{0,4})$/.exec(handle) ?? [];
  if (major === undefined) throw new RangeError(`Cannot read the handle ${JSON.stringify(handle)} (root, ingress, or two hexadecimal numbers with a colon are wanted)`);
  return Number.parseInt(major, 16) * 0x1_0000 + Number.parseInt(`0${minor}`, 16);
}

/** The same the other way, as tc(8) writes it. */
export function handleText(number: number): Handle {
  const named = Object.keys(NAMED).find((name) => NAMED[name] === number);
  const minor = number & 0xffff;
  return named ?? `${(number >>> 16).toString(16)}:${minor === 0 ? "" : minor.toString(16)}`;
}
