/** `vethwork agent` as a process on a node of namespaces: what it makes, what it keeps, whom it refuses, and what it leaves. */
import { expect } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { askAgent, type ToldStatus } from "@vethwork/agent/ask.ts";
import { DEFAULT_RUN_FOLDER, socketIn } from "@vethwork/agent/place.ts";
import { serviceObject, sliceObjects, type Words } from "@vethwork/agent/services/testing/world.ts";
import { nodeObject, type NodeWords } from "@vethwork/agent/testing/nodes.ts";
import { Netns } from "@vethwork/linux";
import { openMonitor, type Changed } from "@vethwork/linux/monitor.ts";
import { parseJson, isObject } from "@vethwork/cni";
import { binFolder, stageTest, type Stage } from "@vethwork/plugins/testing/stage.ts";
import { startDaemon, type Daemon } from "../../../tests/conformance/node/daemon.ts";
import { until } from "../../../tests/conformance/node/until.ts";

const program = join(binFolder, "vethwork");
const self: NodeWords = { name: "node-1", addresses: ["192.0.2.1", "2001:db8::1"], podCIDRs: ["10.244.1.0/24", "fd00:0:0:1::/64"] };
const near: NodeWords = { name: "node-2", addresses: ["192.0.2.2", "2001:db8::2"], podCIDRs: ["10.244.2.0/24", "fd00:0:0:2::/64"] };
const far: NodeWords = { name: "node-3", addresses: ["198.51.100.3", "2001:db8:f::3"], podCIDRs: ["10.244.3.0/24", "fd00:0:0:3::/64"] };

interface Play {
  stage: Stage;
  folder: string;
  /** Arguments that put everything into the node's folder. */
  argv: string[];
  tell(...nodes: readonly NodeWords[]): void;
  start(...more: string[]): Promise<Daemon>;
  once(...more: string[]): ReturnType<Stage["node"]["exec"]>;
  status(): ToldStatus;
  /** Waits until the agent says so. */
  says(what: (status: ToldStatus) => boolean): Promise<void>;
  ip(...argv: string[]): Promise<string>;
  log(): string;
}

function agentTest(title: string, act: (play: Play) => Promise<void>): void {
  stageTest(title, async (stage) => {
    const { node } = stage;
    const folder = join(node.dir, "cluster");
    mkdirSync(folder);
    const argv = [
      program, "agent", "--source", folder, "--node", "node-1", "--cluster-subnet", "10.244.0.0/16", "--cluster-subnet", "fd00::/48",
      "--cni-conf-dir", join(node.dir, "net.d"), "--cni-bin-dir", join(node.dir, "bin"), "--state-dir", join(node.dir, "state"), "--log-level", "debug",
    ];
    const status = () => askAgent(`/proc/${node.pid}/root${socketIn(DEFAULT_RUN_FOLDER)}`);
    const find = (): ToldStatus | undefined => {
      try {
        return status();
      } catch {
        return undefined;
      }
    };
    await act({
      stage, folder, argv, status,
      tell: (...nodes) => writeFileSync(join(folder, "nodes.yaml"), nodes.map((one) => `${JSON.stringify(nodeObject(one))}\n`).join("---\n")),
      start: (...more) => startDaemon(node, { name: "agent", argv: [...argv, ...more], answers: () => Promise.resolve(find() !== undefined) }),
      once: (...more) => node.exec([...argv, "--once", ...more]),
      says: async (what) => {
        await until(() => what(find() ?? status()));
        expect(what(status()) || status()).toBe(true);
      },
      ip: (...words) => node.run(["ip", ...words]),
      log: () => readFileSync(join(node.dir, "agent.log"), "utf8"),
    });
  });
}

const isReady = ({ isReady: is }: ToldStatus): boolean => is;
const lacksSubnet = ({ waitingFor }: ToldStatus): boolean => waitingFor.includes("spec.podCIDRs");

agentTest("once: everything is made as the rehearsal has said, a second time nothing, and --clear takes all of it away", async ({ stage, tell, once, ip, argv }) => {
  await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  const before = await stage.state();
  tell(self, near, far);
  const rehearsed = await once("--dry-run");
  expect({ code: rehearsed.code, err: rehearsed.err }).toEqual({ code: 0, err: "" });
  expect(await stage.state()).toEqual(before);
  const first = await once();
  expect(rehearsed.out.replaceAll(/^would /gm, "")).toBe(first.out);
  expect({ code: first.code, err: first.err.replaceAll(/^.* (?:info|debug) .*\n/gm, "") }).toEqual({ code: 0, err: "" });
  expect(first.out).toContain("add route 10.244.2.0/24 via 192.0.2.2 dev eth0\n");
  expect(await ip("route", "show", "10.244.2.0/24")).toContain("via 192.0.2.2 dev eth0 proto 119");
  expect(await ip("-6", "route", "show", "fd00:0:0:2::/64")).toContain("via 2001:db8::2 dev eth0");
  expect(await ip("route", "show", "10.244.3.0/24")).toContain("dev vethwork-vxlan4");
  const after = await stage.state();
  expect(await once()).toMatchObject({ code: 0, out: "nothing to change\n" });
  expect(await stage.state()).toEqual(after);
  expect(JSON.parse((await once("--json")).out)).toEqual({ changes: [], problems: [] });
  const cleared = await stage.node.exec([...argv, "--clear"]);
  expect(cleared).toMatchObject({ code: 0, out: expect.stringContaining("delete route 10.244.2.0/24") });
  const left = await stage.state();
  expect({ ...left, files: [] }).toEqual({ ...before, files: [] });
  expect((await stage.node.exec([...argv, "--clear"])).out).toBe("nothing to change\n");
});

agentTest("one capability is enough, with no way to more: what a systemd unit leaves it", async ({ stage, tell, argv }) => {
  tell(self, near, far);
  await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"]);
  const fenced = ["setpriv", "--no-new-privs", "--bounding-set", "-all,+net_admin", "--inh-caps", "-all", "--"];
  const caps = await stage.node.run([...fenced, "grep", "-E", "^(CapEff|NoNewPrivs)", "/proc/self/status"]);
  expect(caps.split(/\s+/)).toEqual(["CapEff:", "0000000000001000", "NoNewPrivs:", "1", ""]);
  const once = await stage.node.exec([...fenced, ...argv, "--once"]);
  expect({ code: once.code, err: once.err.replaceAll(/^.* (?:info|debug) .*\n/gm, "") }).toEqual({ code: 0, err: "" });
  expect(once.out).toContain("add route 10.244.2.0/24 via 192.0.2.2 dev eth0\n");
  expect((await stage.node.run(["sysctl", "-n", "net.ipv4.ip_forward"])).trim()).toBe("1");
  expect(await stage.node.exec([...fenced, ...argv, "--clear"])).toMatchObject({ code: 0 });
});

agentTest("CNI is set up once there is a way for pods and not before; STATUS says so; a pod is added, also without the agent", async ({ stage, tell, start, says, status, argv }) => {
  const conflist = join(stage.node.dir, "net.d/10-vethwork.conflist");
  tell({ ...self, podCIDRs: [] }, near);
  const agent = await start();
  await says(lacksSubnet);
  expect(status().isReady).toBe(false);
  expect(await Bun.file(conflist).exists()).toBe(false);
  tell(self, near);
  await says(isReady);
  const list: unknown = parseJson(readFileSync(conflist, "utf8"));
  expect(list).toMatchObject({ name: "vethwork", cniVersions: ["1.0.0", "1.1.0"], plugins: [{ type: "vethwork", subnet: ["10.244.1.0/24", "fd00:0:0:1::/64"], network: ["10.244.0.0/16", "fd00::/48"], mtu: 1500 }, { type: "portmap" }, { type: "bandwidth" }] });
  expect(await stage.node.run(["sh", "-c", `cd ${stage.node.dir}/bin && readlink portmap bandwidth && ./vethwork --version && ls`])).toMatch(/^vethwork\nvethwork\nvethwork \d.*\nbandwidth\nportmap\nvethwork\n$/);

  const plugin = isObject(list) && Array.isArray(list["plugins"]) && isObject(list["plugins"][0]) ? list["plugins"][0] : {};
  const config = { ...plugin, cniVersion: "1.1.0", name: "vethwork" };
  expect(await stage.call({ command: "STATUS", config })).toMatchObject({ code: 0, out: "" });
  await agent.kill();
  expect(await stage.call({ command: "STATUS", config })).toMatchObject({ code: 0, out: "" });
  const pod = await stage.addPod("pod1");
  expect((await stage.call({ command: "ADD", config, pod })).result).toMatchObject({ ips: [{ address: "10.244.1.2/32" }, { address: "fd00:0:0:1::2/128" }] });
  expect((await stage.call({ command: "CHECK", config: { ...config, prevResult: (await stage.call({ command: "ADD", config, pod: await stage.addPod("pod2") })).result }, pod: { name: "pod2", netns: "/run/netns/pod2" } })).code).toBe(0);
  await stage.node.run(["rm", "/run/vethwork/.agent/ready"]); // as a reboot does
  const refused = await stage.call({ command: "STATUS", config });
  expect(refused).toMatchObject({ code: 1, result: { code: 50, msg: expect.stringContaining("has not been ready since the machine was started") } });
  await stage.node.exec([...argv, "--once"]);
  expect((await stage.call({ command: "STATUS", config })).code).toBe(0);
});

agentTest("what somebody deletes by hand is back: a route, a rule, a table, a link, forwarding; and then nothing is written any more", async ({ stage: { node }, tell, start, says, status, ip }) => {
  tell(self, near, far);
  await start("--resync", "1");
  await says(isReady);
  const wounds: [string, () => Promise<boolean>][] = [
    ["ip route del 10.244.2.0/24", async () => (await ip("route", "show", "10.244.2.0/24")).includes("via 192.0.2.2")],
    ["ip -6 route flush proto 119", async () => (await ip("-6", "route", "show", "proto", "119")).includes("fd00:0:0:2::/64")],
    ["nft flush chain inet vethwork out-of-cluster", async () => (await node.run(["nft", "list", "chain", "inet", "vethwork", "out-of-cluster"])).includes("masquerade")],
    ["nft delete table inet vethwork", async () => (await node.exec(["nft", "list", "chain", "inet", "vethwork", "out-of-cluster"])).out.includes("masquerade")],
    ["ip link del vethwork-vxlan4", async () => (await ip("route", "show", "10.244.3.0/24")).includes("vethwork-vxlan4")],
    ["bridge fdb del $(bridge fdb show dev vethwork-vxlan4 | head -n 1 | cut -d' ' -f1) dev vethwork-vxlan4", async () => (await node.run(["bridge", "fdb", "show", "dev", "vethwork-vxlan4"])).includes("198.51.100.3")],
    ["ip neigh flush dev vethwork-vxlan4 nud permanent", async () => (await ip("neigh", "show", "nud", "permanent")).includes("10.244.3.0")],
    ["ip addr flush dev vethwork-vxlan4", async () => (await ip("addr", "show", "dev", "vethwork-vxlan4")).includes("10.244.1.0")],
    ["echo 0 >/proc/sys/net/ipv4/ip_forward", async () => (await node.run(["cat", "/proc/sys/net/ipv4/ip_forward"])) === "1\n"],
  ];
  for (const [wound, isWell] of wounds) {
    expect([wound, await isWell()]).toEqual([wound, true]);
    await node.run(["sh", "-ec", wound]);
    expect([wound, await until(isWell)]).toEqual([wound, true]);
  }
  // From here on passes are made, every second, and the kernel has no news of them.
  await says(({ passes }) => passes.done > 0);
  using network = Netns.open(`/proc/${node.pid}/ns/net`);
  const news: Changed[] = [];
  await settled(status);
  using _monitor = openMonitor(network, { onChange: (what) => news.push(...what) });
  const { passes: { done } } = status();
  await says(({ passes }) => passes.done >= done + 3);
  expect(news).toEqual([]);
});

/** Until the card has been tested (nobody answers here), and a pass has been made that nobody's news was the reason of. */
async function settled(status: () => ToldStatus): Promise<void> {
  expect(await until(() => !status().isTesting && status().lastPass?.why.join() === "time has passed")).toBe(true);
}

agentTest("a Node that goes, or comes back with another's subnet, leaves no route, no end of a tunnel and no flow", async ({ stage: { node }, tell, start, says, ip }) => {
  tell(self, near, far);
  await start();
  await says((status) => status.peers.length === 2);
  // A flow of a pod of node-3, as conntrack remembers it.
  await node.run(["conntrack", "-I", "-p", "udp", "--src", "10.244.1.9", "--dst", "10.244.3.7", "--sport", "1234", "--dport", "53", "--timeout", "600"]);
  tell(self, { ...near, podCIDRs: far.podCIDRs ?? [] });
  await says((status) => status.peers.length === 1);
  expect(await ip("route", "show", "proto", "119")).toBe("10.244.3.0/24 via 192.0.2.2 dev eth0 \n");
  expect(await ip("-o", "link")).not.toContain("vxlan");
  expect((await node.run(["conntrack", "-L"])).includes("10.244.3.7")).toBe(false);
  tell(self);
  await says((status) => status.peers.length === 0);
  expect(await ip("route", "show", "proto", "119")).toBe("");
});

agentTest("a second agent refuses and says who is there; the first does not notice", async ({ stage: { node }, tell, start, says, status, argv }) => {
  tell(self, near);
  await start();
  await says(isReady);
  for (const more of [[], ["--once"], ["--clear"]]) {
    const { code, err } = await node.exec([...argv, ...more]);
    expect({ code, err }).toEqual({ code: 1, err: `vethwork agent: Cannot be this node's agent: there is one already, process ${status().pid} (vethwork)\n` });
  }
  expect(status().isReady).toBe(true);
});

agentTest("the socket is root's alone, and so is its folder; what is asked that there is not is refused", async ({ stage: { node }, tell, start, says }) => {
  tell(self, near);
  await start();
  await says(isReady);
  expect(await node.run(["stat", "-c", "%a %U", DEFAULT_RUN_FOLDER, socketIn(DEFAULT_RUN_FOLDER)])).toBe("700 root\n600 root\n");
  const as = (user: string) => node.exec(["setpriv", `--reuid=${user}`, "--clear-groups", program, "status"]);
  expect(await as("nobody")).toMatchObject({ code: 1, out: "", err: expect.stringContaining("this needs root") });
  // Also where somebody has opened the folder: the kernel says who it is.
  await node.run(["chmod", "777", "/run/vethwork", DEFAULT_RUN_FOLDER, socketIn(DEFAULT_RUN_FOLDER)]);
  expect(await as("nobody")).toMatchObject({ code: 1, out: "" });
  expect((await as("root")).code).toBe(0);
  const get = (path: string) => node.run(["curl", "-s", "--unix-socket", socketIn(DEFAULT_RUN_FOLDER), `http://agent${path}`]);
  expect(JSON.parse(await get("/status"))).toMatchObject({ node: "node-1", isReady: true });
  expect(await get("/etc/passwd")).toBe("there is nothing here\n");
});

agentTest("health, readiness and metrics are told at an address of loopback; promtool's rules hold", async ({ stage: { node }, tell, start, says }) => {
  tell({ ...self, podCIDRs: [] }, near, far);
  await start();
  await says(lacksSubnet);
  const get = async (path: string) => (await node.run(["curl", "-s", "-w", " %{http_code}", `http://127.0.0.1:10118${path}`])).trim();
  expect([await get("/healthz"), await get("/readyz"), await get("/status")]).toEqual(["ok\n 200", expect.stringMatching(/^waiting for the pod subnets of this node .*\n 503$/), "there is nothing here\n 404"]);
  tell(self, near, far);
  await says(isReady);
  expect(await get("/readyz")).toBe("ok\n 200");
  const text = await node.run(["curl", "-s", "http://127.0.0.1:10118/metrics"]);
  expect(text).toContain('vethwork_peers{way="direct"} 1\nvethwork_peers{way="vxlan"} 1\n');
  expect(text).toContain("vethwork_ready 1\n");
  for (const line of text.trim().split("\n")) expect(line).toMatch(/^(?:# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+(?:\{[a-z]+="[^"]*"\})? -?[0-9.e+-]+)$/);
});

agentTest("a folder that is not there, and files that do not read, stop nothing and are told", async ({ stage: { node }, folder, tell, start, says, status, once, ip }) => {
  rmSync(folder, { recursive: true });
  expect(await once()).toMatchObject({ code: 1, err: expect.stringContaining(`there is no folder "${folder}"`) });
  await start();
  await says(({ source, waitingFor }) => source.problems.length > 0 && waitingFor !== "");
  expect(status()).toMatchObject({ isReady: false, waitingFor: `the folder ${folder}` });
  mkdirSync(folder);
  tell(self, near);
  await says(isReady);
  writeFileSync(join(folder, "nodes.yaml"), "kind: Node\n  metadata: {\n");
  await says(({ source }) => source.problems.some((problem) => problem.includes("nodes.yaml: line 2")));
  expect(await ip("route", "show", "10.244.2.0/24")).toContain("via 192.0.2.2");
  const said = await node.exec([program, "status"]);
  expect(said).toMatchObject({ code: 1, out: expect.stringMatching(/^node-1 is ready for pods: 10\.244\.1\.0\/24[^]*node-2 +10\.244\.2\.0\/24, fd00:0:0:2::\/64 +direct +on link eth0[^]*What is wrong\n.*nodes\.yaml: line 2/) });
});

agentTest("the file of ip-masq-agent is followed", async ({ stage: { node }, tell, start, says }) => {
  const file = join(node.dir, "masquerade");
  tell(self);
  await start("--masquerade-file", file, "--no-masquerade-to", "203.0.113.0/24");
  await says(isReady);
  const kept = async () => (await node.run(["nft", "list", "set", "inet", "vethwork", "kept4"])).replaceAll(/\s+/g, " ");
  expect(await kept()).toContain("203.0.113.0/24");
  writeFileSync(file, "nonMasqueradeCIDRs:\n- 198.51.100.0/24\n");
  expect(await until(async () => (await kept()).includes("198.51.100.0/24"))).toBe(true);
  expect(await kept()).toContain("169.254.0.0/16");
  writeFileSync(file, "nonMasqueradeCIDRs: 7\n");
  await says(({ problems }) => problems.some((problem) => problem.includes("nonMasqueradeCIDRs is a number")));
  expect(await kept()).toContain("198.51.100.0/24");
});

agentTest("a thousand nodes are read and reached, and one that changes is all that is written", async ({ tell, start, says, status, ip }) => {
  const others = Array.from({ length: 999 }, (_, at): NodeWords => ({ name: `node-${at + 2}`, addresses: [`192.0.${2 + ((at + 2) >> 8)}.${(at + 2) & 0xff}`], podCIDRs: [`10.244.${(at + 8) >> 2}.${((at + 8) & 3) * 64}/26`] }));
  tell({ ...self, podCIDRs: ["10.244.1.0/24"], addresses: ["192.0.2.1"] }, ...others);
  const begun = performance.now();
  await start();
  await says(isReady);
  console.log(`# 1000 nodes: from start to ready ${(performance.now() - begun).toFixed(0)} ms, the pass ${status().lastPass?.ms.toFixed(0)} ms`);
  expect((await ip("route", "show", "proto", "119")).trim().split("\n")).toHaveLength(999);
  tell({ ...self, podCIDRs: ["10.244.1.0/24"], addresses: ["192.0.2.1"] }, ...others.slice(1), { ...others[0], name: "node-2", podCIDRs: ["10.244.255.0/24"] });
  await says(({ lastChange }) => lastChange?.lines.some((change) => change.includes("10.244.255.0/24")) ?? false);
  expect(status().lastChange?.lines.length).toBeLessThan(12);
  console.log(`# one of them changed: the pass ${status().lastPass?.ms.toFixed(0)} ms, ${status().lastChange?.lines.length} changes`);
});

agentTest("what is not understood is named, with exit code 2", async ({ stage: { node } }) => {
  for (const [args, says] of [
    [["--source", "etcd"], '--source "etcd"'], [["now"], '"now"'], [["--tunnel", "maybe"], '--tunnel "maybe"'], [["--cluster-subnet", "10.244"], "--cluster-subnet: "],
    [["--listen", "here"], '--listen: "here"'], [["--once", "--clear"], "one of --once and --clear"], [["--dry-run"], "--dry-run is of --once"], [["--mtu", "x"], "--mtu"], [["--network", "../x"], "--network"],
  ] as const) {
    expect(await node.exec([program, "agent", ...args])).toMatchObject({ code: 2, out: "", err: expect.stringContaining(says) });
  }
});

/** What stands in the folder beside the nodes. */
const cluster = (...words: readonly Words[]): string => [
  { apiVersion: "networking.k8s.io/v1", kind: "ServiceCIDR", metadata: { name: "kubernetes" }, spec: { cidrs: ["10.96.0.0/16", "fd00:96::/64"] } },
  ...words.flatMap((one) => [serviceObject(one), ...sliceObjects(one)]),
].map((object) => `${JSON.stringify(object)}\n`).join("---\n");

const web: Words = { name: "web", n: 10, slices: [[["web-1"], ["web-2"]]], spec: { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 32_000 }, ports: [["http", "TCP", 80, 8080, 30_080]] };

agentTest("services of the folder are in the kernel, can be looked at, come back, and go; load balancers are told", async ({ stage: { node }, folder, tell, start, says, status, log }) => {
  const vethwork = (...words: string[]) => node.exec([program, ...words]);
  const say = (...words: readonly Words[]): void => writeFileSync(join(folder, "services.yaml"), cluster(...words));
  const table = async (): Promise<string> => (await node.exec(["nft", "-s", "list", "table", "inet", "vethwork-services"])).out;
  tell(self, near);
  say(web);
  const agent = await start();
  await says(({ services }) => services.frontends === 4);
  expect((await vethwork("service", "web")).out).toContain("default/web:http  ClusterIP  10.96.0.10 tcp 80  0 connections\n  pods of this node keep their address\n  ENDPOINT         POD              CONNECTIONS\n  10.244.1.3 8080  web-1 on node-1  0\n");
  expect((await vethwork("explain", "10.244.1.2", "web", "80")).out).toContain("to one of 2 endpoints");
  expect(await vethwork("explain", "203.0.113.9", "192.0.2.1", "30080")).toMatchObject({ code: 0, out: expect.stringContaining("10.244.1.3 8080  web-1 on node-1  sees 203.0.113.9\n") });
  expect(await vethwork("explain", "10.244.1.2", "10.96.0.77", "80")).toMatchObject({ code: 1, out: expect.stringContaining("is dropped: no service has this address") });
  const ask = (port: number, path: string) => node.exec(["curl", "-s", "-w", " %{http_code}", `http://192.0.2.1:${port}${path}`]);
  expect((await ask(32_000, "/")).out).toBe('{"service":{"namespace":"default","name":"web"},"localEndpoints":1,"serviceProxyHealthy":true}\n 200');
  expect((await ask(10_256, "/healthz")).out).toEndWith(" 200");
  const before = await table();

  await node.run(["nft", "delete", "table", "inet", "vethwork-services"]);
  await until(async () => (await table()) === before);
  expect(await table()).toBe(before);
  await agent.kill();
  const again = await start();
  await says(({ services }) => services.frontends === 4);
  expect(log().split("\n").filter((line) => /changed.*elements and chains/.test(line))).toHaveLength(2); // the first time, and what was deleted
  say({ ...web, slices: [[["web-2"]]] });
  await until(async () => (await ask(32_000, "/")).out.endsWith(" 503"));
  expect(await vethwork("explain", "203.0.113.9", "192.0.2.1", "30080")).toMatchObject({ code: 1, out: expect.stringContaining("is dropped: default/web:http NodePort, no endpoint here") });
  say();
  await says(({ services }) => services.frontends === 0);
  expect(await vethwork("explain", "10.244.1.2", "10.96.0.10", "80")).toMatchObject({ code: 1 });
  expect((await ask(32_000, "/")).code).not.toBe(0);

  await node.run(["nft", "add", "table", "ip", "kube-proxy"]);
  await says(({ services: { isOn, because } }) => !isOn && because.includes("table ip kube-proxy"));
  expect([await table(), status().problems]).toEqual(["", []]);
  await again.kill();
  say(web);
  await start("--services", "on");
  await says(({ services, problems }) => services.frontends === 4 && problems.some((one) => one.includes("table ip kube-proxy")));
});
