/**
 * The devices that packets to other nodes are wrapped in, and what they know of the other ends.
 *
 *     link        name, MAC, MTU, this node's address outside; up; this node's end inside as its address (./ends.ts)
 *     neighbours  10.244.2.0 is at 5e:21:…      one for each subnet behind it
 *     fdb         5e:21:… is at 192.0.2.12      one for each node behind it
 *
 * All entries are permanent: nothing is learned, nobody is asked, and what is on the device and not in the plan is stale.
 */
import { fdbIn, cidrOf, sameIp, type Cidr, type Ip, type Link, type Mac, type Netns, type NewLink } from "@vethwork/linux";
import { LINK_NAMES, VNI, VXLAN_PORT, WIREGUARD_NAME, endOf } from "./ends.ts";
import type { Log } from "./log.ts";
import type { Tunnel } from "./plan.ts";

/** Shown by `ip link`. No network's name begins with a colon, so that no plugin takes the link for one of its own. */
const ALIAS = "vethwork: to other nodes";

/** What a device should be, whatever kind it is of. */
export interface Device {
  link: NewLink;
  mtu: number;
  /** Whether the one that is there can be made so; else it is made anew. */
  isKind(link: Link): boolean;
}

export function vxlanOf({ name, local, mac, mtu }: Tunnel): Device {
  // No checksum outside, in either family (RFC 7348 section 5, RFC 6935): what is inside has its own, and one card less can get it wrong.
  const vxlan = { vni: VNI, port: VXLAN_PORT, local, learning: false, checksum: false };
  return {
    link: { kind: "vxlan", name, mac, mtu, ...vxlan },
    mtu,
    isKind: (link) => {
      const { vni, port, learning, checksum, local: its } = link.vxlan ?? {};
      return vni === VNI && port === VXLAN_PORT && learning === false && checksum === vxlan.checksum && its?.family === local.family;
    },
  };
}

export const wireguardOf = ({ mtu }: { mtu: number }): Device => ({ link: { kind: "wireguard", name: WIREGUARD_NAME, mtu }, mtu, isKind: ({ kind }) => kind === "wireguard" });

interface Means {
  ownSubnets: readonly Cidr[];
  log: Log;
}

/** Makes it so; gives the link. KernelError EOPNOTSUPP where this kernel lacks the kind. */
export function ensureDevice(host: Netns, { link: wanted, mtu, isKind }: Device, { ownSubnets, log }: Means): Link {
  const there = host.links.find(wanted.name);
  if (there && !isKind(there)) {
    host.links.delete(wanted.name);
    log.change(`delete link ${wanted.name}, which was another's or of an older kind`);
  }
  const link = there && isKind(there) ? there : addDevice(host, wanted, log);
  const mac = "mac" in wanted ? wanted.mac : undefined;
  const changes = {
    ...(mac && String(mac) !== String(link.mac) && { mac }),
    ...(link.mtu !== mtu && { mtu }),
    ...(link.alias !== ALIAS && { alias: ALIAS }),
    ...(!link.up && { linkLocal: false, up: true }), // it needs no address of its own making, and nobody there to hear of it
  };
  if (Object.keys(changes).length > 0) {
    host.links.set(link, changes);
    log.change(`set link ${link.name}: ${Object.entries(changes).map(([key, value]) => `${key} ${String(value)}`).join(", ")}`);
  }
  if (wanted.kind === "vxlan" && wanted.local && link.vxlan?.local && !sameIp(wanted.local, link.vxlan.local)) {
    host.links.setLocal(link, wanted.local);
    log.change(`set link ${link.name}: local ${wanted.local}`);
  }
  ensureAddresses(host, link, { ownSubnets, log });
  return link;
}

function addDevice(host: Netns, wanted: NewLink, log: Log): Link {
  host.links.add(wanted);
  log.change(`add link ${wanted.name}, ${wanted.kind}`);
  return host.links.get(wanted.name);
}

/** This node's end inside: what the node itself sends to others' pods comes from there, and comes back there. */
function ensureAddresses(host: Netns, link: Link, { ownSubnets, log }: Means): void {
  // No router is behind the device; and a node may have IPv6 switched off for devices that come.
  host.sysctl.setIfThere(`net/ipv6/conf/${link.name}/accept_ra`, 0);
  if (ownSubnets.some(({ family }) => family === 6)) host.sysctl.setIfThere(`net/ipv6/conf/${link.name}/disable_ipv6`, 0);
  const wanted = ownSubnets.map((subnet) => cidrOf(endOf(subnet))).map((address) => [String(address), address] as const);
  const there = new Map(host.addrs.list({ link }).map(({ address }) => [String(address), address]));
  const texts = new Set(wanted.map(([text]) => text));
  for (const [text, address] of wanted) {
    if (there.has(text)) continue;
    log.attempt(() => {
      host.addrs.add(link, { address, nodad: true });
      log.change(`add address ${text} to ${link.name}`);
    });
  }
  for (const [text, address] of there) {
    if (texts.has(text)) continue;
    host.addrs.delete(link, address);
    log.change(`delete address ${text} from ${link.name}`);
  }
}

/** Who is behind a device: what is to be added before routes lead there, and what is to be taken away after. */
export interface Behind {
  /** Ends inside that have become another node's. */
  moved: Ip[];
  add(): void;
  deleteStale(): void;
}

export function behindVxlan(host: Netns, link: Link, { ends, log }: { ends: Tunnel["ends"]; log: Log }): Behind {
  const hosts = new Map(fdbIn(host).list(link).map(({ mac, host: its }) => [String(mac), { mac, host: its }]));
  const inside = new Map(host.neighbours.list({ link }).filter(({ permanent }) => permanent).map(({ ip, mac }) => [String(ip), { ip, mac }]));
  const neighbours = ends.flatMap(({ mac, inside: ips }) => ips.map((ip) => ({ ip, mac })));
  const newHosts = ends.filter(({ mac, host: its }) => String(hosts.get(String(mac))?.host) !== String(its));
  const newNeighbours = neighbours.filter(({ ip, mac }) => String(inside.get(String(ip))?.mac) !== String(mac));
  const macs = new Set(ends.map(({ mac }) => String(mac)));
  const ips = new Set(neighbours.map(({ ip }) => String(ip)));
  return {
    moved: newNeighbours.filter(({ ip }) => inside.has(String(ip))).map(({ ip }) => ip),
    add: () => {
      log.series(newHosts, ({ mac, host: its }) => `add ${mac} at ${its} to ${link.name}`, (some) => fdbIn(host).ensureAll(link, some));
      log.series(newNeighbours, ({ ip, mac }) => `add neighbour ${ip} at ${mac} to ${link.name}`, (some) => host.neighbours.ensureAll(link, some));
    },
    deleteStale: () => {
      const staleIps = [...inside].flatMap(([text, { ip }]) => (ips.has(text) ? [] : [ip]));
      const staleMacs = [...hosts].flatMap(([text, { mac }]): Mac[] => (macs.has(text) ? [] : [mac]));
      log.series(staleIps, (ip) => `delete neighbour ${ip} from ${link.name}`, (some) => host.neighbours.deleteAll(link, some));
      log.series(staleMacs, (mac) => `delete ${mac} from ${link.name}`, (some) => fdbIn(host).deleteAll(link, some));
    },
  };
}

/** Deletes the data path's links but those that are wanted; with them go their routes, neighbours and entries. */
export function deleteDevices(host: Netns, wanted: readonly string[], log: Log): void {
  for (const name of LINK_NAMES) {
    if (!wanted.includes(name) && host.links.delete(name)) log.change(`delete link ${name}`);
  }
}
