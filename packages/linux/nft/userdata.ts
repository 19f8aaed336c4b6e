/**
 * User data: what the kernel keeps for nft(8) and never reads. Comments live there (libnftnl's udata.h): type u8,
 * length u8, then text with a zero byte.
 */
import { encode, u32 } from "../wire/codec.ts";

export const USERDATA_RULE_COMMENT = 0;
export const USERDATA_ELEMENT_COMMENT = 0;
/** Ours: a second text of an element. nft looks past types that it does not know, and libnftnl, which counts from 0, has come to 2. */
export const USERDATA_NOTE = 0xf0;

const LONGEST = 128; // nft prints no more (NFTNL_UDATA_COMMENT_MAXLEN)

/** Of sets: in which byte order nft is to read keys and values, 1 for the machine's own (its enum byteorder). */
export const USERDATA_SET_KEYBYTEORDER = 0;
export const USERDATA_SET_DATABYTEORDER = 1;

/** One entry with a number. */
export const numberTag = (type: number, number: number): Uint8Array => Uint8Array.of(type, 4, ...encode(u32, number));

/** One entry; RangeError where the text is too long or holds what would end nft's quoted string. */
export function tagOf(type: number, text: string): Uint8Array {
  const bytes = new TextEncoder().encode(`${text}\0`);
  if (bytes.length > LONGEST || /["\n\0]/.test(text)) {
    throw new RangeError(`Cannot use ${JSON.stringify(text)} as a comment (up to 127 bytes without a double quote are wanted)`);
  }
  return Uint8Array.of(type, bytes.length, ...bytes);
}

/** The text of the entry of that type; "" where there is none. */
export function userdataText(userdata: Uint8Array = new Uint8Array(), type: number = USERDATA_RULE_COMMENT): string {
  for (let at = 0; at + 2 <= userdata.length; ) {
    const [found, length = 0] = userdata.subarray(at, at + 2);
    const text = userdata.subarray(at + 2, at + 2 + length);
    if (found === type) return new TextDecoder().decode(text.at(-1) === 0 ? text.subarray(0, -1) : text);
    at += 2 + length;
  }
  return "";
}
