#!/usr/bin/env bun
/** mtu: a chained plugin that sets the MTU of the pod's interface, which a plugin before it has made. */
import { CniError, ErrorCode, config, definePlugin, integer, required, runPlugin, type Args } from "@vethwork/cni";
import { Netns, type Link } from "@vethwork/linux";

const CHANGED = 100;

function pod(args: Args): { netns: Netns; link: Link } {
  const netns = Netns.open(args.netns);
  return { netns, link: netns.links.get(args.ifname) };
}

runPlugin(definePlugin({
  type: "mtu",
  about: "sets the MTU of the pod's interface",
  config: config({ mtu: [integer({ min: 68, max: 65535 }), required, "Largest packet, in bytes."] }),

  add({ args, config: { mtu }, prevResult, undo }) {
    if (!prevResult) throw new CniError(ErrorCode.INVALID_CONFIG, 'missing option "prevResult" (mtu stands behind a plugin that makes the interface)');
    const { netns, link } = pod(args);
    undo.use(netns);
    undo.defer(() => netns.links.set(link, { mtu: link.mtu }));
    netns.links.set(link, { mtu });
    return { ...prevResult, interfaces: (prevResult.interfaces ?? []).map((one) => (one.sandbox ? { ...one, mtu } : one)) };
  },

  // The interface goes with the pod, and takes its MTU along.
  del() {},

  check({ args, config: { mtu } }) {
    using netns = pod(args).netns;
    const now = netns.links.get(args.ifname).mtu;
    if (now !== mtu) throw new CniError(CHANGED, `"${args.ifname}" has MTU ${now} (${mtu} is wanted)`);
  },
}));
