/**
 * vethwork: connects a pod to its Kubernetes node by a routed cable.
 *
 *        pod 10.244.1.7                          node 192.168.50.11
 *     ┌──────────────────────┐        ┌──────────────────────────────────────────┐
 *     │ eth0 10.244.1.7/32 ──┼────────┼─ veth1f03…   10.244.1.7 dev veth1f03…     │
 *     │ default 169.254.1.1  │        │                                          │
 *     └──────────────────────┘        │  veth77ab…   10.244.1.8 dev veth77ab…    │
 *      another pod ───────────────────┼─ ┘           masquerade ─── eth0 ────────┼── the world
 *                                     └──────────────────────────────────────────┘
 *
 * ADD does five things, in this order, and each is a heading below:
 *   1 the address   2 the cable   3 the node's side   4 the pod's side   5 the way out
 *
 * Nothing is a switch here: each pod is alone on its cable and the node routes between them, so pods on one node, pods
 * on other nodes and the world are all reached in the same way. Routes to other nodes' pods are the node's agent's work.
 * It takes the place of a plugin in Bash that set a bridge up by hand; options are in ./plan.ts, addresses in
 * ../shared/ipam, the cable in ./cable.ts, the rules in ../shared/table.ts.
 */
import { CniError, ErrorCode, definePlugin, type Context, type Result } from "@vethwork/cni";
import { Netns, cidrOf, deleteEmptyFolder, folderOf as parentOf, isErrno, isFile, parseCidr, parseIp, type Ip } from "@vethwork/linux";
import { hostEndName, isOfNetwork, labelOf, type Attached } from "../shared/attachment.ts";
import { complain } from "../shared/complaint.ts";
import { ensureForwarding, isForwarding } from "../shared/forwarding.ts";
import { openBook } from "../shared/ipam/book.ts";
import { sizeOf } from "../shared/ipam/pool.ts";
import { statusOfNftables } from "../shared/nftables.ts";
import { openPod } from "../shared/pod.ts";
import { deleteRules, ensureRules, findFaults, type NetworkRules } from "../shared/table.ts";
import { ROUTE_PROTOCOL, addCable, cableFaults, defaultRoute, dressNode, dressPod, gatewayOf, worldMtu, type Cable } from "./cable.ts";
import { folderOf, options, planOf, type Config, type Plan } from "./plan.ts";

export default definePlugin({
  type: "vethwork",
  about: "a routed cable for each pod, an address from the node's subnet, and a way out to the world",
  config: options,

  add(context) {
    const { config, args, undo } = context;
    const plan = planOf(config);
    const host = undo.use(Netns.host());
    using pod = openPod(args.netns);

    // 1. The address. It is in the book before the network knows of it, so that no two pods ever have it.
    const addresses = takeAddresses(host, plan, args);
    undo.defer(() => forget(host, config, args));

    // 2. The cable. Deleting one end deletes both, and the routes that lead to it: one undo is enough.
    const cable: Cable = {
      outside: hostEndName(args),
      inside: args.ifname,
      addresses,
      mtu: config.mtu || worldMtu(host),
      alias: labelOf(config.name, args),
      sourceCheck: config.sourceCheck,
    };
    undo.defer(() => host.links.delete(cable.outside));
    makeCable(host, pod, cable);

    // 3. The node's side: up, and the way to the pod. It must be up before the pod can send.
    const near = dressNode(host, cable);

    // 4. The pod's side: address, up, and everything else goes to the node.
    const far = dressPod(pod, cable);

    // 5. The way out: the node is a router now, and lends its address for the way into the world.
    ensureWayOut(host, config, plan);

    return resultOf(context, { addresses, near: { name: near.name, mac: String(near.mac) }, far: { mac: String(far.mac), mtu: far.mtu } });
  },

  // CHECK asks whether the world still looks as ADD left it. It changes nothing.
  check({ config, args, prevResult }) {
    const plan = planOf(config);
    if (!prevResult) throw new CniError(ErrorCode.INVALID_CONFIG, "missing option \"prevResult\" (the result of ADD is wanted)");
    using host = Netns.host();
    using pod = openPod(args.netns);
    using book = openBook(plan.folder);
    const addresses = book.find(args).map(parseIp);
    book.deleteIfEmpty(); // opening it made the folder
    const claimed = (prevResult.ips ?? []).map(({ address }) => String(parseCidr(address).ip));
    const lost = claimed.filter((one) => !addresses.some((ip) => String(ip) === one));
    const faults = [
      ...(addresses.length === 0 ? ["no address is reserved for it"] : lost.map((one) => `address ${one} is not reserved for it`)),
      ...cableFaults(host, pod, { outside: hostEndName(args), inside: args.ifname, addresses, sourceCheck: config.sourceCheck }),
      ...plan.pools.filter(({ subnet }) => !isForwarding(host, subnet.family)).map(({ subnet }) => `the node does not forward IPv${subnet.family}`),
      ...findFaults(host, rulesFor(config, plan)),
    ];
    complain(`container "${args.containerId}" is not as it was added`, faults);
  },

  // DEL may be called twice, late, or after an ADD that was killed: what is gone already is done. The address goes
  // first, before the network is touched, so that a pod whose namespace has vanished does not keep it.
  del({ config, args }) {
    using host = Netns.host();
    giveAddresses(config, [args]);
    host.links.delete(hostEndName(args));
    deleteIfUnused(host, config);
  },

  // GC: the runtime lists every attachment that it still knows. Whatever else is this network's goes.
  gc({ config, valid }) {
    if (!valid) return;
    using host = Netns.host();
    const keep = valid.map(({ containerID, ifname }) => ({ containerId: containerID, ifname }));
    giveAddresses(config, (one) => !keep.some(({ containerId, ifname }) => containerId === one.containerId && ifname === one.ifname));
    const names = keep.map(hostEndName);
    for (const link of host.links.list()) {
      if (isOfNetwork(config.name, link) && !names.includes(link.name)) host.links.delete(link.name);
    }
    deleteIfUnused(host, config);
  },

  // STATUS: could ADD work now? Cheap, since runtimes ask every few seconds.
  status({ config }) {
    const plan = planOf(config);
    if (config.readyFile !== "" && !isFile(config.readyFile)) {
      throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, `the node's agent has not been ready since the machine was started ("${config.readyFile}" is not there)`);
    }
    using host = Netns.host();
    statusOfNftables(host);
    using book = openBook(plan.folder);
    const taken = book.addresses();
    book.deleteIfEmpty();
    for (const pool of plan.pools) {
      const ofFamily = taken.filter((address) => address.includes(":") === (pool.subnet.family === 6));
      if (BigInt(ofFamily.length) >= sizeOf(pool)) {
        throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, `no address left in subnet "${pool.subnet}": all ${sizeOf(pool)} are taken`);
      }
    }
  },
});

/** The kernel says of either end only that its name is taken; which one, and what to do, is looked up when it has said so. */
function makeCable(host: Netns, pod: Netns, cable: Cable): void {
  try {
    addCable(host, pod, cable);
  } catch (error) {
    if (!isErrno(error, "EEXIST") || !pod.links.find(cable.inside)) throw error;
    const message = `CNI_IFNAME "${cable.inside}" is taken in the pod (a free name is wanted)`;
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT, message, { cause: error });
  }
}

/** An address whose route still leads to a pod is not free, whatever the book says: somebody may have deleted the book. */
function takeAddresses(host: Netns, { pools, folder }: Plan, attached: Attached): Ip[] {
  using book = openBook(folder);
  const isFree = (ip: Ip): boolean => {
    const entry = host.routes.findEntry(ip);
    return entry?.protocol !== ROUTE_PROTOCOL || String(entry.dst) !== String(cidrOf(ip));
  };
  if (book.find(attached).length > 0) {
    const who = `container "${attached.containerId}" has interface "${attached.ifname}" already`;
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `${who} (DEL is wanted before another ADD)`);
  }
  try {
    return book.take(attached, pools.map((pool) => ({ set: [pool], isFree })), ({ set: [pool] }) => {
      return new CniError(ErrorCode.TRY_AGAIN, `no address left in subnet "${pool?.subnet}": all from ${pool?.first} to ${pool?.last} are taken`);
    });
  } catch (error) {
    book.deleteIfEmpty();
    throw error;
  }
}

function giveAddresses(config: Config, which: readonly Attached[] | ((one: Attached) => boolean)): void {
  using book = openBook(folderOf(config));
  const leaving = typeof which === "function" ? book.attachments().filter(which) : which;
  for (const one of leaving) book.give(one);
}

function forget(host: Netns, config: Config, attached: Attached): void {
  giveAddresses(config, [attached]);
  deleteIfUnused(host, config);
}

const rulesFor = ({ name, ipMasq, sourceCheck }: Config, { networks }: Plan): NetworkRules => ({ name, networks, masquerade: ipMasq, sourceCheck });

function ensureWayOut(host: Netns, config: Config, plan: Plan): void {
  for (const { subnet } of plan.pools) {
    ensureForwarding(host, subnet.family);
    // Without a pod the address is nobody's: say so at once, instead of sending the packet out and getting it back.
    host.routes.ensure({ dst: subnet, type: "unreachable", metric: LAST_RESORT, protocol: ROUTE_PROTOCOL });
  }
  ensureRules(host, rulesFor(config, plan));
}

const LAST_RESORT = 0x7fff_ffff;

/**
 * Takes the network's rules and routes away with its last pod. The book is held meanwhile: an ADD that comes now is
 * in the book either before we look or after we are done, and then makes the rules anew.
 */
function deleteIfUnused(host: Netns, config: Config): void {
  using book = openBook(folderOf(config));
  if (book.attachments().length > 0 || host.links.list().some((link) => isOfNetwork(config.name, link))) return;
  deleteRules(host, config.name);
  const subnets = [...config.subnet].map(parseCidr);
  for (const route of host.routes.list({ protocol: ROUTE_PROTOCOL })) {
    const ours = route.type === "unreachable" && subnets.some((subnet) => String(subnet) === String(route.dst));
    if (ours) host.routes.delete(route);
  }
  if (book.deleteIfEmpty()) deleteEmptyFolder(parentOf(folderOf(config)));
}

interface Made {
  addresses: readonly Ip[];
  near: { name: string; mac: string };
  far: { mac: string; mtu: number };
}

/** What a plugin before us made comes first; places in the list of interfaces move by as many. */
function resultOf({ config, args, prevResult = {} }: Context<Config>, { addresses, near, far }: Made): Result {
  const before = prevResult.interfaces ?? [];
  const ips = addresses.map((ip) => ({ address: String(cidrOf(ip)), gateway: String(gatewayOf(ip.family)), interface: before.length + 1 }));
  const routes = addresses.map(({ family }) => ({ dst: String(defaultRoute(family)), gw: String(gatewayOf(family)) }));
  const dns = config.dns ?? prevResult.dns;
  return {
    interfaces: [...before, near, { name: args.ifname, ...far, sandbox: args.netns }],
    ips: [...(prevResult.ips ?? []), ...ips],
    routes: [...(prevResult.routes ?? []), ...routes],
    ...(dns && { dns }),
  };
}
