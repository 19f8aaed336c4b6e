import { expect, test } from "bun:test";
import { CniError, parseConfig } from "@vethwork/cni";
import { folderOf, options, planOf, type Config } from "./plan.ts";

const given = { name: "mynet", type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.1.0/24" };
const configOf = (over: object): Config => parseConfig(options, { ...given, ...over });

test("a prefix and a list of one are the same", () => {
  for (const over of [{}, { network: ["10.244.0.0/16"], subnet: ["10.244.1.0/24"] }]) {
    const { networks, pools, folder } = planOf(configOf(over));
    expect(networks.map(String)).toEqual(["10.244.0.0/16"]);
    expect(pools.map(({ subnet }) => String(subnet))).toEqual(["10.244.1.0/24"]);
    expect(folder).toBe("/run/vethwork/mynet");
  }
});

test("IPv4 comes first, however the lists are ordered", () => {
  const { pools } = planOf(configOf({ network: ["fd00::/48", "10.244.0.0/16"], subnet: ["fd00:0:0:1::/64", "10.244.1.0/24"] }));
  expect(pools.map(({ subnet }) => String(subnet))).toEqual(["10.244.1.0/24", "fd00:0:0:1::/64"]);
});

test("the network's, the gateway's and the broadcast address are no pod's", () => {
  const { pools: [pool] } = planOf(configOf({}));
  expect([String(pool?.first), String(pool?.last)]).toEqual(["10.244.1.2", "10.244.1.254"]);
});

const wrong: readonly [what: string, over: object, says: RegExp][] = [
  ["an empty list", { subnet: [] }, /"subnet".*at least one prefix/],
  ["a subnet of a family without a network", { subnet: ["10.244.1.0/24", "fd00::/64"] }, /fd00::\/64.*inside the network/],
  ["bits of a host", { network: "10.244.0.1/16" }, /10\.244\.0\.1\/16.*10\.244\.0\.0\/16/],
  ["a folder that is not absolute", { dataDir: "run" }, /"dataDir": "run".*absolute path/],
  ["an MTU below IPv4's least", { mtu: 67 }, /"mtu": 67.*68 or more/],
];
for (const [what, over, says] of wrong) {
  test(`${what} is refused with code 7 and the option's name`, () => {
    let thrown: unknown;
    try {
      planOf(configOf(over));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(CniError);
    expect(thrown).toMatchObject({ code: 7, message: expect.stringMatching(says) });
  });
}

test("DEL's folder is found even where the rest of the configuration is wrong", () => {
  for (const dataDir of ["relative", "/run/../etc", "/run/a\0b", 7]) {
    const config = parseConfig(options, { ...given, subnet: "10.99.0.0/24", dataDir }, { onInvalid: () => undefined });
    expect(folderOf(config)).toBe("/run/vethwork/mynet");
  }
});
