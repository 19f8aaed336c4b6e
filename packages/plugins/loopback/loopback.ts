/**
 * loopback: switches on the interface by which a pod talks to itself.
 *
 * A new network namespace has `lo`, switched off; the kernel gives it 127.0.0.1 and ::1 once it is up. Runtimes call
 * this plugin for every pod beside its real network (containerd does so with a configuration of its own). It makes
 * nothing, so there is nothing to take away: DEL switches `lo` off again, as the reference loopback plugin does.
 */
import { CniError, ErrorCode, config, definePlugin, type Result } from "@vethwork/cni";
import { Netns, type Cidr } from "@vethwork/linux";
import { openPod } from "../shared/pod.ts";

const LO = "lo";
const LOOPBACK_MAC = "00:00:00:00:00:00";
const NOT_UP = 100; // the specification leaves codes from 100 on to plugins

export default definePlugin({
  type: "loopback",
  about: "the interface by which a pod talks to itself",
  config: config({}),

  add({ args, prevResult, undo }) {
    const pod = undo.use(openPod(args.netns));
    const lo = pod.links.get(LO);
    if (!lo.up) undo.defer(() => pod.links.set(lo, { up: false }));
    pod.links.set(lo, { up: true });
    const addresses = pod.addrs.list({ link: lo }).map(({ address }) => address);
    const strange = addresses.find((address) => !isLoopback(address));
    if (strange) throw new CniError(ErrorCode.INTERNAL, `"${LO}" has the address ${strange} (loopback addresses alone are wanted)`);
    return prevResult ?? resultOf(args.netns, addresses);
  },

  check({ args }) {
    using pod = openPod(args.netns);
    if (!pod.links.get(LO).up) throw new CniError(NOT_UP, `"${LO}" is down`);
  },

  del({ args }) {
    using pod = args.netns === "" ? undefined : Netns.find(args.netns);
    if (pod) pod.links.set(pod.links.get(LO), { up: false });
  },
});

function resultOf(sandbox: string, addresses: readonly Cidr[]): Result {
  const first = ([4, 6] as const).map((family) => addresses.find((address) => address.family === family));
  const ips = first.filter((address) => address !== undefined).map((address) => ({ address: String(address), interface: 0 }));
  return { interfaces: [{ name: LO, mac: LOOPBACK_MAC, sandbox }], ips };
}

const isLoopback = ({ family, ip }: Cidr): boolean => (family === 4 ? ip.bytes[0] === 127 : String(ip) === "::1");
