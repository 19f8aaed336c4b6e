/**
 * All that an attachment may have made, on the node and in the pod, as things with a name and what there is to say of each.
 *
 *     link cni0                     up, mtu 1500, 02:…                 the name says that it is there
 *     address cni0 10.1.2.1/24                                         the rest, that it is as it was
 *     nft ip nat POSTROUTING │ ip saddr …
 *     file /var/lib/cni/networks/mynet/10.1.2.2    -rw------- root     pod1 eth0
 *
 * It is looked at after every death, thousands of times, so it is asked of the kernel directly; `nft` is asked only where the
 * rules have changed since. That this eye misses nothing is looked at by other eyes, once for each row (networkState).
 */
import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { Netns, isErrno, unless, type Link } from "@vethwork/linux";

/** Things by their names. */
export type State = ReadonlyMap<string, string>;

/** Parameters that a plugin may leave switched. */
const NODE_PARAMETERS = [
  "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv4/conf/all/route_localnet", "net/ipv6/conf/eth0/accept_ra", "net/ipv4/conf/eth0/proxy_arp", "net/ipv4/conf/all/rp_filter",
];
const POD_PARAMETERS = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/core/somaxconn", "net/ipv4/conf/eth0/arp_filter", "net/ipv4/conf/eth0/rp_filter", "net/ipv6/conf/eth0/hop_limit", "net/ipv6/conf/eth0/disable_ipv6"];

/** Where plugins and runtimes write; /run/netns has the pods' own names, /run/node the stage's things. */
const FOLDERS = ["/run", "/var/lib/cni"];
const OTHERS = /^\/run\/(?:node|netns|dbus|kea|lock|containerd|libpod)(?:\/|$)|^\/run\/(?:xtables\.lock|dnsmasq|dhcp\.log|vethwork-case)/;
/** What holds no address and belongs to nobody: a book's memory of where to go on, and locks. They may come and stay. */
const NOBODYS = /\/(?:last_reserved_ip\.\d+|lock)$/;

/** A look at the node, and at the pod's namespace if there is one. `also` gives more of the node's things. */
export function lookAt(pod: string | undefined, also: () => readonly string[] = () => []): State {
  const state = new Map<string, string>();
  using node = Netns.host();
  addNetwork(state, node, "");
  addParameters(state, node, { where: "", names: NODE_PARAMETERS });
  for (const line of rulesetOf(node)) state.set(`nft ${line}`, "");
  for (const folder of FOLDERS) addFiles(state, folder);
  for (const line of also()) state.set(`also ${line}`, "");
  using inside = pod === undefined ? undefined : Netns.find(pod);
  if (inside) {
    addNetwork(state, inside, "pod ");
    addParameters(state, inside, { where: "pod ", names: POD_PARAMETERS });
  }
  return state;
}

function addNetwork(state: Map<string, string>, netns: Netns, where: string): void {
  const links = netns.links.list();
  const nameOf = (index: number | undefined): string => links.find((link) => link.index === index)?.name ?? (index ? "another" : "");
  for (const link of links) state.set(`${where}link ${link.name}`, wordsOf(link, nameOf(link.master)));
  for (const { address, link, scope } of netns.addrs.list()) if (!isKernels(String(address))) state.set(`${where}address ${nameOf(link)} ${address}`, `scope ${scope}`);
  for (const { dst, via, link, table, type = "unicast", metric, source } of netns.routes.list({ table: "all" })) {
    if (type === "local" || type === "other" || isKernels(String(dst))) continue; // they come and go with addresses
    state.set(`${where}route ${type} ${dst} via ${via ?? ""} dev ${nameOf(link)} table ${table ?? 254} metric ${metric ?? 0}`, source === undefined ? "" : String(source));
  }
  for (const { family, table, from, to, iif, oif, priority } of netns.rules.list()) state.set(`${where}rule ${family} ${priority ?? 0} from ${from ?? ""} to ${to ?? ""} ${iif ?? ""} ${oif ?? ""} table ${table}`, "");
  for (const { ip, mac, link, permanent } of netns.neighbours.list()) if (permanent) state.set(`${where}neighbour ${ip} ${nameOf(link)}`, String(mac));
  for (const { kind, handle, parent, link } of netns.qdiscs.list()) {
    if (handle !== "0:" && kind !== "noqueue") state.set(`${where}qdisc ${nameOf(link)} ${kind} ${parent}`, handle);
  }
}

/** The kernel gives each link that is up an address of its own, and routes with it, when it finds the time. */
const isKernels = (address: string): boolean => /^(?:fe80|ff00):/.test(address);

const wordsOf = (link: Link, master: string): string =>
  [link.kind, link.up ? "up" : "down", `mtu ${link.mtu}`, link.kind === "bridge" ? "" : String(link.mac), master, link.promisc ? "promisc" : "", link.allmulti ? "allmulti" : "", `qlen ${link.txQueueLength}`, link.alias]
    .filter((word) => word !== "").join(" ");

function addParameters(state: Map<string, string>, netns: Netns, { where, names }: { where: string; names: readonly string[] }): void {
  for (const name of names) state.set(`${where}sysctl ${name}`, netns.sysctl.find(name) ?? "");
}

let rules = { generation: -1, lines: [""] };

/** The rule set, each line with the table and the chain, or set, that it stands in. */
function rulesetOf(node: Netns): readonly string[] {
  const generation = node.nft.generation();
  if (generation === rules.generation) return rules.lines;
  const said = Bun.spawnSync(["nft", "-s", "list", "ruleset"]).stdout.toString();
  rules = { generation, lines: pathsIn(said) };
  return rules.lines;
}

function pathsIn(text: string): string[] {
  const path: string[] = [];
  const lines: string[] = [];
  for (const line of text.split("\n").map((one) => one.trim())) {
    if (line === "}") path.pop();
    else if (line.endsWith("{")) {
      path.push(line.slice(0, -1).trim());
      lines.push(path.join(" "));
    } else if (line !== "" && !line.startsWith("#")) lines.push(`${path.join(" ")} │ ${line}`);
  }
  return lines;
}

function addFiles(state: Map<string, string>, path: string): void {
  for (const name of unless(["ENOENT", "ENOTDIR"], () => readdirSync(path)) ?? []) {
    const file = `${path}/${name}`;
    if (OTHERS.test(file) || NOBODYS.test(file)) continue;
    const facts = lstatSync(file, { throwIfNoEntry: false });
    if (!facts) continue;
    const how = `${(facts.mode & 0o7777).toString(8)} ${facts.uid}:${facts.gid}`;
    if (facts.isDirectory()) {
      addFiles(state, file); // an empty folder is nothing
    } else state.set(`file ${file}`, facts.isFile() ? `${how} ${JSON.stringify(textIn(file))}` : facts.isSymbolicLink() ? readlinkSync(file) : how);
  }
}

function textIn(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES")) return "";
    throw error;
  }
}

/**
 * What is in `now` and should not be, in words; nothing where all is well. `before` is what there was at first, `stays` what an
 * attachment that came and went in peace leaves: a bridge, forwarding, folders. Of those a death may leave some, and half.
 */
export function leftovers(now: State, { before, stays = before }: { before: State; stays?: State }): string[] {
  const found: string[] = [];
  for (const [name, words] of now) {
    const [then, later] = [before.get(name), stays.get(name)];
    if (then === undefined && later === undefined) found.push(`left: ${name} ${words}`.trim());
    else if (then !== undefined && words !== then && words !== later) found.push(`changed: ${name} from "${then}" to "${words}"`);
  }
  for (const name of before.keys()) if (!now.has(name) && stays.has(name)) found.push(`lost: ${name}`);
  return found;
}
