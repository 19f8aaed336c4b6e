/**
 * Names by which rules say whose they are: an interface of a container in a network. They are those of the reference
 * plugins, digit by digit, so that either finds the other's.
 *
 *     nftables   comment "d23676b4f2d9fe04-ebce0e3dd4dafae3, net: mynet, if: eth0, id: abc123"
 *     iptables   chain CNI-2bbe0c48b91a7d1b8a6753a8, of network and container; comment name: "mynet" id: "abc123"
 */
import type { Owner } from "./attachment.ts";

const LONGEST_COMMENT = 127; // bytes that the kernel's user data has room for, as nft(8) reads it
const LONGEST_CHAIN = 28; // letters that iptables gives a chain

/** A chain of the container's own in iptables, by what its name begins with. It leaves the interface out: two of one container share it. */
export const chainOf = (prefix: string, { network, containerId }: Omit<Owner, "ifname">): string => `${prefix}${sha512Of(network + containerId)}`.slice(0, LONGEST_CHAIN);

/** What every comment of the network begins with in nftables, and what those of one interface do. */
export const networkMark = (network: string): string => `${short(network)}-`;
export const ownerMark = ({ network, containerId, ifname }: Owner): string => networkMark(network) + short(`${ifname}:${containerId}`);

/** The whole comment in nftables. */
export function commentOf(owner: Owner): string {
  const { network, ifname, containerId } = owner;
  const plain = `${ownerMark(owner)}, net: ${network}, if: ${ifname}, id: ${containerId}`.replaceAll('"', "");
  const bytes = new TextEncoder().encode(plain).subarray(0, LONGEST_COMMENT);
  return new TextDecoder().decode(bytes, { stream: true }); // a letter that is cut in two is left out: its sign for that would be longer
}

/** The comment of iptables' rules. */
export const iptablesComment = ({ network, containerId }: Omit<Owner, "ifname">): string => `name: "${network}" id: "${containerId}"`;

/** The digest that the reference makes names of, in hexadecimal. */
export const sha512Of = (text: string): string => new Bun.CryptoHasher("sha512").update(text).digest("hex");
const short = (text: string): string => sha512Of(text).slice(0, 16);
