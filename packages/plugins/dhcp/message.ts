/**
 * A DHCP message and its bytes (RFC 2131 section 2; options: RFC 2132, long and overloaded ones RFC 3396).
 *
 *     ┌────┬───────┬──────┬──────┬─────┬──────────────┬────────────┬────────┬──────────────────────────────┐
 *     │ op │ htype │ hlen │ hops │ xid │ secs   flags │ 4 × IP     │ chaddr │ sname, file   cookie options │
 *     └────┴───────┴──────┴──────┴─────┴──────────────┴────────────┴────────┴──────────────────────────────┘
 *        1     1       1      1     4      2      2        16          16       64    128     4
 *
 * What stands in an option's value is ./values.ts.
 */
import { ipFrom, macFrom, type Ip, type Mac } from "@vethwork/linux";
import { be16, be32, encode, pad, struct, u8 } from "@vethwork/linux/wire/codec.ts";

/** By code; each once, however many pieces it came in. */
export type Options = ReadonlyMap<number, Uint8Array>;

export interface Message {
  op: "request" | "reply";
  /** Which conversation it belongs to: a number by chance. */
  xid: number;
  /** Since the client began. */
  secs: number;
  /** Answers shall go to everybody, for who cannot be reached by an address that is not yet its own. */
  broadcast: boolean;
  /** The client's address, if it has one. */
  ciaddr: Ip;
  /** The address that the server gives. */
  yiaddr: Ip;
  siaddr: Ip;
  giaddr: Ip;
  chaddr: Mac;
  options: Options;
}

const header = struct({
  op: u8, htype: u8, hlen: u8, hops: u8, xid: be32, secs: be16, flags: be16,
  _ciaddr_yiaddr_siaddr_giaddr: pad(16), _chaddr: pad(16), _sname: pad(64), _file: pad(128), cookie: be32,
});
const CIADDR_AT = 12, YIADDR_AT = 16, SIADDR_AT = 20, GIADDR_AT = 24, CHADDR_AT = 28, SNAME_AT = 44, FILE_AT = 108, COOKIE_AT = 236;
const COOKIE = 0x63825363;
const ETHERNET = 1; // htype
const BROADCAST_FLAG = 0x8000;
const OPS = { request: 1, reply: 2 } as const;
/** BOOTP's messages had a fixed size; some relays still drop shorter ones. */
const SHORTEST = 300;

const PAD = 0, OVERLOAD = 52, END = 255;

export function encodeMessage({ op, xid, secs, broadcast, ciaddr, yiaddr, siaddr, giaddr, chaddr, options }: Message): Uint8Array {
  const fixed = encode(header, {
    op: OPS[op], htype: ETHERNET, hlen: chaddr.bytes.length, xid, secs: Math.min(secs, 0xffff), flags: broadcast ? BROADCAST_FLAG : 0, cookie: COOKIE,
  });
  const tail = [...options].flatMap(([code, value]) => piecesOf(code, value));
  const bytes = new Uint8Array(Math.max(SHORTEST, fixed.length + tail.length + 1));
  bytes.set(fixed);
  for (const [at, { bytes: value }] of [[CIADDR_AT, ciaddr], [YIADDR_AT, yiaddr], [SIADDR_AT, siaddr], [GIADDR_AT, giaddr], [CHADDR_AT, chaddr]] as const) bytes.set(value, at);
  bytes.set([...tail, END], fixed.length);
  return bytes;
}

/** An option's length has one byte: a longer value comes in pieces, one after the other. */
function piecesOf(code: number, value: Uint8Array): number[] {
  if (code <= PAD || code >= END) throw new RangeError(`Cannot send DHCP option ${code} (1 to 254 are wanted)`);
  const rest = value.length > 255 ? piecesOf(code, value.subarray(255)) : [];
  const piece = value.subarray(0, 255);
  return [code, piece.length, ...piece, ...rest];
}

/** Reads a message; RangeError where the bytes are none. */
export function decodeMessage(bytes: Uint8Array): Message {
  const { op, hlen, xid, secs, flags, cookie } = header.decode(bytes);
  const name = op === OPS.request ? "request" : op === OPS.reply ? "reply" : undefined;
  if (!name || hlen > 16 || cookie !== COOKIE) {
    throw new RangeError(`Cannot read a DHCP message: op ${op}, ${hlen} bytes of hardware address, cookie 0x${cookie.toString(16)} (1 or 2, up to 16, 0x${COOKIE.toString(16)} are wanted)`);
  }
  const ipAt = (at: number): Ip => ipFrom(bytes.slice(at, at + 4));
  return {
    op: name, xid, secs, broadcast: (flags & BROADCAST_FLAG) !== 0, chaddr: macFrom(bytes.slice(CHADDR_AT, CHADDR_AT + hlen)), options: optionsIn(bytes),
    ciaddr: ipAt(CIADDR_AT), yiaddr: ipAt(YIADDR_AT), siaddr: ipAt(SIADDR_AT), giaddr: ipAt(GIADDR_AT),
  };
}

/** The options' own place first, then the two places that a server short of room may use as well, in the RFC's order. */
function optionsIn(bytes: Uint8Array): Options {
  const found = new Map<number, Uint8Array[]>();
  collect(bytes.subarray(COOKIE_AT + 4), found);
  const overload = joined(found.get(OVERLOAD) ?? [])[0] ?? 0;
  if ((overload & 1) !== 0) collect(bytes.subarray(FILE_AT, COOKIE_AT), found);
  if ((overload & 2) !== 0) collect(bytes.subarray(SNAME_AT, FILE_AT), found);
  found.delete(OVERLOAD);
  return new Map([...found].map(([code, pieces]) => [code, joined(pieces)]));
}

/** In the order in which they came; at once, for each piece anew would cost the square of what a server sends. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function collect(bytes: Uint8Array, found: Map<number, Uint8Array[]>): void {
  for (let at = 0; at < bytes.length; ) {
    const code = bytes[at++] ?? END;
    if (code === END) return;
    if (code === PAD) continue;
    const length = bytes[at++];
    if (length === undefined || at + length > bytes.length) {
      throw new RangeError(`Cannot read DHCP option ${code}: ${length ?? "no"} bytes are said to follow (at most ${bytes.length - at} are wanted)`);
    }
    const pieces = found.get(code) ?? [];
    pieces.push(bytes.subarray(at, at + length));
    found.set(code, pieces);
    at += length;
  }
}
