import { expect, test } from "bun:test";
import { CniError, ErrorCode } from "@vethwork/cni";
import * as fc from "fast-check";
import { findLease, parseLease, readLease } from "./subnet-env.ts";

const whole = ["FLANNEL_NETWORK=10.244.0.0/16", "FLANNEL_SUBNET=10.244.1.1/24", "FLANNEL_MTU=1450", "FLANNEL_IPMASQ=true"];
const said = (...lines: string[]) => {
  const { networks, subnets, ...rest } = parseLease(lines.join("\n"));
  return { networks: networks.map(String), subnets: subnets.map(String), ...rest };
};

test("the lines of flanneld are read: networks, this node's subnet, MTU, and who masquerades", () => {
  expect(said(...whole)).toEqual({ networks: ["10.244.0.0/16"], subnets: ["10.244.1.0/24"], mtu: 1450, masquerades: true });
});

test("IPv6 stands behind IPv4, or alone; several networks count once each", () => {
  const six = ["FLANNEL_IPV6_NETWORK=fd00:10::/48,fd00:11::/48", "FLANNEL_IPV6_SUBNET=fd00:10:0:1::1/64"];
  expect(said(...six, ...whole, "FLANNEL_NETWORK=10.244.0.0/16,10.99.0.0/16,10.244.9.9/16")).toMatchObject({
    networks: ["10.244.0.0/16", "10.99.0.0/16", "fd00:10::/48", "fd00:11::/48"], subnets: ["10.244.1.0/24", "fd00:10:0:1::/64"],
  });
  expect(said(...six, ...whole.slice(2))).toMatchObject({ subnets: ["fd00:10:0:1::/64"] });
});

test("only \"true\" is true, of two lines the last counts, and other lines are nobody's business", () => {
  expect(said("# by hand", "", "OTHER", " FLANNEL_MTU", ...whole, "FLANNEL_IPMASQ=True", "FLANNEL_MTU=1400", "export FLANNEL_MTU=9\r")).toMatchObject({ mtu: 1400, masquerades: false });
  expect(said(...whole.map((line) => `${line}\r`))).toMatchObject({ mtu: 1450, masquerades: true });
});

test.each([
  [["FLANNEL_MTU"], "has FLANNEL_MTU without a value in line 5 (FLANNEL_MTU=VALUE is wanted)"],
  [["FLANNEL_MTU=1450 "], "has FLANNEL_MTU=1450  (bytes are wanted)"],
  [["FLANNEL_MTU=4294967296"], "has FLANNEL_MTU=4294967296 (bytes are wanted)"],
  [["FLANNEL_SUBNET="], 'has FLANNEL_SUBNET: Cannot read "" (a prefix is wanted, such as 10.1.0.0/24 or fd00::/64)'],
  [["FLANNEL_NETWORK=10.244.0.0/16, 10.99.0.0/16"], 'has FLANNEL_NETWORK: Cannot read " 10.99.0.0/16"'],
])("%j is refused in words", (lines, words) => {
  expect(() => said(...whole, ...lines)).toThrow(words);
});

test("what is missing is named, all of it", () => {
  expect(() => said()).toThrow("is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ");
  expect(() => said(...whole.slice(0, 3))).toThrow(/^is missing FLANNEL_IPMASQ$/);
});

test("whatever a file holds is read or refused by a RangeError", () => {
  const line = fc.oneof(fc.string(), fc.constantFrom(...whole), fc.tuple(fc.constantFrom("FLANNEL_MTU", "FLANNEL_SUBNET", "FLANNEL_NETWORK"), fc.string()).map((pair) => pair.join("=")));
  fc.assert(fc.property(fc.array(line), (lines) => {
    try {
      expect(parseLease(lines.join("\n")).mtu).toBeGreaterThanOrEqual(0);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }));
});

test("a file that is not there is a matter of time, and says where to look", () => {
  const file = `${import.meta.dir}/no-such-subnet.env`;
  expect(findLease(file)).toBeUndefined();
  const words = `failed to load flannel 'subnet.env' file: there is no "${file}" (flanneld writes it once it has a lease). Check the flannel pod log for this node`;
  expect(() => readLease(file)).toThrow(new CniError(ErrorCode.TRY_AGAIN, words));
});
