import { expect, test } from "bun:test";
import { codeOf, lineAt } from "./source.ts";

const shows = (text: string) => codeOf(text).replace(/ +/g, " ").trim();

test("comments and the insides of strings vanish, code and places stay", () => {
  const text = 'let a = "x // y"; // as any\n/* new Error( */ b();';
  expect(codeOf(text)).toHaveLength(text.length);
  expect(shows(text)).toBe('let a = " "; \n b();');
});

test("what is inserted into a template is code again, however deep", () => {
  expect(shows("`a ${f(`b ${c} d`, { e: 1 })} g` + h")).toBe("` ${f(` ${c} `, { e: 1 })} ` + h");
  expect(codeOf("`x ${y} z`; new Error(1)")).toContain("new Error(1)");
});

test("a regular expression is told from a division", () => {
  expect(shows("x = /a\"b[/]c/g; y = 4 / 2 / 1; z = 'q'")).toBe("x = / /g; y = 4 / 2 / 1; z = ' '");
  expect(shows("return /'/.test(s)")).toBe("return / /.test(s)");
});

test("an escaped quote does not end a string", () => {
  expect(shows(String.raw`a("x\"y", 'p\'q'); as`)).toBe(`a(" ", ' '); as`);
});

test("a hash-bang is no code", () => {
  expect(shows("#!/usr/bin/env bun 'quote\nrun()")).toBe("run()");
});

test("lines are counted from one", () => {
  expect(lineAt("a\nb\nc", 4)).toBe(3);
});
