import { expect, test } from "bun:test";
import { deadLinks, packagesOf, readmeFaults, wrongQuotes } from "./docs.ts";
import { listFiles } from "./files.ts";

const files = listFiles();

const file = (path: string, text: string) => ({ path, text });
const manifest = file("packages/tun/package.json", "{}");
const good = "# tun\n\n```ts\nup();\n```\n\n## What it refuses\n\n- taps\n";

test("each package's README shows an example and says what it refuses", () => {
  expect(packagesOf(files).length).toBeGreaterThan(0);
  expect(readmeFaults(files)).toEqual([]);
});

test("a README that is missing, or lacks one of the two, is reported", () => {
  expect(readmeFaults([manifest])).toEqual(["packages/tun: no README.md"]);
  expect(readmeFaults([manifest, file("packages/tun/README.md", "# tun\n\n## What it refuses\n\nNothing.\n")])).toHaveLength(2);
  expect(readmeFaults([manifest, file("packages/tun/README.md", good)])).toEqual([]);
});

test("links in the documents lead somewhere", () => {
  expect(deadLinks(files)).toEqual([]);
});

test("a link to a missing file or heading is reported", () => {
  const readme = file("docs/a.md", "# One two!\n[a](b.md) [b](../README.md#nope) [c](#one-two) [d](#three)\n\n[e]: ./gone.md\n");
  expect(deadLinks([readme, file("README.md", "# Vethwork\n")])).toEqual([
    "docs/a.md:2: b.md is not there",
    "docs/a.md:2: README.md has no heading #nope",
    "docs/a.md:2: docs/a.md has no heading #three",
    "docs/a.md:4: ./gone.md is not there",
  ]);
});

test("links to the world, to folders, and in code are none of its business", () => {
  const text = "[a](https://example.org) [b](../docs) [c](mailto:a@example.org)\n```\n[x](gone.md)\n```\n`[y](gone.md)`\n";
  expect(deadLinks([file("docs/a.md", text)])).toEqual([]);
});

test("what the documents quote is what the file says", () => {
  expect(wrongQuotes(files)).toEqual([]);
});

test("a quoted line that is not in the file, or elsewhere in it, is reported", () => {
  const source = file("a.ts", "one();\n  two(3);\nthree();\n");
  const quoting = (...lines: string[]) => wrongQuotes([source, file("docs/a.md", `# A\n\n\`\`\`ts a.ts\n${lines.join("\n")}\n\`\`\`\n`)]);
  expect(quoting("one();", "", "  two(…", "three();")).toEqual([]);
  expect(quoting("one();", "two(3);")).toEqual(['docs/a.md:3: a.ts has no line "two(3);", or not there']);
  expect(quoting("three();", "one();")).toEqual(['docs/a.md:3: a.ts has no line "one();", or not there']);
  expect(wrongQuotes([file("docs/a.md", "```ts b.ts\nx\n```\n")])).toEqual(["docs/a.md:1: b.ts is not there"]);
  expect(wrongQuotes([file("docs/a.md", "```ts\nx\n```\n```sh\ny\n```\n")])).toEqual([]);
});
