import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { argumentsOf } from "./arguments.ts";

const read = (cniArgs: string) => argumentsOf({ cniArgs }, ["IP", "MAC"]);

test("known keys are read, and the runtime's own where it says that they may be ignored", () => {
  expect(read("")).toEqual({});
  expect(read("IP=10.1.2.3")).toEqual({ IP: "10.1.2.3" });
  expect(read("K8S_POD_NAME=web;IgnoreUnknown=1;IP=10.1.2.3;IP=10.1.2.4")).toEqual({ IP: "10.1.2.4" });
  expect(read("IgnoreUnknown=TRUE;ip=x")).toEqual({});
});

test("what Go's library refuses is refused in its words", () => {
  expect(() => read("IP=1;")).toThrow('ARGS: invalid pair ""');
  expect(() => read("IP=a=b")).toThrow('ARGS: invalid pair "IP=a=b"');
  expect(() => read("FOO=1;BAR=2")).toThrow('ARGS: unknown args ["FOO=1" "BAR=2"]');
  expect(() => read("IgnoreUnknown=maybe")).toThrow("boolean unmarshal error: invalid input maybe");
});

test("any text gives values or an error of the environment", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      read(text);
    } catch (error) {
      expect(error).toMatchObject({ name: "CniError", code: 4 });
    }
  }));
});
