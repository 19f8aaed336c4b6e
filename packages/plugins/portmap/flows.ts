/**
 * Flows of UDP that began before a port led where it leads now. Conntrack goes on sending a client's packets to where the
 * first of them went, as long as they keep coming; so those flows are forgotten, and the next packet asks the rules.
 *
 *     ADD   flows to the port that do not lead to this pod: to its predecessor, or to the node itself while there was no pod
 *     DEL   flows that lead to this pod: there is nobody to answer
 *
 * TCP and SCTP have ends of their own. What only passes by (a pod's question to a name server elsewhere, while port 53 of
 * the node is mapped) is none of these; the reference forgets it, too, and does nothing on DEL.
 */
import { PROTOCOLS, sameIp, unless, type Flow, type FlowFilter, type Ip, type Netns } from "@vethwork/linux";
import type { Mapping } from "./mappings.ts";

/** Kernels that were built without conntrack's netlink (CONFIG_NF_CT_NETLINK). */
const CANNOT = ["EINVAL", "EPROTONOSUPPORT", "EOPNOTSUPP"] as const;

/** Makes clients that were there before the pod find it. */
export function forgetEarlierFlows(host: Netns, mappings: readonly Mapping[]): void {
  const udp = mappings.filter(({ protocol }) => protocol === "udp");
  const own = udp.some(({ hostIp }) => hostIp === undefined) ? ownAddresses(host) : [];
  for (const mapping of udp) {
    const isForUs = ({ destination }: Flow["original"]): boolean => mapping.hostIp !== undefined || isLoopback(destination) || own.some((ip) => sameIp(ip, destination));
    forget(host, filterOf(mapping), ({ original, reply }) => isForUs(original) && !leadsTo(mapping, reply));
  }
}

/** Makes clients of a pod that is gone ask anew. */
export function forgetFlowsTo(host: Netns, mappings: readonly Mapping[]): void {
  for (const mapping of mappings.filter(({ protocol }) => protocol === "udp")) {
    forget(host, { ...filterOf(mapping), reply: { source: mapping.pod.ip } }, ({ reply }) => leadsTo(mapping, reply));
  }
}

function forget(host: Netns, filter: FlowFilter, isStale: (flow: Flow) => boolean): void {
  unless(CANNOT, () => host.conntrack.deleteWhere(filter, isStale));
}

const filterOf = ({ family, hostIp, protocol, hostPort }: Mapping): FlowFilter =>
  ({ family, original: { protocol: PROTOCOLS[protocol], destinationPort: hostPort, ...(hostIp && { destination: hostIp }) } });

const leadsTo = ({ pod, containerPort }: Mapping, { source, sourcePort }: Flow["reply"]): boolean => sameIp(source, pod.ip) && sourcePort === containerPort;
const ownAddresses = (host: Netns): Ip[] => host.addrs.list().map(({ address }) => address.ip);
const isLoopback = ({ family, bytes }: Ip): boolean => family === 4 && bytes[0] === 127;
