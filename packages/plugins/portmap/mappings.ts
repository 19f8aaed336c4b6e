/**
 * Port mappings: which port of the node leads to which port of the pod, one for each family that the pod has an address of.
 *
 *     192.0.2.1:8080/tcp ──► 10.1.2.5:80          hostIP named: that address alone
 *           any:8080/tcp ──► 10.1.2.5:80          hostIP 0.0.0.0, or none
 *           any:8080/tcp ──► [fd00:1:2::5]:80     hostIP ::, or none
 */
import { CniError, ErrorCode, type Args, type Result } from "@vethwork/cni";
import { ipFrom, parseCidr, parseIp, type Cidr, type Family, type Ip } from "@vethwork/linux";
import { addressesOf } from "../shared/chained.ts";
import type { PortMapping, Transport } from "./options.ts";

/** A port of the node: of one of its addresses, or of all of a family. */
export interface HostPort {
  family: Family;
  hostIp: Ip | undefined;
  protocol: Transport;
  hostPort: number;
}

export interface Mapping extends HostPort {
  /** With its prefix: who is in the pod's subnet needs the node's help to hear its answers. */
  pod: Cidr;
  containerPort: number;
}

/** "8080/tcp", "192.0.2.1:8080/tcp". */
export function textOf({ hostIp, hostPort, protocol }: HostPort): string {
  const at = hostIp === undefined ? "" : hostIp.family === 6 ? `[${hostIp}]:` : `${hostIp}:`;
  return `${at}${hostPort}/${protocol}`;
}

/** "10.1.2.5:80", "[fd00:1:2::5]:80". */
export const targetOf = ({ pod: { ip, family }, containerPort }: Pick<Mapping, "pod" | "containerPort">): string =>
  family === 6 ? `[${ip}]:${containerPort}` : `${ip}:${containerPort}`;

/** The pod's addresses that ports lead to: the first of each family on its interface. */
export function podAddresses({ ifname }: Args, result: Result): Cidr[] {
  const { interfaces = [] } = result;
  const inPod = addressesOf(ifname, result).filter(({ interface: at }) => at === undefined || interfaces[at] === undefined || interfaces[at].sandbox);
  const all = inPod.map(({ address }) => parseCidr(address));
  return ([4, 6] as const).flatMap((family) => all.find((one) => one.family === family) ?? []);
}

/** The mappings that are wanted. CniError 7 where one port is to lead to two places. */
export function mappingsOf(wanted: readonly PortMapping[], addresses: readonly Cidr[]): Mapping[] {
  const found = new Map<string, Mapping>();
  for (const { hostIP, hostPort, protocol, containerPort } of wanted) {
    const host = hostIP === "" ? undefined : withoutMapping(parseIp(hostIP));
    for (const pod of addresses.filter(({ family }) => host === undefined || host.family === family)) {
      const hostIp = host && !isUnspecified(host) ? host : undefined;
      const mapping: Mapping = { family: pod.family, hostIp, protocol, hostPort, pod, containerPort };
      const key = `${pod.family} ${textOf(mapping)}`;
      const earlier = found.get(key);
      if (earlier && earlier.containerPort !== containerPort) {
        throw new CniError(ErrorCode.INVALID_CONFIG, `host port ${textOf(mapping)} is mapped twice, to ${targetOf(earlier)} and to ${targetOf(mapping)} (one is wanted)`);
      }
      found.set(key, mapping);
    }
  }
  return [...found.values()];
}

/** Whether 127.0.0.1 is among the addresses that the port is for. */
export const isForLoopback = ({ family, hostIp }: HostPort): boolean => family === 4 && (hostIp === undefined || hostIp.bytes[0] === 127);

const isUnspecified = (address: Ip): boolean => address.bytes.every((byte) => byte === 0);

/** ::ffff:192.0.2.1 is 192.0.2.1 (RFC 4291 section 2.5.5.2), and Go reads it so. */
function withoutMapping(address: Ip): Ip {
  const isMapped = address.family === 6 && address.bytes.slice(0, 10).every((byte) => byte === 0) && address.bytes[10] === 0xff && address.bytes[11] === 0xff;
  return isMapped ? ipFrom(address.bytes.slice(12)) : address;
}
