/**
 * What has to become of connections: from whom, to what, and where they arrive. Who is who, and what the services are, is in ./world.ts.
 *
 *     client    plain 80          web-1 web-2 web-3     to one of these, which sees the client's own address
 *     outside   plain 80          web-1* web-2* web-3*  the same, but they see the node's
 *     client    empty 80          refused               told at once that nobody listens
 *     outside   door-away@node-1 80    dropped          not answered
 *     client    headless 80       passed                no service's affair
 *
 * `name` is the service's address in the cluster, `name@public` its load balancer's or external one, `name@node-1` its node port there.
 * Rows that hold of one family only begin with it. The rows are run twice: by following the rules (../follow.test.ts), and with packets
 * (../follow.root.test.ts).
 */
import { parseIp, sameIp, type Family, type Ip } from "@vethwork/linux";
import type { TransportProtocol } from "../../cluster.ts";
import type { Fate } from "../follow.ts";
import { ADDRESSES, addressOf, isWho, numberOf, publicIp, wordsOfServices, type Who } from "./world.ts";

const TABLE = `
# In the cluster
client     plain 80                    web-1 web-2 web-3
web-1      plain 80                    web-1* web-2 web-3
node-1     plain 80                    web-1* web-2* web-3*
outside    plain 80                    web-1* web-2* web-3*
stranger   plain 80                    web-1* web-2* web-3*
peer       plain 80                    web-1* web-2* web-3*
node-2     plain 80                    web-1* web-2* web-3*
client     alone 80                    web-1
web-1      alone 80                    web-1*
client     named 80                    web-1:8080 web-2:8081

# Several ports, and every protocol
client     multi 80                    web-1:8080 web-2:8080
client     multi 443                   web-1:8443 web-2:8443
client     multi 53/udp                web-1:5353 web-2:5353
client     multi 53                    web-1:5353 web-2:5353
client     multi 9000/sctp             web-1:9000 web-2:9000
web-1      multi 53/udp                web-1:5353* web-2:5353
outside    multi 53/udp                web-1:5353* web-2:5353*
node-1     multi 53/udp                web-1:5353* web-2:5353*
outside    multi 9000/sctp             web-1:9000* web-2:9000*

# Ports that a service does not have, addresses that no service has
client     plain 81                    refused
node-1     plain 81                    refused
outside    plain 81                    refused
client     plain 80/udp                refused
client     plain 80/sctp               refused
client     multi 9000                  refused
client     multi 443/udp               refused
client     empty 81                    refused
client     unused 80                   dropped
outside    unused 80                   dropped
node-1     unused 80/udp               dropped
client     web-2 8080                  passed
client     outside 8080                passed
outside    node-1 8080                 passed

# Nobody to answer
client     empty 80                    refused
node-1     empty 80                    refused
outside    empty 80                    refused
client     empty 53/udp                refused
node-1     empty 53/udp                refused
client     empty 9000/sctp             refused
client     not-ready 80                refused
outside    not-ready 80                refused

# Endpoints that come and go
client     ending 80                   web-1
node-1     ending 80                   web-1*
client     mixed 80                    web-1
outside    mixed 80                    web-1*
client     published 80                web-1 web-2
client     zone-ending 80              web-1 web-3

# Clients that are to stay on their node
client     inner 80                    web-1
web-1      inner 80                    web-1*
node-1     inner 80                    web-1*
outside    inner 80                    web-1*
client     inner-away 80               dropped
node-1     inner-away 80               dropped
outside    inner-away 80               dropped
client     inner-empty 80              refused
client     inner-ending 80             web-1
client     door-inner 80               web-1
outside    door-inner@node-1 80        web-1* web-2*
client     door-inner@node-1 80        web-1* web-2*

# Hints
client     zone 80                     web-2 web-3
outside    zone 80                     web-2* web-3*
client     zone-partly 80              web-1 web-2 web-3
client     zone-away 80                web-1 web-2
client     near 80                     web-1
node-1     near 80                     web-1*
client     near-away 80                web-2
client     near-partly 80              web-1 web-2

# Node ports
outside    door@node-1 80              web-1* web-2*
stranger   door@node-1 80              web-1* web-2*
client     door@node-1 80              web-1* web-2*
web-1      door@node-1 80              web-1* web-2*
node-1     door@node-1 80              web-1* web-2*
peer       door@node-1 80              web-1* web-2*
node-2     door@node-1 80              web-1* web-2*
outside    door@node-1 53/udp          web-1:5353* web-2:5353*
node-1     door@node-1 53/udp          web-1:5353* web-2:5353*
outside    door@node-1 9000/sctp       web-1:9000* web-2:9000*
client     door 80                     web-1 web-2
client     door@node-2 80              passed
outside    door-empty@node-1 80        refused
client     door-empty@node-1 80        refused
node-1     door-empty@node-1 80        refused

# Node ports whose clients keep their address, and stay on the node
outside    door-here@node-1 80         web-1
peer       door-here@node-1 80         web-1
node-2     door-here@node-1 80         web-1
client     door-here@node-1 80         web-1 web-2
web-1      door-here@node-1 80         web-1* web-2
node-1     door-here@node-1 80         web-1* web-2*
client     door-here 80                web-1 web-2
outside    door-here 80                web-1* web-2*
outside    door-away@node-1 80         dropped
peer       door-away@node-1 80         dropped
client     door-away@node-1 80         web-2 web-3
node-1     door-away@node-1 80         web-2* web-3*
client     door-away 80                web-2 web-3
outside    door-here-empty@node-1 80   refused
client     door-here-empty@node-1 80   refused
outside    door-ending@node-1 80       web-1
client     door-ending@node-1 80       web-2
node-1     door-ending@node-1 80       web-2*
outside    door-zone@node-1 80         web-1
client     door-zone@node-1 80         web-2
client     door-zone 80                web-2

# Load balancers
outside    shop@public 80              web-1* web-2*
client     shop@public 80              web-1* web-2*
node-1     shop@public 80              web-1* web-2*
client     shop 80                     web-1 web-2
outside    shop@node-1 80              web-1* web-2*
outside    shop@public 81              passed
outside    shop-here@public 80         web-1
client     shop-here@public 80         web-1 web-2
node-1     shop-here@public 80         web-1* web-2*
outside    shop-here@node-1 80         web-1
outside    shop-away@public 80         dropped
client     shop-away@public 80         web-2 web-3
node-1     shop-away@public 80         web-2* web-3*
outside    shop-empty@public 80        refused
client     shop-empty@public 80        refused
outside    shop-proxied@public 80      passed
client     shop-proxied@public 80      passed
outside    shop-proxied@node-1 80      web-1* web-2*
client     shop-proxied 80             web-1 web-2
outside    shop-only@public 80         web-1* web-2*

# Load balancers for some
outside    shop-guarded@public 80      web-1* web-2*
stranger   shop-guarded@public 80      dropped
client     shop-guarded@public 80      dropped
node-1     shop-guarded@public 80      dropped
stranger   shop-guarded@node-1 80      web-1* web-2*
client     shop-guarded 80             web-1 web-2
outside    shop-guarded-here@public 80 web-1
stranger   shop-guarded-here@public 80 dropped
outside    shop-guarded-empty@public 80 refused
stranger   shop-guarded-empty@public 80 dropped
node-1     shop-nodes@public 80        web-1* web-2*
outside    shop-nodes@public 80        dropped
stranger   shop-open@public 80         web-1* web-2*
outside    shop-four@public 80         web-1* web-2*
4 stranger shop-four@public 80         dropped
6 stranger shop-four@public 80         web-1* web-2*

# External addresses
outside    ext@public 80               web-1* web-2*
client     ext@public 80               web-1* web-2*
node-1     ext@public 80               web-1* web-2*
outside    ext@public 443              passed
outside    ext-here@public 80          web-1
client     ext-here@public 80          web-1 web-2
node-1     ext-here@public 80          web-1* web-2*
outside    ext-empty@public 80         refused
client     ext-b 80                    web-2 web-3

# Clients that are remembered, before they are
client     sticky 80                   web-1 web-2 web-3
web-1      sticky 80                   web-1* web-2 web-3
outside    sticky@node-1 80            web-1* web-2* web-3*
client     sticky 53/udp               web-1:5353 web-2:5353 web-3:5353
outside    sticky-here@node-1 80       web-1
client     sticky-here@node-1 80       web-1 web-2 web-3

# Left alone
client     others@public 80            passed
client     headless 80                 dropped
client     elsewhere 80                dropped
4 client   four 80                     web-1 web-2
6 client   four 80                     dropped
6 client   six 80                      web-1 web-2
4 client   six 80                      dropped

# Endpoints that are nodes
client     host 443                    node-1:6443 node-2:6443
outside    host 443                    node-1:6443 node-2:6443*
node-1     host 443                    node-1:6443* node-2:6443*
`;

/** With everything masqueraded. */
const ALL_MASQUERADED = `
# In the cluster
client     plain 80                    web-1* web-2* web-3*
web-1      plain 80                    web-1* web-2* web-3*
node-1     plain 80                    web-1* web-2* web-3*
outside    door@node-1 80              web-1* web-2*
outside    door-here@node-1 80         web-1
`;

export interface Row {
  section: string;
  /** As it stands in the table. */
  text: string;
  family: Family;
  from: Who;
  to: Ip;
  protocol: TransportProtocol;
  port: number;
  /** As it stands in the table, each with its port. */
  outcome: readonly string[];
}

export const rows: readonly Row[] = rowsIn(TABLE);
export const masqueradedRows: readonly Row[] = rowsIn(ALL_MASQUERADED);

function rowsIn(table: string): Row[] {
  let section = "";
  return table.trim().split("\n").flatMap((line) => {
    if (line.startsWith("# ")) section = line.slice(2);
    if (line === "" || line.startsWith("#")) return [];
    return ([4, 6] as const).flatMap((family) => rowOf(line, { section, family }) ?? []);
  });
}

function rowOf(line: string, { section, family }: { section: string; family: Family }): Row | undefined {
  const [, only, from = "", target = "", port = "", protocol = "tcp", ends = ""] = /^(?:([46]) )?(\S+) +(\S+) (\d+)(?:\/(udp|sctp))? +(.*)$/.exec(line) ?? [];
  if (only !== undefined && Number(only) !== family) return undefined;
  if (!isWho(from) || (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")) throw new RangeError(`Cannot read the row "${line}"`);
  const to = targetOf(target, { port: Number(port), protocol, family });
  return { section, text: `IPv${family} ${line.replace(/ +/g, " ").replace(/^[46] /, "")}`, family, from, protocol, ...to, outcome: ends.trim().split(/ +/).map(withPort) };
}

function withPort(end: string): string {
  return ["refused", "dropped", "passed"].includes(end) || end.includes(":") ? end : end.replace(/^([^*]*)(\*?)$/, "$1:8080$2");
}

function targetOf(target: string, { port, protocol, family }: { port: number; protocol: string; family: Family }): { to: Ip; port: number } {
  const [name = "", at] = target.split("@");
  if (isWho(name)) return { to: addressOf(name, family), port };
  if (name === "unused") return { to: parseIp(family === 4 ? "10.96.9.9" : "fd00:96::9999"), port };
  const service = wordsOfServices.find((words) => words.name === name);
  if (!service) throw new RangeError(`Cannot find service "${name}"`);
  if (at === "public") return { to: parseIp(publicIp(numberOf(name), family)), port };
  if (at === undefined) return { to: parseIp(family === 4 ? `10.96.0.${service.n}` : `fd00:96::${service.n}`), port };
  const nodePort = service.ports?.find(([, one, number]) => one.toLowerCase() === protocol && number === port)?.[4];
  if (nodePort === undefined || !isWho(at)) throw new RangeError(`Cannot find the node port of "${target}"`);
  return { to: addressOf(at, family), port: nodePort };
}

const everybody = Object.keys(ADDRESSES).filter(isWho);
const nameOf = (ip: Ip): string => everybody.find((name) => ([4, 6] as const).some((family) => sameIp(addressOf(name, family), ip))) ?? String(ip);

/** As the table says it. */
export function said({ verdict, to, port, isMasqueraded }: Fate): string {
  return verdict === "sent" ? `${nameOf(to)}:${port}${isMasqueraded ? "*" : ""}` : verdict;
}
