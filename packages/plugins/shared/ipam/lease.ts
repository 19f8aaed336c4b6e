/** What an IPAM plugin hands on from its configuration beside addresses: routes and name servers. */
import { cidr, integer, ip, list, object, required, string, stringList, type Dns, type Parser, type Result, type Route } from "@vethwork/cni";
import { parseCidr, parseIp } from "@vethwork/linux";

const fields = object({
  dst: [cidr, required, "Where to: a prefix; 0.0.0.0/0 and ::/0 are everywhere."],
  gw: [ip, undefined, "The next router; absent: the gateway of the address."],
  mtu: [integer({ min: 0 }), 0, "Largest packet on this way, in bytes; 0 leaves it to the interface."],
  advmss: [integer({ min: 0 }), 0, "Largest TCP segment to ask for, in bytes; 0 leaves it to the kernel."],
  priority: [integer({ min: 0 }), 0, "The metric; lower wins."],
  table: [integer({ min: 0 }), undefined, "The routing table; absent: main."],
  scope: [integer({ min: 0, max: 255 }), undefined, "How far it reaches: 0 everywhere, 253 the link, 254 this host."],
});

/** The routes to be copied into the result. */
export const routes: Parser<Route[]> = {
  get describe() { return list(fields).describe; },
  get schema() { return list(fields).schema; },
  zero: [],
  // On DEL a destination that does not read is "", and its route goes nowhere.
  parse: (value, where, mode) => list(fields).parse(value, where, mode).filter(({ dst }) => dst !== "").map(({ dst, gw, mtu, advmss, priority, table, scope }) => ({
    dst: String(parseCidr(dst)),
    ...(gw !== undefined && { gw: String(parseIp(gw)) }),
    ...(mtu > 0 && { mtu }),
    ...(advmss > 0 && { advmss }),
    ...(priority > 0 && { priority }),
    ...(table !== undefined && { table }),
    ...(scope !== undefined && { scope }),
  })),
};

const servers = object({
  nameservers: [stringList, [], "Addresses of the name servers, the first asked first."],
  domain: [string, "", "The local domain."],
  search: [stringList, [], "Domains in which short names are looked up."],
  options: [stringList, [], "Options of resolv.conf(5)."],
});

/** Name servers; undefined where the section says nothing. */
export const dns: Parser<Dns | undefined> = {
  describe: servers.describe,
  get schema() { return servers.schema; },
  parse: (value, where, mode) => {
    const { nameservers, domain, search, options } = servers.parse(value, where, mode);
    const said: Dns = {
      ...(nameservers.length > 0 && { nameservers }), ...(domain !== "" && { domain }), ...(search.length > 0 && { search }), ...(options.length > 0 && { options }),
    };
    return Object.keys(said).length > 0 ? said : undefined;
  },
};

/** A result without the lists that are empty. */
export const resultFrom = ({ ips = [], routes: ways = [], dns: names }: Result): Result => ({
  ...(ips.length > 0 && { ips }), ...(ways.length > 0 && { routes: ways }), ...(names && { dns: names }),
});
