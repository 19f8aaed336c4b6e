/** MAC addresses: six bytes, written in lower case with colons. */
import type { Ip } from "./ip.ts";

export interface Mac {
  readonly bytes: Uint8Array;
  toString(): string;
}

export function macFrom(bytes: Uint8Array): Mac {
  return { bytes, toString: () => textOf(bytes) };
}

function textOf(bytes: Uint8Array): string {
  const digits = bytes.toHex();
  let text = digits.slice(0, 2);
  for (let at = 2; at < digits.length; at += 2) text += `:${digits.slice(at, at + 2)}`;
  return text;
}

/** Reads a MAC address; RangeError where it is none. */
export function parseMac(text: string): Mac {
  if (/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) {
    return macFrom(Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16)));
  }
  throw new RangeError(`Cannot read "${text}" (a MAC address is wanted, such as 0a:58:0a:01:00:05)`);
}

/**
 * A MAC address made of an IP address: 10.1.0.5 → 0a:58:0a:01:00:05.
 *
 * The next pod that gets the address then has the same MAC, so that whoever still remembers the last one is right.
 * 0a is locally administered, unicast; of an IPv6 address the last four bytes are taken.
 */
export function macOf(ip: Ip): Mac {
  return macFrom(Uint8Array.of(0x0a, 0x58, ...ip.bytes.slice(-4)));
}
