/** dhcp as pods meet it: below bridge and macvlan, from dnsmasq, many at once, and where there is nobody to ask. */
import { expect, test } from "bun:test";
import { find, isObject, type JsonObject } from "@vethwork/cni";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { SERVER, heard, layWire, leasesOf, mustBecome, serverLacks, startDaemon, startDnsmasq } from "../testing/dhcp.ts";
import { faultyBinFolder, binFolder, onStage, type Pod, type Stage } from "../testing/stage.ts";

const bridge = { cniVersion: "1.1.0", name: "mynet", type: "bridge", bridge: "br0", ipam: { type: "dhcp" } };
const macvlan = { ...bridge, type: "macvlan", master: "wire1" };
const quiet = { code: 0, out: "", err: "" };
const OPTIONS = [`--dhcp-option=3,${SERVER}`, "--dhcp-option=6,10.5.0.53,10.5.0.54", "--domain=a.example", "--dhcp-option=119,b.example,c.example", "--dhcp-option=26,1400"];

const call = (stage: Stage, command: string, pod: Pod, config: object = bridge, env: Record<string, string> = {}, ifname = "eth0") => stage.call({ command, config, pod, env, ifname });
const msg = (result: JsonObject): unknown => find(result, "msg");
const addressOf = (result: JsonObject): string => {
  const ips = find(result, "ips");
  const [first] = Array.isArray(ips) ? ips : [];
  return isObject(first) ? String(first["address"]) : "";
};
const leaseFile = async (stage: Stage): Promise<string[]> => (await stage.node.run(["cat", "/run/dnsmasq.leases"])).trim().split("\n").filter(Boolean);
const reaches = async (stage: Stage, pod: string, ip: string): Promise<boolean> => (await stage.node.exec(["ip", "netns", "exec", pod, "ping", "-c1", "-W2", ip])).code === 0;

/** What pods may leave: the wire's own links have addresses that come and go by themselves. */
const left = async (stage: Stage): Promise<object> => {
  const { links, netns, files, nft } = await stage.state();
  return { links, netns, files, nft };
};

const wireTest = (title: string, act: (stage: Stage) => Promise<void>, timeoutMs = 60_000): void =>
  test.skipIf(serverLacks !== "")(skipped(title, serverLacks), () => onStage(async (stage) => {
    await layWire(stage);
    await act(stage);
  }), timeoutMs);

for (const config of [bridge, macvlan]) {
  wireTest(`${config.type}: a pod has address, route, name servers and MTU of the wire's server, and the server has the address back after DEL`, async (stage) => {
    const server = await startDnsmasq(stage, ...OPTIONS);
    await startDaemon(stage);
    const before = await left(stage);
    const [one, two] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
    const { code, result } = await call(stage, "ADD", one, config);
    expect(code).toBe(0);
    const address = addressOf(result);
    expect(address).toMatch(/^10\.5\.0\.\d+\/24$/);
    expect(result).toMatchObject({
      ips: [{ address, gateway: SERVER }], routes: [{ dst: "0.0.0.0/0", gw: SERVER, mtu: 1400 }],
      dns: { nameservers: ["10.5.0.53", "10.5.0.54"], domain: "a.example", search: ["b.example", "c.example"] },
    });
    const added = await call(stage, "ADD", two, config);
    expect(await reaches(stage, "pod1", SERVER)).toBe(true);
    expect(await reaches(stage, "pod2", address.replace(/\/.*/, ""))).toBe(true);
    expect(await stage.node.run(["ip", "-n", "pod1", "route", "show", "default"])).toBe(`default via ${SERVER} dev eth0 mtu 1400 \n`);
    expect(await leaseFile(stage)).toHaveLength(2);
    for (const [pod, { result: prevResult }] of [[one, { result }], [two, added]] as const) expect(await call(stage, "CHECK", pod, { ...config, prevResult })).toMatchObject(quiet);
    const seen = await heard(stage, "everybody");
    expect((await call(stage, "CHECK", two, { ...config, prevResult: { ...result, interfaces: added.result["interfaces"] } })).result).toMatchObject({ code: 100, msg: `dhcp: the lease of "eth0" is for ${addressOf(added.result)} (one of ${address} is wanted)` });

    for (const pod of [one, two]) for (let times = 0; times < 2; times++) expect(await call(stage, "DEL", pod, config)).toMatchObject(quiet);
    expect((await server.log()).match(/DHCPRELEASE/g)).toHaveLength(2);
    expect(await leaseFile(stage)).toEqual([]);
    expect((await call(stage, "CHECK", one, { ...config, prevResult: result })).result).toMatchObject({ code: 100, msg: 'dhcp: there is no lease for "eth0" of container "pod1" any more' });
    expect(await heard(stage, "everybody")).toBe(seen); // CHECK asks nobody for a lease
    for (const pod of [one, two]) await stage.deletePod(pod);
    expect(await left(stage)).toEqual(before);
  });
}

wireTest("the server is told and asked what the configuration says, and who asks", async (stage) => {
  const server = await startDnsmasq(stage, "--dhcp-option=42,10.5.0.9");
  await startDaemon(stage);
  const pod = await stage.addPod("pod1");
  const ipam = {
    type: "dhcp", request: [{ option: "42" }, { skipDefault: true, option: "subnet-mask" }],
    provide: [{ option: "host-name", value: "plain", fromArg: "K8S_POD_NAME" }, { option: "60", value: "a class" }, { option: "host-name", fromArg: "NOBODY" }],
  };
  const env = { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=web-1" };
  expect(await call(stage, "ADD", pod, { ...bridge, ipam }, env)).toMatchObject({ code: 0 });
  const log = await server.log();
  expect(log).toContain("vendor class: a class");
  expect(log).toMatch(/requested options: 42:ntp-server, 1:netmask\n/);
  expect(await leaseFile(stage)).toEqual([expect.stringContaining("00:70:6f:64:31:2f:6d:79:6e:65:74:2f:65:74:68:30")]); // 0, "pod1/mynet/eth0"
  expect(log).toMatch(/client provides name: web-1/);
});

wireTest("routes of either kind come into the pod, those of the link itself and those written carelessly, and CHECK finds them", async (stage) => {
  await startDaemon(stage);
  const pod = await stage.addPod("pod1");
  for (const [option, server, wanted] of [
    ["121", "--dhcp-option=121,10.99.0.0/16,10.5.0.9,10.98.0.0/16,0.0.0.0", ["10.98.0.0/16 dev eth0 scope link metric 7", "10.99.0.0/16 via 10.5.0.9 dev eth0 metric 7"]],
    ["33", "--dhcp-option=33,172.16.1.0,10.5.0.9", ["172.16.0.0/16 via 10.5.0.9 dev eth0 metric 7", `default via ${SERVER} dev eth0 metric 7`]],
  ] as const) {
    const dnsmasq = await startDnsmasq(stage, `--dhcp-option=3,${SERVER}`, server);
    const config = { ...bridge, ipam: { type: "dhcp", priority: 7, request: [{ option }] } };
    const { code, result: prevResult } = await call(stage, "ADD", pod, config);
    const routes = (await stage.node.run(["ip", "-n", "pod1", "route"])).split("\n").map((line) => line.trim()).filter((line) => line.endsWith("metric 7"));
    expect({ code, routes: routes.toSorted() }).toEqual({ code: 0, routes: [...wanted] });
    expect(await call(stage, "CHECK", pod, { ...config, prevResult })).toMatchObject(quiet);
    await call(stage, "DEL", pod, config);
    await dnsmasq.stop();
  }
});

wireTest("a wish that makes no sense is refused with the option's name, before anybody is asked", async (stage) => {
  await startDaemon(stage);
  const pod = await stage.addPod("pod1");
  for (const [ipam, says] of [
    [{ provide: [{ option: "foo", value: "1" }] }, /^Can not parse option "foo"/], [{ provide: [{ option: "255", value: "1" }] }, /^Can not parse option "255"/],
    [{ provide: [{ option: "12", value: "x".repeat(256) }] }, /its value has 256 bytes/], [{ request: [{ option: "" }] }, /^Can not parse option ""/], [{ priority: "high" }, /"ipam.priority"/],
    [{ request: {} }, /"ipam.request"/],
  ] as const) {
    const { code, result } = await call(stage, "ADD", pod, { ...bridge, ipam: { type: "dhcp", ...ipam } });
    expect({ ipam, code, msg: msg(result) }).toEqual({ ipam, code: 1, msg: expect.stringMatching(says) });
  }
  const bare = { cniVersion: "1.1.0", name: "mynet", type: "dhcp" };
  for (const command of ["ADD", "CHECK", "STATUS"]) expect((await call(stage, command, pod, bare)).result).toMatchObject({ code: 7, msg: 'missing option "ipam" (an object is wanted)' });
  for (const command of ["DEL", "GC"]) expect((await call(stage, command, pod, { ...bare, ...(command === "GC" && { ipam: {} }) })).code).toBe(0);
  const nobody = { ...bare, ipam: { type: "dhcp" } };
  expect((await call(stage, "ADD", pod, nobody)).result).toMatchObject({ code: 4, msg: expect.stringContaining('there is no interface "eth0"') });
  expect((await call(stage, "ADD", pod, nobody, {}, "lo")).result).toMatchObject({ code: 4, msg: '"lo" has no MAC address (an Ethernet interface is wanted)' });
  expect((await call(stage, "ADD", { name: "gone", netns: "/run/netns/gone" }, nobody)).result).toMatchObject({ code: 3, msg: 'the namespace "/run/netns/gone" is gone' });
  expect(await leasesOf(stage)).toEqual([]);
  expect(await heard(stage, "everybody")).toBe(0);
});

wireTest("thirty pods at once get thirty addresses, and give them all back at once", async (stage) => {
  await startDnsmasq(stage, ...OPTIONS);
  const daemon = await startDaemon(stage);
  const pods = await Promise.all(Array.from({ length: 30 }, (_, at) => stage.addPod(`pod${at}`)));
  const added = await Promise.all(pods.map((pod) => call(stage, "ADD", pod)));
  expect(new Set(added.map(({ result }) => addressOf(result))).size).toBe(30);
  expect(added.map(({ code }) => code)).toEqual(pods.map(() => 0));
  expect(await leasesOf(stage)).toHaveLength(30);
  expect(await leaseFile(stage)).toHaveLength(30);
  expect(await openSockets(stage, daemon.pid)).toBe(1); // the door; a socket in a pod would hold the pod's namespace
  const deleted = await Promise.all(pods.map((pod) => call(stage, "DEL", pod)));
  expect(deleted.map(({ code, out }) => `${code}${out}`)).toEqual(pods.map(() => "0"));
  expect([await leaseFile(stage), await leasesOf(stage)]).toEqual([[], []]);
});

/** A descriptor that is closed while ls looks is none, though ls complains of it. */
const openSockets = async (stage: Stage, pid: number): Promise<number> => (await stage.node.exec(["ls", "-l", `/proc/${pid}/fd`])).out.split("socket:[").length - 1;

wireTest("two interfaces of one container have a lease each, and DEL of one leaves the other", async (stage) => {
  await startDnsmasq(stage);
  await startDaemon(stage);
  const pod = await stage.addPod("pod1");
  const first = await call(stage, "ADD", pod);
  const second = await call(stage, "ADD", pod, macvlan, {}, "net1");
  expect([first.code, second.code, addressOf(first.result) === addressOf(second.result)]).toEqual([0, 0, false]);
  expect((await leasesOf(stage)).map((lease) => lease["interface"]).toSorted()).toEqual(["eth0", "net1"]);
  expect((await call(stage, "DEL", pod)).code).toBe(0);
  expect((await leasesOf(stage)).map((lease) => lease["address"])).toEqual([addressOf(second.result)]);
  expect(await call(stage, "CHECK", pod, { ...macvlan, prevResult: second.result }, {}, "net1")).toMatchObject(quiet);
});

wireTest("without a server ADD fails in its time and leaves nothing, and holds nobody up who has one", async (stage) => {
  await startDnsmasq(stage);
  await startDaemon(stage, { flags: ["--resendtimeout", "2s"] });
  await stage.node.run(["sh", "-c", "ip link add br1 type bridge; ip link set br1 addrgenmode none up"]); // where nobody answers
  const lonely = await stage.addPod("lonely");
  const before = await left(stage);
  const failing = call(stage, "ADD", lonely, { ...bridge, name: "other", bridge: "br1" });
  const pods = await Promise.all(["pod1", "pod2", "pod3"].map((name) => stage.addPod(name)));
  expect((await Promise.all(pods.map((pod) => call(stage, "ADD", pod)))).map(({ code }) => code)).toEqual([0, 0, 0]);
  const order = await Promise.race([failing.then(() => "failed"), leasesOf(stage).then((leases) => leases.length)]);
  expect(order).toBe(3);
  expect((await failing).result).toMatchObject({ code: 11, msg: 'no DHCP lease for "eth0" of container "lonely" within 2 s: no server answered' });
  for (const pod of pods) {
    await call(stage, "DEL", pod);
    await stage.deletePod(pod);
  }
  expect(await left(stage)).toEqual(before);
});

wireTest("an ADD that is stopped, or whose pod is deleted meanwhile, is not gone on with", async (stage) => {
  const daemon = await startDaemon(stage, { flags: ["--resendtimeout", "60s"] });
  const [one, two] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  const env = { CNI_COMMAND: "ADD", CNI_CONTAINERID: one.name, CNI_NETNS: one.netns, CNI_IFNAME: "eth0", CNI_PATH: binFolder };
  const stopped = (await stage.node.run(["sh", "-c", `cat >/run/conf; ${binFolder}/bridge </run/conf >/run/out 2>&1 & echo $!`], { env, stdin: JSON.stringify(bridge) })).trim();
  const deleted = call(stage, "ADD", two);
  await mustBecome(async () => (await openSockets(stage, daemon.pid)) >= 6, () => daemon.log());
  expect(await call(stage, "DEL", two)).toMatchObject({ code: 0 });
  expect((await deleted).result).toMatchObject({ code: 11, msg: '"eth0" of container "pod2" was deleted meanwhile' });
  await stage.node.run(["kill", "-KILL", stopped]);
  await mustBecome(async () => (await openSockets(stage, daemon.pid)) === 1, () => daemon.log());
  expect(await daemon.log()).toContain("the plugin that asked hung up");
  await startDnsmasq(stage);
  expect(await leaseFile(stage)).toEqual([]);
});

wireTest("GC gives back what is in no list, STATUS and CHECK say where there is no daemon", async (stage) => {
  const server = await startDnsmasq(stage);
  const daemon = await startDaemon(stage);
  const [keep, gone, other] = [await stage.addPod("keep"), await stage.addPod("gone"), await stage.addPod("other")];
  for (const pod of [keep, gone]) await call(stage, "ADD", pod);
  await call(stage, "ADD", other, { ...bridge, name: "other" });
  const gc = (more: object) => stage.call({ command: "GC", config: { ...bridge, ...more }, program: `${binFolder}/dhcp` });
  const containers = async () => (await leasesOf(stage)).map((lease) => lease["container"]).toSorted();
  expect(await gc({})).toMatchObject(quiet);
  expect(await containers()).toEqual(["gone", "keep", "other"]);
  expect(await gc({ "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] })).toMatchObject(quiet);
  expect(await containers()).toEqual(["keep", "other"]);
  expect(await stage.call({ command: "STATUS", config: bridge })).toMatchObject(quiet);
  await daemon.stop();
  expect((await stage.call({ command: "STATUS", config: bridge })).result).toMatchObject({ code: 50, msg: expect.stringContaining("error dialing DHCP daemon") });
  const nowhere = await call(stage, "CHECK", keep, { ...bridge, prevResult: { cniVersion: "1.1.0" } });
  expect(nowhere.result).toMatchObject({ code: 11, msg: 'error dialing DHCP daemon: Cannot connect to "/run/cni/dhcp.sock": ENOENT, there is no such file' });
  expect((await call(stage, "ADD", await stage.addPod("late"))).result).toMatchObject({ code: 11 });
  expect(await gc({ "cni.dev/valid-attachments": [] })).toMatchObject(quiet); // and without a daemon, too
  expect(await containers()).toEqual(["other"]);
  expect((await server.log()).match(/DHCPRELEASE/g)).toHaveLength(2);
});

wireTest("an address that cannot be written down is not asked for, and ADD says why; one that is renewed meanwhile goes on", async (stage) => {
  await startDnsmasq(stage);
  const first = await startDaemon(stage);
  const [one, two] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  const { result } = await call(stage, "ADD", one);
  await first.kill();
  // The disk is full, and the lease past its T1.
  await stage.node.run(["sh", "-c", "cd /run/cni/dhcp; jq -c '.lease.since -= 70000' *.json >/run/older; n=$(ls *.json); mount -t tmpfs -o size=8k tmpfs .; cd /run/cni/dhcp; cp /run/older $n; head -c 8000 /dev/zero >fill 2>/dev/null; true"]);
  const daemon = await startDaemon(stage);
  await mustBecome(async () => (await daemon.log()).includes("error lease cannot be written down, and is kept in mind"), () => daemon.log());
  expect((await daemon.log()).split("lease renewed").length).toBe(2);
  const refused = await call(stage, "ADD", two);
  expect({ code: refused.code, msg: msg(refused.result) }).toEqual({ code: 1, msg: expect.stringContaining("ENOSPC") });
  expect(await leaseFile(stage)).toEqual([expect.stringContaining(` ${addressOf(result).replace(/\/.*/, "")} `)]);
  expect(await call(stage, "DEL", one)).toMatchObject(quiet);
  await daemon.stop();
  await stage.node.run(["umount", "/run/cni/dhcp"]);
});

wireTest("answers are asked for to everybody where the daemon is told so", async (stage) => {
  await startDnsmasq(stage);
  for (const [flags, wanted] of [[[], 0], [["-broadcast"], 2]] as const) {
    const daemon = await startDaemon(stage, { flags });
    const pod = await stage.addPod("pod1");
    expect((await call(stage, "ADD", pod)).code).toBe(0);
    expect(await heard(stage, "flag")).toBeGreaterThanOrEqual(wanted);
    if (wanted === 0) expect(await heard(stage, "flag")).toBe(0);
    await call(stage, "DEL", pod);
    await stage.deletePod(pod);
    await daemon.stop();
  }
});

wireTest("the daemon killed at any call of ADD, then DEL: nobody has an address", async (stage) => {
  const server = await startDnsmasq(stage);
  const pod = await stage.addPod("pod1");
  await stage.node.run(["sh", "-c", "ip link add cable type veth peer name eth0 netns pod1; ip link set cable master br0 up; ip -n pod1 link set eth0 up"]);
  const config = { ...bridge, type: "dhcp" };
  const daemonWith = (fault: string) => startDaemon(stage, { program: `${faultyBinFolder}/dhcp`, env: `VETHWORK_FAULT=${fault}` });
  const counting = await daemonWith("count");
  expect((await call(stage, "ADD", pod, config)).code).toBe(0);
  await counting.stop();
  expect((await call(stage, "DEL", pod, config)).code).toBe(0);
  const calls = (await counting.log()).split("\n").filter((line) => /^\d+ /.test(line));
  const first = calls.findIndex((line) => line.includes("send by")); // before that nobody knows of the pod
  const places = calls.slice(first).filter((line) => !/ (?:setns|socket)$/.test(line)).map((line) => Number.parseInt(line));
  expect(places.length).toBeGreaterThan(10);
  for (const at of places) {
    const daemon = await daemonWith(`kill:${at}`);
    await call(stage, "ADD", pod, config);
    await daemon.kill();
    expect({ at, ...(await call(stage, "DEL", pod, config)) }).toMatchObject({ at, ...quiet });
    await mustBecome(async () => (await leaseFile(stage)).length === 0, async () => `killed at ${calls[at - 1]}: ${(await leaseFile(stage)).join()}`);
    expect({ at, leases: await leasesOf(stage) }).toEqual({ at, leases: [] });
  }
  expect(await server.log()).toContain("DHCPRELEASE");
}, 120_000);
