import { expect, test } from "bun:test";
import { junitOf, readJunit } from "./junit.ts";

const bun = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="4">
  <testsuite name="a.test.ts" file="a.test.ts">
    <testcase name="works &amp; &quot;quotes&quot;" classname="DEL &gt; twice" time="0.00001" file="a.test.ts" line="3" assertions="0" />
    <testcase name="joins (needs CONFIG_BRIDGE)" classname="" time="0" file="a.test.ts" line="4" assertions="0">
      <skipped />
    </testcase>
    <testcase name="fails" classname="" time="0.1" file="a.test.ts" line="5" assertions="1">
      <failure type="AssertionError" message="expect(received).toBe(expected)&#10;&#10;Expected: 2">AssertionError&#10;      at lib.ts:7:1&#10;      at a.test.ts:9:35&#10;</failure>
    </testcase>
    <testcase name="slow" classname="" time="0.1" file="a.test.ts" line="12" assertions="0">
      <failure type="TimeoutError" message="test timed out" />
    </testcase>
  </testsuite>
</testsuites>`;

test("a passed test has its groups, its entities resolved and its line", () => {
  expect(readJunit(bun)[0]).toEqual(
    { verdict: "passed", title: 'DEL > twice > works & "quotes"', file: "a.test.ts", line: 3, why: "" });
});

test("the reason of a skipped test is what its title says it needs", () => {
  expect(readJunit(bun)[1]).toMatchObject({ verdict: "skipped", why: "needs CONFIG_BRIDGE" });
});

test("a failure points to the line of the test file that failed, and to the test itself when there is no stack", () => {
  expect(readJunit(bun)[2]).toMatchObject({ verdict: "failed", file: "a.test.ts", line: 9, why: "expect(received).toBe(expected)" });
  expect(readJunit(bun)[3]).toMatchObject({ verdict: "failed", line: 12, why: "test timed out" });
});

test("Node's report gives the same facts", () => {
  const node = `<testsuites>
	<testsuite name="group" tests="3">
		<testcase name="works" time="0.001" classname="test"/>
		<testcase name="waits" time="0.001" classname="test">
			<skipped type="skipped" message="no kernel"/>
		</testcase>
		<testcase name="fails" time="0.001" classname="test" failure="boom">
			<failure type="testCodeFailure" message="boom">
  cause: RangeError: boom
      at Test.run (node:internal/test_runner/test:796:25)
      at TestContext.&lt;anonymous&gt; (file:///somewhere/a.test.js:6:31)
			</failure>
		</testcase>
	</testsuite>
</testsuites>`;
  expect(readJunit(node)).toEqual([
    { verdict: "passed", title: "works", file: "", line: 0, why: "" },
    { verdict: "skipped", title: "waits", file: "", line: 0, why: "no kernel" },
    { verdict: "failed", title: "fails", file: "/somewhere/a.test.js", line: 6, why: "boom" },
  ]);
});

test("what is written is what is read back", () => {
  const outcomes = [
    { verdict: "passed", title: 'a "b" & <c>', file: "a.test.ts", line: 3, why: "" }, { verdict: "skipped", title: "d", file: "", line: 0, why: "needs 'e'" },
    { verdict: "failed", title: "f\ng", file: "h.test.ts", line: 0, why: "i < j" },
  ] as const;
  expect(readJunit(junitOf(outcomes))).toEqual([...outcomes]);
  expect(readJunit(junitOf([]))).toEqual([]);
});

test("a report that was cut short gives the tests that are whole", () => {
  expect(readJunit(bun.slice(0, bun.indexOf("slow"))).map((outcome) => outcome.title)).toHaveLength(3);
  expect(readJunit("")).toEqual([]);
});
