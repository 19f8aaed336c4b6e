/**
 * Addresses as text: which strings are an IP address, a subnet with a host part, or a MAC address.
 *
 * A configuration that Go's library refuses must be refused here, too, and the other way round. So the rules are those of Go's
 * net.ParseIP, net.ParseCIDR and net.ParseMAC: no leading zeros in "010.0.0.1" (some read that as octal), no zones ("fe80::1%eth0"
 * means something else in every namespace), and an IPv4 address in IPv6 clothes ("::ffff:10.0.0.1") counts as IPv4.
 * Nothing here computes with addresses: that is work for the package that talks to the kernel.
 */

/** 4 or 16 bytes, most significant first. */
export interface IpAddress {
  family: 4 | 6;
  bytes: Uint8Array;
}

/** An address with the length of its subnet's prefix in bits; the host part is kept: 10.1.2.3/24 stays 10.1.2.3. */
export interface CidrAddress extends IpAddress {
  prefix: number;
}

const MAPPED_PREFIX = 96; // ::ffff:0:0/96 holds the IPv4 addresses (RFC 4291, section 2.5.5.2)

/** Reads an address, or gives undefined. An IPv4-mapped IPv6 address is family 4. */
export function parseIp(text: string): IpAddress | undefined {
  const bytes = text.includes(":") ? parseIp6(text) : parseIp4(text);
  return bytes && unmapped(bytes);
}

/** Reads "address/prefix", or gives undefined. */
export function parseCidr(text: string): CidrAddress | undefined {
  const slash = text.indexOf("/");
  const length = text.slice(slash + 1);
  if (slash < 0 || !/^\d{1,8}$/.test(length)) return undefined;
  const address = text.slice(0, slash);
  const bytes = address.includes(":") ? parseIp6(address) : parseIp4(address);
  const prefix = Number(length);
  if (!bytes || prefix > bytes.length * 8) return undefined;
  const ip = unmapped(bytes);
  if (ip.bytes.length === bytes.length) return { ...ip, prefix };
  return prefix < MAPPED_PREFIX ? { family: 6, bytes, prefix } : { ...ip, prefix: prefix - MAPPED_PREFIX };
}

/** Reads a hardware address of 6, 8 or 20 bytes in any of its three spellings, or gives undefined. */
export function parseMac(text: string): Uint8Array | undefined {
  const pairs = /^[\da-f]{2}(?::[\da-f]{2})+$|^[\da-f]{2}(?:-[\da-f]{2})+$|^[\da-f]{4}(?:\.[\da-f]{4})+$/i;
  if (text.length > 59 || !pairs.test(text)) return undefined;
  const digits = text.replace(/[:.-]/g, "");
  if (![6, 8, 20].includes(digits.length / 2)) return undefined;
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) => Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16));
}

/** A hardware address as Go and the kernel's tools print it: lower case, colons. */
export function formatMac(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (text && ":") + byte.toString(16).padStart(2, "0");
  return text;
}

function parseIp4(text: string): Uint8Array | undefined {
  const octets = text.split(".");
  if (octets.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (const [at, octet] of octets.entries()) {
    const value = Number(octet);
    if (String(value) !== octet || !(value >= 0 && value <= 255)) return undefined; // no sign, no zeros in front, no other way to write it
    bytes[at] = value;
  }
  return bytes;
}

function parseIp6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined; // the longest form, with an IPv4 address at its end
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = "", tail] = halves;
  const before = groups(head, tail === undefined);
  const after = tail === undefined ? [] : groups(tail, true);
  if (!before || !after) return undefined;
  const missing = 16 - before.length - after.length;
  // "::" stands for at least one group of zeros.
  if (tail === undefined ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...before, ...Array.from({ length: missing }, () => 0), ...after]);
}

/** The bytes of "2001:db8:…"; only the last group of an address may be a dotted IPv4 address. */
function groups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const parts = text.split(":");
  for (const [at, part] of parts.entries()) {
    if (/^[\da-f]{1,4}$/i.test(part)) {
      const value = Number.parseInt(part, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const dotted = last && at === parts.length - 1 ? parseIp4(part) : undefined;
    if (!dotted) return undefined;
    bytes.push(...dotted);
  }
  return bytes;
}

function unmapped(bytes: Uint8Array): IpAddress {
  const mapped = bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (bytes.length === 4) return { family: 4, bytes };
  return mapped ? { family: 4, bytes: bytes.slice(12) } : { family: 6, bytes };
}
