/**
 * WireGuard: tunnels whose other ends are known by their public keys (wg(8), https://www.wireguard.com/protocol/).
 *
 *     packet to 10.244.2.9  ──▶  whose allowed addresses is that in?  ──▶  encrypted for that key  ──▶  UDP to its endpoint
 *     UDP from anywhere     ──▶  decrypted with the sender's key      ──▶  is its source among that key's allowed addresses?
 *
 * The link is made by ./links.ts; here is what only WireGuard has: keys, and peers with where they are and what they may send.
 */
import { afOf, bitsOf, cidrOf, ipFrom, networkOf, type Cidr } from "./ip.ts";
import { genericFamily } from "./genetlink.ts";
import type { Link } from "./links.ts";
import type { NetlinkSocket } from "./netlink.ts";
import type { Netns } from "./netns.ts";
import { endpointFrom, sockaddrOf, type Endpoint } from "./sockaddr.ts";
import { WGPEER_F, WG_CMD, device as deviceMessage, type WGDEVICE_A, type WGPEER_A } from "./uapi/wireguard.ts";
import { NETLINK } from "./uapi/netlink.ts";
import type { Value } from "./wire/codec.ts";

type On = Pick<Link, "index" | "name">;

export interface WireguardPeer {
  /** Its public key, 32 bytes in base64, as wg(8) prints it. */
  key: string;
  /** Where it is; it may have told another address since, by sending from there. */
  endpoint?: Endpoint | undefined;
  /** Addresses that are to be found there, and that it may send from. */
  allowed: readonly Cidr[];
}

export interface WireguardDevice {
  /** Our own public key; "" where the device has none yet. */
  key: string;
  /** The UDP port. */
  port: number;
  peers: WireguardPeer[];
}

export interface WireguardChanges {
  /** Our private key, 32 bytes. */
  privateKey?: Uint8Array;
  port?: number;
  /** Peers to make, or to give these addresses and no others. */
  ensure?: readonly WireguardPeer[];
  /** Keys of peers to take away. */
  remove?: readonly string[];
}

export interface Wireguard {
  /** KernelError ENOENT where this kernel has no WireGuard. */
  get(link: On): WireguardDevice;
  set(link: On, changes: WireguardChanges): void;
}

type PeerAttrs = Value<typeof WGPEER_A>;
type DeviceAttrs = Value<typeof WGDEVICE_A>;

/** All peers of a message are in one attribute, whose length has 16 bits. */
const PORTION = 100;

/** Of the WireGuard devices in the namespace. */
export const wireguardIn = (netns: Pick<Netns, "netlink">): Wireguard => createWireguard(() => netns.netlink(NETLINK.GENERIC));

/** @param socket a socket of NETLINK.GENERIC in the devices' namespace, opened when first used */
export function createWireguard(socket: () => NetlinkSocket): Wireguard {
  const wireguard = genericFamily(socket, "wireguard");
  return {
    get: ({ index, name }) => {
      const value = { cmd: WG_CMD.GET_DEVICE, version: 1, attrs: { IFINDEX: index } };
      const parts = wireguard.dump({ what: `get WireGuard of "${name}"`, codec: deviceMessage, value }, (body) => deviceMessage.decode(body).attrs);
      return deviceFrom(parts);
    },
    set: ({ index, name }, changes) => {
      for (const attrs of messagesFor(changes)) {
        const value = { cmd: WG_CMD.SET_DEVICE, version: 1, attrs: { IFINDEX: index, ...attrs } };
        wireguard.request({ what: `set WireGuard of "${name}"`, codec: deviceMessage, value });
      }
    },
  };
}

/** Keys first, peers that go before those that come: an address that is one's own cannot be another's at the same time. */
function messagesFor({ privateKey, port, ensure = [], remove = [] }: WireguardChanges): DeviceAttrs[] {
  const own = { ...(privateKey && { PRIVATE_KEY: privateKey }), ...(port !== undefined && { LISTEN_PORT: port }) };
  const peers = [...remove.map((key): PeerAttrs => ({ PUBLIC_KEY: keyBytes(key), FLAGS: WGPEER_F.REMOVE_ME })), ...ensure.map(attrsOf)];
  const portions = Array.from({ length: Math.ceil(peers.length / PORTION) }, (_, at) => ({ PEERS: peers.slice(at * PORTION, (at + 1) * PORTION) }));
  return [...(Object.keys(own).length > 0 ? [own] : []), ...portions];
}

function attrsOf({ key, endpoint, allowed }: WireguardPeer): PeerAttrs {
  return {
    PUBLIC_KEY: keyBytes(key),
    FLAGS: WGPEER_F.REPLACE_ALLOWEDIPS,
    ...(endpoint && { ENDPOINT: sockaddrOf(endpoint) }),
    ALLOWEDIPS: allowed.map((cidr) => ({ FAMILY: afOf(cidr.family), IPADDR: networkOf(cidr).ip.bytes, CIDR_MASK: cidr.prefix })),
  };
}

/** Of the parts of one device; a peer with many addresses goes on in the next, with its key and nothing else but more of them. */
function deviceFrom(parts: readonly DeviceAttrs[]): WireguardDevice {
  const peers = new Map<string, WireguardPeer>();
  for (const { PUBLIC_KEY, ENDPOINT, ALLOWEDIPS = [] } of parts.flatMap(({ PEERS = [] }) => PEERS)) {
    const key = PUBLIC_KEY ? textOf(PUBLIC_KEY) : "";
    const before = peers.get(key);
    const allowed = [...(before?.allowed ?? []), ...ALLOWEDIPS.flatMap(cidrFrom)];
    peers.set(key, { key, endpoint: ENDPOINT ? endpointFrom(ENDPOINT) : before?.endpoint, allowed });
  }
  const [first = {}] = parts;
  return { key: first.PUBLIC_KEY ? textOf(first.PUBLIC_KEY) : "", port: first.LISTEN_PORT ?? 0, peers: [...peers.values()] };
}

function cidrFrom({ IPADDR, CIDR_MASK }: NonNullable<PeerAttrs["ALLOWEDIPS"]>[number]): Cidr[] {
  if (!IPADDR || (IPADDR.length !== 4 && IPADDR.length !== 16)) return [];
  const ip = ipFrom(IPADDR);
  return [cidrOf(ip, CIDR_MASK ?? bitsOf(ip.family))];
}

const KEY_LENGTH = 32;
const textOf = (key: Uint8Array): string => Buffer.from(key).toString("base64");

/** True where a text is a key: 32 bytes in base64, in the one spelling that there is for them. */
export const isWireguardKey = (text: string): boolean => text.length === 44 && textOf(Buffer.from(text, "base64")) === text && Buffer.from(text, "base64").length === KEY_LENGTH;

function keyBytes(text: string): Uint8Array {
  if (isWireguardKey(text)) return new Uint8Array(Buffer.from(text, "base64"));
  throw new RangeError(`Cannot use "${text}" as a WireGuard key (32 bytes in base64 are wanted)`);
}
