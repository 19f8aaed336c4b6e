/**
 * Flows of subnets that are another node's now, or nobody's: conntrack goes on remembering them, and with them where it sent their
 * packets and under which address. The next pod that gets such an address would be answered as if it were the last.
 */
import { isErrno, type Cidr, type Ip, type Netns, type Tuple } from "@vethwork/linux";
import type { Log } from "./log.ts";

/** Forgets every flow that begins or ends in one of the subnets. */
export function forgetFlows(host: Netns, subnets: readonly Cidr[], log: Log): void {
  if (subnets.length === 0) return;
  const isIn = memberOf(subnets);
  const touches = ({ source, destination }: Tuple): boolean => isIn(source) || isIn(destination);
  try {
    const count = host.conntrack.deleteWhere({}, ({ original, reply }) => touches(original) || touches(reply));
    if (count > 0) log.change(`forget ${count} flows with ${subnets.join(", ")}`);
  } catch (error) {
    if (!isErrno(error, "EINVAL", "EOPNOTSUPP", "EPROTONOSUPPORT")) throw error; // this kernel remembers no flows
  }
}

/** There may be a million flows, and mostly all subnets have one length: an address is cut to it, and looked up. */
function memberOf(subnets: readonly Cidr[]): (ip: Ip) => boolean {
  const lengths = Map.groupBy(subnets, ({ family, prefix }) => family * 1000 + prefix);
  const sets = [...lengths.values()].flatMap((some) => {
    const [first] = some;
    return first ? [{ family: first.family, prefix: first.prefix, keys: new Set(some.map(({ ip, prefix }) => cut(ip.bytes, prefix))) }] : [];
  });
  return ({ family, bytes }) => sets.some((one) => one.family === family && one.keys.has(cut(bytes, one.prefix)));
}

/** The first bits of an address, as text. */
function cut(bytes: Uint8Array, prefix: number): string {
  let text = "";
  for (let at = 0; at * 8 < prefix; at++) text += String.fromCharCode((bytes[at] ?? 0) & (0xff00 >> Math.min(8, prefix - at * 8)));
  return text;
}
