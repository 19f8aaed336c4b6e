/**
 * dhcp: gives a pod an address from the DHCP server of the network that its interface is on.
 *
 *        pod                             node                                the wire
 *     ┌───────────────────────┐      ┌───────────────────────┐
 *     │ eth0 ◀── the address ─┼──────┼─ macvlan, bridge, …   │
 *     └──────────┬────────────┘      │        ▲              │
 *                │ DISCOVER, REQUEST │   dhcp (this plugin)  │
 *                └───────────────────┼── dhcp daemon ────────┼──── renews it as long as the pod lives
 *                                    └───────────────────────┘
 *
 * Another plugin makes the interface, calls this one, and configures what it gives. A lease has to be renewed, and a plugin lives for
 * milliseconds: so a daemon (`dhcp daemon`, ./daemon.ts) holds the conversation, by a socket that it opens in the pod's namespace.
 * The plugin hands it the wish and waits for the outcome. What the daemon knows lies on disk, so that DEL does without a daemon:
 * then the plugin itself tells the server that the address is free.
 *
 * Same options and results as the reference dhcp plugin, and name servers. The daemon must be ours: the two of the reference
 * speak a language of their own. How a lease lives is ./life.ts; how to run the daemon is docs/dhcp.md.
 */
import { CniError, ErrorCode, definePlugin, find, type Args } from "@vethwork/cni";
import { parseCidr } from "@vethwork/linux";
import { ownerOf } from "../shared/attachment.ts";
import { CHANGED } from "../shared/complaint.ts";
import { isStale, parseLease, type Lease, type Owner, type Wish } from "./lease.ts";
import { folderFor, leasesIn } from "./leases.ts";
import { askedOptions, options, toldOptions, type Config } from "./options.ts";
import { sendRelease } from "./release.ts";
import { tellOf } from "./requests.ts";
import { resultOf } from "./result.ts";
import { ask, type Question } from "./talk.ts";

export default definePlugin({
  type: "dhcp",
  about: "addresses from the network's own DHCP server, by a daemon that renews them",
  config: options,

  add({ config, args, undo }) {
    const wish = wishOf(config, args);
    undo.defer(() => giveBack(config, wish)); // also what a daemon granted that died before it said so
    const lease = leaseIn(mustAnswer(config, { do: "add", wish }));
    if (!lease) throw new CniError(ErrorCode.INTERNAL, `the DHCP daemon gave no lease for "${args.ifname}" (one or an error is wanted)`);
    return resultOf(lease, config.ipam.priority);
  },

  // CHECK asks for the lease that there is, and for no new one.
  check({ config, args, prevResult }) {
    const lease = leaseIn(mustAnswer(config, { do: "show", owner: ownerOf(config, args) }));
    if (!lease) throw new CniError(CHANGED, `dhcp: there is no lease for "${args.ifname}" of container "${args.containerId}" any more`);
    const addresses = (prevResult?.ips ?? []).map(({ address }) => String(parseCidr(address)));
    if (prevResult && !addresses.includes(lease.address)) {
      throw new CniError(CHANGED, `dhcp: the lease of "${args.ifname}" is for ${lease.address} (one of ${addresses.join(", ") || "no addresses"} is wanted)`);
    }
  },

  del({ config, args }) {
    giveBack(config, ownerOf(config, args));
  },

  gc({ config, valid }) {
    if (!valid) return;
    const keep = valid.map(({ containerID, ifname }) => ({ containerId: containerID, ifname }));
    if ("answer" in ask(socketOf(config), { do: "collect", network: config.name, keep })) return;
    for (const { wish } of leasesOf(config).list()) if (isStale(wish, { network: config.name, keep })) giveBackAlone(config, wish);
  },

  status({ config, args }) {
    toldOptions(config, args);
    askedOptions(config);
    const reply = ask(socketOf(config), { do: "status" });
    if ("away" in reply) throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, reply.away.message, { details: reply.away.details ?? "" });
  },
});

const socketOf = ({ ipam }: Config): string => ipam.daemonSocketPath;
const leasesOf = (config: Config) => leasesIn(folderFor(socketOf(config)));

/** The daemon may stand in another folder: a path that begins in ours is made whole. */
function wishOf(config: Config, args: Args): Wish {
  const netns = args.netns.startsWith("/") ? args.netns : `${process.cwd()}/${args.netns}`;
  return { ...ownerOf(config, args), netns, tell: tellOf(toldOptions(config, args)), ask: askedOptions(config) };
}

function mustAnswer(config: Config, question: Question) {
  const reply = ask(socketOf(config), question);
  if ("away" in reply) throw reply.away;
  return reply.answer;
}

const leaseIn = (answer: Parameters<typeof find>[0]): Lease | undefined => {
  const lease = find(answer, "lease");
  return lease === undefined ? undefined : parseLease(lease);
};

/** The daemon gives it back, or, where there is none, we do: the interface is still there, and the message needs no answer. */
function giveBack(config: Config, owner: Owner): void {
  if ("away" in ask(socketOf(config), { do: "release", owner })) giveBackAlone(config, owner);
}

function giveBackAlone(config: Config, owner: Owner): void {
  const leases = leasesOf(config);
  const held = leases.find(owner);
  if (!held) return;
  const why = sendRelease(held);
  if (why !== undefined) process.stderr.write(`dhcp: the server was not told that ${held.lease.address} is free: ${why}\n`);
  leases.delete(owner);
}
