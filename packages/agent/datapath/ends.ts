/**
 * The ends of tunnels: what every node knows of every other without a word between them.
 *
 *     outside   192.0.2.12      the node's own address, from the Node object
 *     MAC       5e:21:…         made of the node's name
 *     inside    10.244.2.0      the first address of its pods' subnet, which is no pod's
 *
 * So a route to a node's pods can be made before that node's agent has started, and is right when it has. All nodes of a
 * cluster have the same numbers here; those of the neighbours stand beside them.
 */
import { macFrom, networkOf, type Cidr, type Family, type Ip, type Mac } from "@vethwork/linux";

/** Of VXLAN, UDP. Flannel and Cilium have 8472, Calico and Docker 4789 (IANA's, which some hypervisors keep for themselves), Antrea's Geneve 6081. */
export const VXLAN_PORT = 8475;
/** Which network in VXLAN: "vet". Flannel has 1, Calico 4096. */
export const VNI = 0x76_6574;
/** Of WireGuard, UDP. wg-quick and flannel have 51820, Calico 51820 and 51821, Cilium 51871. */
export const WIREGUARD_PORT = 8476;

/** One device for each family that nodes have outside; either carries both families of pods. */
export const vxlanName = (outside: Family): string => `vethwork-vxlan${outside}`;
export const WIREGUARD_NAME = "vethwork-wg";
/** All names that links of the data path ever have. */
export const LINK_NAMES: readonly string[] = [vxlanName(4), vxlanName(6), WIREGUARD_NAME];

/**
 * What wrapping adds to a packet, in bytes. VXLAN: the outer IP header (20, or 40), UDP 8, VXLAN 8, the inner Ethernet header
 * 14 (RFC 7348). WireGuard: IP, UDP 8, its own header 16 and authentication 16.
 */
export const OVERHEAD = { vxlan: { 4: 50, 6: 70 }, wireguard: { 4: 60, 6: 80 } } as const;

/** The MAC address of a node's end: locally administered, unicast, and 46 bits of its name's digest. */
export function macOfNode(name: string): Mac {
  const bytes = new Uint8Array(new Bun.CryptoHasher("sha256").update(name).digest().subarray(0, 6));
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return macFrom(bytes);
}

/** The address that a node's end has inside, in the family of its pods' subnet: where the subnet is routed to, and what the node itself sends from. */
export const endOf = (podSubnet: Cidr): Ip => networkOf(podSubnet).ip;
