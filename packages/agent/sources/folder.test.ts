/** A folder of files as a cluster: what people do to files, and what is known of the cluster then. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bootClock } from "@vethwork/plugins/shared/clock.ts";
import { until } from "../../../tests/conformance/node/until.ts";
import { nodes } from "../readers/node.ts";
import { nodeObject, numbered } from "../testing/nodes.ts";
import { createFolderSource } from "./folder.ts";
import type { SourceStatus } from "./source.ts";

interface Play {
  folder: string;
  write(name: string, ...objects: readonly (object | string)[]): void;
  /** Waits until exactly these nodes are known. */
  knows(...names: string[]): Promise<void>;
  status(): SourceStatus;
  subnetsOf(name: string): string[];
  changes(): number;
}

function folderTest(title: string, act: (play: Play) => Promise<void>, prepare: (play: Pick<Play, "folder" | "write">) => void = ({ folder }) => mkdirSync(folder)): void {
  test(title, async () => {
    const parent = mkdtempSync(join(tmpdir(), "cluster-"));
    const folder = join(parent, "cluster");
    const write: Play["write"] = (name, ...objects) => writeFileSync(join(folder, name), objects.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join("\n---\n"));
    try {
      prepare({ folder, write });
      await using source = createFolderSource({ folder, clock: bootClock, log: () => {} });
      const followed = source.follow(nodes);
      let changes = 0;
      source.start(() => (changes += 1));
      const names = () => followed.all()?.map(({ name }) => name).sort();
      const knows = async (...wanted: string[]): Promise<void> => {
        await until(() => names()?.join() === wanted.join());
        expect(names()).toEqual([...wanted]);
      };
      await act({ folder, write, knows, status: source.status, changes: () => changes, subnetsOf: (name) => followed.all()?.find((node) => node.name === name)?.podSubnets.map(String) ?? [] });
    } finally {
      rmSync(parent, { recursive: true });
    }
  });
}

const [one, two, three] = [1, 2, 3].map((number) => nodeObject(numbered(number)));

folderTest("files come, change, get other names and go, and so do their nodes", async ({ folder, write, knows, subnetsOf, status }) => {
  await knows();
  write("nodes.yaml", one ?? "", two ?? "");
  await knows("node-1", "node-2");
  write("more.json", { apiVersion: "v1", kind: "List", items: [three, { apiVersion: "v1", kind: "Pod", metadata: { name: "node-9" } }] });
  await knows("node-1", "node-2", "node-3");
  write("more.json", nodeObject({ ...numbered(3), podCIDRs: ["10.99.0.0/24"] }));
  expect(await until(() => subnetsOf("node-3").join() === "10.99.0.0/24")).toBe(true);
  renameSync(join(folder, "more.json"), join(folder, "more.json.off"));
  await knows("node-1", "node-2");
  rmSync(join(folder, "nodes.yaml"));
  await knows();
  expect(status()).toEqual({ name: `folder ${folder}`, isSynced: true, problems: [] });
});

folderTest("a file that does not read says so by its line, and what was known of it and of others stays", async ({ folder, write, knows, status }) => {
  write("a.yaml", one ?? "", two ?? "");
  write("b.yaml", three ?? "");
  await knows("node-1", "node-2", "node-3");
  write("a.yaml", `${JSON.stringify(one)}\n---\nkind: Node\n metadata: {}\n`);
  expect(await until(() => status().problems.length > 0)).toBe(true);
  expect([...status().problems]).toEqual([`${join(folder, "a.yaml")}: line 4: bad indentation of a mapping entry`]);
  await knows("node-1", "node-2", "node-3");
  write("a.yaml", nodeObject({ name: "node-1", podCIDRs: ["nowhere"] }), "just words", { apiVersion: "v1", kind: "Node", metadata: { name: "No Name" } });
  expect(await until(() => status().problems.length === 3)).toBe(true);
  expect(status().problems[0]).toContain('a.yaml: line 1: Node "node-1": spec.podCIDRs[0]: Cannot read "nowhere"');
  expect(status().problems[1]).toContain("line 3: this is no object of Kubernetes");
  expect(status().problems[2]).toContain('metadata.name is "No Name"');
  await knows("node-1", "node-3");
  write("a.yaml", one ?? "");
  expect(await until(() => status().problems.length === 0)).toBe(true);
  await knows("node-1", "node-3");
});

folderTest("a node that is in two files is told, and the first file counts", async ({ folder, write, knows, status, subnetsOf }) => {
  write("b.yaml", nodeObject({ name: "node-1", podCIDRs: ["10.9.9.0/24"] }));
  write("a.yaml", one ?? "");
  await knows("node-1");
  expect(await until(() => status().problems.length === 1)).toBe(true);
  expect([...status().problems]).toEqual(['Node "node-1" of b.yaml is in a.yaml, too, which counts']);
  expect(subnetsOf("node-1")).toEqual([...(numbered(1).podCIDRs ?? [])]);
  rmSync(join(folder, "a.yaml"));
  expect(await until(() => subnetsOf("node-1").join() === "10.9.9.0/24")).toBe(true);
});

folderTest("a folder that is not there yet is waited for; gone, it takes nothing along; back, it counts again", async ({ folder, write, knows, status, changes }) => {
  expect(status()).toMatchObject({ isSynced: false, problems: [expect.stringContaining("cannot be read: ENOENT")] });
  mkdirSync(folder);
  write("nodes.yaml", one ?? "");
  await knows("node-1");
  rmSync(folder, { recursive: true });
  expect(await until(() => status().problems.length === 1)).toBe(true);
  await knows("node-1");
  const before = changes();
  mkdirSync(folder);
  write("nodes.yaml", two ?? "");
  await knows("node-2");
  expect(changes()).toBeGreaterThan(before);
}, () => {});

folderTest("what is the same in other words is no change, and neither are others' files", async ({ folder, write, knows, changes }) => {
  write("nodes.yaml", one ?? "");
  await knows("node-1");
  const before = changes();
  write("nodes.yaml", JSON.stringify({ ...one, metadata: { ...one?.metadata, resourceVersion: "7" } }, undefined, 2));
  for (const other of [".nodes.yaml.swp", "nodes.yaml~", ".hidden.yaml", "README"]) write(other, two ?? "");
  mkdirSync(join(folder, "folder.yaml"));
  symlinkSync("nowhere", join(folder, "dead.yaml"));
  write("last.yaml", three ?? "");
  await knows("node-1", "node-3");
  expect(changes()).toBe(before + 1);
});

folderTest("a file counts once nobody has written to it for a moment", async ({ folder, knows, changes }) => {
  await knows();
  const before = changes();
  const text = [one, two, three].map((object) => JSON.stringify(object, undefined, 1)).join("\n---\n");
  const child = Bun.spawn(["sh", "-c", 'while read -r line; do echo "$line" >>"$1"; done', "sh", join(folder, "nodes.yaml")], { stdin: new Blob([`${text}\n`]) });
  await child.exited;
  await knows("node-1", "node-2", "node-3");
  expect(changes()).toBe(before + 1);
});
