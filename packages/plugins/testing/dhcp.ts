/**
 * A wire with DHCP servers on it, for a node on a stage: real ones, dnsmasq and kea, in a namespace of their own.
 *
 *     node                                     servers (a namespace)
 *       pods ── br0 ── wire0 ═══════════ port0 ┐
 *       pods ── macvlan ── wire1 ═══════ port1 ┴ sw 10.5.0.1/24 ── dnsmasq, kea
 *
 * What servers and daemon say goes into files of the node's /run, and with the node all of it is gone.
 */
import { isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { missing } from "../../../tests/conformance/node/needs.ts";
import { until } from "../../../tests/conformance/node/until.ts";
import { binFolder, stageLacks, type Stage } from "./stage.ts";

export const serverLacks: string = stageLacks || missing({ root: true, programs: ["dnsmasq", "kea-dhcp4"] });

export const SERVER = "10.5.0.1";

/** Lays the wire, and counts what comes to the servers by how it was addressed (`heard`). */
export async function layWire(stage: Stage): Promise<void> {
  const counters = `table ip heard {
    chain in { type filter hook prerouting priority -300;
      udp dport 67 ip daddr 255.255.255.255 counter comment "everybody"
      udp dport 67 ip daddr ${SERVER} counter comment "server"
      udp dport 67 @th,144,16 0x8000 counter comment "flag"
      icmp type destination-unreachable counter comment "unreachable"
    }
  }`;
  await stage.node.run(["sh", "-c", `
    ip netns add servers; ip -n servers link set lo up; mkdir -p /run/kea
    ip -n servers link add sw type bridge; ip -n servers addr add ${SERVER}/24 dev sw; ip -n servers link set sw up
    for n in 0 1; do ip link add wire$n type veth peer name port$n netns servers; ip link set wire$n addrgenmode none up; ip -n servers link set port$n master sw up; done
    ip link add br0 type bridge; ip link set br0 addrgenmode none up; ip link set wire0 master br0
    ip netns exec servers nft '${counters}'`]);
  const told = (): Promise<string> => stage.node.run(["ip", "-n", "servers", "link", "show", "sw"]);
  await mustBecome(async () => (await told()).includes("state UP"), told); // kea passes over one that is not
}

/** How many messages the servers got: to everybody, to the server's own address, with the broadcast flag; and errors instead of answers. */
export async function heard(stage: Stage, what: "everybody" | "server" | "flag" | "unreachable"): Promise<number> {
  const rules = await stage.node.run(["ip", "netns", "exec", "servers", "nft", "list", "table", "ip", "heard"]);
  return Number(new RegExp(`packets (\\d+) bytes \\d+ comment "${what}"`).exec(rules)?.[1]);
}

/** A server that runs; its log so far, and its end. */
export interface Server {
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts dnsmasq with a range of ten addresses, for two minutes each: it knows no shorter time. */
export async function startDnsmasq(stage: Stage, ...options: string[]): Promise<Server> {
  const fixed = ["--port=0", "--interface=sw", "--bind-interfaces", "--except-interface=lo", "--no-ping", "--conf-file=/dev/null", "--user=root", "--log-dhcp",
    "--dhcp-leasefile=/run/dnsmasq.leases", "--pid-file=/run/dnsmasq.pid", "--log-facility=/run/dnsmasq.log"];
  const range = options.some((option) => option.startsWith("--dhcp-range")) ? [] : ["--dhcp-range=10.5.0.50,10.5.0.99,255.255.255.0,2m"];
  await stage.node.run(["ip", "netns", "exec", "servers", "dnsmasq", ...fixed, ...range, ...options]);
  return serverOf(stage, "/run/dnsmasq.log", Number(await stage.node.run(["cat", "/run/dnsmasq.pid"])));
}

/** Starts kea, which knows what it wrote down before, and leases of seconds: T1, T2 and the end. */
export async function startKea(stage: Stage, [renew, rebind, end]: readonly [number, number, number]): Promise<Server> {
  const config = {
    Dhcp4: {
      "interfaces-config": { interfaces: ["sw"] }, "lease-database": { type: "memfile", persist: true, name: "/run/kea/leases.csv", "lfc-interval": 0 },
      "renew-timer": renew, "rebind-timer": rebind, "valid-lifetime": end, "expired-leases-processing": { "hold-reclaimed-time": 0 },
      subnet4: [{ id: 1, subnet: "10.5.0.0/24", pools: [{ pool: "10.5.0.50 - 10.5.0.99" }], "option-data": [{ name: "routers", data: SERVER }] }],
      loggers: [{ name: "kea-dhcp4", severity: "DEBUG", debuglevel: 40, output_options: [{ output: "/run/kea/log", flush: true }] }],
    },
  };
  const start = "cat >/run/kea/conf; : >/run/kea/log; KEA_PIDFILE_DIR=/run/kea KEA_LOCKFILE_DIR=/run/kea ip netns exec servers kea-dhcp4 -c /run/kea/conf >/run/kea/out 2>&1 & echo $!";
  const pid = Number(await stage.node.run(["sh", "-c", start], { stdin: JSON.stringify(config) }));
  const server = serverOf(stage, "/run/kea/log", pid);
  await mustBecome(async () => (await server.log()).includes("DHCP4_STARTED"), async () => `kea does not start: ${await server.log()}`);
  return server;
}

function serverOf(stage: Stage, log: string, pid: number): Server {
  return {
    log: () => stage.node.run(["cat", log]),
    stop: () => endProcess(stage, pid, "TERM"),
  };
}

/** The daemon under test. */
export interface Daemon extends Server {
  pid: number;
  kill(): Promise<void>;
}

export interface DaemonOptions {
  flags?: readonly string[];
  /** Another program, or other variables, as a shell has them. */
  program?: string;
  env?: string;
}

/** Starts it, with short times unless others are given. Its log is one for all that are started on a stage. */
export async function startDaemon(stage: Stage, { flags = [], program = `${binFolder}/dhcp`, env = "" }: DaemonOptions = {}): Promise<Daemon> {
  const times = flags.some((flag) => flag.startsWith("--resendtimeout")) ? [] : ["--resendtimeout", "10s"];
  const before = await listening(stage);
  const line = [env, program, "daemon", ...times, ...flags].join(" ");
  const pid = Number(await stage.node.run(["sh", "-c", `${line} >>/run/dhcp.log 2>&1 </dev/null & echo $!`]));
  const server = serverOf(stage, "/run/dhcp.log", pid);
  await mustBecome(async () => (await listening(stage)) > before, async () => `the daemon does not start: ${await server.log()}`);
  return { ...server, pid, kill: () => endProcess(stage, pid, "KILL") };
}

const listening = async (stage: Stage): Promise<number> => (await stage.node.exec(["cat", "/run/dhcp.log"])).out.split(" info listening ").length;

async function endProcess(stage: Stage, pid: number, signal: string): Promise<void> {
  await stage.node.exec(["kill", `-${signal}`, String(pid)]);
  const isGone = async (): Promise<boolean> => !/^State:\s[^Z]/m.test((await stage.node.exec(["cat", `/proc/${pid}/status`])).out);
  await mustBecome(isGone, () => Promise.resolve(`process ${pid} does not end`));
}

/** What the daemon has written down, as it tells it. */
export async function leasesOf(stage: Stage): Promise<JsonObject[]> {
  const json = parseJson(await stage.node.run([`${binFolder}/../vethwork`, "dhcp", "leases", "--json"]));
  return Array.isArray(json) ? json.filter(isObject) : [];
}

/** Waits for a fact, and fails with what was seen instead. */
export async function mustBecome(holds: () => Promise<boolean>, instead: () => Promise<string>): Promise<void> {
  if (!(await until(holds, 20_000))) throw new RangeError(await instead());
}
