/**
 * portmap: ports of the node that lead to the pod.
 *
 *      the world ──► 192.0.2.1:8080 ┐
 *       the node ──► 127.0.0.1:8080 ├─ node ── 10.1.2.5:80 ──► pod
 *     other pods ──► 192.0.2.1:8080 ┘
 *     the pod itself, by the node, too
 *
 * A packet for the port gets the pod's address and port as its destination (./mappings.ts says which), by rules that all
 * pods share and an element for each port (./frame.ts, ./nftables.ts), or by chains of iptables (./iptables.ts). Its source
 * stays what it was, so that the pod sees who calls, but where the answer would not come back by the node: from the pod
 * itself, from its subnet, and from 127.0.0.1 (./localhost.ts), the node's address is lent. Flows of UDP that began before
 * are made to ask anew (./flows.ts).
 *
 * Same options and results as the reference portmap plugin; by iptables the same rules. What its nftables backend left is
 * known by ./reference.ts.
 */
import { CniError, ErrorCode, definePlugin } from "@vethwork/cni";
import { Netns } from "@vethwork/linux";
import { hostEndName, ownerOf, ownersOf, type Owner } from "../shared/attachment.ts";
import { resultBefore } from "../shared/chained.ts";
import { complain } from "../shared/complaint.ts";
import { networkMark, ownerMark } from "../shared/names.ts";
import { hasNftables } from "../shared/nftables.ts";
import { forgetEarlierFlows, forgetFlowsTo } from "./flows.ts";
import { ensureLayouts, frameOf, isOurs } from "./frame.ts";
import * as iptables from "./iptables.ts";
import { deviceTo, guardDevice, guardFaults, guardLayout, openLocalhost, switchFaults } from "./localhost.ts";
import { isForLoopback, type Mapping } from "./mappings.ts";
import * as nftables from "./nftables.ts";
import { backendOf, options, type Config } from "./options.ts";
import { planOf, scopeOf, type Plan } from "./plan.ts";
import { deleteReferenceRules, hasReferenceRules } from "./reference.ts";

export default definePlugin({
  type: "portmap",
  about: "leads ports of the node to the pod",
  config: options,

  add(context) {
    const { undo } = context;
    const before = resultBefore(context);
    const plan = planOf(context, before);
    if (plan.mappings.length === 0) return before;
    const host = undo.use(Netns.host());
    const device = loopbackDevice(host, plan);

    undo.defer(() => remove(host, plan.owner, context.config));
    mapPorts(host, plan, device);
    if (device !== undefined) openLocalhost(host, device);
    forgetEarlierFlows(host, plan.mappings);
    return before;
  },

  // CHECK asks whether each port leads to the pod, by rules of either kind: whoever did the ADD chose. It changes nothing.
  check(context) {
    const plan = planOf(context, resultBefore(context));
    if (plan.mappings.length === 0) return;
    using host = Netns.host();
    const faults = faultsOf(host, plan);
    complain(`ports of container "${plan.args.containerId}" are not as they were mapped`, faults);
  },

  // DEL: whatever rules are the attachment's, of either backend, this plugin's or the reference's. What the runtime says of
  // ports does not matter: some say nothing on DEL.
  del({ args, config }) {
    using host = Netns.host();
    remove(host, ownerOf(config, args), config);
  },

  // GC: elements and chains that bear the network's name, and belong to none of its attachments. Rules that somebody has
  // changed, or an older version made otherwise, are made as they should be.
  gc({ config, valid }) {
    if (!valid) return;
    using host = Netns.host();
    const { name } = config;
    const keep = ownersOf(config, valid);
    const marks = keep.map(ownerMark);
    forgetFlowsTo(host, iptables.mayHavePorts(host) ? iptables.collectRules(name, keep) : []);
    if (!hasNftables(host) || !host.nft.tables().some(isOurs)) return;
    if (backendOf(config) === "nftables") host.nft.update((change, nft) => ensureLayouts(change, nft, [frameOf(scopeOf(config)), guardLayout()]));
    forgetFlowsTo(host, unmap(host, { mark: networkMark(name), spare: (comment) => marks.some((mark) => comment.startsWith(mark)), devices: [] }));
  },

  // STATUS: whether the kernel takes such rules shows only when they are made, here in a namespace that nobody sees.
  status({ config }) {
    try {
      if (backendOf(config) === "iptables") return iptables.checkUsable();
      using scratch = Netns.create();
      scratch.nft.update((change, nft) => ensureLayouts(change, nft, [frameOf(scopeOf(config)), guardLayout()]));
    } catch (error) {
      if (error instanceof CniError && error.code === ErrorCode.PLUGIN_NOT_AVAILABLE) throw error;
      const why = error instanceof CniError ? error.message : "this kernel's nftables cannot map ports";
      throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, why, { cause: error });
    }
  },
});

/** The device by which 127.0.0.1 is to lead to the pod; undefined where it need not, or nothing leads there. */
function loopbackDevice(host: Netns, { mappings, snat }: Plan): string | undefined {
  const mapping = snat ? mappings.find(isForLoopback) : undefined;
  return mapping && deviceTo(host, mapping.pod.ip);
}

/** Rules of iptables come before the guard: what they are there for is why it stays. */
function mapPorts(host: Netns, plan: Plan, device: string | undefined): void {
  if (plan.backend === "nftables") {
    nftables.ensureMappings(host, plan, device);
    return;
  }
  iptables.ensureRules(plan);
  if (device === undefined || !hasNftables(host)) return;
  host.nft.update((change, nft) => {
    ensureLayouts(change, nft, [guardLayout()]);
    guardDevice(change, host, device);
  });
}

/** Takes away what there is for the owner. Most pods have no ports, and then the list of tables says so. */
function remove(host: Netns, owner: Owner, { runtimeConfig: { portMappings } }: Config): void {
  const tables = hasNftables(host) ? host.nft.tables() : [];
  const hasChains = tables.some(({ name }) => name === "nat") && iptables.hasChains(host, owner);
  const gone = [
    ...(hasChains || (portMappings.length > 0 && iptables.isLegacy()) ? iptables.deleteRules(owner) : []),
    ...deleteReferenceRules(host, owner.containerId, tables),
    ...(tables.some(isOurs) ? unmap(host, { mark: ownerMark(owner), devices: [hostEndName(owner)] }) : []),
  ];
  forgetFlowsTo(host, gone);
}

/** Takes elements away, and all that no host port needs any more. */
const unmap = (host: Netns, stale: Omit<nftables.Stale, "needsGuard">): Mapping[] =>
  nftables.deleteMappings(host, { ...stale, needsGuard: () => iptables.hasPorts(host) });

/** What is missing of the plan, by the backend's rules; nothing where the other backend, or the reference, has made all of it. */
function faultsOf(host: Netns, plan: Plan): string[] {
  const byNftables = (): string[] => (hasNftables(host) ? nftables.mappingFaults(host, plan) : ["this kernel has no nftables"]);
  const byIptables = (): string[] => iptables.ruleFaults(plan);
  const faults = plan.backend === "nftables" ? byNftables() : byIptables();
  if (faults.length === 0) {
    const device = loopbackDevice(host, plan);
    // By iptables the reference may have done the ADD, and it has no guard.
    return device === undefined ? [] : [...switchFaults(host, device), ...(plan.backend === "nftables" ? guardFaults(host, device) : [])];
  }
  if (hasNftables(host) && hasReferenceRules(host, plan.owner.containerId, plan.mappings)) return [];
  if (plan.backend === "nftables" && !iptables.hasChains(host, plan.owner)) return faults;
  return (plan.backend === "nftables" ? byIptables() : byNftables()).length === 0 ? [] : faults;
}
