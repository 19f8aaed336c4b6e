/** Which port of the node leads where, by what the runtime asks and what addresses the pod has. */
import { expect, test } from "bun:test";
import { parseCidr } from "@vethwork/linux";
import { isForLoopback, mappingsOf, podAddresses, targetOf, textOf, type Mapping } from "./mappings.ts";
import type { PortMapping } from "./options.ts";

const both = [parseCidr("10.1.2.5/24"), parseCidr("fd00:1:2::5/64")];
const port = (more: Partial<PortMapping> = {}): PortMapping => ({ hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "", ...more });
const told = (mappings: readonly Mapping[]): string[] => mappings.map((one) => `${textOf(one)} ${targetOf(one)}${isForLoopback(one) ? " and 127.0.0.1" : ""}`);
const mapped = (...wanted: PortMapping[]): string[] => told(mappingsOf(wanted, both));

test("a port without an address leads to the pod by both families, one of an address by its own", () => {
  expect(mapped(port())).toEqual(["8080/tcp 10.1.2.5:80 and 127.0.0.1", "8080/tcp [fd00:1:2::5]:80"]);
  expect(mapped(port({ hostIP: "0.0.0.0" }), port({ hostIP: "::", protocol: "udp" }))).toEqual(["8080/tcp 10.1.2.5:80 and 127.0.0.1", "8080/udp [fd00:1:2::5]:80"]);
  expect(mapped(port({ hostIP: "192.0.2.1" }), port({ hostIP: "2001:db8::1" }))).toEqual(["192.0.2.1:8080/tcp 10.1.2.5:80", "[2001:db8::1]:8080/tcp [fd00:1:2::5]:80"]);
  expect(mapped(port({ hostIP: "127.0.0.9" }))).toEqual(["127.0.0.9:8080/tcp 10.1.2.5:80 and 127.0.0.1"]);
  expect(mapped(port({ hostIP: "::ffff:192.0.2.1" }))).toEqual(["192.0.2.1:8080/tcp 10.1.2.5:80"]);
  expect(told(mappingsOf([port({ hostIP: "::" })], both.slice(0, 1)))).toEqual([]);
});

test("the same mapping twice is one, and one port to two places is refused", () => {
  expect(mapped(port({ hostIP: "192.0.2.1" }), port({ hostIP: "192.0.2.1" }))).toEqual(["192.0.2.1:8080/tcp 10.1.2.5:80"]);
  expect(mapped(port({ hostIP: "192.0.2.1" }), port({ hostIP: "192.0.2.1", protocol: "udp", containerPort: 81 }))).toHaveLength(2);
  expect(() => mapped(port(), port({ containerPort: 81 }))).toThrow("host port 8080/tcp is mapped twice, to 10.1.2.5:80 and to 10.1.2.5:81 (one is wanted)");
});

test("ports lead to the first address of each family that the pod's interface has", () => {
  const interfaces = [{ name: "cni0" }, { name: "eth0" }, { name: "eth0", sandbox: "/run/netns/a" }, { name: "net1", sandbox: "/run/netns/a" }];
  const ips = (...addresses: readonly [string, number?][]) => addresses.map(([address, at]) => ({ address, ...(at !== undefined && { interface: at }) }));
  const args = { ifname: "eth0", containerId: "a", netns: "/run/netns/a", cniArgs: "", path: [] };
  const found = (list: ReturnType<typeof ips>) => podAddresses(args, { interfaces, ips: list }).map(String);
  expect(found(ips(["10.9.0.1/24", 0], ["10.8.0.1/24", 1], ["10.7.0.1/24", 3], ["fd00::5/64", 2], ["10.1.2.5/24", 2], ["10.1.2.6/24", 2]))).toEqual(["10.1.2.5/24", "fd00::5/64"]);
  expect(found(ips(["10.1.2.5/24"], ["fd00::5/64", 9]))).toEqual(["10.1.2.5/24", "fd00::5/64"]); // of no interface, or of none that there is
  expect(podAddresses(args, {})).toEqual([]);
});
