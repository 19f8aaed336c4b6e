import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { gatewayLinkName, trunkIds, vlansOf } from "./vlan.ts";

const item = (minID?: number, maxID?: number, id?: number) => ({ minID, maxID, id });

test("runs and single VLANs become a list in order, each once", () => {
  expect(trunkIds([item(20, 23), item(undefined, undefined, 5), item(22, 24, 3)])).toEqual([3, 5, 20, 21, 22, 23, 24]);
  expect(trunkIds([])).toEqual([]);
  const id = fc.integer({ min: 1, max: 4094 });
  fc.assert(fc.property(fc.array(fc.tuple(id, id, fc.option(id, { nil: undefined })), { maxLength: 5 }), (rows) => {
    const ids = trunkIds(rows.map(([a, b, one]) => item(Math.min(a, b), Math.max(a, b), one)));
    expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b));
    for (const [a, b, one] of rows) for (const wanted of [a, b, one ?? a]) expect(ids).toContain(wanted);
  }));
});

test("what cannot be is refused in the reference's words", () => {
  const rows: readonly [ReturnType<typeof item>, string][] = [
    [item(5), "minID and maxID should be configured simultaneously, maxID is missing"],
    [item(undefined, 5), "minID and maxID should be configured simultaneously, minID is missing"],
    [item(0, 5), "incorrect trunk minID parameter"],
    [item(5, 4095), "incorrect trunk maxID parameter"],
    [item(6, 5), "minID is greater than maxID in trunk parameter"],
    [item(undefined, undefined, 4095), "incorrect trunk id parameter"],
    [item(undefined, undefined, -1), "incorrect trunk id parameter"],
  ];
  for (const [one, words] of rows) expect(() => trunkIds([one])).toThrow(words);
});

test("a pod's port has one VLAN without a tag, and those of its trunk with", () => {
  expect(vlansOf({ vlan: 0, trunk: undefined })).toEqual([]);
  expect(vlansOf({ vlan: 0, trunk: [] })).toEqual([]);
  expect(vlansOf({ vlan: 10, trunk: undefined })).toEqual([{ id: 10, pvid: true, untagged: true }]);
  expect(vlansOf({ vlan: 0, trunk: [20, 21] })).toEqual([{ id: 1, pvid: true, untagged: true }, { id: 20 }, { id: 21 }]);
  expect(vlansOf({ vlan: 20, trunk: [20, 21] })).toEqual([{ id: 20, pvid: true, untagged: true }, { id: 21 }]);
  expect(gatewayLinkName({ bridge: "cni0", vlan: 10 })).toBe("cni0.10");
});
