/** What a server's acknowledgement grants, read into a lease. */
import { CniError, ErrorCode, type Route } from "@vethwork/cni";
import { cidrOf, type Ip, type Mac } from "@vethwork/linux";
import type { Lease } from "./lease.ts";
import type { Message } from "./message.ts";
import { OPTION, valueOf, type Option, type Way } from "./values.ts";

/** Where a grant came from, and when it was asked for. */
export interface Grant {
  message: Message;
  mac: Mac;
  /** Milliseconds since the machine's start. */
  askedAt: number;
  /** The server that was asked, where the answer itself does not say. */
  server: Ip | undefined;
  /** The same of the prefix length of its subnet. */
  prefix?: number;
}

const HOUR = 3600; // seconds: the time of a lease whose server does not say

/**
 * The lease that an acknowledgement grants. CniError 999 where it lacks a netmask, in the reference's words. What else in it does not read
 * is as good as absent, and told to `complain`: a server's odd search list must not cost a pod its address.
 */
export function leaseFrom({ message: { yiaddr, options }, mac: from, askedAt, server, prefix: expected }: Grant, complain: (what: string) => void): Lease {
  const find = <T>(option: Option<T>): T | undefined => {
    try {
      return valueOf(options, option);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      complain(error.message);
      return undefined;
    }
  };
  const prefix = find(OPTION.SUBNET_MASK) ?? expected;
  if (prefix === undefined) throw new CniError(ErrorCode.INTERNAL, "DHCP option Subnet Mask not found in DHCPACK");
  const seconds = find(OPTION.LEASE_TIME) || HOUR;
  const [gateway] = find(OPTION.ROUTER) ?? [];
  const granting = find(OPTION.SERVER) ?? server;
  if (!granting) throw new CniError(ErrorCode.INTERNAL, "DHCP option Server Identifier not found in DHCPACK");
  return {
    address: String(cidrOf(yiaddr, prefix)), server: String(granting), serverMac: String(from), since: Math.round(askedAt), seconds,
    ...timers(seconds, find(OPTION.RENEWAL_TIME), find(OPTION.REBINDING_TIME)),
    gateway: gateway && String(gateway),
    routes: routesFrom(find(OPTION.CLASSLESS_ROUTE), find(OPTION.STATIC_ROUTE), gateway),
    nameservers: (find(OPTION.DNS) ?? []).map(String), domain: find(OPTION.DOMAIN_NAME) ?? "", search: find(OPTION.DOMAIN_SEARCH) ?? [],
    mtu: find(OPTION.MTU) ?? 0,
  };
}

/** A server's T1 and T2 count where they are in order; else the RFC's shares of the time (section 4.4.5). */
function timers(seconds: number, t1: number | undefined, t2: number | undefined): Pick<Lease, "renewAfter" | "rebindAfter"> {
  const rebindAfter = t2 !== undefined && t2 > 0 && t2 <= seconds ? t2 : Math.ceil(seconds * 0.875);
  const renewAfter = t1 !== undefined && t1 > 0 && t1 <= rebindAfter ? t1 : Math.min(Math.ceil(seconds / 2), rebindAfter);
  return { renewAfter, rebindAfter };
}

/** Classless routes stand in place of all others (RFC 3442); the router 0.0.0.0 says that the destination is on the link. */
function routesFrom(classless: readonly Way[] | undefined, classful: readonly Way[] = [], gateway: Ip | undefined): Route[] {
  if (classless) {
    return classless.map(({ dst, via }) => ({ dst: String(dst), gw: String(via), ...(isNowhere(via) && { scope: ON_LINK }) }));
  }
  return [...classful.map(({ dst, via }) => ({ dst: String(dst), gw: String(via) })), ...(gateway ? [{ dst: "0.0.0.0/0", gw: String(gateway) }] : [])];
}

const ON_LINK = 253; // rtnetlink(7) RT_SCOPE_LINK
const isNowhere = ({ bytes }: Ip): boolean => bytes.every((byte) => byte === 0);

