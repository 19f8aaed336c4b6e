/**
 * The cable between a pod and its node, and the route each end needs.
 *
 *      pod                                     node
 *      eth0 10.244.1.7/32                      veth1f03c2a4b6d (no IPv4 address)
 *      default via 169.254.1.1 ──────────────▶ 10.244.1.7 dev veth1f03c2a4b6d
 *      169.254.1.1 is at 02:76:65:74:68:01 ──▶ its MAC address, the same on every node and cable
 *
 * There is no bridge: each pod is alone on its cable, and the node routes. The gateway's IPv4 address belongs to nobody.
 * The pod knows its MAC address by a permanent neighbour entry, so it never asks. Were it the node's own, the node would
 * use it as its source towards pods. In IPv6 the node's end has fe80::1, which is only ever valid on that cable.
 */
import { CABLES } from "../shared/table.ts";
import { cidrOf, macOf, parseCidr, parseIp, parseMac, type Cidr, type Family, type Ip, type Link, type Netns } from "@vethwork/linux";

/** 118 is "v". Routing daemons have numbers of their own: 12 bird, 42 babel, 186 bgp, 188 ospf (linux/rtnetlink.h). */
export const ROUTE_PROTOCOL = 118;
/** Locally administered; the rest spells "veth". One MAC for all node ends, so that a pod's entry for it never goes stale. */
export const GATEWAY_MAC = parseMac("02:76:65:74:68:01");

export const gatewayOf = (family: Family): Ip => parseIp(family === 4 ? "169.254.1.1" : "fe80::1");
export const defaultRoute = (family: Family): Cidr => parseCidr(family === 4 ? "0.0.0.0/0" : "::/0");

export interface Cable {
  /** Name of the node's end, and of the pod's. */
  outside: string;
  inside: string;
  addresses: readonly Ip[];
  /** In bytes. */
  mtu: number;
  /** Label of the node's end, for people and for GC. */
  alias: string;
  /** The pod may send with its own addresses alone. */
  sourceCheck: boolean;
}

/**
 * Makes the pair with its inner end already inside the pod. Both MAC addresses are given: one that the kernel chose,
 * udev would replace (systemd.link's MACAddressPolicy=persistent), and the pod's neighbour entry would be wrong.
 */
export function addCable(host: Netns, pod: Netns, { outside, inside, addresses, mtu, sourceCheck }: Cable): void {
  const [first] = addresses;
  const mac = first && macOf(first);
  const peer = { name: inside, netnsFd: pod.fd, mtu, ...(mac && { mac }) };
  host.links.add({ kind: "veth", name: outside, mac: GATEWAY_MAC, mtu, peer, ...(sourceCheck && { group: CABLES }) });
}

/** The node's end: no IPv6 address of its own making, up, and a route to each of the pod's addresses. */
export function dressNode(host: Netns, { outside, addresses, alias, sourceCheck }: Cable): Link {
  const link = host.links.get(outside);
  // A pod must not become its node's router by advertising itself, nor send with an address that is not its own. The rule
  // of ../shared/table.ts sees to that; of IPv4 the kernel can do so by itself, unless the node's `all/rp_filter` is 2.
  host.sysctl.setIfThere(`net/ipv6/conf/${outside}/accept_ra`, 0);
  host.sysctl.set(`net/ipv4/conf/${outside}/rp_filter`, Number(sourceCheck));
  const hasIpv6 = addresses.some(({ family }) => family === 6);
  host.links.set(link, { alias, up: true, ...(hasIpv6 && { linkLocal: false }) });
  if (hasIpv6) host.addrs.add(link, { address: cidrOf(gatewayOf(6), 64), nodad: true, scope: 253 });
  for (const ip of addresses) host.routes.ensure({ dst: cidrOf(ip), link: link.index, protocol: ROUTE_PROTOCOL });
  return link;
}

/** The pod's end: address, then up, then routes, since a route needs a device that is up. */
export function dressPod(pod: Netns, { inside, addresses }: Cable): Link {
  const link = pod.links.get(inside);
  if (addresses.some(({ family }) => family === 6)) enableIpv6(pod, inside);
  for (const ip of addresses) pod.addrs.add(link, { address: cidrOf(ip), nodad: true });
  pod.links.set(link, { up: true });
  for (const { family } of addresses) {
    const gateway = gatewayOf(family);
    pod.neighbours.ensure(link, { ip: gateway, mac: GATEWAY_MAC });
    // IPv6 finds fe80::1 on the link by itself; IPv4 must be told that 169.254.1.1 is there.
    if (family === 4) pod.routes.ensure({ dst: cidrOf(gateway), link: link.index });
    pod.routes.ensure({ dst: defaultRoute(family), via: gateway, link: link.index });
  }
  return link;
}

/** Runtimes may have switched IPv6 off in the pod. Nobody else is on the cable, so no address is tried for duplicates. */
function enableIpv6(pod: Netns, ifname: string): void {
  for (const device of ["lo", ifname]) pod.sysctl.setIfThere(`net/ipv6/conf/${device}/disable_ipv6`, 0);
  pod.sysctl.setIfThere(`net/ipv6/conf/${ifname}/accept_dad`, 0);
}

/** What is not as addCable and the two dressings left it, in words; nothing where all is well. */
export function cableFaults(host: Netns, pod: Netns, { outside, inside, addresses, sourceCheck }: Omit<Cable, "mtu" | "alias">): string[] {
  const [near, far] = [host.links.find(outside), pod.links.find(inside)];
  if (!near || !far) return [near ? `the pod has no interface "${inside}"` : `the node has no interface "${outside}"`];
  const have = pod.addrs.list({ link: far }).map(({ address }) => String(address));
  const routes = pod.routes.list({ link: far.index });
  const faults = [near, far].filter(({ up }) => !up).map(({ name }) => `interface "${name}" is down`);
  if (sourceCheck && near.group !== CABLES) faults.push(`"${outside}" has left group ${CABLES}, by which rules know cables: senders are not looked at`);
  for (const ip of addresses) {
    const gateway = gatewayOf(ip.family);
    if (!have.includes(String(cidrOf(ip)))) faults.push(`"${inside}" has lost its address ${ip}`);
    if (host.routes.findEntry(ip)?.link !== near.index) faults.push(`the node has no route to ${ip} by "${outside}"`);
    const isDefault = routes.some(({ dst, via }) => dst.prefix === 0 && String(via) === String(gateway));
    if (!isDefault) faults.push(`the pod has no default route by ${gateway}`);
    const entry = pod.neighbours.list({ link: far, family: ip.family }).find((one) => String(one.ip) === String(gateway));
    if (String(entry?.mac) !== String(GATEWAY_MAC)) faults.push(`the pod does not know that ${gateway} is at ${GATEWAY_MAC}`);
  }
  return faults;
}

/**
 * MTU of the device by which this node reaches the world; Ethernet's where it does not. The kernel is asked for its way
 * to an address that only a default route leads to: nobody has it (RFC 1112 section 4 reserves it; IANA never gave it).
 */
export function worldMtu(host: Netns): number {
  const ETHERNET = 1500;
  for (const nobody of ["240.0.0.1", "2000::1"]) {
    const device = host.routes.find(parseIp(nobody))?.link;
    const link = device === undefined ? undefined : host.links.find(device);
    if (link && !link.loopback) return link.mtu;
  }
  return ETHERNET;
}
