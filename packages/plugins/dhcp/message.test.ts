/** DHCP messages and the values in them: what is written is read back, and bytes that nobody wrote give a value or a RangeError. */
import { expect, test } from "bun:test";
import { array, assert, constantFrom, integer, property, record, tuple, uint8Array, type Arbitrary } from "fast-check";
import { cidrOf, ipFrom, macFrom, networkOf, parseIp, parseMac } from "@vethwork/linux";
import { encode, type Blob } from "@vethwork/linux/wire/codec.ts";
import { decodeMessage, encodeMessage, type Message } from "./message.ts";
import { OPTION, entry, valueOf } from "./values.ts";

const ip = uint8Array({ minLength: 4, maxLength: 4 }).map(ipFrom);
const code = integer({ min: 1, max: 254 }).filter((one) => one !== 52);
const message: Arbitrary<Message> = record({
  op: constantFrom("request" as const, "reply" as const), xid: integer({ min: 0, max: 0xffff_ffff }), secs: integer({ min: 0, max: 0xffff }), broadcast: constantFrom(true, false),
  ciaddr: ip, yiaddr: ip, siaddr: ip, giaddr: ip, chaddr: uint8Array({ minLength: 6, maxLength: 6 }).map(macFrom),
  options: array(tuple(code, uint8Array({ maxLength: 700 })), { maxLength: 8 }).map((pairs) => new Map(pairs)),
});
/** Addresses hold functions, which are never equal. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_key, one: unknown) => (one instanceof Map ? [...one] : one)));

test("a message is read as it was written, with options longer than one piece can hold", () => {
  assert(property(message, (some) => expect(plain(decodeMessage(encodeMessage(some)))).toEqual(plain(some))));
});

test("any bytes, and a message of which some were changed, give a message or a RangeError", () => {
  const values = Object.values(OPTION);
  const read = (bytes: Uint8Array): void => {
    try {
      const { options } = decodeMessage(bytes);
      for (const option of values) valueOf<unknown>(options, option);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  };
  assert(property(uint8Array({ maxLength: 400 }), read));
  assert(property(message, array(tuple(integer({ min: 0, max: 2000 }), integer({ min: 0, max: 255 })), { maxLength: 6 }), (some, changes) => {
    const bytes = encodeMessage(some);
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
    read(bytes.subarray(0, bytes.length - ((changes[0]?.[0] ?? 0) % 9)));
  }));
});

test("any bytes in an option give its value or a RangeError", () => {
  for (const [, codec] of Object.values(OPTION)) {
    assert(property(uint8Array({ maxLength: 60 }), (raw) => {
      try {
        codec.read(raw);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }));
  }
});

test("each kind of value is read as it was written", () => {
  const name = array(array(constantFrom(..."abz09-_"), { minLength: 1, maxLength: 12 }).map((letters) => letters.join("")), { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
  const way = tuple(ip, integer({ min: 0, max: 32 }), ip).map(([dst, prefix, via]) => ({ dst: networkOf(cidrOf(dst, prefix)), via }));
  const back = <T>([, codec]: readonly [number, Blob<T>], some: Arbitrary<T>): void =>
    assert(property(some, (value) => expect(plain(codec.read(encode(codec, value).slice()))).toEqual(plain(value))));
  back(OPTION.SUBNET_MASK, integer({ min: 0, max: 32 }));
  back(OPTION.ROUTER, array(ip, { minLength: 1 }));
  back(OPTION.SERVER, ip);
  back(OPTION.LEASE_TIME, integer({ min: 0, max: 0xffff_ffff }));
  back(OPTION.MTU, integer({ min: 0, max: 0xffff }));
  back(OPTION.ASK, array(integer({ min: 0, max: 255 }), { minLength: 1 }));
  back(OPTION.DOMAIN_NAME, name);
  back(OPTION.DOMAIN_SEARCH, array(name));
  back(OPTION.CLASSLESS_ROUTE, array(way));
});

test("options that stand in the fields for the server's and the file's name are found, in the RFC's order", () => {
  const bytes = encodeMessage({ ...empty, options: new Map([[52, Uint8Array.of(3)], [12, new TextEncoder().encode("a")]]) });
  bytes.set([12, 1, 0x63, 255], 44);  // sname: "c"
  bytes.set([12, 1, 0x62, 255], 108); // file: "b"
  expect(valueOf(decodeMessage(bytes).options, OPTION.HOST_NAME)).toBe("abc");
});

test("a search list whose names share their ends is read, one that runs in a circle is refused", () => {
  const [, search] = OPTION.DOMAIN_SEARCH;
  const eng = [3, 0x65, 0x6e, 0x67, 5, 0x61, 0x70, 0x70, 0x6c, 0x65, 3, 0x63, 0x6f, 0x6d, 0]; // eng.apple.com, the RFC's own example
  expect(search.read(Uint8Array.of(...eng, 9, ...new TextEncoder().encode("marketing"), 0xc0, 0x04))).toEqual(["eng.apple.com", "marketing.apple.com"]);
  expect(() => search.read(Uint8Array.of(0xc0, 0x00))).toThrow(RangeError);
  expect(() => search.read(Uint8Array.of(1, 0x61, 0xc0, 0x00))).not.toThrow(TypeError);
});

test("routes of either kind are told as prefixes, and masks with holes and names with line ends are refused", () => {
  const [, classful] = OPTION.STATIC_ROUTE;
  expect(classful.read(Uint8Array.of(172, 16, 1, 0, 10, 0, 0, 9, 10, 77, 3, 4, 10, 0, 0, 8)).map(({ dst, via }) => `${dst} ${via}`)).toEqual(["172.16.0.0/16 10.0.0.9", "10.0.0.0/8 10.0.0.8"]);
  const [, classless] = OPTION.CLASSLESS_ROUTE;
  expect(classless.read(Uint8Array.of(0, 10, 0, 0, 1, 17, 10, 1, 255, 0, 0, 0, 0)).map(({ dst, via }) => `${dst} ${via}`)).toEqual(["0.0.0.0/0 10.0.0.1", "10.1.128.0/17 0.0.0.0"]);
  expect(() => OPTION.SUBNET_MASK[1].read(Uint8Array.of(255, 0, 255, 0))).toThrow("255.0.255.0 (ones, then zeros are wanted)");
  expect(() => OPTION.DOMAIN_NAME[1].read(new TextEncoder().encode("a\nnameserver 192.0.2.66"))).toThrow("(a domain name is wanted)");
});

test("a short message is filled up to the size that BOOTP's had, and no option has the code of padding or end", () => {
  expect(encodeMessage({ ...empty, options: new Map([entry(OPTION.MTU, 1400)]) })).toHaveLength(300);
  for (const code of [0, 255]) expect(() => encodeMessage({ ...empty, options: new Map([[code, new Uint8Array(1)]]) })).toThrow("1 to 254 are wanted");
});

const nobody = parseIp("0.0.0.0");
const empty: Message = { op: "reply", xid: 1, secs: 0, broadcast: false, ciaddr: nobody, yiaddr: nobody, siaddr: nobody, giaddr: nobody, chaddr: parseMac("02:00:00:00:00:01"), options: new Map() };
