/**
 * A lease: what a server granted, until when, and to whom. In this form it lies on disk, and goes from the daemon to the plugin.
 *
 *     since          T1 renews           T2 rebinds    end
 *       ├────────────────┼───────────────────┼──────────┤       seconds; T1 and T2 as the server says, else 1/2 and 7/8
 *
 * Times are counted from the machine's start (CLOCK_BOOTTIME): nobody sets that clock, and it goes on while the machine sleeps.
 */
import { cidr, integer, ip, list, mac, object, record, required, string, stringList } from "@vethwork/cni";
import { digestOf } from "../shared/attachment.ts";
import { routes } from "../shared/ipam/lease.ts";

/** Who has one: an interface of a container in a network. */
export interface Owner {
  network: string;
  containerId: string;
  ifname: string;
}

/** One text for each owner, fit for a file's name: none of the three may hold a colon. */
export function keyOf({ network, containerId, ifname }: Owner): string {
  const readable = `${network}:${containerId}:${ifname}`;
  return readable.length <= 200 ? readable : digestOf(readable);
}

/** All that is still valid of a network, as GC tells it. */
export interface Census {
  network: string;
  keep: readonly Omit<Owner, "network">[];
}

/** True of an owner in that network that is not on the list. */
export function isStale(owner: Owner, { network, keep }: Census): boolean {
  return owner.network === network && !keep.some(({ containerId, ifname }) => containerId === owner.containerId && ifname === owner.ifname);
}

const wishParser = object({
  network: [string, required, "The network's name."],
  containerId: [string, required, "The container."],
  ifname: [string, required, "Its interface."],
  netns: [string, required, "The path of its namespace, as the runtime gave it."],
  tell: [record(string), {}, "Options for the server, by number; their bytes in hexadecimal."],
  ask: [list(integer({ min: 1, max: 254 })), [], "The numbers of the options that the server is asked for."],
});
/** What a plugin wants of the daemon. */
export type Wish = ReturnType<typeof wishParser.parse>;

const leaseParser = object({
  address: [cidr, required, "The address, with the length of its subnet's prefix."],
  server: [ip, required, "The server that granted it."],
  serverMac: [mac, required, "Where its answer came from: the server itself, or the router that leads to it."],
  since: [integer({ min: 0 }), required, "When it was asked for, in milliseconds since the machine's start."],
  seconds: [integer({ min: 0 }), required, "For how long; 4294967295 is for ever."],
  renewAfter: [integer({ min: 0 }), required, "When to ask its server again, in seconds: T1."],
  rebindAfter: [integer({ min: 0 }), required, "When to ask every server: T2."],
  gateway: [ip, undefined, "The first router."],
  routes: [routes, [], "The way out, and other ways."],
  nameservers: [stringList, [], "Name servers."],
  domain: [string, "", "The local domain."],
  search: [stringList, [], "Domains in which short names are looked up."],
  mtu: [integer({ min: 0, max: 0xffff }), 0, "The largest packet on this network; 0 where the server did not say."],
});
export type Lease = ReturnType<typeof leaseParser.parse>;

const heldParser = object({
  wish: [wishParser, required, "Who has it, and what they asked for."],
  mac: [mac, required, "The interface's MAC address."],
  boot: [string, required, "The boot in which it was granted."],
  lease: [leaseParser, required, "What was granted."],
});
/** A lease with its owner: what is written down. */
export type Held = ReturnType<typeof heldParser.parse>;

const ownerParser = object({
  network: [string, required, "The network's name."], containerId: [string, required, "The container."], ifname: [string, required, "Its interface."],
});

/** Readers of what came from outside. CniError 7 where it is not in this form. */
export const parseOwner = (value: unknown): Owner => ownerParser.parse(value, "owner");
export const parseWish = (value: unknown): Wish => wishParser.parse(value, "wish");
export const parseLease = (value: unknown): Lease => leaseParser.parse(value, "lease");
export const parseHeld = (value: unknown): Held => heldParser.parse(value, "");

/** The lease time that means "for ever" (RFC 2131 section 3.3). */
export const FOREVER = 0xffff_ffff;

/** Milliseconds since the machine's start at which something is due. */
export interface Times {
  renew: number;
  rebind: number;
  end: number;
}

export function timesOf({ since, seconds, renewAfter, rebindAfter }: Lease): Times {
  if (seconds === FOREVER) return { renew: Infinity, rebind: Infinity, end: Infinity };
  return { renew: since + renewAfter * 1000, rebind: since + rebindAfter * 1000, end: since + seconds * 1000 };
}
