/**
 * One pass in a process of its own, which tests kill: `bun --define VETHWORK_FAULTS=true once.ts NETNS NODES…`, the nodes as numbers of
 * ./cluster.ts, `4=2` for the fourth with the pods of the second; options as JSON in the environment.
 */
import { Netns } from "@vethwork/linux";
import { openDatapath } from "../open.ts";
import { nodesFrom, optionsOf } from "./cluster.ts";

const [path = "", ...words] = process.argv.slice(2);
using netns = Netns.open(path);
const { problems } = openDatapath(netns, optionsOf("node-1", JSON.parse(process.env["OPTIONS"] ?? "{}"))).reconcile(nodesFrom(words));
process.stdout.write(`${problems.join("\n")}\n`);
