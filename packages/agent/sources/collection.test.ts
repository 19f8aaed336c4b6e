import { expect, test } from "bun:test";
import { nodes } from "../readers/node.ts";
import { nodeObject, numbered } from "../testing/nodes.ts";
import { createCollection } from "./collection.ts";

const object = (number: number, more = {}) => nodeObject({ ...numbered(number), ...more });

test("what has become different is told once, from whatever place it came", () => {
  const all = createCollection(nodes);
  const taken = (): string[] => [...all.take()].map(([id, facts]) => `${id} ${facts ? "is" : "is gone"}`).sort();
  all.put("a", object(1));
  expect(taken()).toEqual([]); // not everything has been seen yet
  all.sync();
  expect([taken(), taken()]).toEqual([["node-1 is"], []]);
  all.put("a", object(1));
  expect(taken()).toEqual([]);
  all.put("b", object(2));
  all.put("b", object(1, { podCIDRs: ["10.9.9.0/24"] })); // the first place counts, and nothing is different
  expect(String(all.take().get("node-1")?.podSubnets)).toBe(String(all.all()?.find(({ name }) => name === "node-1")?.podSubnets));
  all.delete("a", object(1));
  expect(String(all.take().get("node-1")?.podSubnets)).toBe("10.9.9.0/24");
  const draft = all.draft("b");
  draft.put(object(2));
  draft.put(object(3));
  draft.commit();
  expect(taken()).toEqual(["node-1 is gone", "node-3 is"]);
  all.drop("b");
  expect(taken()).toEqual(["node-2 is gone", "node-3 is gone"]);
});
