/** What CHECK looks at: each thing that ADD made, and whether it is still so. */
import type { Args, Result } from "@vethwork/cni";
import { sameCidr, type Link, type Netns } from "@vethwork/linux";
import { isForwarding } from "../shared/forwarding.ts";
import { masqueradeFaults } from "../shared/masquerade/masquerade.ts";
import { interfaceFaults } from "../shared/pod-interface.ts";
import type { Plan } from "./options.ts";
import { spoofFaults } from "./spoof.ts";
import { gatewayOf } from "./switch.ts";
import { gatewayLinkName, vlanFaults } from "./vlan.ts";

export interface Claim {
  plan: Plan;
  args: Args;
  prevResult: Result;
}

/** What is not as it was, in words; nothing where all is well. */
export function bridgeFaults(host: Netns, pod: Netns, claim: Claim): string[] {
  const { plan, args, prevResult } = claim;
  const bridge = host.links.find(plan.bridge);
  const far = pod.links.find(args.ifname);
  const near = far && host.links.find(far.linkIndex);
  if (!bridge) return [`the bridge "${plan.bridge}" is gone`];
  return [
    ...switchFaults(bridge, claim),
    ...(far ? podFaults(far, claim) : []),
    ...(plan.ipam ? interfaceFaults(pod, args.ifname, prevResult) : linkFaults(far, claim)),
    ...(near ? portFaults(host, bridge, near, claim) : ["the cable's end on the node is gone"]),
    ...(plan.ipam && plan.isGateway ? gatewayFaults(host, claim) : []),
    ...(plan.ipam && plan.ipMasq ? masqueradeFaults(host, { config: plan, args }, prevResult.ips) : []),
    ...(plan.macspoofchk && near && far?.mac ? spoofFaults(host, args, { outside: near.name, mac: far.mac }) : []),
  ];
}

function switchFaults({ name, kind, mac, up, promisc }: Link, { plan, prevResult }: Claim): string[] {
  const told = prevResult.interfaces?.find((one) => one.name === name && !one.sandbox);
  // Only a bridge with a gateway's address keeps its MAC address; another one's changes as ports come and go.
  const isPinned = plan.isGateway && plan.vlan === 0;
  return [
    ...(kind === "bridge" ? [] : [`"${name}" is no bridge`]),
    ...(up ? [] : [`the bridge "${name}" is down`]),
    ...(told ? [] : [`the result has no bridge "${name}"`]),
    ...(isPinned && told?.mac && told.mac !== String(mac) ? [`the bridge "${name}" has the MAC address ${mac} instead of ${told.mac}`] : []),
    ...(promisc === plan.promiscMode || !plan.promiscMode ? [] : [`the bridge "${name}" is not promiscuous any more`]),
  ];
}

function podFaults({ name, kind, mac }: Link, { args, prevResult }: Claim): string[] {
  const told = prevResult.interfaces?.find((one) => one.name === name && one.sandbox);
  if (!told) return [`the result has no interface "${name}"`];
  return [
    ...(told.sandbox === args.netns ? [] : [`Sandbox in prevResult ${told.sandbox} doesn't match configured netns: ${args.netns}`]),
    ...(kind === "veth" ? [] : [`"${name}" is no veth`]),
    ...(told.mac && told.mac !== String(mac) ? [`"${name}" has the MAC address ${mac} instead of ${told.mac}`] : []),
  ];
}

/** Without addresses there is but the link itself. */
function linkFaults(far: Link | undefined, { plan, args }: Claim): string[] {
  if (!far) return [`the pod has no interface "${args.ifname}"`];
  return far.up || plan.disableContainerInterface ? [] : [`"${args.ifname}" is down`];
}

function portFaults(host: Netns, bridge: Link, near: Link, { plan }: Claim): string[] {
  if (near.master !== bridge.index) return [`"${near.name}" is no port of "${bridge.name}"`];
  const port = host.links.findPort(near);
  return [
    ...(near.up ? [] : [`port "${near.name}" is down`]),
    ...(port?.hairpin === plan.hairpinMode ? [] : [`port "${near.name}" has hairpin mode ${port?.hairpin ? "on" : "off"}`]),
    ...(plan.portIsolation && !port?.isolated ? [`port "${near.name}" is not isolated`] : []), // the other way round firewall may have done it
    ...vlanFaults(host, near, plan),
  ];
}

function gatewayFaults(host: Netns, { plan, prevResult: { ips = [] } }: Claim): string[] {
  const name = plan.vlan > 0 ? gatewayLinkName(plan) : plan.bridge;
  const link = host.links.find(name);
  const held = link ? host.addrs.list({ link }) : [];
  return ips.map(gatewayOf).flatMap((address) => [
    ...(held.some((one) => sameCidr(one.address, address)) ? [] : [`"${name}" has lost its address ${address}`]),
    ...(isForwarding(host, address.family) ? [] : [`the node does not forward IPv${address.family}`]),
  ]);
}
