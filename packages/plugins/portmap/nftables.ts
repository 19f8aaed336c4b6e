/**
 * Host ports by nftables: elements of the maps and sets that ./frame.ts lays out.
 *
 *     map hostports4  { tcp . 8080 comment "…, net: mynet, if: eth0, id: 4c1d…" : 10.1.2.5 . 80 }
 *     set masquerade4 { 10.1.2.0/24 . tcp . 8080 comment "…" }       who is in the pod's subnet hears its answers only so
 *
 * A comment says whose an element is, so DEL and GC need neither result nor namespace. ADD writes its own elements and reads
 * nobody else's: the hundredth costs what the first did. What is deleted is decided by what was read, and refused by the
 * kernel where somebody changed it meanwhile, so no DEL takes what another ADD has just made.
 *
 * A port leads to one place. Where it is taken, the kernel says so, and then it is looked at by whom: by this attachment
 * itself, or by one whose namespace is gone (the element's note says which it was), the mapping is replaced; by one that
 * lives, ADD is refused, as a second program is that wants to listen on a port.
 */
import { CniError, ErrorCode } from "@vethwork/cni";
import { cidrOf, findIdentity, isErrno, isIp, networkOf, parseCidr, unless, type Change, type Cidr, type Element, type Family, type KernelElement, type Netns, type Nft, type NftSet, type Part } from "@vethwork/linux";
import { commentOf, ownerMark } from "../shared/names.ts";
import { TABLE, deleteScope, ensureLayouts, frameOf, holdersOf, isOurs, layoutFaults, suffixesIn } from "./frame.ts";
import { closeLocalhost, forgetDevices, guardDevice, guardLayout, openLocalhost } from "./localhost.ts";
import { targetOf, textOf, type Mapping } from "./mappings.ts";
import type { Plan } from "./plan.ts";

export type Wanted = Pick<Plan, "owner" | "args" | "scope" | "mappings" | "snat" | "masqAll">;

/**
 * Makes the mappings so, and with them the guard of `device`. CniError 11 where another, living attachment has one of the ports.
 *
 * The rules are mostly there, and reading them to see it would cost more than all the rest: so the elements are sent
 * alone, and what the kernel lacks for them or finds in their place it says. A network's own rules are read each time, since
 * its conditions may have changed.
 */
export function ensureMappings(host: Netns, wanted: Wanted, device: string | undefined): void {
  const { scope, mappings } = wanted;
  const put = (change: Change): void => {
    if (device !== undefined) guardDevice(change, host, device);
    for (const mapping of mappings) for (const { set, element } of placesOf(mapping, wanted)) change.addElements(set, [element]);
  };
  const putAll = (makesRoom: boolean): void => void host.nft.update((change, nft) => {
    ensureLayouts(change, nft, [frameOf(scope), ...(device === undefined ? [] : [guardLayout()])]);
    if (makesRoom) for (const mapping of mappings) makeRoom(change, nft, { mapping, wanted });
    put(change);
  });
  try {
    if (scope.suffix === "" && unless(["ENOENT"], () => (host.nft.transaction(put), true))) return;
    putAll(false);
  } catch (error) {
    if (!isErrno(error, "EEXIST", "ENOTEMPTY")) throw error; // ENOTEMPTY: a prefix that overlaps with another's
    putAll(true);
  }
}

/** An element, and the set or map that it is for. */
interface Place {
  set: NftSet;
  element: Element & { key: readonly Part[] };
}

/** Where a mapping stands: in a map; and with snat in a set, for callers who would not hear its answers otherwise. */
function placesOf(mapping: Mapping, { owner, args: { netns }, scope, snat, masqAll }: Wanted): Place[] {
  const { family, protocol, hostPort, pod, containerPort } = mapping;
  const { map, masquerade, hostIp } = setsFor(mapping, scope.suffix);
  const comment = commentOf(owner);
  const from = masqAll ? everywhere(family) : networkOf(pod);
  return [
    { set: map, element: { key: [...hostIp, protocol, hostPort], value: [pod.ip, containerPort], comment, ...noteOf(netns) } },
    ...(snat ? [{ set: masquerade, element: { key: [from, ...hostIp, protocol, hostPort], comment } }] : []),
  ];
}

function setsFor({ family, hostIp }: Pick<Mapping, "family" | "hostIp">, suffix: string): { map: NftSet; masquerade: NftSet; hostIp: Part[] } {
  const { ports, hostIpPorts, masquerade, hostIpMasquerade } = holdersOf(suffix, family);
  return hostIp ? { map: hostIpPorts, masquerade: hostIpMasquerade, hostIp: [hostIp] } : { map: ports, masquerade, hostIp: [] };
}

const everywhere = (family: Family): Cidr => parseCidr(family === 4 ? "0.0.0.0/0" : "::/0");

/** Takes away what stands in the mapping's place. CniError 11 where it is a living attachment's. */
function makeRoom(change: Change, nft: Nft, { mapping, wanted: { owner, scope } }: { mapping: Mapping; wanted: Wanted }): void {
  const { protocol, hostPort } = mapping;
  const { map, masquerade, hostIp } = setsFor(mapping, scope.suffix);
  const there = nft.findElement(map, [...hostIp, protocol, hostPort]);
  if (there && !there.comment?.startsWith(ownerMark(owner)) && !isGone(there)) {
    const whose = there.comment?.replace(/^[0-9a-f]{16}-[0-9a-f]{16}, /, "") ?? "nobody that is known";
    const target = targetOf(mappingFrom(mapping.family, there));
    throw new CniError(ErrorCode.TRY_AGAIN, `Cannot map host port ${textOf(mapping)} to ${targetOf(mapping)}: it leads to ${target} (${whose})`);
  }
  if (there) change.deleteElements(map, [there]);
  const same = (element: KernelElement): boolean => String(element.key.slice(1)) === String([...hostIp, protocol, hostPort]);
  const stale = nft.elements(masquerade).filter(same);
  if (stale.length > 0) change.deleteElements(masquerade, stale);
}

/** The namespace's path, and its inode: another one may have the path later. Nothing where it would be too long to be kept. */
function noteOf(netns: string): Pick<Element, "note"> {
  const note = `${netns} ${findIdentity(netns) ?? ""}`;
  return new TextEncoder().encode(note).length < 128 && !/["\n]/.test(note) ? { note } : {};
}

/** Proven: the path that the attachment's namespace was at leads to none any more, or to another. */
function isGone({ note }: KernelElement): boolean {
  const [, path, identity] = /^(.*) (\S+)$/.exec(note ?? "") ?? [];
  return path !== undefined && findIdentity(path) !== identity;
}

function mappingFrom(family: Family, { key, value }: KernelElement): Mapping {
  const [ip, containerPort] = Array.isArray(value) ? value : [];
  const [hostPort, protocol, hostIp] = key.toReversed();
  if (!isIp(ip) || typeof containerPort !== "number" || typeof hostPort !== "number" || (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")) {
    throw new RangeError(`Cannot read host port ${key.join(" . ")} : ${String(value)} (an address and a port are wanted)`);
  }
  return { family, hostIp: isIp(hostIp) ? hostIp : undefined, protocol, hostPort, pod: cidrOf(ip), containerPort };
}

/** What is to go, and what may stay. */
export interface Stale {
  /** What the comments of it begin with. */
  mark: string;
  /** Of these, what is to be spared. */
  spare?(comment: string): boolean;
  /** Devices that go with the pod. */
  devices: readonly string[];
  /** Whether host ports of iptables are left, which need the guard, too. */
  needsGuard(): boolean;
}

/** Takes away what is stale, and with the last host port the table. Gives the mappings that are gone. */
export function deleteMappings(host: Netns, { mark, spare = () => false, devices, needsGuard }: Stale): Mapping[] {
  let gone: Mapping[] = [];
  let closed: string[] = [];
  host.nft.update((change, nft) => {
    gone = [];
    if (!nft.tables().some(isOurs)) return;
    for (const device of closed) openLocalhost(host, device); // an ADD came in between, and the table stays
    const scopes = suffixesIn(nft).map((suffix) => ({ suffix, ...contentOf(nft, suffix, (comment) => comment.startsWith(mark) && !spare(comment), mark) }));
    gone = scopes.flatMap((scope) => scope.gone);
    if (scopes.every(({ left }) => left === 0) && !needsGuard()) {
      closed = closeLocalhost(host); // before the table that knows of it, in case we die
      change.deleteTable(TABLE);
      return;
    }
    for (const { suffix, left, stale } of scopes) {
      for (const { set, elements } of stale) change.deleteElements(set, elements);
      if (left === 0 && suffix !== "") deleteScope(change, suffix);
    }
    forgetDevices(change, nft, { host, own: devices });
  });
  return gone;
}

/** A scope's elements that are stale, the mappings that these are, and how many others there are. */
function contentOf(nft: Nft, suffix: string, isStale: (comment: string) => boolean, mark: string): { stale: { set: NftSet; elements: KernelElement[] }[]; gone: Mapping[]; left: number } {
  const lists = ([4, 6] as const).flatMap((family) => Object.values(holdersOf(suffix, family)).map((set: NftSet) => {
    const { found, others } = nft.elementsOf(set, mark);
    const elements = found.filter(({ comment = "" }) => isStale(comment));
    return { set, family, elements, left: others + found.length - elements.length };
  }));
  return {
    stale: lists.filter(({ elements }) => elements.length > 0),
    gone: lists.flatMap(({ set, family, elements }) => (set.value ? elements.map((element) => mappingFrom(family, element)) : [])),
    left: lists.reduce((sum, { left }) => sum + left, 0),
  };
}

/** What of the mappings is missing, in words. */
export function mappingFaults(host: Netns, wanted: Wanted): string[] {
  const faults = wanted.mappings.flatMap((mapping) => placesOf(mapping, wanted).flatMap(({ set, element }) => placeFaults(host, { set, element, mapping })));
  return faults.length > 0 || wanted.mappings.length === 0 ? faults : layoutFaults(host.nft, frameOf(wanted.scope));
}

function placeFaults(host: Netns, { set, element, mapping }: Place & { mapping: Mapping }): string[] {
  const there = host.nft.findElement(set, element.key);
  if (!set.value) return there ? [] : [`packets from ${String(element.key[0])} to host port ${textOf(mapping)} are not masqueraded`];
  if (!there) return [`host port ${textOf(mapping)} leads nowhere (${targetOf(mapping)} is wanted)`];
  const now = mappingFrom(mapping.family, there);
  if (targetOf(now) !== targetOf(mapping)) return [`host port ${textOf(mapping)} leads to ${targetOf(now)} (${targetOf(mapping)} is wanted)`];
  return there.comment === element.comment ? [] : [`host port ${textOf(mapping)} has become another's (${there.comment ?? "nobody's"})`];
}
