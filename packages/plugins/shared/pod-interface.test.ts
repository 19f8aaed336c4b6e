import { expect, test } from "bun:test";
import { withGateways } from "./pod-interface.ts";

const ips = [{ address: "10.1.2.5/24", gateway: "10.1.2.1" }, { address: "fd00::5/64" }, { address: "fd01::5/64", gateway: "fd01::1" }];

test("a route without a gateway takes the first of its family that there is, and keeps its own", () => {
  expect(withGateways([{ dst: "0.0.0.0/0" }, { dst: "::/0" }, { dst: "192.0.2.0/24", gw: "10.1.2.9" }], ips)).toEqual([
    { dst: "0.0.0.0/0", gw: "10.1.2.1" }, { dst: "::/0", gw: "fd01::1" }, { dst: "192.0.2.0/24", gw: "10.1.2.9" },
  ]);
  expect(withGateways([{ dst: "192.0.2.0/24" }], [{ address: "10.1.2.5/24" }])).toEqual([{ dst: "192.0.2.0/24" }]);
});

test("the same route twice is one, the same way by two routers is two", () => {
  expect(withGateways([{ dst: "0.0.0.0/0" }, { gw: "10.1.2.1", dst: "0.0.0.0/0" }], ips)).toHaveLength(1);
  expect(withGateways([{ dst: "0.0.0.0/0", gw: "10.1.2.1" }, { dst: "0.0.0.0/0", gw: "10.1.2.9" }, { dst: "0.0.0.0/0", priority: 5 }], ips)).toHaveLength(3);
});
