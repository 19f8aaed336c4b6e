/** What of the configuration and CNI_ARGS goes to the server. */
import { expect, test } from "bun:test";
import { parseConfig, type Args } from "@vethwork/cni";
import { askedOptions, options, toldOptions } from "./options.ts";

const args: Args = { containerId: "pod1", netns: "", ifname: "eth0", cniArgs: "", path: [] };
const told = (ipam: object, cniArgs = "", more: Partial<Args> = {}): Record<string, string> =>
  Object.fromEntries([...toldOptions(parseConfig(options, { name: "mynet", ipam }), { ...args, cniArgs, ...more })].map(([code, bytes]) => [code, new TextDecoder().decode(bytes)]));
const asked = (request: object[]): number[] => askedOptions(parseConfig(options, { name: "mynet", ipam: { request } }));

test("the server is always told who asks, as the reference tells it: container, network, interface", () => {
  expect(told({})).toEqual({ 61: "\0pod1/mynet/eth0" });
  expect(told({}, "", { containerId: "x".repeat(300) })[61]).toBe(`\0${"x".repeat(254)}`);
  expect(told({ provide: [{ option: "dhcp-client-identifier", value: "me" }] })).toEqual({ 61: "me" });
});

test("a value of CNI_ARGS comes before the configuration's, whatever else stands there", () => {
  const provide = [{ option: "host-name", value: "plain", fromArg: "NAME" }, { option: "60", value: "a class" }, { option: "12", fromArg: "NOBODY" }];
  expect(told({ provide })).toMatchObject({ 12: "plain", 60: "a class" });
  expect(told({ provide }, "odd;NAME=web=1;;X=")).toMatchObject({ 12: "web=1" });
  expect(told({ provide }, "NAME=")).toMatchObject({ 12: "plain" });
});

test("names and numbers ask for options, and the usual ones are asked for, too, unless somebody says otherwise", () => {
  expect(asked([])).toEqual([3, 1, 6, 15, 119, 26]);
  expect(asked([{ option: "121" }, { option: "subnet-mask" }, { option: "121" }])).toEqual([121, 1, 3, 6, 15, 119, 26]);
  expect(asked([{ option: "routers" }, { skipDefault: true }])).toEqual([3]);
  for (const option of ["", "0", "255", "1000", "dns", "toString"]) expect(() => asked([{ option }])).toThrow(`Can not parse option "${option}"`);
});
