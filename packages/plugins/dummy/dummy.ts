/**
 * dummy: gives a pod a device that leads nowhere, with addresses on it.
 *
 *        pod
 *     ┌───────────────────────────────┐
 *     │ dummy0 10.1.2.5/24   ▓        │   whatever is sent by it is gone
 *     └───────────────────────────────┘
 *
 * For an address that a pod shall have whatever becomes of its network: one that a routing daemon announces, one that a
 * load balancer sends packets for. It stays up when the wire is down.
 *
 * Same options and results as the reference dummy plugin; what such devices share is ../shared/subinterface.ts.
 */
import { CniError, ErrorCode, config, definePlugin, type Ipam } from "@vethwork/cni";
import { addSubinterface, checkSubinterface, collectSubinterfaces, deleteSubinterface, statusOfSubinterface } from "../shared/subinterface.ts";

export default definePlugin({
  type: "dummy",
  about: "a device that leads nowhere, with addresses on it",
  config: config({}),

  add(context) {
    wantIpam(context.config);
    return addSubinterface(context, { announce: [], make: (name, { pod }) => pod.links.add({ kind: "dummy", name }) });
  },

  check(context) {
    wantIpam(context.config);
    checkSubinterface(context, "dummy");
  },

  del: deleteSubinterface,
  gc: collectSubinterfaces,
  status: statusOfSubinterface,
});

function wantIpam({ ipam }: { ipam?: Ipam }): void {
  if (!ipam) throw new CniError(ErrorCode.INVALID_CONFIG, "dummy interface requires an IPAM configuration");
}
