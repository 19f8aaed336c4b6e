/**
 * `vethwork status`: asks this node's agent how it is, by a socket that only root may use.
 *
 *     node-1 is ready for pods: 10.244.1.0/24, packets of up to 1450 bytes
 *
 *     NODE    PODS           WAY     BECAUSE
 *     node-2  10.244.2.0/24  direct  on link eth0
 */
import { askAgent, type ToldStatus } from "@vethwork/agent/ask.ts";
import { DEFAULT_RUN_FOLDER, socketIn } from "@vethwork/agent/place.ts";
import { tableOf } from "../table.ts";
import { UsageError, readArguments, type Command } from "../usage.ts";

const help = `Usage: vethwork status [--json] [--watch] [--run-dir DIR]

Asks the agent of this node how it is: whether pods can be added, from where it knows the
cluster, how other nodes' pods are reached and why so, what is wrong, and what it changed last.

  --json         all of it, as JSON
  --watch        again every second, until Ctrl-C
  --run-dir DIR  where the agent's socket is; ${DEFAULT_RUN_FOLDER}

Exit code: 0 ready for pods and nothing wrong, 1 not so, or no agent is running.
`;

const OPTIONS = { json: { type: "boolean", default: false }, watch: { type: "boolean", default: false }, "run-dir": { type: "string", default: DEFAULT_RUN_FOLDER } } as const;

export const status: Command = {
  name: "status",
  about: "how this node's agent is, and how other nodes' pods are reached",
  help,
  run: async (args) => {
    const { values, positionals } = readArguments(args, OPTIONS);
    if (positionals.length > 0) throw new UsageError(`"${positionals[0]}" is not understood (options are wanted)`);
    const path = socketIn(values["run-dir"]);
    const show = (): number => {
      const told = askAgent(path);
      const clear = values.watch && process.stdout.isTTY ? "\x1b[H\x1b[2J" : "";
      process.stdout.write(values.json ? `${JSON.stringify(told, undefined, values.watch ? 0 : 2)}\n` : `${clear}${textOf(told)}`);
      return told.isReady && told.problems.length === 0 && told.source.problems.length === 0 ? 0 : 1;
    };
    while (values.watch) {
      show();
      await Bun.sleep(1000);
    }
    return show();
  },
};

const NOTHING = "–";

export function textOf(told: ToldStatus): string {
  const { node, isReady, services, waitingFor, podSubnets, podMtu, source, nodes, peers, problems, lastPass, lastChange, passes, version, pid, startedAt } = told;
  const head = isReady ? `${node} is ready for pods: ${podSubnets.join(", ")}, packets of up to ${podMtu} bytes` : `${node} is not ready for pods: waiting for ${waitingFor || "the first pass"}`;
  const rows = peers.map((peer) => [peer.name, peer.podSubnets.join(", ") || NOTHING, peer.way, peer.because]);
  const wrong = [...source.problems, ...problems, ...(passes.failedInARow > 0 ? [`the last ${passes.failedInARow} passes failed (the log says why)`] : [])];
  return [
    head,
    `agent ${version}, process ${pid}, since ${startedAt}; ${nodes} nodes from the ${source.name}`,
    lastPass ? `last pass ${lastPass.at}, ${lastPass.ms.toFixed(1)} ms, because: ${lastPass.why.join(", ")}` : "no pass yet",
    servicesText(services),
    ...(rows.length > 0 ? ["", tableOf(["NODE", "PODS", "WAY", "BECAUSE"], rows).trimEnd()] : []),
    ...(wrong.length > 0 ? ["", "What is wrong", ...wrong.map((one) => `  ${one}`)] : []),
    ...(lastChange ? ["", `Changed last, ${lastChange.at}, because: ${lastChange.why.join(", ")}`, ...shortList(lastChange.lines).map((one) => `  ${one}`)] : []),
    "",
  ].join("\n");
}

function servicesText({ isOn, because, services, frontends }: ToldStatus["services"]): string {
  if (because !== "") return isOn ? `services wait for ${because}` : `services are off: ${because}`;
  return `services: ${services}, at ${frontends} addresses and ports`;
}

const shortList = (lines: readonly string[]): string[] => (lines.length <= 10 ? [...lines] : [...lines.slice(0, 9), `and ${lines.length - 9} more`]);
