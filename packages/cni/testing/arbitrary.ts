/** Results by chance, for property tests: all that the specification allows, and the part of it that every version can say. */
import * as fc from "fast-check";
import type { Dns, Interface, IpConfig, Result, Route } from "../index.ts";

const octet = fc.integer({ min: 0, max: 255 });
const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
const ip4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join("."));
const ip6 = fc.tuple(group, group, group).map(([a, b, c]) => `fd00:${a}::${b}:${c}`);
const cidr4 = fc.tuple(ip4, fc.integer({ min: 0, max: 32 })).map(([ip, prefix]) => `${ip}/${prefix}`);
const cidr6 = fc.tuple(ip6, fc.integer({ min: 0, max: 128 })).map(([ip, prefix]) => `${ip}/${prefix}`);
const word = fc.string({ minLength: 1, maxLength: 12 });
const positive = fc.integer({ min: 1, max: 0xffffffff });
const some = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 4 });

const networkInterface: fc.Arbitrary<Interface> = fc.record(
  { name: word, mac: word, mtu: positive, sandbox: word, socketPath: word, pciID: word }, { requiredKeys: ["name"], noNullPrototype: true });
const address: fc.Arbitrary<IpConfig> = fc.record(
  { address: fc.oneof(cidr4, cidr6), gateway: fc.oneof(ip4, ip6), interface: fc.nat(9) }, { requiredKeys: ["address"], noNullPrototype: true });
const route: fc.Arbitrary<Route> = fc.record({
  dst: fc.oneof(cidr4, cidr6), gw: fc.oneof(ip4, ip6), mtu: positive, advmss: positive, priority: positive, table: fc.nat(), scope: fc.nat(255),
}, { requiredKeys: ["dst"], noNullPrototype: true });
const dns: fc.Arbitrary<Dns> = fc.record({ nameservers: some(word), domain: word, search: some(word), options: some(word) }, { requiredKeys: [], noNullPrototype: true })
  .filter((names) => Object.keys(names).length > 0);

/** Any result of 1.1.0. */
export const anyResult: fc.Arbitrary<Result> = fc.record(
  { interfaces: some(networkInterface), ips: some(address), routes: some(route), dns }, { requiredKeys: [], noNullPrototype: true });

const plain4 = fc.record({
  ip: fc.record({ address: cidr4, gateway: ip4 }, { requiredKeys: ["address"], noNullPrototype: true }),
  routes: fc.array(fc.record({ dst: cidr4, gw: ip4 }, { requiredKeys: ["dst"], noNullPrototype: true }), { maxLength: 3 }),
});
const plain6 = fc.record({
  ip: fc.record({ address: cidr6, gateway: ip6 }, { requiredKeys: ["address"], noNullPrototype: true }),
  routes: fc.array(fc.record({ dst: cidr6, gw: ip6 }, { requiredKeys: ["dst"], noNullPrototype: true }), { maxLength: 3 }),
});

/** A result that even 0.1.0 can express: at most one address a family, the first family's routes first, no interfaces. */
export const plainResult: fc.Arbitrary<Result> = fc
  .tuple(fc.option(plain4, { nil: undefined }), fc.option(plain6, { nil: undefined }), fc.option(dns, { nil: undefined }))
  .filter(([four, six]) => four !== undefined || six !== undefined)
  .map(([four, six, names]) => {
    const both = [four, six].filter((one) => one !== undefined);
    const routes = both.flatMap((one) => one.routes);
    return { ips: both.map((one) => one.ip), ...(routes.length > 0 && { routes }), ...(names && { dns: names }) };
  });
