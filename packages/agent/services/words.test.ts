import { expect, test } from "bun:test";
import { wordsOf } from "./words.ts";

test("a chain's name says what it does", () => {
  expect(wordsOf("inside4-3")).toBe("pods of this node keep their address");
  expect(wordsOf("refuse")).toBe("refused, as nobody answers");
  expect(wordsOf("guarded-refuse6")).toBe("only for its source ranges; refused, as nobody answers");
  expect(wordsOf("outside6-2-from-1-sticky-60s")).toBe("no client keeps its address; a client is remembered for 60 s");
  expect(wordsOf("guarded-outside4-1-here-3-in-all-sticky-10800s")).toBe("only for its source ranges; clients from outside stay on this node and keep their address; a client is remembered for 10800 s");
  expect(wordsOf("somebody's")).toBe("somebody's");
});
