import { expect, test } from "bun:test";
import { parseConfig, type JsonObject } from "@vethwork/cni";
import * as fc from "fast-check";
import { options, planOf } from "./options.ts";

const plan = (config: JsonObject, cniArgs = "") => planOf(parseConfig(options, { cniVersion: "1.1.0", name: "mynet", type: "bridge", ...config }),
  { containerId: "pod1", netns: "/run/netns/pod1", ifname: "eth0", path: [], cniArgs });

test("the pod's MAC address: the capability's before that of `args`, and CNI_ARGS' last", () => {
  const [one, two] = [{ mac: "0A:00:00:00:00:01" }, { cni: { mac: "0a-00-00-00-00-02" } }];
  expect(String(plan({ runtimeConfig: one, args: two }, "MAC=0a:00:00:00:00:03").mac)).toBe("0a:00:00:00:00:01");
  expect(String(plan({ args: two }, "MAC=0a:00:00:00:00:03").mac)).toBe("0a:00:00:00:00:02");
  expect(String(plan({}, "IgnoreUnknown=1;K8S_POD_UID=x;MAC=0a:00:00:00:00:03").mac)).toBe("0a:00:00:00:00:03");
  expect(plan({}).mac).toBeUndefined();
});

test("what cannot be is refused, in the reference's words where it has some", () => {
  const rows: readonly [JsonObject, string, string?][] = [
    [{ vlan: 4095 }, "invalid VLAN ID 4095 (must be between 0 and 4094)"],
    [{ vlan: -1 }, "invalid VLAN ID -1 (must be between 0 and 4094)"],
    [{ hairpinMode: true, promiscMode: true }, "cannot set hairpin mode and promiscuous mode at the same time"],
    [{ disableContainerInterface: true, ipam: { type: "host-local" } }, "cannot use IPAM when DisableContainerInterface flag is set"],
    [{ bridge: "a-long-bridge", isGateway: true, vlan: 100 }, '"a-long-bridge.100" is too long for an interface\'s name'],
    [{ mtu: "big" }, 'invalid option "mtu"'],
    [{ ipMasqBackend: "ebpf" }, 'invalid option "ipMasqBackend": "ebpf"'],
    [{ vlanTrunk: [null] }, 'invalid option "vlanTrunk[0]"'],
    [{ runtimeConfig: { mac: "00:00:00:00:00:00:00:01" } }, 'invalid option "mac": "00:00:00:00:00:00:00:01" (a MAC address of six bytes is wanted)'],
    [{}, 'ARGS: unknown args ["FOO=1"]', "FOO=1"],
    [{}, 'invalid option "MAC": "x"', "MAC=x"],
  ];
  for (const [config, words, args] of rows) expect(() => plan(config, args), words).toThrow(words);
});

test("a default gateway is a gateway; an ipam section without a type is none", () => {
  expect(plan({ isDefaultGateway: true }).isGateway).toBe(true);
  expect(plan({ disableContainerInterface: true, ipam: {} })).not.toHaveProperty("ipam");
});

test("any value of any option gives a plan or an error that says why", () => {
  const key = fc.constantFrom(...Object.keys(options.options));
  fc.assert(fc.property(fc.dictionary(key, fc.jsonValue(), { maxKeys: 6 }), (config) => {
    try {
      plan(config);
    } catch (error) {
      expect(error).toMatchObject({ name: "CniError" });
    }
  }), { numRuns: 300 });
});
