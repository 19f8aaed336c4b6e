/**
 * Addresses that somebody asked for: in CNI_ARGS (podman), in `args.cni.ips`, by the capability `ips` (`runtimeConfig`).
 * Each is one that some set must give; a set gives one address.
 */
import { CniError, ErrorCode } from "@vethwork/cni";
import { parseIp, sameIp, type Ip } from "@vethwork/linux";
import { isIn, type Pool } from "../shared/ipam/pool.ts";

/** The address that each set is to give, undefined where any will do. CniError 7 where a request does not read, or no set is left for it. */
export function requestsOf(sets: readonly (readonly Pool[])[], texts: readonly string[]): (Ip | undefined)[] {
  const open = texts.map(addressIn).filter((ip, at, all) => all.findIndex((other) => sameIp(ip, other)) === at);
  const chosen = sets.map((set) => {
    const at = open.findIndex((ip) => set.some((pool) => isIn(pool, ip)));
    return at < 0 ? undefined : open.splice(at, 1)[0];
  });
  if (open.length > 0) throw new CniError(ErrorCode.INVALID_CONFIG, `failed to allocate all requested IPs: ${open.join(" ")}`);
  for (const [at, ip] of chosen.entries()) {
    const isGateway = ip && sets[at]?.some(({ gateway }) => gateway && sameIp(gateway, ip));
    if (isGateway) throw new CniError(ErrorCode.INVALID_CONFIG, `failed to allocate for range ${at}: requested ip ${ip} is subnet's gateway`);
  }
  return chosen;
}

function addressIn(text: string): Ip {
  try {
    return parseIp(text.replace(/\/\d+$/, ""));
  } catch (error) {
    throw new CniError(ErrorCode.INVALID_CONFIG, `cannot understand ip: ${JSON.stringify(text)} (an IP address is wanted)`, { cause: error });
  }
}
