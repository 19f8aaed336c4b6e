import { expect, test } from "bun:test";
import { CniError } from "@vethwork/cni";
import { routes } from "./lease.ts";

const given = [{ dst: "10.1.0.0/16" }, { dst: "all" }, { gw: "10.1.0.1" }];

test("a route that does not read is refused, and DEL goes on without it", () => {
  expect(() => routes.parse(given, "routes")).toThrow('invalid option "routes[1].dst": "all"');
  const told: string[] = [];
  expect(routes.parse(given, "routes", { onInvalid: (error: CniError) => void told.push(error.message) })).toEqual([{ dst: "10.1.0.0/16" }]);
  expect(told).toHaveLength(2);
});
