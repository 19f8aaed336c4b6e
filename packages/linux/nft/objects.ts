/** What nftables is made of, as plain data: tables hold chains and sets, chains hold rules, sets hold elements. */
import type { Cidr, Ip } from "../ip.ts";
import type { Mac } from "../mac.ts";
import type { Word } from "./fields.ts";

export type TableFamily = "ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev";

export interface Table {
  family: TableFamily;
  name: string;
  /** As read: the netlink port of the only program that may change it (NFT_TABLE_F_OWNER). */
  owner?: number;
  /** For people; up to 127 bytes. Given when the table is made. */
  comment?: string;
}

/** Where in a packet's way a base chain stands, and what becomes of a packet that no rule decides on. */
export interface Hook {
  type: "filter" | "nat" | "route";
  hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  /** Lower runs first. raw -300, conntrack -200, mangle -150, dstnat -100, filter 0, security 50, srcnat 100. */
  priority: number;
  policy?: "accept" | "drop";
}

export interface Chain {
  table: Table;
  name: string;
  /** Absent: a chain that only jumps lead to. */
  base?: Hook;
  /** For people; up to 127 bytes. Given when the chain is made. */
  comment?: string;
}

/** Types of set keys and map values, as nft(8) names them. */
export type DataType = "ipv4_addr" | "ipv6_addr" | "ether_addr" | "inet_proto" | "inet_service" | "ifname" | "mark";

export interface NftSet {
  table: Table;
  name: string;
  /** Several types are a concatenation: ipv4_addr . inet_service. */
  key: DataType | readonly DataType[];
  /** Elements may be prefixes. */
  interval?: boolean;
  /** A map gives a value for a key, or a concatenation of values. */
  value?: DataType | readonly DataType[] | "verdict";
  /** Each element counts the packets that found it. */
  counter?: boolean;
  /** Elements may be given a time, after which they go by themselves. */
  timeout?: boolean;
  /** Rules put elements into it while packets pass, up to so many. */
  size?: number;
}

/** A part of a key or a value: one for each type. A Cidr needs an interval set; a protocol and a device go by their names. */
export type Part = Ip | Mac | Cidr | number | string;
export type Key = Part | readonly Part[];
export interface Element {
  key: Key;
  /** Of a map: the value, or the verdict's word. */
  value?: Key | Word;
  /** Says whose it is and why; up to 127 bytes. */
  comment?: string;
  /** Of a set with timeout: it goes by itself after so long. */
  timeoutSeconds?: number;
  /** Of a set with counters: what it begins to count from. */
  packets?: bigint;
  bytes?: bigint;
  /** A second text, which nft(8) neither shows nor writes back: what only a program asks for. */
  note?: string;
}

/** An element as the kernel has it. */
export interface KernelElement extends Element {
  key: readonly Part[];
  /** Of a set with timeout: how long it is still there. */
  expiresSeconds?: number;
}

export interface Rule {
  chain: Chain;
  words: readonly Word[];
  /** Says for whom the rule is and why; up to 128 bytes. */
  comment?: string;
}
