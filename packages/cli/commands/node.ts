/**
 * `vethwork node`: makes this machine a node among others, from a list of them in a file.
 *
 *     each other node's pod subnets ──▶ a route by that node's address, where both are on one link
 *     all nodes' addresses          ──▶ the set of addresses towards which pods keep their own
 *
 * Without it, pods reach pods on their own node and the world. It is level-based: what the file says is compared with
 * what the kernel has, and the difference is made; run twice, the second run changes nothing.
 */
import { readFileSync } from "node:fs";
import { Netns } from "@vethwork/linux";
import { applyPeers, parsePeers, type PeerChange } from "@vethwork/plugins/shared/peers.ts";
import { UsageError, readArguments, type Command } from "../usage.ts";

const help = `Usage: vethwork node --peers FILE [--dry-run] [--json]
       vethwork node --clear [--json]

Makes routes to the pods of other nodes, from a static list of all nodes:

  { "nodes": [
      { "name": "node-1", "addresses": ["192.168.50.11"], "podSubnets": ["10.244.1.0/24"] },
      { "name": "node-2", "addresses": ["192.168.50.12"], "podSubnets": ["10.244.2.0/24"] } ] }

The entry with an address of this machine is this node. The same file serves all nodes.

  --peers FILE  the list; - reads standard input
  --clear       takes all routes of this kind away
  --dry-run     only says what would change
  --json        prints changes as JSON
`;

const OPTIONS = {
  peers: { type: "string" },
  clear: { type: "boolean" },
  "dry-run": { type: "boolean" },
  json: { type: "boolean" },
} as const;

export const node: Command = {
  name: "node",
  about: "routes to the pods of other nodes, from a list of nodes",
  help,
  run: (args) => {
    const { values, positionals } = readArguments(args, OPTIONS);
    if (positionals.length > 0) throw new UsageError(`"${positionals[0]}" is not understood (options are wanted)`);
    if ((values.peers === undefined) === (values.clear !== true)) throw new UsageError("one of --peers FILE and --clear is wanted");
    const peers = values.peers === undefined ? [] : parsePeers(readFileSync(values.peers === "-" ? 0 : values.peers, "utf8"), values.peers);
    using host = Netns.host();
    const changes = applyPeers(host, peers, { dryRun: values["dry-run"] ?? false });
    process.stdout.write(values.json ? `${JSON.stringify(changes, undefined, 2)}\n` : told(changes, values["dry-run"] ?? false));
    return Promise.resolve(0);
  },
};

function told(changes: readonly PeerChange[], dryRun: boolean): string {
  if (changes.length === 0) return "nothing to change\n";
  return changes.map(({ verb, what }) => `${dryRun ? "would " : ""}${verb} ${what}\n`).join("");
}
