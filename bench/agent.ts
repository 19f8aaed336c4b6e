/**
 * npm run bench:agent: what the agent costs a node that it is always on.
 *
 *   bun bench/agent.ts [--nodes 10,1000] [--json] [--strict]
 *
 * On a node of namespaces the built program follows a cluster of so many nodes, from a folder and from an API server, whose objects
 * are as large as real ones and change three times a second. Told are: from its start until pods can be added, from one node's
 * change until the kernel has it, and, once that is over and nothing has happened for a while, what it holds in memory. Memory is
 * what a machine has less of because of it: `private` is its own, the rest is text of the program, which plugins share.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { askAgent, type ToldStatus } from "@vethwork/agent/ask.ts";
import { DEFAULT_RUN_FOLDER, socketIn } from "@vethwork/agent/place.ts";
import { nodeObject, type NodeWords } from "@vethwork/agent/testing/nodes.ts";
import { startDaemon } from "../tests/conformance/node/daemon.ts";
import { address, startNode, type Node } from "../tests/conformance/node/node.ts";
import { until } from "../tests/conformance/node/until.ts";

interface Row {
  source: "folder" | "API server";
  nodes: number;
  measure: "ready after start" | "one node's change" | "resident memory" | "of it private" | "processor, idle";
  value: number;
  unit: "ms" | "MiB" | "‰";
  /** The most that is allowed; absent: shown only. */
  budget?: number;
}

const program = join(import.meta.dir, "../dist/vethwork");
/** A small cluster's agent, idle. */
const MEMORY_BUDGET = 64;
const SETTLE_MS = 10_000;

/** What a real Node has beside what is read of it: fifty images, for a start. */
const ballast = Array.from({ length: 50 }, (_, at) => ({ names: [`registry.invalid/some/long/name@sha256:${"ab".repeat(32)}`, `registry.invalid/some/long/name:v1.2.${at}`], sizeBytes: 12_345_678 + at }));
const fat = (words: NodeWords) => {
  const object = nodeObject(words);
  return { ...object, status: { ...object.status, images: ballast } };
};

const wordsOf = (at: number, over: Partial<NodeWords> = {}): NodeWords => ({
  name: `node-${at}`, addresses: [at === 1 ? address.node4 : `198.18.${at >> 8}.${at & 0xff}`], podCIDRs: [`10.${64 + (at >> 8)}.${at & 0xff}.0/24`], ...over,
});

interface Setting extends AsyncDisposable {
  argv: string[];
  change(words: NodeWords): void;
}

function folderOf(node: Node, count: number): Setting {
  const folder = join(node.dir, "cluster");
  mkdirSync(folder);
  const write = (words: NodeWords): void => writeFileSync(join(folder, `${words.name}.yaml`), JSON.stringify(fat(words)));
  for (let at = 1; at <= count; at++) write(wordsOf(at));
  return { argv: ["--source", folder], change: write, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** The server is a program on the node: the agent's network is the node's own. */
async function serverOf(node: Node, count: number): Promise<Setting> {
  const words = (at: number) => JSON.stringify(fat(wordsOf(at)));
  const source = `import { startApiServer } from ${JSON.stringify(join(import.meta.dir, "../packages/agent/testing/api-server.ts"))};
    const server = await startApiServer();
    for await (const line of console) { const object = JSON.parse(line || "{}"); if (!object.kind && !object.over) continue; if (object.over) console.log(server.kubeconfig); else server.put(object); }`;
  const child = Bun.spawn(node.entering([process.execPath, "-e", source]), { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  for (let at = 1; at <= count; at++) child.stdin.write(`${words(at)}\n`);
  child.stdin.write('{"over":true}\n');
  await child.stdin.flush();
  const { value } = await child.stdout.getReader().read();
  let beat = 0;
  const heart = setInterval(() => {
    beat += 1;
    const object = fat(wordsOf(2 + (beat % (count - 1))));
    child.stdin.write(`${JSON.stringify({ ...object, status: { ...object.status, beat } })}\n`);
    void child.stdin.flush();
  }, 333);
  return {
    argv: ["--kubeconfig", new TextDecoder().decode(value).trim()],
    change: (one) => {
      clearInterval(heart);
      child.stdin.write(`${JSON.stringify(fat(one))}\n`);
      void child.stdin.flush();
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(heart);
      await child.stdin.end();
      await child.exited;
    },
  };
}

const find = (node: Node): ToldStatus | undefined => {
  try {
    return askAgent(`/proc/${node.pid}/root${socketIn(DEFAULT_RUN_FOLDER)}`);
  } catch {
    return undefined;
  }
};

async function measure(source: Row["source"], nodes: number): Promise<Row[]> {
  const node = await startNode();
  try {
    await using setting = source === "folder" ? folderOf(node, nodes) : await serverOf(node, nodes);
    const places = ["--cni-conf-dir", join(node.dir, "net.d"), "--cni-bin-dir", join(node.dir, "bin"), "--state-dir", join(node.dir, "state")];
    const begun = performance.now();
    await startDaemon(node, { name: "agent", argv: [program, "agent", "--node", "node-1", ...setting.argv, ...places], answers: () => Promise.resolve(find(node)?.isReady ?? false) });
    const readyMs = performance.now() - begun;
    await Bun.sleep(SETTLE_MS);
    const pid = find(node)?.pid ?? 0;
    const proc = (file: string): string => readFileSync(`/proc/${node.pid}/root/proc/${pid}/${file}`, "utf8");
    const memory = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(proc("status"))?.[1]) / 1024;
    const ticks = (): number => proc("stat").replace(/^.*\) /, "").split(" ").slice(11, 13).map(Number).reduce((sum, one) => sum + one, 0);
    const before = ticks();
    await Bun.sleep(SETTLE_MS);
    const idle = ((ticks() - before) * 10) / SETTLE_MS * 1000;
    const [resident, own] = [memory("VmRSS"), memory("RssAnon")];
    const moved = performance.now();
    setting.change(wordsOf(2, { podCIDRs: ["10.99.9.0/24"] }));
    if (!(await until(async () => (await node.run(["ip", "route", "show", "10.99.9.0/24"])) !== ""))) throw new RangeError("Cannot measure: the change never came to the kernel");
    const common = { source, nodes };
    return [
      { ...common, measure: "ready after start", value: readyMs, unit: "ms" },
      { ...common, measure: "one node's change", value: performance.now() - moved, unit: "ms" },
      { ...common, measure: "resident memory", value: resident, unit: "MiB", ...(nodes <= 10 && { budget: MEMORY_BUDGET }) },
      { ...common, measure: "of it private", value: own, unit: "MiB" },
      { ...common, measure: "processor, idle", value: idle, unit: "‰" },
    ];
  } finally {
    await node.stop();
  }
}

const { values } = parseArgs({ options: { nodes: { type: "string", default: "10,1000" }, json: { type: "boolean" }, strict: { type: "boolean" } } });
const counts = values.nodes.split(",").map(Number);
if (process.getuid?.() !== 0 || !counts.every((count) => Number.isInteger(count) && count > 1 && count <= 10_000)) {
  process.stderr.write("bench: root is wanted, and whole numbers of --nodes from 2 to 10000\n");
  process.exit(2);
}
const rows: Row[] = [];
for (const source of ["folder", "API server"] as const) for (const count of counts) rows.push(...await measure(source, count));
const isOver = ({ value, budget = Infinity }: Row): boolean => value > budget;
const verdict = (row: Row): string => (row.budget === undefined ? "" : `≤ ${row.budget} ${isOver(row) ? "✘" : "✔"}`);
if (values.json) process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
else for (const row of rows) process.stdout.write(`${row.source.padEnd(11)} ${String(row.nodes).padStart(5)} nodes  ${row.measure.padEnd(18)} ${row.value.toFixed(row.unit === "ms" ? 0 : 1).padStart(7)} ${row.unit}  ${verdict(row)}`.trimEnd().concat("\n"));
process.exitCode = values.strict && rows.some(isOver) ? 1 : 0;
