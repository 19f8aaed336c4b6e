/**
 * Names of what masquerades a pod: those of the reference plugins, digit by digit, so that either finds the other's.
 *
 *     iptables   chain CNI-2bbe0c48b91a7d1b8a6753a8          of network and container
 *     nftables   comment "d23676b4f2d9fe04-ebce0e3dd4dafae3, net: mynet, if: eth0, id: abc123"
 */
import type { Owner } from "../attachment.ts";

const LONGEST_COMMENT = 127; // bytes that the kernel's user data has room for, as nft(8) reads it

/** The chain's name in iptables' table nat. It leaves the interface out: two of one container share it. */
export const chainOf = ({ network, containerId }: Omit<Owner, "ifname">): string => `CNI-${sha512Of(network + containerId)}`.slice(0, 28);

/** What every comment of the network begins with in nftables, and what those of one interface do. */
export const networkMark = (network: string): string => `${short(network)}-`;
export const ownerMark = ({ network, containerId, ifname }: Owner): string => networkMark(network) + short(`${ifname}:${containerId}`);

/** The whole comment in nftables. */
export function commentOf(owner: Owner): string {
  const { network, ifname, containerId } = owner;
  const plain = `${ownerMark(owner)}, net: ${network}, if: ${ifname}, id: ${containerId}`.replaceAll('"', "");
  return new TextDecoder().decode(new TextEncoder().encode(plain).subarray(0, LONGEST_COMMENT));
}

/** The comment of iptables' rules. */
export const iptablesComment = ({ network, containerId }: Omit<Owner, "ifname">): string => `name: "${network}" id: "${containerId}"`;

/** The digest that the reference makes names of, in hexadecimal. */
export const sha512Of = (text: string): string => new Bun.CryptoHasher("sha512").update(text).digest("hex");
const short = (text: string): string => sha512Of(text).slice(0, 16);
