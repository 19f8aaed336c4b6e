/**
 * 127.0.0.1: the node reaches a pod's port by its own loopback address, and nobody else may reach the node by it.
 *
 *     curl 127.0.0.1:8080 ── dnat ──► 10.1.2.5:80 by cni0, from 127.0.0.1 ── masquerade ──► from 10.1.2.1
 *
 * The kernel routes nothing from 127.0.0.0/8 to a real device, unless that device has route_localnet. With it, it takes such
 * addresses from there, too: a pod that can craft packets, or a neighbour on the wire where the device is the node's own,
 * would talk to whatever the node serves on 127.0.0.1, believing itself alone (CVE-2020-8558 was that). So before the switch
 * is turned a rule stands that drops them, by the addresses that they have on the wire: an answer from a pod has the
 * node's address there, and becomes 127.0.0.1 only later.
 *
 * The set says by which devices, and its comments what the switch was before: with the last host port it is turned back.
 * The reference turns it on, has no such rule, and never turns it back.
 */
import { words, type Chain, type Change, type Ip, type Netns, type Nft, type NftSet, type Rule } from "@vethwork/linux";
import { LOOPBACK, TABLE, layoutFaults, type Layout } from "./frame.ts";

/** The devices by which 127.0.0.1 is routed. */
const localnet: NftSet = { table: TABLE, name: "localnet", key: "ifname" };
const RAW = -300; // before conntrack: addresses are as they were on the wire
const guard: Chain = { table: TABLE, name: "guard", base: { type: "filter", hook: "prerouting", priority: RAW } };
const OURS = "route_localnet was 0";
const THEIRS = "route_localnet was 1";

/** The rules that drop 127.0.0.0/8 from outside. */
export const guardLayout = (): Layout => ({
  sets: [localnet], chains: [guard],
  rules: [words.ip.daddr, words.ip.saddr].map((field): Rule => ({ chain: guard, words: [words.iifname.in(localnet), field.eq(LOOPBACK), words.drop] })),
});

const switchOf = (device: string): string => `net/ipv4/conf/${device}/route_localnet`;

/** The device that leads to an address; undefined where none does. */
export function deviceTo(host: Netns, ip: Ip): string | undefined {
  const index = host.routes.find(ip)?.link;
  return index === undefined ? undefined : host.links.find(index)?.name;
}

/** Puts the guard before the device, in the same change as what makes it needed. */
export function guardDevice(change: Change, host: Netns, device: string): void {
  change.ensureElements(localnet, [{ key: device, comment: host.sysctl.find(switchOf(device)) === "1" ? THEIRS : OURS }]);
}

/** Turns the switch, behind the guard. */
export const openLocalhost = (host: Netns, device: string): void => void host.sysctl.setIfThere(switchOf(device), 1);

/** Forgets devices that are gone, or go with the pod. */
export function forgetDevices(change: Change, nft: Nft, { host, own }: { host: Netns; own: readonly string[] }): void {
  const gone = nft.elements(localnet).filter(({ key: [device] }) => own.includes(String(device)) || !host.links.find(String(device)));
  if (gone.length > 0) change.deleteElements(localnet, gone);
}

/** Turns the switches back that were turned for host ports; gives their devices. */
export function closeLocalhost(host: Netns): string[] {
  const devices = host.nft.elements(localnet).filter(({ comment }) => comment === OURS).map(({ key: [device] }) => String(device));
  for (const device of devices) host.sysctl.setIfThere(switchOf(device), 0);
  return devices;
}

/** What keeps 127.0.0.1 from leading to the pod, in words. */
export function switchFaults(host: Netns, device: string): string[] {
  const isOn = [device, "all"].some((name) => host.sysctl.find(switchOf(name)) === "1");
  return isOn ? [] : [`127.0.0.1 does not lead to the pod (net.ipv4.conf.${device}.route_localnet is 0)`];
}

/** What lets others in by it, in words. */
export const guardFaults = (host: Netns, device: string): string[] => [
  ...(host.nft.findElement(localnet, device) ? [] : [`127.0.0.1 of the node is not guarded from "${device}"`]),
  ...layoutFaults(host.nft, guardLayout()),
];
