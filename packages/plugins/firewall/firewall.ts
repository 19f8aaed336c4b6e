/**
 * firewall: lets pods through a node that lets nothing through, and keeps them from each other where that is wanted.
 *
 *        pod 10.1.2.2 ── cni0 ──┐    forward: policy drop     ┌── eth0 ── the world
 *        pod 10.1.2.3 ── cni0 ──┤                             │
 *                               ├─► from a pod: passes        │
 *                               ├─► an answer to a pod: passes│
 *                               └─► anything else: as before ─┘
 *        pod 10.1.3.2 ── cni1 ──── from another bridge: not at all, if the ingress policy says so
 *
 * It comes behind a plugin that gave the pod its addresses. What others begin towards a pod is neither accepted nor
 * forbidden here: on a node that drops, that is for whoever set it so. `ingressPolicy` forbids: `same-bridge` what comes
 * from pods behind other bridges, `isolated` also what comes from pods on the same one.
 *
 * By nftables, iptables or firewalld: ./backends.ts says by which, and each has a file. Same options and results as the
 * reference plugin, and with iptables and firewalld the same rules.
 */
import { config, definePlugin, invalidOption, oneOf, string, type Context, type Parser, type Result } from "@vethwork/cni";
import { Netns, type Link } from "@vethwork/linux";
import { ownerOf } from "../shared/attachment.ts";
import { resultBefore } from "../shared/chained.ts";
import { complain } from "../shared/complaint.ts";
import { collectFirewall, deleteFirewall, ensureFirewall, firewallFaults, isOurs, statusOfFirewall } from "./backends.ts";
import { wishOf, type Wish } from "./wish.ts";

/** A name that iptables takes for a chain (xt_table's 29 bytes), and that is one word on a line. */
const chainName: Parser<string> = {
  describe: "a chain's name of up to 28 characters without blanks", schema: { type: "string", maxLength: 28 }, emptyIsAbsent: true,
  parse(value, where) {
    if (typeof value === "string" && /^[^\s"'\\!-][^\s"'\\]{0,27}$/.test(value)) return value;
    throw invalidOption(where, value, this.describe);
  },
};

const options = config({
  backend: [{ ...oneOf("nftables", "iptables", "firewalld"), emptyIsAbsent: true }, undefined, "Who has the rules; unless given, firewalld where it runs, else nftables."],
  ingressPolicy: [{ ...oneOf("open", "same-bridge", "isolated"), emptyIsAbsent: true }, "open", "Which pods may not reach this one: none, those behind other bridges with such a policy, all. The bridge is the first interface of the plugin before."],
  iptablesAdminChainName: [chainName, "CNI-ADMIN", "Of iptables: the chain with the administrator's own rules, which come before these."],
  firewalldZone: [{ ...string, emptyIsAbsent: true }, "trusted", "Of firewalld: the zone that the pod's addresses are put into."],
});

export default definePlugin({
  type: "firewall",
  about: "lets a pod's packets through a node that forwards nothing by default, and keeps pods from each other",
  config: options,

  add(context) {
    const { config: given, undo } = context;
    const before = resultBefore(context);
    const wish = wishFor(context, before);
    const host = undo.use(Netns.host());
    undo.defer(() => deleteFirewall(host, given, { owner: wish.owner }));
    ensureFirewall(host, given, wish);

    // What is bridged between two ports is not routed, and by the rules it is only seen where br_netfilter hands it to them.
    for (const port of portsToIsolate(host, wish, before)) {
      undo.defer(() => host.links.set(port, { isolated: false }));
      host.links.set(port, { isolated: true });
    }
    return before;
  },

  // CHECK asks whether the pod's rules are still as ADD left them, and whether they are still heeded. It changes nothing.
  check(context) {
    const before = resultBefore(context);
    const wish = wishFor(context, before);
    using host = Netns.host();
    const ports = isOurs(host, wish.owner) ? portsToIsolate(host, wish, before) : [];
    const faults = [...firewallFaults(host, context.config, wish), ...ports.map(({ name }) => `"${name}" is no isolated port of "${wish.bridge}"`)];
    complain(`container "${context.args.containerId}" is not as it was added`, faults);
  },

  // DEL needs neither a result nor a namespace: whose something is, is written on it or beside it.
  del({ config: given, args, prevResult }) {
    using host = Netns.host();
    deleteFirewall(host, given, { owner: ownerOf(given, args), prevResult });
  },

  gc({ config: given, valid }) {
    if (!valid) return;
    using host = Netns.host();
    collectFirewall(host, given, valid);
  },

  status({ config: given }) {
    using host = Netns.host();
    statusOfFirewall(host, given);
  },
});

const wishFor = ({ config: given, args }: Pick<Context<{ name: string; ingressPolicy: Wish["policy"] }>, "config" | "args">, before: Result): Wish =>
  wishOf(ownerOf(given, args), given.ingressPolicy, before);

/** The pod's ports on the bridge that are not isolated yet: those that the plugin before has told of. */
function portsToIsolate(host: Netns, { policy, bridge }: Wish, { interfaces = [] }: Result): Link[] {
  const master = policy === "isolated" ? host.links.find(bridge) : undefined;
  if (master?.kind !== "bridge") return [];
  const near = interfaces.filter(({ sandbox }) => !sandbox).map(({ name }) => host.links.find(name)).filter((link) => link !== undefined);
  return near.filter((link) => link.master === master.index && !host.links.findPort(link)?.isolated);
}
