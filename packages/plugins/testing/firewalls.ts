/**
 * Pods behind bridges on a node with a firewall, and who of them reaches whom.
 *
 *     a1, a2 ── brA 10.1.1.1 ─┐
 *     b1, b2 ── brB 10.1.2.1 ─┼─ node ── world 192.0.2.254, which has a route to the pods
 *     o1     ── brO 10.1.9.1 ─┘
 *
 * Pods get their cables from our bridge plugin; which program then is the firewall is the test's affair.
 */
import { expect } from "bun:test";
import { find, isObject, type JsonObject } from "@vethwork/cni";
import { openBus } from "@vethwork/linux";
import { startDaemon, type Daemon } from "../../../tests/conformance/node/daemon.ts";
import { address } from "../../../tests/conformance/node/node.ts";
import { until } from "../../../tests/conformance/node/until.ts";
import { missing } from "../../../tests/conformance/node/needs.ts";
import { binFolder, type Answer, type Pod, type Stage } from "./stage.ts";

/** A pod with its cable, and what the plugin that made it said. */
export interface Cabled extends Pod {
  prevResult: JsonObject;
  ip4: string;
  ip6: string;
}

const NETS: Readonly<Record<string, number>> = { a: 1, b: 2, o: 9 };

/**
 * Lets the node forward, and the world answer pods by their own addresses. Both know each other's MAC address: the world, only
 * just up, takes a second before it answers who it is, and a ping that is answered late would be taken for one that is not.
 */
export async function openWorld(stage: Stage): Promise<void> {
  await stage.node.run(["sh", "-c", `sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip -n world route add 10.1.0.0/16 via ${address.node4}; ip -n world route add fd00:1::/32 via ${address.node6}
    ip neigh replace ${address.world6} lladdr $(ip netns exec world cat /sys/class/net/eth0/address) dev eth0
    ip -n world neigh replace ${address.node6} lladdr $(cat /sys/class/net/eth0/address) dev eth0`]);
}

/** Makes a pod and its cable; the name's first letter says behind which bridge. */
export async function cable(stage: Stage, name: string): Promise<Cabled> {
  const pod = await stage.addPod(name);
  const letter = name.slice(0, 1);
  const net = NETS[letter] ?? 1;
  const ranges = [[{ subnet: `10.1.${net}.0/24` }], [{ subnet: `fd00:1:${net}::/64` }]];
  const ipam = { type: "host-local", ranges, routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] };
  const config = { cniVersion: "1.0.0", name: `net${letter}`, type: "bridge", bridge: `br${letter.toUpperCase()}`, isGateway: true, ipam };
  const { code, out, result } = await stage.call({ command: "ADD", config, pod });
  expect({ name, code, out: code === 0 ? "" : out }).toEqual({ name, code: 0, out: "" });
  const ips = find(result, "ips");
  const [ip4 = "", ip6 = ""] = Array.isArray(ips) ? ips.filter(isObject).map((ip) => String(ip["address"]).replace(/\/.*/, "")) : [];
  return { ...pod, prevResult: result, ip4, ip6 };
}

/** Calls a firewall plugin for the pod, in the network that its letter names. */
export function firewall(stage: Stage, command: string, pod: Cabled, options: object = {}, program = `${binFolder}/firewall`): Promise<Answer> {
  const config = { cniVersion: "1.0.0", name: `net${pod.name.slice(0, 1)}`, type: "firewall", prevResult: pod.prevResult, ...options };
  return stage.call({ command, pod, config, program, env: { CNI_PATH: program.slice(0, program.lastIndexOf("/")) } });
}

export const world = { name: "world", ip4: address.world4, ip6: address.world6 } as const;

type Place = Pick<Cabled, "name" | "ip4" | "ip6">;
/** Who pings whom, and whether that is to be answered, by IPv4 and IPv6 alike. */
export type Row = readonly [from: Place, to: Place, answered: boolean];

/** All rows at once. What is to be answered may take a while; what is not to be is asked once. */
export async function expectReach(stage: Stage, ...rows: readonly Row[]): Promise<void> {
  const title = ([from, to]: Row): string => `${from.name} → ${to.name}`;
  const wanted = Object.fromEntries(rows.map((row) => [title(row), row[2] ? "4 6" : ""]));
  const seen = await Promise.all(rows.map(async (row) => [title(row), await answersTo(stage, row)] as const));
  expect(Object.fromEntries(seen)).toEqual(wanted);
}

/** The families in which it is answered. */
async function answersTo(stage: Stage, [from, to, answered]: Row): Promise<string> {
  const ping = async (ip: string): Promise<boolean> =>
    (await stage.node.exec(["ip", "netns", "exec", from.name, "ping", "-c", "1", "-W", answered ? "2" : "0.5", ip])).code === 0;
  const asked = (ip: string): Promise<boolean> => (answered ? until(() => ping(ip), 10_000) : ping(ip));
  const [by4, by6] = await Promise.all([asked(to.ip4), asked(to.ip6)]);
  return [...(by4 ? ["4"] : []), ...(by6 ? ["6"] : [])].join(" ");
}

/** All rules of the node, and the plugin's files: what DEL has to bring back. (Less than stage.state(), and in one process.) */
export async function rulesOf({ node }: Stage): Promise<{ nft: string[]; files: string[] }> {
  const said = await node.run(["sh", "-c", "nft -s list ruleset; echo files; find /run/vethwork -type f ! -name lock 2>/dev/null | sort"]);
  const [nft = "", files = ""] = said.split(/^files$/m);
  const lines = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return { nft: lines(nft), files: lines(files) };
}

/** What the machine lacks for a firewalld of our own; "" where nothing. */
export const firewalldLacks: string = missing({ root: true, programs: ["firewalld", "firewall-cmd", "dbus-daemon"] });

const POLICY = '<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>';

/**
 * Starts the node's own system bus and firewalld on it, as the package has it configured. They end with the node. The bus
 * listens where everybody in the node looks for it, and where it can be reached from outside.
 */
export async function startFirewalld({ node }: Stage): Promise<Daemon> {
  const socket = "/run/dbus/system_bus_socket";
  const places = [socket, `${node.dir}/bus`].map((path) => `<listen>unix:path=${path}</listen>`).join("");
  await Bun.write(`${node.dir}/bus.conf`, `<busconfig><type>system</type>${places}<auth>EXTERNAL</auth>${POLICY}</busconfig>`);
  await node.run(["sh", "-c", `cp -r /etc/firewalld ${node.dir}/firewalld; mkdir -p /run/dbus`]);
  const answers = (...argv: string[]) => async (): Promise<boolean> => (await node.exec(argv)).code === 0;
  await startDaemon(node, { name: "dbus-daemon", argv: ["dbus-daemon", `--config-file=${node.dir}/bus.conf`, "--nofork", "--nopidfile"], answers: answers("test", "-S", socket) });
  const argv = ["firewalld", "--nofork", "--nopid", "--system-config", `${node.dir}/firewalld`, "--log-target", "console"];
  return await startDaemon(node, { name: "firewalld", argv, answers: answers("firewall-cmd", "--state") });
}

/** The sources of a zone of firewalld's, as it tells them itself. */
export function sourcesIn({ node }: Stage, zone: string): string[] {
  using bus = openBus({ address: `unix:path=${node.dir}/bus` });
  const name = "org.fedoraproject.FirewallD1";
  const [sources] = bus.call({ destination: name, path: "/org/fedoraproject/FirewallD1", interface: `${name}.zone`, member: "getSources", args: [zone] });
  return Array.isArray(sources) ? sources.map(String).toSorted() : [];
}
