/**
 * A pass of the data path, in the order in which nothing of it is ever half true:
 *
 *     1  rules         what leaves the cluster gets the node's address; what carries other packets is not tracked
 *     2  devices       that packets are wrapped in, with this node's end
 *     3  close         subnets that were another node's: nobody gets there, and what is remembered of them is forgotten
 *     4  other ends    where whom is; then routes lead there
 *     5  what is stale goes, in the other order
 *
 * Killed anywhere, the next pass finds what is missing and what is too much: it compares, and knows no history. The one thing
 * that is remembered, whose each subnet was, only saves flows that go on.
 */
import { isErrno, type KernelError, type Link, type Netns } from "@vethwork/linux";
import { ensureForwarding, isForwarding } from "@vethwork/plugins/shared/forwarding.ts";
import { createWayOut } from "@vethwork/plugins/shared/way-out.ts";
import type { Datapath, DatapathOptions, Pass } from "./datapath.ts";
import { behindVxlan, deleteDevices, ensureDevice, vxlanOf, wireguardOf, type Behind, type Device } from "./devices.ts";
import { VXLAN_PORT, WIREGUARD_PORT, endOf } from "./ends.ts";
import { forgetFlows } from "./flows.ts";
import { createLog, type Log } from "./log.ts";
import { createOffloads } from "./offload.ts";
import { planOf, type Plan } from "./plan.ts";
import { routeChanges } from "./routes.ts";
import { underlayOf } from "./underlay.ts";
import { behindWireguard, deleteKey, ensureKey, type OwnKey } from "./wireguard.ts";

export function openDatapath(host: Netns, options: DatapathOptions): Datapath {
  const wayOut = createWayOut(host);
  const offloads = createOffloads(host);
  let owners: ReadonlyMap<string, string> = new Map();
  return {
    reconcile: (nodes) => {
      if (!nodes.some(({ name }) => name === options.self)) return unknownSelf(options, nodes.length);
      const log = createLog();
      const plan = planOf(nodes, options, underlayOf(host));
      const own = plan.encryption ? log.attempt(() => ensureKey(options.stateFolder, log)) : undefined;
      forward(host, plan, log);
      log.attempt(() => log.changes.push(...wayOut.ensure(wayOutOf(plan, options))));
      settle(host, plan, { own, owners, log });
      const offload = offloads.keep(plan.tunnels, log);
      owners = new Map(plan.routes.map(({ dst, node }) => [String(dst), node]));
      const { peers, podMtu } = plan;
      return { peers, podMtu, offload, problems: [...plan.problems, ...log.problems], changes: log.changes, publish: own ? { wireguardKey: own.key } : {} };
    },
    testOffload: () => offloads.test(),
    clear: () => {
      const log = createLog();
      settle(host, { routes: [], tunnels: [], encryption: undefined, ownSubnets: [] }, { own: undefined, owners: new Map(), log });
      owners = new Map();
      log.changes.push(...wayOut.delete());
      if (deleteKey(options.stateFolder)) log.change("delete this node's key");
      return log.changes;
    },
  };
}

/** Without this node among them the list may as well be half of one: what is there stays. */
function unknownSelf({ self, mtu }: DatapathOptions, count: number): Pass {
  return { peers: [], podMtu: mtu, offload: [], changes: [], publish: {}, problems: [`this node, "${self}", is not among the cluster's ${count}: nothing is changed`] };
}

function forward(host: Netns, { podSubnets }: Plan, log: Log): void {
  for (const family of new Set(podSubnets.map((subnet) => subnet.family))) {
    if (isForwarding(host, family)) continue;
    log.attempt(() => {
      ensureForwarding(host, family);
      log.change(`switch forwarding of IPv${family} on`);
    });
  }
}

function wayOutOf({ ownSubnets, podSubnets, openNodes, tunnels, encryption }: Plan, { masquerade, clusterSubnets, nonMasqueradeSubnets }: DatapathOptions) {
  const pods = clusterSubnets.length > 0 ? clusterSubnets : podSubnets;
  const tunnelPorts = [...(tunnels.length > 0 ? [VXLAN_PORT] : []), ...(encryption ? [WIREGUARD_PORT] : [])];
  return { masquerade, ownSubnets, kept: [...pods, ...nonMasqueradeSubnets], nodes: openNodes, tunnelPorts };
}

type Wanted = Pick<Plan, "routes" | "tunnels" | "encryption" | "ownSubnets">;

interface Means {
  own: OwnKey | undefined;
  owners: ReadonlyMap<string, string>;
  log: Log;
}

function settle(host: Netns, wanted: Wanted, { own, owners, log }: Means): void {
  const { tunnels, encryption, ownSubnets } = wanted;
  const sides: Behind[] = [];
  const wrap = (device: Device, behind: (link: Link) => Behind): void => {
    const link = attemptDevice(log, device, () => ensureDevice(host, device, { ownSubnets, log }));
    if (link) sides.push(behind(link));
  };
  for (const tunnel of tunnels) wrap(vxlanOf(tunnel), (link) => behindVxlan(host, link, { ends: tunnel.ends, log }));
  if (encryption && own) wrap(wireguardOf(encryption), (link) => behindWireguard(host, link, { own, peers: encryption.peers, log }));

  const links = new Map(host.links.list().map((link) => [link.name, link]));
  const elsewhere = new Set(sides.flatMap(({ moved }) => moved.map(String)));
  const changes = routeChanges(host, wanted.routes, { links, owners, isMoved: (dst) => elsewhere.has(String(endOf(dst))) }, log);
  changes.close();
  forgetFlows(host, changes.moved, log);
  for (const side of sides) side.add();
  changes.settle();
  for (const side of sides) side.deleteStale();
  deleteDevices(host, [...tunnels.map(({ name }) => name), ...(encryption ? [wireguardOf(encryption).link.name] : [])], log);
}

/** What cannot be made is said, and all other ways are made: routes by a device that is not there are closed. */
function attemptDevice(log: Log, { link: { kind, name } }: Device, make: () => Link): Link | undefined {
  return log.attempt(make, (error: KernelError) =>
    (isErrno(error, "EOPNOTSUPP") ? `this kernel has no ${kind} (CONFIG_${kind.toUpperCase()} is wanted), so nobody is reached by ${name}` : error.message));
}
