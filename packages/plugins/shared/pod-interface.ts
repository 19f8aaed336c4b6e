/**
 * The pod's interface: addresses, then up, then routes, since a route needs a device that is up.
 *
 *     eth0 10.1.2.5/24       an address brings the route to its subnet with it
 *     default via 10.1.2.1   a route without a gateway takes that of the first address of its family
 *
 * IPv6 addresses are used at once: IPAM keeps them unique, and looking for duplicates (RFC 4862 section 5.4) costs the
 * pod one to two seconds in which it cannot send. Who wants it all the same waits for its end here.
 */
import { CniError, ErrorCode, type Args, type Result, type Route } from "@vethwork/cni";
import { networkOf, parseCidr, parseIp, pause, sameIp, type Family, type Link, type Netns } from "@vethwork/linux";
import { addressesOf } from "./chained.ts";

/** What ip(8) and the reference plugins leave in a route's protocol field: "boot", somebody who is not a daemon. */
const BOOT = 3;
/** The reference waits as long. */
const DAD_TIMEOUT_MS = 5_000;

export interface Dress extends Pick<Result, "ips" | "routes"> {
  /** Look for duplicates of IPv6 addresses, and wait for the outcome. */
  dad: boolean;
  /** The same of its link-local address, also where it gets no other. */
  linkLocal?: boolean;
  /** Of which families to tell the others on the link who has the addresses now: one of them may remember who had them before. */
  announce: readonly Family[];
}

/** Gives the link what the result says, and switches it on. */
export function dressInterface(pod: Netns, link: Link, { ips = [], routes = [], dad, linkLocal = false, announce }: Dress): void {
  const addresses = ips.map(({ address }) => parseCidr(address));
  const hasIpv6 = addresses.some(({ family }) => family === 6);
  for (const family of announce) pod.sysctl.setIfThere(family === 4 ? `net/ipv4/conf/${link.name}/arp_notify` : `net/ipv6/conf/${link.name}/ndisc_notify`, 1);
  if (hasIpv6) enableIpv6(pod, link);
  if (hasIpv6 || linkLocal) setDad(pod, link, dad);
  for (const address of addresses) pod.addrs.add(link, { address, nodad: !dad });
  pod.links.set(link, { up: true });
  if (hasIpv6 && dad) waitForDad(pod, link);
  for (const route of withGateways(routes, ips)) pod.routes.prepend(kernelRoute(route, link));
}

/** Runtimes may have switched IPv6 off in the pod. Its addresses stay when the link goes down and up again. */
function enableIpv6(pod: Netns, { name }: Link): void {
  for (const device of ["lo", name]) pod.sysctl.setIfThere(`net/ipv6/conf/${device}/disable_ipv6`, 0);
  pod.sysctl.setIfThere(`net/ipv6/conf/${name}/keep_addr_on_down`, 1);
}

/** Whether the kernel looks for duplicates of the link's IPv6 addresses, its link-local one among them. */
function setDad(pod: Netns, { name }: Link, dad: boolean): void {
  if (dad) pod.sysctl.setIfThere(`net/ipv6/conf/${name}/enhanced_dad`, 1);
  pod.sysctl.setIfThere(`net/ipv6/conf/${name}/accept_dad`, dad ? 1 : 0);
}

function waitForDad(pod: Netns, link: Link): void {
  const deadline = performance.now() + DAD_TIMEOUT_MS;
  for (;;) {
    const addresses = pod.addrs.list({ link, family: 6 });
    const twin = addresses.find(({ duplicate }) => duplicate);
    if (twin) throw new CniError(ErrorCode.INTERNAL, `link ${link.name} has address ${twin.address.ip} in DADFAILED state (another host has it)`);
    if (!addresses.some(({ tentative }) => tentative) || performance.now() > deadline) return;
    pause(50);
  }
}

/** A route once, each with its next hop: its own, or the gateway of the first address of its family that has one. */
export function withGateways(routes: readonly Route[], ips: Result["ips"] = []): Route[] {
  const whole = routes.map((route): Route => {
    const { family } = parseCidr(route.dst);
    const gw = route.gw ?? ips.find(({ address, gateway }) => gateway && parseCidr(address).family === family)?.gateway;
    return gw === undefined ? route : { ...route, gw };
  });
  if (whole.length < 2) return whole;
  const texts = whole.map((route) => JSON.stringify(Object.entries(route).toSorted(([a], [b]) => (a < b ? -1 : 1))));
  return whole.filter((_, at) => texts.indexOf(texts[at] ?? "") === at);
}

function kernelRoute({ dst, gw, mtu, advmss, priority, table, scope }: Route, link: Link) {
  return {
    dst: parseCidr(dst), link: link.index, protocol: BOOT, scope: scope ?? 0,
    ...(gw !== undefined && { via: parseIp(gw) }),
    ...(mtu !== undefined && { mtu }), ...(advmss !== undefined && { advmss }),
    ...(priority !== undefined && { metric: priority }), ...(table !== undefined && { table }),
  };
}

/** What of the result the pod no longer has, in words. Addresses that the result gives to another interface are not ours to miss. */
export function interfaceFaults(pod: Netns, ifname: string, result: Result): string[] {
  const { routes = [] } = result;
  const ips = addressesOf(ifname, result);
  const link = pod.links.find(ifname);
  if (!link) return [`the pod has no interface "${ifname}"`];
  const have = pod.addrs.list({ link }).map(({ address }) => String(address));
  const lost = ips.map(({ address }) => String(parseCidr(address))).filter((address) => !have.includes(address));
  const gone = withGateways(routes, ips).filter((route) => !hasRoute(pod, route));
  return [
    ...(link.up ? [] : [`"${ifname}" is down`]),
    ...lost.map((address) => `"${ifname}" has lost its address ${address}`),
    ...gone.map(({ dst, gw }) => `the pod has lost its route to ${dst}${gw === undefined ? "" : ` via ${gw}`}`),
  ];
}

/** The same, and whether the interface is in the result, and is the one of then: with the MAC address that was told. */
export function attachmentFaults(pod: Netns, { ifname, netns }: Pick<Args, "ifname" | "netns">, result: Result): string[] {
  const told = result.interfaces?.find(({ name, sandbox }) => name === ifname && sandbox === netns);
  const now = pod.links.find(ifname)?.mac;
  const isOther = now !== undefined && told?.mac !== undefined && String(now) !== told.mac;
  return [
    ...(told ? [] : [`the result has no interface "${ifname}" in "${netns}"`]),
    ...interfaceFaults(pod, ifname, result),
    ...(isOther ? [`"${ifname}" has the MAC address ${now} instead of ${told?.mac}`] : []),
  ];
}

/**
 * By whatever device and in whatever table: a later plugin of the chain may have brought a device of its own (vethwork), or have
 * moved the routes (sbr, vrf). The gateway 0.0.0.0 says that there is none (dhcp).
 */
function hasRoute(pod: Netns, { dst, gw, table }: Route): boolean {
  const network = networkOf(parseCidr(dst));
  const none = parseIp(network.family === 4 ? "0.0.0.0" : "::");
  return pod.routes.list({ dst: network, table: table ?? "all" }).some(({ via = none }) => gw === undefined || sameIp(via, parseIp(gw)));
}
