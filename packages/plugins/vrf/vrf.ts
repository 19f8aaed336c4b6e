/**
 * vrf: puts a pod's interface into a routing world of its own, which knows nothing of the others'.
 *
 *        pod
 *     ┌──────────────────────────────────────────────────────────────┐
 *     │ eth0 10.1.0.5/24     table main: default via 10.1.0.1        │
 *     │                                                              │
 *     │ blue (vrf, table 1) ─┬─ net1 10.9.0.7/24                     │
 *     │    table 1:          └─ net2 10.8.0.7/24                     │
 *     │      10.9.0.0/24 dev net1, 10.8.0.0/24 dev net2              │
 *     │      default via 10.9.0.1 dev net1                           │
 *     └──────────────────────────────────────────────────────────────┘
 *
 * What comes in by a vrf's interface, and what a program sends that is bound to the vrf, sees that table alone; two vrfs may
 * have the same addresses. Putting an interface in takes it down and up again (vrf_add_slave in the kernel), which costs it
 * its routes, and its IPv6 addresses unless the kernel was told to keep them: both are noted before and made anew in the
 * vrf's table. The vrf comes with its first interface and goes with its last.
 *
 * Same options and results as the reference vrf plugin.
 */
import { CniError, ErrorCode, config, definePlugin, integer, required, string, type ConfigOf, type Context } from "@vethwork/cni";
import { Netns, contains, parseCidr, sameCidr, type Cidr, type Link, type Route } from "@vethwork/linux";
import { addressesOf, interfaceOf, resultBefore } from "../shared/chained.ts";
import { complain } from "../shared/complaint.ts";
import { openPod } from "../shared/pod.ts";

const options = config({
  vrfname: [string, required, "The vrf's name in the pod."],
  table: [integer({ min: 0, max: 0xffff_ffff }), 0, "Its routing table; 0 takes the lowest that no other vrf of the pod has."],
});
type Config = ConfigOf<typeof options>;

const KERNEL = 2; // rtnetlink.h: RTPROT_KERNEL, routes that come with an address
const LINK_LOCAL = parseCidr("fe80::/10");
/** Interfaces of one pod may be added at the same time, and may share a vrf. */
const LOCK_TIMEOUT_MS = 30_000;

export default definePlugin({
  type: "vrf",
  about: "puts an interface into a routing world of its own, which knows nothing of the others'",
  config: options,

  add(context) {
    const { config: given, args, undo } = context;
    const before = resultBefore(context);
    if (given.vrfname === "") throw new CniError(ErrorCode.INVALID_CONFIG, "configuration is expected to have a valid vrf name");
    const pod = undo.use(openPod(args.netns));
    pod.lock(LOCK_TIMEOUT_MS);
    const link = interfaceOf(pod, args);
    const vrf = ensureVrf(pod, context);

    const held = belongings(pod, link);
    undo.defer(() => move(pod, { link, held, vrf: null }));
    move(pod, { link, held, vrf });
    return before;
  },

  // CHECK asks whether the interface is still in its vrf, with its addresses. It changes nothing.
  check(context) {
    const { config: { vrfname, table }, args } = context;
    const result = resultBefore(context);
    using pod = openPod(args.netns);
    const link = interfaceOf(pod, args);
    const vrf = pod.links.find(vrfname);
    const have = pod.addrs.list({ link }).map(({ address }) => address);
    const lost = addressesOf(args.ifname, result).map(({ address }) => parseCidr(address)).filter((one) => !have.some((other) => sameCidr(one, other)));
    const faults = [
      ...(vrf?.kind === "vrf" ? [] : [`the pod has no vrf "${vrfname}"`]),
      ...(vrf && !vrf.up ? [`"${vrfname}" is down`] : []),
      ...(vrf && table !== 0 && vrf.table !== table ? [`"${vrfname}" has the table ${vrf.table} instead of ${table}`] : []),
      ...(vrf && link.master !== vrf.index ? [`"${link.name}" is not in "${vrfname}"`] : []),
      ...lost.map((address) => `"${link.name}" has lost its address ${address}`),
    ];
    complain(`container "${args.containerId}" is not as it was added`, faults);
  },

  // DEL: the interface comes out, if it is there, and the vrf goes with its last one.
  del({ config: { vrfname }, args }) {
    using pod = args.netns === "" || vrfname === "" ? undefined : Netns.find(args.netns);
    if (!pod) return;
    pod.lock(LOCK_TIMEOUT_MS);
    const vrf = pod.links.find(vrfname);
    if (vrf?.kind !== "vrf") return;
    const link = pod.links.find(args.ifname);
    if (link?.master === vrf.index) pod.links.set(link, { master: null });
    if (!pod.links.list().some(({ master }) => master === vrf.index)) pod.links.delete(vrfname);
  },

  // STATUS: whether the kernel knows vrfs shows only when one is made, here in a namespace that nobody sees.
  status() {
    using scratch = Netns.create();
    try {
      scratch.links.add({ kind: "vrf", name: "vrf", table: 1 });
    } catch (error) {
      throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, "this kernel has no vrf (CONFIG_NET_VRF is wanted)", { cause: error });
    }
  },
});

/** The vrf of that name, up. One that is there must be a vrf, and have the table that is asked for. */
function ensureVrf(pod: Netns, { config: { vrfname, table }, undo }: Context<Config>): Link {
  const there = pod.links.find(vrfname);
  if (there && there.kind !== "vrf") throw new CniError(ErrorCode.INVALID_CONFIG, `"${vrfname}" is no vrf but a ${there.kind || "device"} (another name is wanted)`);
  if (there && table !== 0 && there.table !== table) {
    throw new CniError(ErrorCode.INVALID_CONFIG, `VRF ${vrfname} already exist with different routing table ${there.table} (${table} is wanted)`);
  }
  if (!there) {
    undo.defer(() => pod.links.delete(vrfname));
    pod.links.add({ kind: "vrf", name: vrfname, table: table === 0 ? freeTable(pod.links.list()) : table });
  }
  const vrf = pod.links.get(vrfname);
  if (!vrf.up) pod.links.set(vrf, { up: true });
  return vrf;
}

/** The lowest that none of the vrfs has. */
export function freeTable(links: readonly Pick<Link, "table">[]): number {
  const taken = new Set(links.map(({ table }) => table));
  let table = 1;
  while (taken.has(table)) table++;
  return table;
}

/** What an interface loses when it is taken down. */
interface Belongings {
  addresses: Cidr[];
  routes: Route[];
}

/** Routes that come with an address come again by themselves, and so do link-local addresses. */
function belongings(pod: Netns, link: Link): Belongings {
  if (link.master !== 0) {
    const master = pod.links.find(link.master)?.name ?? link.master;
    throw new CniError(ErrorCode.INVALID_CONFIG, `interface ${link.name} has already a master set: ${master}`);
  }
  const addresses = pod.addrs.list({ link, family: 6 }).map(({ address }) => address).filter(({ ip }) => !contains(LINK_LOCAL, ip));
  return { addresses, routes: remade(pod.routes.list({ link: link.index })) };
}

/** The routes to make anew, those to neighbours first: the others' gateways are among them. */
export const remade = (routes: readonly Route[]): Route[] => routes
  .filter(({ protocol, type }) => protocol !== KERNEL && type === "unicast")
  .toSorted((a, b) => Number(a.via !== undefined) - Number(b.via !== undefined));

/** Puts the interface into the vrf, or with null out of it, and gives it back what that cost it. */
function move(pod: Netns, { link, held, vrf }: { link: Link; held: Belongings; vrf: Link | null }): void {
  pod.links.set(link, { master: vrf });
  const kept = pod.addrs.list({ link, family: 6 }).map(({ address }) => address);
  for (const address of held.addresses) {
    if (!kept.some((one) => sameCidr(one, address))) pod.addrs.add(link, { address, nodad: true });
  }
  for (const route of held.routes) pod.routes.ensure({ ...route, ...(vrf?.table !== undefined && { table: vrf.table }) });
}
