/**
 * What is to be at a port, the device where a pod's packets are held back, for each direction: a bucket, the link that has
 * it, and the filters that lead there.
 *
 *     everything is limited                          some subnets are
 *     ─────────────────────                          ────────────────
 *     sent      root tbf of the port itself          clsact egress filters ──► second ifb, tbf ──► back to the port
 *     received  ingress filter ──► ifb, tbf ──► up   clsact ingress filters ─► ifb, tbf ──► up
 *
 * The left column is the reference plugin's, number by number. With subnets only what is limited goes by an ifb; the rest
 * passes as if there were no limit, without a queue and its lock. (Releases 1.5 of the reference had these options, and a
 * queue with classes, HTB, at both links, which everything passed. They compared the destination in both directions: of what
 * comes to the pod that is the pod itself. Here it is the other host, whichever way the packet goes.)
 */
import { CLSACT, keysFor, type Cidr, type U32Filter, type U32Key } from "@vethwork/linux";
import { bucketOf, type Bucket } from "./bucket.ts";
import type { Which } from "./ifb.ts";
import type { Limits, Scope } from "./options.ts";

/** A filter without its place, and where it leads: through the bucket, or past it. */
export interface Rule extends Pick<U32Filter, "priority" | "protocol" | "keys"> {
  isLimited: boolean;
}

/** One direction at a port. */
export interface Lane {
  direction: "ingress" | "egress";
  bucket: Bucket;
  /** The ifb that has the bucket; undefined: the port has it, and there are no rules. */
  ifb: Which | undefined;
  hook: "ingress" | "clsact";
  /** Where the rules are, as filters have it. */
  parent: string;
  rules: readonly Rule[];
}

export interface Port {
  mtu: number;
  /** Its other end is the pod: what it sends is the pod's ingress. Otherwise it is the pod's own device. */
  facesPod: boolean;
}

/** The lanes of a pod's limits at a port. */
export function lanesOf({ ingress, egress, scope }: Limits, { mtu, facesPod }: Port): Lane[] {
  return ([["ingress", ingress], ["egress", egress]] as const).flatMap(([direction, limit]): Lane[] => {
    if (!limit) return [];
    const isSent = (direction === "ingress") === facesPod;
    const bucket = bucketOf(limit, mtu);
    const ifb = isSent ? "second" : "main";
    if (scope) return [{ direction, bucket, ifb, hook: "clsact", parent: isSent ? CLSACT.egress : CLSACT.ingress, rules: rulesFor(scope, direction) }];
    return [{ direction, bucket, ifb: isSent ? undefined : ifb, hook: "ingress", parent: "ffff:", rules: isSent ? [] : [everything(1)] }];
  });
}

const everything = (priority: number): Rule => ({ priority, protocol: "all", keys: [], isLimited: true });

/** Filters of one priority are of one protocol. */
const PRIORITY = { arp: 1, ip: 2, ipv6: 3, all: 4 } as const;

function rulesFor({ only, subnets }: Scope, direction: Lane["direction"]): Rule[] {
  const far = direction === "ingress" ? "source" : "destination"; // the other host's address
  const rules = subnets.map((subnet) => ruleFor(far, subnet, only));
  return only ? rules : [...questions, ...rules, everything(PRIORITY.all)];
}

function ruleFor(far: "source" | "destination", subnet: Cidr, isLimited: boolean): Rule {
  const protocol = subnet.family === 4 ? "ip" : "ipv6";
  return { priority: PRIORITY[protocol], protocol, keys: keysFor(far, subnet), isLimited };
}

/** Byte 6 of an IPv6 header is the next header's number, 58 of ICMPv6; byte 40 is then the type (RFC 8200, RFC 4443). */
const icmp6 = (type: number, mask: number): U32Key[] => [{ offset: 4, value: 58 * 0x100, mask: 0xff00 }, { offset: 40, value: type * 0x100_0000, mask: mask * 0x100_0000 }];

/**
 * What asks for neighbours is past the limit where there is traffic past it: a full bucket would stop that, too. ARP, and
 * ICMPv6 of the types 132 to 135 and 136 to 137, among which are the neighbours' and the routers' (RFC 4861).
 */
const questions: readonly Rule[] = [
  { priority: PRIORITY.arp, protocol: "arp", keys: [], isLimited: false },
  { priority: PRIORITY.ipv6, protocol: "ipv6", keys: icmp6(132, 0xfc), isLimited: false },
  { priority: PRIORITY.ipv6, protocol: "ipv6", keys: icmp6(136, 0xfe), isLimited: false },
];

/** A rule in words, as CHECK names it. */
export function inWords({ protocol, keys }: Rule): string {
  const bytes = keys.map(({ offset, value, mask }) => `${value.toString(16)}/${mask.toString(16)} at ${offset}`);
  return [protocol, ...bytes].join(" ");
}
