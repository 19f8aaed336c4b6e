/**
 * The underlay: how this node reaches addresses outside, asked of the kernel itself, so that its rules and tables count and
 * nothing is guessed from prefixes.
 *
 *     192.0.2.12   ──► 192.0.2.12 dev eth0                  on a link of ours
 *     198.51.100.3 ──► 198.51.100.3 via 192.0.2.1 dev eth0  behind a router
 *     192.0.2.11   ──► an address of eth0                   our own
 */
import type { Ip, Netns, Route } from "@vethwork/linux";
import type { Reach, Underlay } from "./ways.ts";

const ETHERNET = 1500;

/** As things are now; each address is asked for once. */
export function underlayOf(host: Netns): Underlay {
  const links = new Map(host.links.list().map((link) => [link.index, link]));
  const own = new Map(host.addrs.list().map(({ address, link }) => [String(address.ip), link]));
  const known = new Map<string, Reach | undefined>();
  const ask = (ip: Ip, text: string): Reach | undefined => {
    const route = own.has(text) ? undefined : routeTo(host, ip);
    const link = links.get(own.get(text) ?? route?.link ?? 0);
    if (!link || (route && route.type !== "unicast")) return undefined;
    const mtu = link.loopback ? ETHERNET : Math.min(link.mtu, route?.mtu ?? link.mtu); // an address on lo is reached by any link
    return { link: link.name, mtu, ...(route?.via && { via: route.via }), ...(!route && { own: true }) };
  };
  return (ip) => {
    const text = String(ip);
    if (!known.has(text)) known.set(text, ask(ip, text));
    return known.get(text);
  };
}

/** The table's entry, which does not change with what this node has learned of the way for some minutes; of one with several next hops the way taken. */
function routeTo(host: Netns, ip: Ip): Pick<Route, "link" | "type" | "via" | "mtu"> | undefined {
  const entry = host.routes.findEntry(ip);
  if (!entry || entry.link !== undefined) return entry;
  const { link, type, via } = host.routes.find(ip) ?? {};
  return { ...(link !== undefined && { link }), ...(type && { type }), ...(via && { via }) };
}
