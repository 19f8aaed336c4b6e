/** Which limits count, and which are none. */
import { expect, test } from "bun:test";
import { CniError, parseConfig, schemaOf } from "@vethwork/cni";
import { limitsOf, options } from "./options.ts";

const read = (given: object) => limitsOf(parseConfig(options, { name: "mynet", type: "bandwidth", ...given }));
const own = { ingressRate: 1000, ingressBurst: 2000, egressRate: 3000, egressBurst: 4000 };
const pods = { runtimeConfig: { bandWidth: { IngressRate: 50, ingressBurst: 60, egressRate: 70, egressBurst: 80 } } };

test("the network's limits count, or all of the pod's where the network has none, in whatever case", () => {
  expect(read(own)).toEqual({ ingress: { rate: 1000, burst: 2000 }, egress: { rate: 3000, burst: 4000 }, scope: undefined });
  expect(read(pods)).toEqual({ ingress: { rate: 50, burst: 60 }, egress: { rate: 70, burst: 80 }, scope: undefined });
  expect(read({ ...pods, egressRate: 9000, egressBurst: 8 })).toEqual({ ingress: undefined, egress: { rate: 9000, burst: 8 }, scope: undefined });
  expect(read({ ...pods, ingressRate: 0 })).toEqual({ ingress: undefined, egress: undefined, scope: undefined });
  expect(read({ ...pods, ingressRate: null }).ingress).toEqual({ rate: 50, burst: 60 });
  expect(read({})).toEqual({ ingress: undefined, egress: undefined, scope: undefined });
});

test("subnets come from where the limits do, or from the network", () => {
  const scopeOf = (given: object) => {
    const { scope } = read(given);
    return scope && [scope.only, ...scope.subnets.map(String)];
  };
  expect(scopeOf({ ...own, unshapedSubnets: ["10.1.2.3/8", "fd00::/8"] })).toEqual([false, "10.1.2.3/8", "fd00::/8"]);
  expect(scopeOf({ ...own, shapedSubnets: ["0.0.0.0/0"] })).toEqual([true, "0.0.0.0/0"]);
  expect(scopeOf({ ...pods, unshapedSubnets: ["10.0.0.0/8"] })).toEqual([false, "10.0.0.0/8"]);
  const both = { runtimeConfig: { bandwidth: { ...pods.runtimeConfig.bandWidth, shapedSubnets: ["192.0.2.0/24"] } }, unshapedSubnets: ["10.0.0.0/8"] };
  expect(scopeOf(both)).toEqual([true, "192.0.2.0/24"]);
  expect(scopeOf({ ...both, ...own })).toEqual([false, "10.0.0.0/8"]);
  expect(scopeOf({ ...own, unshapedSubnets: [], shapedSubnets: [] })).toBeUndefined();
});

test("what cannot be is refused by name, whoever said it", () => {
  for (const [given, says] of [
    [{ ingressRate: 8000 }, "if rate is set, burst must also be set (ingressRate is 8000, ingressBurst 0)"], [{ egressBurst: 8 }, "if burst is set, rate must also be set (egressRate is 0, egressBurst 8)"],
    [{ runtimeConfig: { bandwidth: { egressRate: 8000 } } }, "if rate is set, burst must also be set (egressRate is 8000"], [{ egressRate: 8, egressBurst: 2 ** 35 - 8 }, "burst cannot be more than 4GB"],
    [{ egressRate: 7, egressBurst: 8 }, "a rate cannot be less than 8 bits a second (egressRate is 7"], [{ ...own, unshapedSubnets: ["10.0.0.0/8"], shapedSubnets: ["192.0.2.0/24"] }, "unshapedSubnets and shapedSubnets cannot be both specified"],
    [{ ...own, unshapedSubnets: ["10.0.0.0/8", "hello"] }, 'invalid option "unshapedSubnets[1]": "hello"'], [{ ingressRate: -1 }, 'invalid option "ingressRate": -1'], [{ ingressRate: "8000" }, 'invalid option "ingressRate": "8000"'],
    [{ runtimeConfig: { bandwidth: { egressBurst: 1.5 } } }, 'invalid option "runtimeConfig.bandwidth.egressBurst": 1.5'],
  ] as const) {
    expect(() => read(given)).toThrow(CniError);
    expect(() => read(given)).toThrow(says);
  }
  expect(read({ egressRate: 8, egressBurst: 2 ** 35 - 16 }).egress).toEqual({ rate: 8, burst: 2 ** 35 - 16 });
  expect(read({ ingressRate: 0, ingressBurst: 0 }).ingress).toBeUndefined();
});

test("the schema has them in both places", () => {
  expect(Object.keys(Object(schemaOf(options)["properties"]))).toEqual(["ingressRate", "ingressBurst", "egressRate", "egressBurst", "unshapedSubnets", "shapedSubnets", "runtimeConfig"]);
});
