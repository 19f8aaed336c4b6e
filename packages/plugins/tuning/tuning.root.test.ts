/** tuning on a real interface: what is set shows in the kernel and on the wire, DEL brings it back, whoever wrote it down. */
import { expect } from "bun:test";
import { find, isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { stageTest, type Pod, type Stage } from "../testing/stage.ts";

const [OWN, OTHER] = ["02:00:00:00:00:01", "c2:11:22:33:44:66"];
const FILE = "/run/cni/tuning/pod1_eth0.json";
const everything = { mac: OTHER, mtu: 1400, promisc: true, allmulti: true, txQLen: 555 };
const sysctl = { "net.core.somaxconn": "500", "net.ipv4.conf.IFNAME.arp_filter": "1", "net/ipv6/conf/IFNAME/hop_limit": "44" };
const quiet = { code: 0, out: "", err: "" };

const resultOf = ({ netns }: Pod): JsonObject => ({
  cniVersion: "1.0.0", interfaces: [{ name: "near0", mac: "02:00:00:00:00:02" }, { name: "eth0", mac: OWN, sandbox: netns }, { name: "eth0", mac: "02:00:00:00:00:03" }],
  ips: [{ address: "10.9.0.2/24", interface: 1 }],
});
const call = (stage: Stage, command: string, pod: Pod, options: object = {}, program?: string, env: Record<string, string> = {}) =>
  stage.call({ command, pod, config: { cniVersion: "1.0.0", name: "mynet", type: "tuning", prevResult: resultOf(pod), ...options }, ...(program !== undefined && { program }), env });

/** A pod with a cable to the node, as a plugin before would leave it. That of a pod just deleted may still be there: the kernel clears namespaces away in its own time. */
async function addCable(stage: Stage, name = "pod1"): Promise<Pod> {
  const pod = await stage.addPod(name);
  await stage.node.run(["sh", "-c", `ip link del near0 2>/dev/null; ip link add near0 type veth peer name eth0 address ${OWN} netns ${name} && ip addr add 10.9.0.1/24 dev near0 && ip link set near0 addrgenmode none up
    ip -n ${name} addr add 10.9.0.2/24 dev eth0 && ip -n ${name} link set eth0 up`]);
  return pod;
}

/** The interface as `ip` tells it, and the parameters. */
async function seen(stage: Stage, pod: string): Promise<JsonObject> {
  const told = parseJson(await stage.node.run(["ip", "-n", pod, "-j", "-d", "link", "show", "dev", "eth0"]));
  const [link] = Array.isArray(told) ? told.filter(isObject) : [];
  const names = ["net.core.somaxconn", "net.ipv4.conf.eth0.arp_filter", "net.ipv6.conf.eth0.hop_limit"];
  const values = await stage.node.run(["ip", "netns", "exec", pod, "sysctl", "-n", ...names]);
  const flags = Array.isArray(link?.["flags"]) ? link["flags"] : [];
  return { mac: link?.["address"], mtu: link?.["mtu"], promisc: flags.includes("PROMISC"), allmulti: flags.includes("ALLMULTI"), txQLen: link?.["txqlen"], sysctls: values.trim().split("\n") };
}

stageTest("what is asked for shows on the interface, in the parameters and on the wire; DEL brings the interface back, twice", async (stage) => {
  const pod = await addCable(stage);
  const before = await seen(stage, "pod1");
  const { code, result } = await call(stage, "ADD", pod, { ...everything, sysctl });
  expect({ code, interfaces: find(result, "interfaces") }).toEqual({ code: 0, interfaces: [{ name: "near0", mac: "02:00:00:00:00:02" }, { name: "eth0", mac: OTHER, sandbox: pod.netns }, { name: "eth0", mac: "02:00:00:00:00:03" }] });
  expect(await seen(stage, "pod1")).toEqual({ ...everything, sysctls: ["500", "1", "44"] });
  expect(await call(stage, "CHECK", pod, { ...everything, sysctl })).toMatchObject(quiet);

  const pings = async (size: number) => (await stage.node.exec(["ip", "netns", "exec", "pod1", "ping", "-c1", "-W5", "-M", "do", "-s", String(size), "10.9.0.1"])).code;
  expect([await pings(1372), await pings(1373)]).toEqual([0, 1]);
  expect(await stage.node.run(["ip", "neigh", "show", "10.9.0.2"])).toContain(OTHER);

  expect(await call(stage, "DEL", pod)).toMatchObject(quiet);
  expect(await seen(stage, "pod1")).toEqual({ ...before, sysctls: ["500", "1", "44"] });
  for (const how of [{}, { CNI_NETNS: "" }, { CNI_NETNS: "/run/netns/gone" }]) expect(await call(stage, "DEL", pod, {}, undefined, how)).toMatchObject(quiet);
  expect((await stage.state()).files).not.toContain(FILE);
});

stageTest("the MAC address of the configuration gives way to CNI_ARGS, that to the capability, that to args.cni", async (stage) => {
  const pod = await addCable(stage);
  const macs = [1, 2, 3, 4].map((last) => `02:00:00:00:01:0${last}`);
  const env = { CNI_ARGS: `IgnoreUnknown=1;MAC=${macs[1]}` };
  for (const [options, at] of [[{ mac: macs[0] }, 1], [{ mac: macs[0], runtimeConfig: { mac: macs[2] } }, 2], [{ mac: macs[0], runtimeConfig: { mac: macs[2] }, args: { cni: { mac: macs[3], mtu: 1300, txQLen: 7, allmulti: false, sysctl } } }, 3]] as const) {
    expect((await call(stage, "ADD", pod, options, undefined, env)).code).toBe(0);
    expect(await seen(stage, "pod1")).toMatchObject({ mac: macs[at] });
  }
  expect(await seen(stage, "pod1")).toMatchObject({ mtu: 1300, txQLen: 7, allmulti: false, sysctls: ["500", "1", "44"] });
  // Whatever came later in the chain, what was first is what comes back.
  expect(await call(stage, "DEL", pod)).toMatchObject(quiet);
  expect(await seen(stage, "pod1")).toMatchObject({ mac: OWN, mtu: 1500 });
});

stageTest("the administrator's list decides which parameters are set; one that does not read lets nothing pass", async (stage) => {
  const pod = await addCable(stage);
  const allow = (...lines: string[]) => stage.node.run(["sh", "-c", `mkdir -p /etc/cni/tuning && printf '%s\\n' "$@" > /etc/cni/tuning/allowlist.conf`, "sh", ...lines]);
  await stage.node.run(["sh", "-c", "mkdir -p /etc/cni && mount -t tmpfs none /etc/cni"]);
  await allow("", "  ^net\\.core\\.[a-z]+$ ", "^net.ipv4.conf.IFNAME.[a-z_]*$");
  for (const key of ["net.core.somaxconn", "net.ipv4.conf.IFNAME.arp_filter"]) expect({ key, ...(await call(stage, "ADD", pod, { sysctl: { [key]: "1" } })) }).toMatchObject({ key, code: 0 });
  for (const key of ["net.ipv4.tcp_fin_timeout", "net.ipv4.conf.eth0.arp_filter"]) {
    expect((await call(stage, "ADD", pod, { sysctl: { [key]: "1" } })).result).toMatchObject({ code: 7, msg: `Sysctl ${key} is not allowed. Only the following sysctls are allowed: [^net\\.core\\.[a-z]+$ ^net.ipv4.conf.IFNAME.[a-z_]*$]` });
    expect((await call(stage, "ADD", pod, { args: { cni: { sysctl: { [key]: "1" } } } })).code).toBe(1);
    expect((await call(stage, "STATUS", pod, { cniVersion: "1.1.0", sysctl: { [key]: "1" } })).result).toMatchObject({ code: 50 });
  }
  for (const line of ["(?i)NET", "[[:alpha:]]+", "net.(core", "[^]a]"]) {
    await allow(line);
    expect((await call(stage, "ADD", pod, { sysctl: { "net.core.somaxconn": "1" } })).result).toMatchObject({ code: 7, msg: expect.stringContaining(`cannot read ${JSON.stringify(line)} in /etc/cni/tuning/allowlist.conf`) });
  }
  expect((await call(stage, "ADD", pod, { mtu: 1300 })).code).toBe(0);
});

stageTest("what is wrong is named, and the interface and the parameters are as before", async (stage) => {
  const pod = await addCable(stage);
  const before = { seen: await seen(stage, "pod1"), state: await stage.state() };
  for (const [options, says] of [
    [{ sysctl: { "kernel.panic": "1" } }, /invalid net sysctl key: "kernel\.panic"/], [{ sysctl: { "net/../kernel/panic": "1" } }, /invalid net sysctl key/], [{ sysctl: { "net.core.somaxconn": 1 } }, /sysctl\.net\.core\.somaxconn.*a text of one line/],
    [{ sysctl: { "net.core.somaxconn": "7", "net.core.nobody": "1" } }, /net\/core\/nobody.*ENOENT/], [{ sysctl: { "net.core.somaxconn": "7", "net.ipv4.conf.IFNAME.arp_filter": "much" } }, /EINVAL/],
    [{ ...everything, mtu: 100_000, sysctl }, /EINVAL/], [{ mac: "02:00" }, /mac/], [{ mtu: -1 }, /mtu/], [{ mac: "01:00:5e:00:00:01" }, /EADDRNOTAVAIL/],
    [{ prevResult: undefined, ...everything }, /Required prevResult missing/],
  ] as const) {
    const refused = await call(stage, "ADD", pod, options);
    expect({ options, code: refused.code, msg: `${String(find(refused.result, "msg"))} ${String(find(refused.result, "details") ?? "")}` }).toEqual({ options, code: 1, msg: expect.stringMatching(says) });
    expect({ options, seen: await seen(stage, "pod1"), state: await stage.state() }).toEqual({ options, ...before });
  }
  await stage.node.run(["ip", "-n", "pod1", "link", "del", "eth0"]);
  expect(find((await call(stage, "ADD", pod, everything)).result, "msg")).toContain('the pod has no interface "eth0"');
});

stageTest("CHECK finds each value that somebody changed, and says which", async (stage) => {
  const pod = await addCable(stage);
  const options = { ...everything, sysctl: { ...sysctl, "net.ipv4.ip_local_port_range": "20000  30000" } };
  expect((await call(stage, "ADD", pod, options)).code).toBe(0);
  for (const [command, says] of [
    [`ip link set eth0 address ${OWN}`, /MAC address 02:00:00:00:00:01 instead of c2:11/], ["ip link set eth0 mtu 1399", /MTU 1399 instead of 1400/], ["ip link set eth0 promisc off", /is not promiscuous/],
    ["ip link set eth0 allmulticast off", /takes not every multicast group/], ["ip link set eth0 txqueuelen 9", /queue of 9 packets instead of 555/],
    ["sysctl -qw net.core.somaxconn=9", /net\.core\.somaxconn is "9" \("500" is wanted\)/], ["ip link set eth0 name other", /no interface "eth0"/],
  ] as const) {
    expect({ command, ...(await call(stage, "CHECK", pod, options)) }).toMatchObject({ command, ...quiet });
    await stage.node.run(["ip", "netns", "exec", "pod1", "sh", "-c", command.replace("set eth0 name", "set eth0 down name")]);
    const checked = await call(stage, "CHECK", pod, options);
    expect({ command, code: checked.code, msg: find(checked.result, "msg") }).toEqual({ command, code: 1, msg: expect.stringMatching(says) });
    await stage.node.exec(["ip", "-n", "pod1", "link", "set", "other", "name", "eth0", "up"]);
    expect((await call(stage, "ADD", pod, options)).code).toBe(0);
  }
});

stageTest("GC forgets what it wrote down for attachments of its network that are in no list, and nothing else", async (stage) => {
  const pod = await addCable(stage);
  await stage.node.run(["sh", "-c", "mkdir -p /run/cni/tuning; cd /run/cni/tuning; echo '{\"mtu\":1500}' > theirs_eth0.json; echo '{\"mtu\":1500,\"network\":\"other\"}' > other_eth0.json; echo '{\"mtu\":1500,\"network\":\"mynet\"}' > gone_eth0.json; echo '{\"mt' > cut_eth0.json"]);
  expect((await call(stage, "ADD", pod, { mtu: 1400 })).code).toBe(0);
  const gc = (valid?: readonly object[]) => call(stage, "GC", pod, { cniVersion: "1.1.0", ...(valid && { "cni.dev/valid-attachments": valid }) });
  const files = async () => (await stage.node.run(["ls", "/run/cni/tuning"])).trim().split("\n");
  expect(await gc()).toMatchObject(quiet);
  expect(await files()).toEqual(["cut_eth0.json", "gone_eth0.json", "other_eth0.json", "pod1_eth0.json", "theirs_eth0.json"]);
  expect(await gc([{ containerID: "pod1", ifname: "eth0" }])).toMatchObject(quiet);
  expect(await files()).toEqual(["cut_eth0.json", "other_eth0.json", "pod1_eth0.json", "theirs_eth0.json"]);
});

