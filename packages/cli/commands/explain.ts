/**
 * `vethwork explain`: what becomes of a connection to a Service, by the rules and the elements that this node's kernel has now.
 *
 *     10.244.1.2 → 10.96.0.10 tcp 80: default/web:http ClusterIP
 *       10.244.1.3 8080   web-1 on node-1   sees 10.244.1.2
 *       10.244.2.3 8080   web-2 on node-2   sees 10.244.1.2
 */
import { follow, serviceRules, type Connection, type Fate } from "@vethwork/agent/services/follow.ts";
import { lookAtServices } from "@vethwork/agent/services/look.ts";
import { Netns, parseIp, type Family, type Ip } from "@vethwork/linux";
import { tableOf } from "../table.ts";
import { UsageError, readArguments, type Command } from "../usage.ts";

const help = `Usage: vethwork explain FROM TO PORT[/PROTOCOL] [--json]

Says what becomes of a connection to a Service on this node: which endpoints it may be sent to
and whose address they see, or that it is refused or dropped, and by which rule. It follows the
rules that the kernel has now, and sends nothing.

  FROM     who connects: an address of a pod, of this node, or of anybody else
  TO       an address; or a Service's name (web, default/web): its address in the cluster
  PORT     80, 53/udp, 9000/sctp; tcp unless said

  --json   as JSON

Exit code: 0 it is sent, or no Service's affair; 1 refused or dropped; 2 not understood.
`;

const OPTIONS = { json: { type: "boolean", default: false } } as const;

export const explain: Command = {
  name: "explain",
  about: "what becomes of a connection to a Service",
  help,
  run: (args) => {
    const { values, positionals } = readArguments(args, OPTIONS);
    const [from, to, port, ...more] = positionals;
    if (from === undefined || to === undefined || port === undefined || more.length > 0) throw new UsageError("FROM, TO and PORT are wanted");
    using host = Netns.host();
    const connection = connectionOf(host, { from, to, port });
    const fates = unique(follow(serviceRules(host.nft, (ip) => host.routes.find(ip)?.type === "local"), connection));
    process.stdout.write(values.json ? `${JSON.stringify(fates.map(told), undefined, 2)}\n` : textOf(connection, fates));
    return Promise.resolve(fates.some(({ verdict }) => verdict === "sent" || verdict === "passed") ? 0 : 1);
  },
};

function connectionOf(host: Netns, { from, to, port: text }: { from: string; to: string; port: string }): Connection {
  const source = ipOf("FROM", from);
  const [, digits = "", protocol = "tcp"] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port === 0 || port > 65_535 || (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")) throw new UsageError(`PORT "${text}" (80, 53/udp or 9000/sctp is wanted)`);
  const destination = /^[\d.]+$|:/.test(to) ? ipOf("TO", to) : clusterIpOf(host, to, source.family);
  if (destination.family !== source.family) throw new UsageError(`FROM is IPv${source.family} and TO is IPv${destination.family} (the same family is wanted)`);
  return { from: source, to: destination, protocol, port };
}

function ipOf(what: string, text: string): Ip {
  try {
    return parseIp(text);
  } catch (error) {
    throw new UsageError(`${what} "${text}" (an address is wanted)`, { cause: error });
  }
}

function clusterIpOf(host: Netns, name: string, family: Family): Ip {
  const found = lookAtServices(host.nft, name).flatMap(({ kind, key }) => (kind === "ClusterIP" ? parseIp(key.split(" ")[0] ?? "") : [])).find((ip) => ip.family === family);
  if (found) return found;
  throw new UsageError(`TO "${name}": no such Service with an IPv${family} address is in this node's kernel (vethwork service prints all)`);
}

/** Where rules leave the same to chance twice, it is one thing that may happen. */
function unique(fates: readonly Fate[]): Fate[] {
  return [...new Map(fates.map((fate) => [`${fate.verdict} ${fate.to} ${fate.port} ${fate.isMasqueraded}`, fate])).values()];
}

const told = (fate: Fate) => ({ ...fate, to: String(fate.to) });

function textOf({ from, to, protocol, port }: Connection, fates: readonly Fate[]): string {
  const [first] = fates;
  const head = `${from} → ${to} ${protocol} ${port}`;
  if (!first || first.verdict === "passed") return `${head} is no Service's: it goes on as it is\n`;
  if (first.verdict !== "sent") return `${head} is ${first.verdict}: ${whyNot(first)}\n`;
  const rows = fates.map((fate) => [`  ${fate.to} ${fate.port}`, fate.endpoint, `sees ${fate.isMasqueraded ? "this node's address" : from}`]);
  return `${head}: ${first.service}, to ${fates.length === 1 ? "this endpoint" : `one of ${fates.length} endpoints, each as likely as the others`}\n${tableOf(["  ENDPOINT", "POD", "AND IT"], rows)}`;
}

function whyNot({ steps }: Fate): string {
  const [first = "", ...more] = steps.flatMap(({ comment }) => comment || []);
  return [first, ...(steps.length > 1 ? more : steps[0]?.chain === "services" && first.includes("/") ? ["no endpoint here"] : [])].join(", ");
}
