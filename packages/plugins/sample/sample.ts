/**
 * sample: the plugin to copy when you write one. It gives a pod's interface a label, and more addresses where it is to have some.
 *
 *        pod, made by the plugin before                           afterwards
 *     ┌──────────────────────────────────┐             ┌──────────────────────────────────┐
 *     │ eth0  10.1.2.5/24                │ ── sample ─►│ eth0  10.1.2.5/24  10.9.0.2/24   │
 *     │                                  │             │       "blue: web, db"            │
 *     └──────────────────────────────────┘             └──────────────────────────────────┘
 *
 *     { "type": "sample", "anotherAwesomeArg": "blue", "capabilities": { "aliases": true },
 *       "ipam": { "type": "host-local", "subnet": "10.9.0.0/24" } }
 *
 * The label is the interface's alias: `ip link` shows it to whoever wonders what the interface is for. ADD does four things, in
 * this order, and each is a heading below:
 *   1 look   2 the addresses   3 the label   4 the result
 *
 * It stands in a chain, behind a plugin that makes an interface. What it has to remember is ./note.ts. How to make a plugin of
 * your own of it is docs/add-a-plugin.md. The reference's sample has the same key, and does nothing with it.
 */
import { CniError, ErrorCode, config, definePlugin, invalidOption, object, required, stringList, type Args, type ConfigOf, type Parser, type Result } from "@vethwork/cni";
import { Netns, parseCidr } from "@vethwork/linux";
import { interfaceOf, resultBefore } from "../shared/chained.ts";
import { complain } from "../shared/complaint.ts";
import { addIpam, checkIpam, collectIpam, deleteIpam, statusOfIpam } from "../shared/ipam/delegate.ts";
import { openPod } from "../shared/pod.ts";
import { interfaceFaults } from "../shared/pod-interface.ts";
import { collect, findKept, forget, keep, noteOf } from "./note.ts";

/** A reader of one's own kind of value. There are readers for most: string, integer, cidr, mac, list and more in @vethwork/cni. */
const line: Parser<string> = {
  describe: "a text of one line",
  schema: { type: "string", minLength: 1 },
  zero: "", // what a mandatory option is on DEL, if it does not read any more
  parse: (value, where) => {
    if (typeof value === "string" && /^\P{Cc}+$/u.test(value)) return value;
    throw invalidOption(where, value, line.describe);
  },
};

/** Each option once: reader, default, sentence. Types, errors, `vethwork plugins sample` and the JSON schema follow from it. */
const options = config({
  anotherAwesomeArg: [line, required, "What the interface's label says."],
  runtimeConfig: [object({
    aliases: [stringList, [], "Names of the container, which the label lists, too (capability `aliases`)."],
  }), {}, "What the runtime supplies for declared capabilities: `aliases`."],
});
type Config = ConfigOf<typeof options>;

/** The kernel takes less than IFALIASZ (linux/if.h), 256, and we end the text with a zero. */
const LONGEST = 254;

export default definePlugin({
  type: "sample",
  about: "a label for a pod's interface, and more addresses; the plugin to copy",
  config: options,

  add(context) {
    const { config: given, args, undo } = context;

    // 1. Look. Whatever can be wrong is found before anything is touched: an attachment that is there already must not be undone by
    // an ADD that should not have come. `undo` keeps the namespace open, since the steps back need it; `using` would close it before.
    const label = labelOf(given);
    const before = resultBefore(context);
    const note = noteOf(given.name, args);
    if (findKept(note) !== undefined) throw taken(args);
    const pod = undo.use(openPod(args.netns));
    const link = interfaceOf(pod, args);

    // 2. The addresses. Another plugin keeps the book, and is asked first: an address is in the book before any interface has it.
    // addIpam says by itself how it is undone; what we make, the line after says how to unmake. After, and not before: an address
    // that is there already makes ADD fail, and is not ours to take away.
    const { ips = [] } = given.ipam ? addIpam(context) : {};
    for (const address of ips.map((ip) => parseCidr(ip.address))) {
      pod.addrs.add(link, { address, nodad: true });
      undo.defer(() => pod.addrs.delete(link, address));
    }

    // 3. The label. What it was before is written down first, since we may be killed between any two lines; half a note is undone, too.
    undo.defer(() => bringBack(pod, args, note));
    keep(note, link.alias);
    pod.links.set(link, { alias: label });

    // 4. The result: what came in, and what is new.
    return resultAfter(before, args, ips);
  },

  // CHECK compares the world with what ADD left, names each fault, and changes nothing.
  check(context) {
    const { config: given, args } = context;
    const before = resultBefore(context);
    if (given.ipam) checkIpam(context);
    using pod = openPod(args.netns);
    const { alias } = interfaceOf(pod, args);
    const label = labelOf(given);
    const faults = [
      ...interfaceFaults(pod, args.ifname, before),
      ...(alias === label ? [] : [`"${args.ifname}" has the label ${JSON.stringify(alias)} instead of ${JSON.stringify(label)}`]),
    ];
    complain(`container "${args.containerId}" is not as it was added`, faults);
  },

  // DEL may be called twice, late, and for a pod whose namespace is gone: what is not there is done. Books come first, before anything
  // that may fail. The addresses themselves go with the interface, which the plugin before takes away next.
  del(context) {
    const { config: given, args } = context;
    if (given.ipam) deleteIpam(context);
    using pod = args.netns === "" ? undefined : Netns.find(args.netns);
    bringBack(pod, args, noteOf(given.name, args));
  },

  // GC: the runtime lists every attachment that it still knows. Whatever else is this network's goes, and nothing of another's.
  gc(context) {
    const { config: given, valid } = context;
    if (given.ipam) collectIpam(context);
    if (valid) collect(given.name, valid);
  },

  // STATUS: could ADD work now? Throws 50 where it could not; here the delegate alone knows.
  status(context) {
    labelOf(context.config);
    if (context.config.ipam) statusOfIpam(context);
  },
});

// Helpers follow, in the order in which they are called.

function labelOf({ anotherAwesomeArg, runtimeConfig: { aliases } }: Config): string {
  const label = aliases.length > 0 ? `${anotherAwesomeArg}: ${aliases.join(", ")}` : anotherAwesomeArg;
  if (Buffer.byteLength(label) <= LONGEST) return label;
  throw invalidOption("anotherAwesomeArg", label, `at most ${LONGEST} bytes, with the aliases,`);
}

/** Code 4, since the fault is in what the runtime asked for. Code 7 is for configurations, 11 for what may pass (errors.ts). */
const taken = ({ containerId, ifname }: Args): CniError =>
  new CniError(ErrorCode.INVALID_ENVIRONMENT, `container "${containerId}" has a label on "${ifname}" already (DEL is wanted before another ADD)`);

/** Gives the interface the label that it had. Where nothing was written down, or the interface is gone, there is none to give. */
function bringBack(pod: Netns | undefined, { ifname }: Args, note: string): void {
  const label = findKept(note);
  const link = label === undefined ? undefined : pod?.links.find(ifname);
  if (pod && link && label !== undefined) pod.links.set(link, { alias: label });
  forget(note);
}

/** An address belongs to an interface by its place in the result's list. */
function resultAfter(before: Result, { ifname, netns }: Args, ips: NonNullable<Result["ips"]>): Result {
  const at = (before.interfaces ?? []).findIndex(({ name, sandbox }) => name === ifname && sandbox === netns);
  const more = ips.map((ip) => ({ ...ip, ...(at >= 0 && { interface: at }) }));
  return more.length > 0 ? { ...before, ips: [...(before.ips ?? []), ...more] } : before;
}
