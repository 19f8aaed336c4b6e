/**
 * Words: what an nftables rule is made of.
 *
 *     rule([ip.saddr.eq(podNetwork), ip.daddr.ne(podNetwork), counter, masquerade()])
 *     ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 counter masquerade fully-random
 *
 * A word is at once the text that nft(8) would print and the expressions that the kernel runs, so no rule's text is
 * written by hand beside it. What a word takes for granted (an inet table sees both families) it says in `needs`,
 * and ./rule.ts puts the test before it, as nft does. Words that look at a packet are in ./fields.ts, those that do
 * something with it here.
 */
import { bitsOf, type Ip } from "../ip.ts";
import { NF_NAT_RANGE, NFT_DYNSET_OP, NFT_NAT, NFT_REG, NFT_REJECT, NFT_REJECT_ICMPX, NFT_VERDICT } from "../uapi/nf_tables.ts";
import { NF, NFPROTO } from "../uapi/nfnetlink.ts";
import { be16, encode } from "../wire/codec.ts";
import { loaded, lookedUp, needsOf, registerAfter, textOfKey, type Expression, type Lookup, type Word } from "./fields.ts";
import type { Chain, NftSet } from "./objects.ts";
import { TYPES, aligned, typesOf } from "./types.ts";

export * from "./fields.ts";

/** Counts packets and bytes that came so far. */
export const counter: Word = { text: "counter", expressions: [{ kind: "counter", data: { BYTES: 0n, PACKETS: 0n } }] };

const verdict = (text: string, CODE: number, CHAIN?: string): Word => ({
  text,
  expressions: [
    { kind: "immediate", data: { DREG: NFT_REG.VERDICT, DATA: { VERDICT: { CODE, ...(CHAIN !== undefined && { CHAIN }) } } } },
  ],
});

/** The verdict that an element of a map holds, as its word. */
export function verdictOf(CODE: number, chain = ""): Word {
  const name = Object.entries(VERDICTS).find(([, code]) => code === CODE)?.[0] ?? `verdict ${CODE}`;
  return verdict(chain === "" ? name : `${name} ${chain}`, CODE, ...(chain === "" ? [] : [chain]));
}
const VERDICTS = { accept: NF.ACCEPT, drop: NF.DROP, return: NFT_VERDICT.RETURN, jump: NFT_VERDICT.JUMP, goto: NFT_VERDICT.GOTO } as const;

/** Ends this base chain; chains of other tables on the same hook still see the packet, and may drop it. */
export const accept: Word = verdict("accept", NF.ACCEPT);
/** Ends the packet. */
export const drop: Word = verdict("drop", NF.DROP);
/** Back to the calling chain; in a base chain its policy decides. */
export const goBack: Word = verdict("return", NFT_VERDICT.RETURN);
export const jump = (chain: Pick<Chain, "name">): Word => verdict(`jump ${chain.name}`, NFT_VERDICT.JUMP, chain.name);
export const goto = (chain: Pick<Chain, "name">): Word => verdict(`goto ${chain.name}`, NFT_VERDICT.GOTO, chain.name);

/**
 * Gives the packet the address of the device that it leaves by.
 * Source ports are chosen at random: chosen in order, two flows at once can take the same one, and one packet is lost.
 */
export const masquerade: Word = {
  text: "masquerade fully-random",
  expressions: [{ kind: "masq", data: { FLAGS: NF_NAT_RANGE.PROTO_RANDOM_FULLY } }],
};

/** The same, but source ports are kept where they can be, and else chosen in order: as the reference plugins do. */
export const masqueradeInOrder: Word = { text: "masquerade", expressions: [{ kind: "masq", data: {} }] };

const FAMILY_WORDS = { 4: { name: "ip", number: NFPROTO.IPV4 }, 6: { name: "ip6", number: NFPROTO.IPV6 } } as const;
const { MAP_IPS, PROTO_SPECIFIED } = NF_NAT_RANGE;

/** Sends the flow to another address, and with a port to that port; the rule must have asked for the protocol before. As text of an inet table. */
export function dnat({ ip, port }: { ip: Ip; port?: number }): Word {
  const portAt = registerAfter(bitsOf(6) / 8); // behind an address of either family, as nft(8) does it
  const immediate = (DREG: number, VALUE: Uint8Array): Expression => ({ kind: "immediate", data: { DREG, DATA: { VALUE } } });
  const address = port !== undefined && ip.family === 6 ? `[${ip}]` : String(ip);
  return {
    text: `dnat ${FAMILY_WORDS[ip.family].name} to ${address}${port === undefined ? "" : `:${port}`}`,
    expressions: [
      immediate(NFT_REG["1"], ip.bytes), ...(port === undefined ? [] : [immediate(portAt, encode(be16, port).slice())]),
      translated(ip.family, port === undefined ? undefined : portAt),
    ],
  };
}

/** Sends the flow to where the map says, an address or an address and a port; a flow that is not in it goes on to the next rule. As text of an inet table. */
export function dnatBy(key: Lookup, map: NftSet): Word {
  const [address, port] = map.value === undefined || map.value === "verdict" ? [] : typesOf(map.value);
  if (address !== "ipv4_addr" && address !== "ipv6_addr") throw new TypeError(`Cannot translate by map "${map.name}" (a map of addresses is wanted)`);
  const family = address === "ipv4_addr" ? 4 : 6;
  const { needs, text, expressions } = lookedUp(key.loads, map, { verb: "map ", DREG: NFT_REG["1"] });
  return {
    ...(needs && { needs }), text: `dnat ${FAMILY_WORDS[family].name} to ${text}`,
    expressions: [...expressions, translated(family, port === undefined ? undefined : registerAfter(TYPES[address].length))],
  };
}

function translated(family: 4 | 6, port: number | undefined): Expression {
  const address = NFT_REG["1"];
  return {
    kind: "nat",
    data: {
      TYPE: NFT_NAT.DNAT, FAMILY: FAMILY_WORDS[family].number, REG_ADDR_MIN: address, REG_ADDR_MAX: address,
      ...(port !== undefined && { REG_PROTO_MIN: port, REG_PROTO_MAX: port }), FLAGS: MAP_IPS | (port === undefined ? 0 : PROTO_SPECIFIED),
    },
  };
}

/** Sends the flow to this machine itself, on that port. */
export const redirect = (port: number): Word => ({
  text: `redirect to :${port}`,
  expressions: [
    { kind: "immediate", data: { DREG: NFT_REG["1"], DATA: { VALUE: encode(be16, port).slice() } } },
    { kind: "redir", data: { REG_PROTO_MIN: NFT_REG["1"], REG_PROTO_MAX: NFT_REG["1"], FLAGS: PROTO_SPECIFIED } },
  ],
});

/** Ends the packet and tells its sender that nobody listens there: whoever connects fails at once, as at a closed port. As text of an inet table. */
export const reject: Word = { text: "reject", expressions: [{ kind: "reject", data: { TYPE: NFT_REJECT.ICMPX_UNREACH, ICMP_CODE: NFT_REJECT_ICMPX.PORT_UNREACH } }] };

/**
 * Puts an element into a map while the packet passes: for this key of it, this value of it. A key that is there keeps its
 * value; either way it stays for so long from now on. Where there is no room the rule ends.
 */
export function remember({ map, key, seconds, value }: { map: NftSet; key: Lookup; seconds: number; value: Lookup }): Word {
  const SREG_DATA = registerAfter(key.loads.reduce((sum, { length }) => sum + aligned(length), 0));
  const dynset: Expression = {
    kind: "dynset", data: { SET_NAME: map.name, OP: NFT_DYNSET_OP.UPDATE, SREG_KEY: NFT_REG["1"], SREG_DATA, TIMEOUT: BigInt(seconds) * 1000n },
  };
  return {
    ...needsOf([...key.loads, ...value.loads]), text: `update @${map.name} { ${textOfKey(key.loads)} timeout ${textOfTime(seconds)} : ${textOfKey(value.loads)} }`,
    expressions: [...loaded(key.loads), ...loaded(value.loads, SREG_DATA), dynset],
  };
}

/** As nft(8) writes a time: 3h, 1d30s. */
function textOfTime(seconds: number): string {
  const parts = { d: Math.floor(seconds / 86_400), h: Math.floor(seconds / 3600) % 24, m: Math.floor(seconds / 60) % 60, s: seconds % 60 };
  return Object.entries(parts).filter(([, count]) => count > 0).map(([unit, count]) => `${count}${unit}`).join("") || "0s";
}

/** Conntrack does not see the packet: no state, no translation, and none of their cost. Only before conntrack, at priority raw. */
export const notrack: Word = { text: "notrack", expressions: [{ kind: "notrack" }] };
