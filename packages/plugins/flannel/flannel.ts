/**
 * flannel: attaches a pod to the part of the network that flanneld got for its node, by another plugin.
 *
 *      node-1                                              node-2
 *     ┌─────────────────────────────────────┐             ┌──────────────────────────┐
 *     │ flanneld ── subnet.env ─┐           │   flanneld  │                          │
 *     │                         ▼           │   routes,   │                          │
 *     │ runtime ───────────► flannel        │   or wraps  │                          │
 *     │                         │ ADD       │             │                          │
 *     │                         ▼           │             │                          │
 *     │ pod ── eth0 ═══════ bridge 10.244.1.0/24 ═════════╪═ 10.244.2.0/24 ══ pod    │
 *     └─────────────────────────────────────┘             └──────────────────────────┘
 *
 * ADD does three things, in this order, and each is a heading below:
 *   1 the delegate's configuration   2 the stash   3 the delegate's ADD
 *
 * It touches no network itself. What the delegate was told is kept (./stash.ts), since every later verb has to tell it the same.
 * What flanneld says is ./subnet-env.ts, what is made of it ./plan.ts. Routes between nodes are flanneld's own work.
 *
 * Same options, files and results as flannel's own CNI plugin.
 */
import { CniError, ErrorCode, definePlugin, delegateAdd, delegateCheck, delegateDel, delegateGc, delegateStatus, find, toCniError, type Args, type Context, type DelegateContext, type Delegation, type JsonObject } from "@vethwork/cni";
import { ignore } from "@vethwork/linux";
import bridge from "../bridge/bridge.ts";
import ptp from "../ptp/ptp.ts";
import { CHANGED, complain } from "../shared/complaint.ts";
import { delegationTo, findDelegate } from "../shared/delegate.ts";
import { DEFAULTS, delegateFor, leaseFaults, options, type Config, type Delegate } from "./plan.ts";
import { findStash, forgetStash, keepStash, listStashes, refuseIfKept, type Place, type Stash } from "./stash.ts";
import { findLease, readLease, type Lease } from "./subnet-env.ts";

export default definePlugin({
  type: "flannel",
  about: "a pod's place in flannel's network, made by another plugin",
  config: options,

  add(context) {
    const { config: given, args, undo } = context;
    const place = placeOf(given, args);

    // 1. The delegate's configuration. A delegate that there is not is told of before anything is written.
    const delegate = delegateFor(given, readLease(subnetFileOf(given)));
    findDelegate(delegate.type, args.path);

    // 2. The stash. It is there before the delegate does anything: whatever happens then, DEL knows what to ask for.
    refuseIfKept(place);
    undo.defer(() => release({ ...context, prevResult: undefined }, findStash(place)));
    keepStash(place, delegate);

    // 3. The delegate does the work, and its result is ours.
    try {
      return delegateAdd(callOf(delegate.type, { args, raw: delegate }));
    } catch (error) {
      const { code, message, details } = toCniError(error);
      throw new CniError(code, `failed to delegate add: ${message}`, { ...(details !== undefined && { details }), cause: error });
    }
  },

  // CHECK asks the delegate, and whether flanneld still says what the delegate was told. It changes nothing.
  check(context) {
    const { config: given, args, prevResult } = context;
    if (!prevResult) throw new CniError(ErrorCode.INVALID_CONFIG, "Required prevResult missing");
    const place = placeOf(given, args);
    const kept = findStash(place)?.delegate;
    if (!kept) throw new CniError(CHANGED, `nothing is kept of "${args.ifname}" of container "${args.containerId}" in "${place.dataDir}"`);
    delegateCheck(callOf(kept.type, { args, raw: asAsked(context, kept) }));
    const lease = findLease(subnetFileOf(given));
    const faults = lease ? leaseFaults(kept, given, lease) : [];
    complain(`container "${args.containerId}" is not as flannel would have it now`, faults);
  },

  // DEL may be called twice, or after an ADD that came to nothing: then nothing is kept, and there is nothing to do.
  del(context) {
    release(context, findStash(placeOf(context.config, context.args)));
  },

  // GC: what is kept for attachments that are gone has its DEL now, since not every delegate has a GC. Those that have hear of it.
  gc(context) {
    const { config: given, args, valid } = context;
    const kept = listStashes(placeOf(given, args).dataDir, given.name);
    const isGone = ({ containerId, ifname }: Stash): boolean =>
      valid !== undefined && !valid.some((one) => one.containerID === containerId && one.ifname === (ifname ?? one.ifname));
    const delegate = planned(given) ?? kept[0]?.delegate;
    doEach([
      ...kept.filter(isGone).map((stash) => () => release({ ...context, args: argsOf(stash, args) }, stash)),
      ...(delegate ? [() => delegateGc(callOf(delegate.type, { args, raw: asAsked(context, delegate) }))] : []),
    ]);
  },

  // STATUS: flanneld has a lease, and the delegate could serve.
  status(context) {
    const { config: given, args } = context;
    const delegate = delegateFor(given, leaseNow(given));
    delegateStatus(callOf(delegate.type, { args, raw: asAsked(context, delegate) }));
  },
});

/** The usual delegates are in flannel's own program; any other is started. */
const callOf = (type: string, context: DelegateContext): Delegation => delegationTo(type, context, { bridge, ptp });

const subnetFileOf = ({ subnetFile }: Config): string => subnetFile || DEFAULTS.subnetFile;

const placeOf = ({ dataDir, name }: Config, { containerId, ifname }: Args): Place =>
  ({ dataDir, network: name, attached: { containerId, ifname } });

/** As a runtime would say them for an attachment whose namespace is gone. */
const argsOf = ({ containerId, ifname = "" }: Stash, { path }: Args): Args => ({ containerId, ifname, netns: "", cniArgs: "", path });

/** The delegate's configuration for a verb that looks at what is: with what the runtime says to us now. */
function asAsked({ config: { cniVersion }, raw }: Context<Config>, delegate: Delegate): JsonObject {
  const told = ["prevResult", "cni.dev/valid-attachments", "cni.dev/attachments"].map((key) => [key, find(raw, key)]);
  return { ...delegate, ...(cniVersion !== "" && { cniVersion }), ...Object.fromEntries(told.filter(([, value]) => value !== undefined)) };
}

/** For DEL: in the version that ADD was in, and with the result where that is in the same. */
function asKept({ config: { cniVersion }, prevResult, raw }: Context<Config>, delegate: Delegate): JsonObject {
  const isSame = (delegate["cniVersion"] ?? "") === cniVersion;
  return prevResult && isSame ? { ...delegate, prevResult: find(raw, "prevResult") } : delegate;
}

/** The delegate's DEL with what is kept; when that has succeeded, nothing is. For a wreck it is made once more, if it can be. */
function release(context: Context<Config>, stash: Stash | undefined): void {
  if (!stash) return;
  const { config: given, args } = context;
  const delegate = stash.delegate ?? planned(given);
  if (delegate && args.ifname !== "") delegateDel(callOf(delegate.type, { args, raw: asKept(context, delegate) }));
  forgetStash(stash);
}

/** The delegate's configuration as ADD would make it now; undefined where it could not. */
function planned(given: Config): Delegate | undefined {
  try {
    return delegateFor(given, readLease(subnetFileOf(given)));
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    ignore(error, "what is kept says more, and DEL and GC must not wait for flanneld");
    return undefined;
  }
}

function leaseNow(given: Config): Lease {
  try {
    return readLease(subnetFileOf(given));
  } catch (error) {
    if (error instanceof CniError) throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, error.message, { cause: error });
    throw error;
  }
}

/** Does what can be done before it tells what could not: GC is to take away as much as it can (specification, "GC"). */
function doEach(steps: readonly (() => void)[]): void {
  const failures: CniError[] = [];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      failures.push(toCniError(error));
    }
  }
  const [first] = failures;
  if (first) throw new CniError(first.code, failures.map(({ message }) => message).join("; "), { cause: first });
}
