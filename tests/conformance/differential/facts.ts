/**
 * What a play told, as plain sorted lines that can be held against another's: "node link cni0 mtu: 1500".
 *
 * Only what is chance or time is left out or renamed, and here is all of it:
 *   - random names of links, by whose end they are: veth(pod1/eth0); indices; numbers of namespaces
 *   - whose of several ports a bridge has its MAC address of: the lowest, and all are chance
 *   - MAC addresses that the row does not name, by whose they are: mac(pod1/eth0), and the IPv6 addresses made of them
 *   - what the kernel notices in its own time: whether there is a carrier (NO-CARRIER, linkdown, operstate, a port's state)
 *   - timers, counters, reference counts, seeds
 */
import { isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { ipFrom, parseMac } from "@vethwork/linux";
import type { Piece } from "./play.ts";

/** A verb of the play, "ADD" or "DEL pod2" or "DEL again", and the lines of what it said and what is there after it. */
export interface Step {
  name: string;
  lines: string[];
  /** Whether everything was looked at, or the verb's answer alone was heard. */
  looked: boolean;
  /** The answer as it was, for people. */
  said: string;
}

/**
 * @param given the row's own text: a MAC address that stands there is no chance
 */
export function stepsOf(pieces: readonly Piece[], given: string): Step[] {
  const steps: Step[] = [];
  const starts = pieces.flatMap(({ head }, at) => (head[0] === "verb" ? [at] : []));
  for (const [at, from] of starts.entries()) {
    const [, verb = "", pod = ""] = pieces[from]?.head ?? [];
    const base = pod === "pod1" ? verb : `${verb} ${pod}`;
    const before = steps.filter(({ name }) => name.replace(/ again.*/, "") === base).length;
    const name = before === 0 ? base : before === 1 ? `${base} again` : `${base} again (${before})`;
    const told = pieces.slice(from + 1, starts[at + 1]);
    const said = told.filter(({ head }) => head[0] === "said" || head[0] === "stderr").map(({ text }) => text).join("");
    steps.push({ name, lines: linesOf(told, given), looked: told.some(({ head }) => head[0] === "view"), said });
  }
  return steps;
}

/** Each line once, in order. */
function linesOf(pieces: readonly Piece[], given: string): string[] {
  const rename = namesIn(pieces, given);
  const lines = pieces.flatMap((piece) => (readers[piece.head[0] ?? ""] ?? (() => []))(piece));
  return [...new Set(lines.map(rename))].toSorted();
}

const readers: Readonly<Record<string, (piece: Piece) => string[]>> = {
  said: ({ head: [, type = "", code = ""], text }) => [`${type} exit: ${code}`, ...answerOf(type, text)],
  ip: ({ head: [, netns = ""], text }) => documents(text).flat().filter(isObject).flatMap((one) => [...linkLines(netns, one), ...routeLines(netns, one), ...ruleLines(`${netns} rule4`, one)]),
  rules: ({ head: [, netns = ""], text }) => documents(text).flat().filter(isObject).flatMap((one) => ruleLines(`${netns} rule6`, one)),
  sysctls: ({ head: [, netns = ""], text }) => text.split("\n").filter((line) => line !== "" && !isRestless(line)).map((line) => `${netns} sysctl ${line.replace("/proc/sys/", "").replace(":", ": ")}`),
  qdiscs: ({ head: [, netns = ""], text }) => plainLines(text).map((line) => `${netns} ${line.replace(/ refcnt \d+/, "")}`),
  filters: ({ head: [, netns = "", device = ""], text }) => plainLines(text).map((line) => `${netns} filter ${device} ${line.replace(/\bindex \d+/, "index")}`),
  bridge: ({ head: [, netns = ""], text }) => documents(text).flat().filter(isObject).flatMap((port) => portLines(netns, port)),
  nft: ({ text }) => nftLines(text),
  iptables: ({ head: [, family = ""], text }) => iptablesLines(family, text),
  folder: ({ head: [, mode = "", path = ""] }) => [`folder ${ownPath(path)} mode ${mode}`],
  file: ({ head: [, mode = "", path = ""], text }) => [`file ${ownPath(path)} mode ${mode}: ${JSON.stringify(text.slice(0, -1))}`],
};

/** The stage keeps what is written to its folders in layers of its own. */
const ownPath = (path: string): string => path.replace(/^\/run\/stage\/lib(?=\/)/, "/var/lib").replace(/^\/run\/stage\/etc(?=\/)/, "/etc");

const plainLines = (text: string): string[] => text.split("\n").map((line) => line.trim().replaceAll(/\s+/g, " ")).filter((line) => line !== "");

/** iproute2 prints one JSON document a line for each command of a batch. */
function documents(text: string): unknown[][] {
  return text.split(/\n(?=\[)/).filter((part) => part.trim() !== "").map((part) => {
    const json = parseJson(part);
    return Array.isArray(json) ? json : [json];
  });
}

/** A result field by field; of an error its code, since words are everyone's own. */
function answerOf(type: string, text: string): string[] {
  if (text.trim() === "") return [];
  const json = parseJson(text);
  if (isObject(json) && "code" in json) return [`${type} error: ${String(json["code"])}`];
  return fields(json).map(([path, value]) => `${type} result ${withName(json, path)}: ${value}`);
}

/** interfaces[0].mac is whose? */
function withName(result: unknown, path: string): string {
  const at = /^interfaces\[(\d+)\]\.mac$/.exec(path)?.[1];
  const interfaces = isObject(result) ? result["interfaces"] : undefined;
  const one: unknown = at !== undefined && Array.isArray(interfaces) ? interfaces[Number(at)] : undefined;
  return isObject(one) ? `${path} of ${String(one["name"])}` : path;
}

/** Every leaf of a value, by its path; an empty object or list is a leaf, too. */
function fields(value: unknown, path = ""): [string, string][] {
  if (Array.isArray(value) && value.length > 0) return value.flatMap((one, at) => fields(one, `${path}[${at}]`));
  if (isObject(value) && Object.keys(value).length > 0) return Object.entries(value).flatMap(([key, one]) => fields(one, path === "" ? key : `${path}.${key}`));
  return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
}

const words = (object: JsonObject): string => Object.entries(object).filter(([, value]) => !(Array.isArray(value) && value.length === 0))
  .map(([key, value]) => `${key} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ");

const linkNoise = /^(?:ifindex|link_index|link_netnsid|operstate|stats.*|linkinfo\.info_(?:slave_)?data\.(?:\w+_timer|no|id|state|\w+_state|root_path_cost|root_port|topology_change\w*))$/;

function linkLines(netns: string, link: JsonObject): string[] {
  const name = link["ifname"];
  if (typeof name !== "string") return [];
  const { ifname: _name, addr_info: addresses, flags, ...rest } = link;
  const held = Array.isArray(addresses) ? addresses.filter(isObject) : [];
  return [
    `${netns} link ${name}`,
    ...fields(rest).filter(([path]) => !linkNoise.test(path)).map(([path, value]) => `${netns} link ${name} ${path.replace(/^linkinfo\./, "")}: ${value}`),
    ...(Array.isArray(flags) ? flags.filter((flag) => flag !== "NO-CARRIER").map((flag) => `${netns} link ${name} flag ${String(flag)}`) : []),
    ...held.map(({ local, prefixlen, ...more }) => `${netns} link ${name} address ${String(local)}/${String(prefixlen)} ${words(more)}`),
    ...(held.length > 1 ? [`${netns} link ${name} addresses in order: ${held.map(({ local }) => String(local)).join(", ")}`] : []),
  ];
}

function routeLines(netns: string, route: JsonObject): string[] {
  if (!("dst" in route)) return [];
  const { flags, ...rest } = route;
  const shown = Array.isArray(flags) ? flags.filter((flag) => flag !== "linkdown") : [];
  const kind = "lladdr" in route ? "neighbour" : "route";
  return [`${netns} ${kind} ${words({ ...rest, flags: shown })}`];
}

const ruleLines = (what: string, rule: JsonObject): string[] => ("priority" in rule ? [`${what} ${words(rule)}`] : []);

function portLines(netns: string, { ifname, vlans, ifindex: _index, state: _state, flags: _flags, ...rest }: JsonObject): string[] {
  const port = `${netns} port ${String(ifname)}`;
  if (Array.isArray(vlans)) return vlans.filter(isObject).map((vlan) => `${port} ${words(vlan)}`);
  return fields(rest).map(([path, value]) => `${port} ${path}: ${value}`);
}

/** What changes by itself, or is a seed. */
const restless = /\/(?:nf_conntrack_count|nf_conntrack_buckets|random\w*|stable_secret|tcp_fastopen_key|flow_limit_cpu_bitmap|rps_\w+|gc_thresh\d|tcp_mem|udp_mem)$/;
const isRestless = (line: string): boolean => restless.test(line.slice(0, line.indexOf(":")));

/** A rule by its table, chain and place. Tables that iptables looks after are told by itself. */
function nftLines(text: string): string[] {
  const lines: string[] = [];
  const inside: string[] = [];
  let place = 0;
  for (const line of plainLines(text)) {
    if (line.startsWith("#")) continue;
    if (line.endsWith("{")) {
      inside.push(line.slice(0, -1).trim());
      place = 0;
      if (!isIptables(inside)) lines.push(`nft ${inside.join(" > ")}`);
    } else if (line === "}") inside.pop();
    else if (!isIptables(inside)) lines.push(`nft ${inside.join(" > ")} ${++place}: ${line}`);
  }
  return lines;
}

const isIptables = (inside: readonly string[]): boolean => /^table ip6? (?:nat|filter|mangle|raw)$/.test(inside[0] ?? "");

function iptablesLines(family: string, text: string): string[] {
  let table = "";
  const places = new Map<string, number>();
  return plainLines(text).flatMap((line) => {
    if (line.startsWith("*")) table = line.slice(1);
    if (!/^(?:-A|:)/.test(line)) return [];
    if (line.startsWith(":")) return [`${family}tables ${table} chain ${line.slice(1).replace(/ \[\d+:\d+\]/, "")}`];
    const chain = line.split(" ")[1] ?? "";
    const place = (places.get(`${table} ${chain}`) ?? 0) + 1;
    places.set(`${table} ${chain}`, place);
    return [`${family}tables ${table} ${chain} ${place}: ${line.replace(/^-A \S+ /, "")}`];
  });
}

/** The line of the link that a line is about, so that a link that is not there need not be told in two hundred lines. */
export function linkOf(line: string): string | undefined {
  const [, netns, name] = /^(\S+) (?:(?:link|port|filter) (\S+)|sysctl net\/ipv[46]\/(?:conf|neigh)\/(veth\([^)]*\)|[^/]+)\/|(?:qdisc|route) .*?\bdev (\S+))/.exec(line)?.filter((part) => part !== undefined) ?? [];
  return netns !== undefined && name !== undefined ? `${netns} link ${name}` : undefined;
}

interface SeenLink {
  netns: string;
  name: string;
  index: unknown;
  peer: unknown;
  mac: string;
  master: unknown;
  isBridge: boolean;
}

/** Gives names to what has only a number, or a name by chance: all that is known of it is whose it is. */
function namesIn(pieces: readonly Piece[], given: string): (line: string) => string {
  const links = pieces.filter(({ head }) => head[0] === "ip").flatMap(({ head: [, netns = ""], text }) =>
    documents(text).flat().filter(isObject).filter((one) => typeof one["ifname"] === "string").map((one): SeenLink =>
      ({ netns, name: String(one["ifname"]), index: one["ifindex"], peer: one["link_index"] ?? one["link"], mac: String(one["address"] ?? ""), master: one["master"], isBridge: isObject(one["linkinfo"]) && one["linkinfo"]["info_kind"] === "bridge" })));
  const names = new Map<string, string>();
  for (const link of links.filter(({ name }) => isChance(name))) {
    const other = links.find((one) => one !== link && isPair(one, link));
    names.set(link.name, other === undefined ? "veth(?)" : `veth(${other.netns}/${other.name})`);
  }
  const owners = links.toSorted((a, b) => rank(a) - rank(b) || (`${a.netns}/${a.name}` < `${b.netns}/${b.name}` ? -1 : 1));
  const macs = new Map<string, string>();
  for (const { netns, name, mac } of owners) {
    if (!/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) || mac === "00:00:00:00:00:00" || given.includes(mac) || macs.has(mac)) continue;
    const whose = names.get(name) ?? `${netns}/${name}`;
    macs.set(mac, `mac(${whose})`);
    for (const middle of MIDDLES) macs.set(linkLocalOf(mac, middle), `fe80(${whose})`);
  }
  const bridges = links.filter(({ isBridge, netns, name, mac }) => {
    const ports = links.filter((port) => port.netns === netns && port.master === name);
    return isBridge && ports.length > 1 && ports.some((port) => port.mac === mac);
  });
  return (line) => ofPorts(bridges, line)
    .replace(/(?<=(?:bridge|root)_id: [0-9a-f]{4}\.)[0-9a-f:]+/, (mac) => mac.split(":").map((byte) => byte.padStart(2, "0")).join(":"))
    .replaceAll(/\bveth[0-9a-f]{8,11}\b/g, (name) => names.get(name) ?? "veth(?)")
    .replaceAll(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|fe80::[0-9a-f:]+/g, (address) => macs.get(address) ?? (given.includes(address) ? address : nobodys(address)));
}

/** Of a bridge with several ports only that it has the MAC address of one of them. */
function ofPorts(bridges: readonly SeenLink[], line: string): string {
  const bridge = bridges.find(({ netns, name }) => line.startsWith(`${netns} link ${name} `) || line.includes(`.mac of ${name}: `) || line.includes("bridge_id") || line.includes("root_id"));
  return bridge === undefined ? line : line.replace(/(?<=(?:bridge|root)_id: [0-9a-f]{4}\.)[0-9a-f:]+/, `mac(a port of ${bridge.name})`).replace(bridge.mac, `mac(a port of ${bridge.name})`);
}

const isChance = (name: string): boolean => /^veth[0-9a-f]{8,11}$/.test(name);

/** Ends of one cable name each other by index, or by name where both are in one namespace. */
const isPair = (one: SeenLink, other: SeenLink): boolean =>
  (one.peer === other.index && other.peer === one.index) || (one.netns === other.netns && one.peer === other.name && other.peer === one.name);

/** A MAC address that several have is the pod's, then a cable's, then a bridge's. */
const rank = ({ netns, name }: SeenLink): number => (netns !== "node" ? 0 : isChance(name) ? 1 : 2);

/** An address that no link has any more, as a bridge's own before its first port came. Those that are nobody's by rule stay. */
function nobodys(address: string): string {
  if (/^fe80::[0-9a-f:]*ff:fe[0-9a-f:]+$/.test(address)) return "fe80(?)";
  return /^(?:00:00:00:00:00:00|ff:ff:ff:ff:ff:ff|01:80:c2:.*)$/.test(address) || address.startsWith("fe80") ? address : "mac(?)";
}

/** What stands in the middle of such an address. Devices that share a MAC address (ipvlan) have a number there, and its second bit as it is. */
const EUI_64 = 0xfffe;
const MIDDLES = [EUI_64, 1, 2, 3, 4];

/** The address that a link makes itself of its MAC address (RFC 4291, appendix A). */
function linkLocalOf(mac: string, middle: number): string {
  const [a = 0, b = 0, c = 0, ...rest] = parseMac(mac).bytes;
  return String(ipFrom(new Uint8Array([0xfe, 0x80, 0, 0, 0, 0, 0, 0, middle === EUI_64 ? a ^ 2 : a, b, c, middle >> 8, middle & 0xff, ...rest])));
}
