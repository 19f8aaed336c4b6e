/** The switch itself: the bridge that pods are plugged into, and the gateway's address on it. */
import { CniError, ErrorCode, type IpConfig } from "@vethwork/cni";
import { cidrOf, networkOf, overlaps, parseCidr, parseIp, plus, sameCidr, unless, type Cidr, type Link, type Netns } from "@vethwork/linux";
import type { Plan } from "./options.ts";
import { withVlans } from "./vlan.ts";

/** Finds the bridge or makes it, and has it up. What it is already is not changed: other pods hang on it. */
export function ensureBridge(host: Netns, plan: Plan): Link {
  const { bridge: name, promiscMode } = plan;
  const bridge = host.links.find(name) ?? addBridge(host, plan);
  if (bridge.kind !== "bridge") {
    throw new CniError(ErrorCode.INVALID_CONFIG, `failed to create bridge "${name}": "${name}" already exists but is not a bridge`);
  }
  // The node must not take IPv6 routes from whatever a pod advertises onto the bridge.
  host.sysctl.setIfThere(`net/ipv6/conf/${name}/accept_ra`, 0);
  if (promiscMode && !bridge.promisc) host.links.set(bridge, { promisc: true });
  if (!bridge.up) host.links.set(bridge, { up: true });
  return bridge;
}

function addBridge(host: Netns, { bridge: name, mtu, vlan, trunk }: Plan): Link {
  const filters = vlan > 0 || trunk !== undefined;
  const bridge = { kind: "bridge", name, ...(mtu > 0 && { mtu }), ...(filters && { vlanFiltering: true }) } as const;
  unless(["EEXIST"], () => withVlans(() => host.links.add(bridge))); // of many at once one makes it
  // It asks for pods' MAC addresses from its link-local address, which is to be of use before the first pod is.
  host.sysctl.setIfThere(`net/ipv6/conf/${name}/accept_dad`, 0);
  return host.links.get(name);
}

/** The gateway with its subnet's prefix length, as the bridge is to have it. */
export const gatewayOf = ({ address, gateway }: IpConfig): Cidr => {
  const { prefix } = parseCidr(address);
  return cidrOf(parseIp(gateway ?? firstOf(address)), prefix);
};

/** The customary place of a gateway: the first address of the subnet. */
export const firstOf = (address: string): string => String(plus(networkOf(parseCidr(address)).ip, 1n));

/** Gives the link the address. A bridge has one IPv4 address, and none in IPv6 subnets that overlap. */
export function ensureAddress(host: Netns, link: Link, address: Cidr, { forceAddress }: Pick<Plan, "forceAddress">): void {
  const held = host.addrs.list({ link, family: address.family }).map((one) => one.address);
  if (held.some((one) => sameCidr(one, address))) return;
  for (const other of held.filter((one) => one.family === 4 || overlaps(one, address))) {
    if (!forceAddress) {
      throw new CniError(ErrorCode.INVALID_CONFIG, `"${link.name}" already has an IP address different from ${address}`, { details: `it has ${other}; "forceAddress" would replace it` });
    }
    host.addrs.delete(link, other);
  }
  if (!unless(["EEXIST"], () => (host.addrs.add(link, { address, nodad: true }), true))) return; // another ADD was first
  // A bridge takes the lowest MAC address of its ports, until it is given one. Pods remember their gateway's: let it be
  // the one that it had before our port came.
  if (link.mac) host.links.set(link, { mac: link.mac });
}
