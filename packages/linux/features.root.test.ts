/** Features on a real kernel, and what ethtool(8) says of them. */
import { expect } from "bun:test";
import { featuresIn, parseIp } from "./index.ts";
import { errnoOf, kernelTest, outputIn } from "./testing/room.ts";

const OFFLOAD = "tx-checksum-ip-generic";

kernelTest("a feature of a device is switched off and on by its name", (here) => {
  here.links.add({ kind: "vxlan", name: "vx", vni: 4711, port: 8473, local: parseIp("192.0.2.11"), learning: false, checksum: false });
  const link = here.links.get("vx");
  const told = () => new RegExp(`^\t${OFFLOAD}: (on|off)$`, "m").exec(outputIn(here, "ethtool", "-k", "vx"))?.[1];
  expect(featuresIn(here).list(link)).toContain(OFFLOAD);
  featuresIn(here).set(link, OFFLOAD, false);
  expect(featuresIn(here).list(link)).not.toContain(OFFLOAD);
  expect(told()).toBe("off");
  featuresIn(here).set(link, OFFLOAD, true);
  expect(told()).toBe("on");
}, { programs: ["ethtool"] });

kernelTest("what is fixed stays as it is, a feature that the kernel does not know is EOPNOTSUPP, a device that is gone ENODEV", (here) => {
  const lo = here.links.get("lo");
  featuresIn(here).set(lo, "loopback", false);
  expect(featuresIn(here).list(lo)).toContain("loopback");
  expect(errnoOf(() => featuresIn(here).set(lo, "no-such-feature", false))).toBe("EOPNOTSUPP");
  expect(errnoOf(() => featuresIn(here).list({ ...lo, index: 4711 }))).toBe("ENODEV");
});
