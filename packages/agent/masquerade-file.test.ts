/** The file of ip-masq-agent, as its documentation and people's clusters have it. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../tests/conformance/node/until.ts";
import { openMasqueradeFile, parseMasqueradeFile } from "./masquerade-file.ts";

const read = (text: string): string[] => parseMasqueradeFile(text).map(String);

test("its subnets are kept, and link-local addresses are unless it says otherwise", () => {
  expect(read("nonMasqueradeCIDRs:\n  - 10.0.0.0/8\n  - 172.16.1.5/16\n  - fd00::/8\nresyncInterval: 60s\n")).toEqual(["10.0.0.0/8", "172.16.0.0/16", "fd00::/8", "169.254.0.0/16", "fe80::/10"]);
  expect(read('{"nonMasqueradeCIDRs": [], "masqLinkLocal": true, "masqLinkLocalIPv6": true}')).toEqual([]);
  expect(read("masqLinkLocal: true\n")).toEqual(["fe80::/10"]);
  expect(read("")).toEqual(["169.254.0.0/16", "fe80::/10"]);
});

test("what is wrong is named", () => {
  expect(() => read("nonMasqueradeCIDRs: [10.0.0.0]")).toThrow('nonMasqueradeCIDRs[0]: Cannot read "10.0.0.0" (a prefix is wanted');
  expect(() => read("nonMasqueradeCIDRs: 10.0.0.0/8")).toThrow('nonMasqueradeCIDRs is "10.0.0.0/8" (a list is wanted)');
  expect(() => read("masqLinkLocal: yes")).toThrow('masqLinkLocal is "yes" (true or false is wanted)');
  expect(() => read("nonMasqueradeCidrs: []")).toThrow('it has "nonMasqueradeCidrs"');
  expect(() => read("a: 1\n b: 2")).toThrow("line 2: bad indentation");
  expect(() => read("- 1")).toThrow("it is a list (an object is wanted)");
});

test("it is followed through changes, mistakes and its end", async () => {
  const folder = mkdtempSync(join(tmpdir(), "masquerade-"));
  const path = join(folder, "config");
  let changes = 0;
  using file = openMasqueradeFile(path, () => (changes += 1));
  const now = () => ({ subnets: file.read().subnets.map(String), problem: file.read().problem });
  try {
    expect(now()).toEqual({ subnets: [], problem: undefined });
    const good = { subnets: ["10.0.0.0/8", "fe80::/10"], problem: undefined };
    writeFileSync(path, "nonMasqueradeCIDRs: [10.0.0.0/8]\nmasqLinkLocal: true\n");
    expect(await until(() => changes > 0)).toBe(true);
    expect(now()).toEqual(good);
    writeFileSync(path, "nonMasqueradeCIDRs: [10.0");
    expect(now()).toEqual({ ...good, problem: expect.stringContaining(`${path}: line 1`) });
    rmSync(path);
    expect(now()).toEqual({ subnets: [], problem: undefined });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
