/** A lease as the plugin's result: an address, the ways out of the network, who answers names. */
import type { Dns, Result } from "@vethwork/cni";
import { resultFrom } from "../shared/ipam/lease.ts";
import type { Lease } from "./lease.ts";

/**
 * The server's MTU goes with the routes: an IPAM plugin configures no interface, and this is the place that the specification has
 * for it. `priority` is of all routes, 0 is none.
 */
export function resultOf({ address, gateway, routes, nameservers, domain, search, mtu }: Lease, priority: number): Result {
  const dns: Dns = { ...(nameservers.length > 0 && { nameservers }), ...(domain !== "" && { domain }), ...(search.length > 0 && { search }) };
  return resultFrom({
    ips: [{ address, ...(gateway !== undefined && { gateway }) }],
    routes: routes.map((route) => ({ ...route, ...(mtu > 0 && { mtu }), ...(priority > 0 && { priority }) })),
    ...(Object.keys(dns).length > 0 && { dns }),
  });
}
