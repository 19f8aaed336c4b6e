/**
 * `vethwork service`: Services as this node's kernel has them.
 *
 *     SERVICE           KIND       AT                    ENDPOINTS  CONNECTIONS
 *     default/web:http  ClusterIP  10.96.0.10 tcp 80     3          42
 *     default/web:http  NodePort   192.0.2.1 tcp 30080   3          7
 */
import { lookAtServices, type SeenFrontend } from "@vethwork/agent/services/look.ts";
import { Netns } from "@vethwork/linux";
import { tableOf } from "../table.ts";
import { UsageError, readArguments, type Command } from "../usage.ts";

const help = `Usage: vethwork service [NAME] [--json]

Prints the Services that this node's kernel translates: at which addresses and ports, how many
endpoints are behind each, and how many connections began since it was written. With NAME
(web, default/web or default/web:http) that service alone, with its endpoints.

  --json   as JSON

What would become of a connection: vethwork explain FROM TO PORT

Exit code: 0 there are some, 1 there is none, 2 not understood.
`;

const OPTIONS = { json: { type: "boolean", default: false } } as const;

export const service: Command = {
  name: "service",
  about: "Services as this node's kernel has them",
  help,
  run: (args) => {
    const { values, positionals: [name, ...more] } = readArguments(args, OPTIONS);
    if (more.length > 0) throw new UsageError(`"${more[0]}" is not understood (one NAME is wanted)`);
    using host = Netns.host();
    const found = lookAtServices(host.nft, name);
    if (values.json) process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
    else if (found.length > 0) process.stdout.write(name === undefined ? listOf(found) : found.map(detailsOf).join("\n"));
    else process.stderr.write(`vethwork service: ${name === undefined ? "this node's kernel translates no Services (vethwork status says why)" : `no Service "${name}" is in this node's kernel (one with an address is wanted; vethwork service prints all)`}\n`);
    return Promise.resolve(found.length > 0 ? 0 : 1);
  },
};

const listOf = (all: readonly SeenFrontend[]): string =>
  tableOf(["SERVICE", "KIND", "AT", "ENDPOINTS", "CONNECTIONS"], all.map(({ service: who, kind, key, endpoints, connections }) => [who, kind, key, String(endpoints.length), String(connections)]));

function detailsOf({ service: who, kind, key, treatment, endpoints, sources, connections }: SeenFrontend): string {
  const rows = endpoints.map(({ at, who: pod, connections: count }) => [`  ${at}`, pod, String(count)]);
  return [
    `${who}  ${kind}  ${key}  ${connections} connections\n`,
    `  ${treatment}${sources.length > 0 ? `; these are ${sources.join(", ")}` : ""}\n`,
    ...(rows.length > 0 ? [tableOf(["  ENDPOINT", "POD", "CONNECTIONS"], rows)] : []),
  ].join("");
}
