/**
 * Forwarding: a node with pods is a router.
 *
 * It is switched on and never off: others on the node may have come to need it, and nobody counts who does.
 */
import type { Family, Netns } from "@vethwork/linux";

/** Lets the node pass on packets of a family that are not for itself. */
export function ensureForwarding(host: Netns, family: Family): void {
  if (family === 4) {
    host.sysctl.set("net/ipv4/ip_forward", 1);
    return;
  }
  if (host.sysctl.find("net/ipv6/conf/all/forwarding") === "1") return;
  keepRouterAdvertisements(host);
  host.sysctl.set("net/ipv6/conf/all/forwarding", 1);
}

/** True where the node passes packets on. */
export function isForwarding(host: Netns, family: Family): boolean {
  return host.sysctl.find(family === 4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding") === "1";
}

/**
 * A router does not listen to other routers' advertisements (RFC 4861 section 6.2.5, accept_ra 1), so a node that has
 * its IPv6 default route from one would lose it within minutes. accept_ra 2 listens all the same.
 */
function keepRouterAdvertisements(host: Netns): void {
  for (const device of host.sysctl.list("net/ipv6/conf")) {
    if (device === "all" || device === "default" || device === "lo") continue;
    const name = `net/ipv6/conf/${device}/accept_ra`;
    if (host.sysctl.find(name) === "1") host.sysctl.set(name, 2);
  }
}
