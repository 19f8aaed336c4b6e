/** What `vethwork lab` prints: a line for each thing that is made, a row for each pair that was probed, the rules at the end. */
import { styleText } from "node:util";
import { addressesAsText } from "@vethwork/linux";
import { groups, type Group, type Report, type Row } from "@vethwork/lab/check.ts";
import { findStatus } from "@vethwork/lab/agent.ts";
import { listPods, type Event, type Lab } from "@vethwork/lab/lab.ts";
import { worldAddress, type LabSize } from "@vethwork/lab/plan.ts";
import type { Outcome } from "@vethwork/lab/probe.ts";
import type { Scene } from "@vethwork/lab/scene.ts";

export const headline = ({ nodes, pods }: LabSize): string => `A cluster of ${counted(nodes, "node")} and ${counted(pods, "pod")}, in network namespaces on this machine\n\n`;

export function eventText(event: Event): string {
  const took = `${event.tookMs.toFixed(1)} ms`;
  if (event.what === "world") return line("world", `${event.addresses.join(", ")}, a host that knows no pod`, took);
  if (event.what === "agent") return line(event.name, `agent ready: ${waysText(event.ways)}packets of up to ${event.podMtu} bytes`, took);
  if (event.what === "node") return line(event.name, `${event.addresses.join(", ")}, its pods ${event.podSubnets.join(", ")}`, took);
  return line(event.name, `${event.addresses.join(", ")} on ${event.node}, ${event.link} ═ ${event.hostEnd}`, `ADD ${took}`);
}

/** `2 nodes direct, 1 vxlan, `; nothing of a node that is alone. */
const waysText = (ways: readonly string[]): string => [...Map.groupBy(ways, (way) => way)].map(([way, some]) => `${counted(some.length, "node")} ${way}, `).join("");

const line = (name: string, what: string, took: string): string => `  ${name.padEnd(8)} ${what.padEnd(58)} ${took.padStart(12)}\n`;

/** What is there, as data. */
export async function statusOf({ name, size, world, nodes }: Lab) {
  const machines = await Promise.all(nodes.map(async (node) => {
    const pods = await listPods(node);
    const told = findStatus(node.machine);
    const agent = told && { isReady: told.isReady, waitingFor: told.waitingFor, peers: told.peers, problems: [...told.source.problems, ...told.problems] };
    return { name: node.name, pid: node.machine.pid, addresses: node.addresses, podSubnets: node.podSubnets, agent: agent ?? null, pods };
  }));
  return { up: true, name, world: { pid: world.pid, addresses: size.families.map(worldAddress) }, nodes: machines };
}

export function statusText({ name, world, nodes }: Awaited<ReturnType<typeof statusOf>>): string {
  const rows = nodes.flatMap((node) => [
    `  ${node.name.padEnd(8)} ${node.addresses.join(", ")}, pods ${node.podSubnets.join(", ")} (process ${node.pid})`,
    `    ${agentText(node.agent)}`,
    ...(node.agent?.problems ?? []).map((problem) => `      ${problem}`),
    ...node.pods.map((pod) => `    ${pod.name.padEnd(8)} ${pod.addresses.join(", ")}, ${pod.link} ═ ${pod.hostEnd}`),
  ]);
  return [`lab "${name}" is up`, `  ${"world".padEnd(8)} ${world.addresses.join(", ")} (process ${world.pid})`, ...rows, ""].join("\n");
}

type LabNodeStatus = Awaited<ReturnType<typeof statusOf>>["nodes"][number];

function agentText(agent: LabNodeStatus["agent"]): string {
  if (!agent) return "no agent is running; what it made is there";
  return agent.isReady ? `agent ready${agent.peers.length > 0 ? `: ${agent.peers.map(({ name, way }) => `${name} ${way}`).join(", ")}` : ""}` : `agent waits for ${agent.waitingFor}`;
}

/** So many rows a person reads; of a larger lab only those that fail are printed, and a count for each kind. */
const READABLE = 80;

/** Prints each row as it comes, with a heading before the first of its kind. */
export function rowPrinter({ pods, nodes, families }: Scene, tell: (text: string) => void): (row: Row) => void {
  const expected = (pods.length * (pods.length - 1) + 2 * pods.length * nodes.length + pods.length) * families.length;
  const all = expected <= READABLE;
  const width = { name: Math.max(...[...pods, ...nodes].map(({ name }) => name.length), 5), address: families.includes(6) ? 18 : 13 };
  let group: Group | undefined;
  if (!all) tell(`\n${expected} pairs are tried, with TCP, UDP and ICMP each; only what fails is shown\n`);
  return (row) => {
    if (!all && row.ok) return;
    if (row.group !== group) tell(`\n${row.group}\n`);
    group = row.group;
    const outcomes = Object.entries(row.probes).map(([protocol, outcome]) => `${protocol} ${outcomeText(outcome, row)}`);
    tell(`  ${row.from.padEnd(width.name)} → ${row.to.padEnd(width.name)} ${String(row.address).padEnd(width.address)}  ${outcomes.join("  ")}  ${seenText(row)}\n`);
    for (const fault of row.faults) tell(`      ${fault}\n`);
  };
}

function outcomeText(outcome: Outcome, { expected }: Row): string {
  return outcome.reached ? `${mark(String(outcome.seen) === String(expected))} ${outcome.rttMs.toFixed(2).padStart(5)} ms` : `${mark(false)} ${"lost".padStart(8)}`;
}

function seenText({ probes }: Row): string {
  const seen = [...new Set(Object.values(probes).flatMap((one) => (one.reached ? [String(one.seen)] : [])))];
  const why = Object.values(probes).flatMap((one) => (one.reached ? [] : [one.why]));
  return [...(seen.length > 0 ? [`seen as ${seen.join(" and ")}`] : []), ...why.slice(0, 1)].join("; ");
}

export function reportText({ rows, rules }: Report): string {
  const kinds = Object.keys(groups).map((group) => rows.filter((row) => row.group === group)).filter((some) => some.length > 0);
  const counts = kinds.map((some) => `  ${some[0]?.group}: ${some.filter(({ ok }) => ok).length} of ${some.length}`);
  const verdicts = rules.map(({ text, holds, broken }) => `  ${mark(holds)} ${text}${holds ? "" : `: ${shortList(broken)}`}`);
  return `\n${["The Kubernetes network model", ...verdicts, "", "Pairs that reach each other with TCP, UDP and ICMP, and see the right address", ...counts].join("\n")}\n`;
}

function shortList(items: readonly string[]): string {
  return items.length <= 6 ? items.join(", ") : `${items.slice(0, 6).join(", ")} and ${items.length - 6} more`;
}

export const jsonText = (value: unknown): string => `${JSON.stringify(value, addressesAsText, 2)}\n`;

const mark = (good: boolean): string => styleText(good ? "green" : "red", good ? "✔" : "✘", { stream: process.stdout });
const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
