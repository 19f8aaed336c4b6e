/** Makes a port's lanes (./lanes.ts), and says what of them is not there any more. */
import { CniError, ErrorCode, type Interface, type Undo } from "@vethwork/cni";
import { isErrno, type Filter, type Link, type Netns, type U32Filter } from "@vethwork/linux";
import type { Owner } from "../shared/attachment.ts";
import { bucketFaults } from "./bucket.ts";
import { addIfb, findIfb } from "./ifb.ts";
import { inWords, type Lane, type Rule } from "./lanes.ts";

/** The device where a pod's packets are held back, and the namespace that it is in. */
export interface Place {
  netns: Netns;
  port: Link;
  owner: Owner;
}

/** Makes them; the ifbs are given back as a result has them. A bucket is there before anything is led to it. */
export function shape({ netns, port, owner }: Place, { lanes, undo }: { lanes: readonly Lane[]; undo: Undo }): Interface[] {
  const made = lanes.map((lane) => {
    const { ifb, bucket } = lane;
    const link = ifb ? addIfb(netns, { owner, which: ifb, mtu: port.mtu, undo }) : port;
    freshly(port, () => netns.qdiscs.add(link, { kind: "tbf", handle: "1:", ...bucket }));
    if (!ifb) undo.defer(() => netns.qdiscs.delete(port, "root"));
    return { lane, link };
  });
  const [led] = made.filter(({ lane }) => lane.ifb);
  if (led) {
    freshly(port, () => netns.qdiscs.add(port, { kind: led.lane.hook }));
    undo.defer(() => netns.qdiscs.delete(port, "ingress"));
  }
  for (const { lane, link } of made) {
    for (const rule of lane.rules) netns.filters.add(port, filterOf(rule, lane, link));
  }
  return made.filter(({ lane }) => lane.ifb).map(({ link: { name, mac } }) => ({ name, ...(mac && { mac: String(mac) }) }));
}

function freshly(port: Link, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    const words = `"${port.name}" has traffic control of its own already (another program's, or of an attachment that nobody deleted)`;
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT, words, { cause: error });
  }
}

/** What has no action goes on. (The class is the reference's; at this place it means nothing.) */
const filterOf = ({ priority, protocol, keys, isLimited }: Rule, { parent }: Lane, { index }: Link): U32Filter =>
  ({ kind: "u32", parent, priority, protocol, keys, ...(isLimited ? { flowid: "1:1", actions: [{ what: "redirect", to: "egress", link: index }] } : { actions: [] }) });

/** What is not as it was made. */
export function shapingFaults({ netns, port, owner }: Place, lanes: readonly Lane[]): string[] {
  return lanes.flatMap((lane) => {
    const link = lane.ifb ? findIfb(netns, owner, lane.ifb) : port;
    if (!link) return [`the ifb for what ${lane.direction === "egress" ? "the pod sends" : "comes to the pod"} is gone`];
    const root = netns.qdiscs.find(link, "root");
    return [
      ...(link.up ? [] : [`"${link.name}" is down`]),
      ...(root?.tbf ? bucketFaults(link.name, root.tbf, lane.bucket) : [`"${link.name}" has no tbf for ${lane.direction} any more (its root qdisc is ${root?.kind ?? "none"})`]),
      ...(lane.ifb ? ruleFaults(netns, port, { lane, ifb: link }) : []),
    ];
  });
}

function ruleFaults(netns: Netns, port: Link, { lane, ifb }: { lane: Lane; ifb: Link }): string[] {
  const hook = netns.qdiscs.find(port, "ingress");
  if (hook?.kind !== lane.hook) return [`"${port.name}" has no ${lane.hook} qdisc any more`];
  const there = netns.filters.list(port, lane.parent);
  return lane.rules
    .filter((rule) => !there.some((filter) => isSame(filter, filterOf(rule, lane, ifb))))
    .map((rule) => `"${port.name}" has no filter any more that leads ${inWords(rule)} ${rule.isLimited ? `to "${ifb.name}"` : "past the limit"}`);
}

/** The reference's has a second action, which no packet comes to. */
function isSame({ priority, u32 }: Filter, wanted: U32Filter): boolean {
  const text = ({ keys, actions }: Pick<U32Filter, "keys" | "actions">): string => JSON.stringify([keys.map(({ offset, value, mask }) => [offset, value, mask]), actions.slice(0, 1)]);
  return priority === wanted.priority && u32 !== undefined && text(u32) === text(wanted);
}
