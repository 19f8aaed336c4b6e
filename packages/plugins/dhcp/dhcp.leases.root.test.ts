/** Leases as time goes by, with a server that gives them for seconds: what is renewed, by whom, and what becomes of those that are not. */
import { expect, test } from "bun:test";
import { find, isObject, type JsonObject } from "@vethwork/cni";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { SERVER, heard, layWire, leasesOf, mustBecome, serverLacks, startDaemon, startDnsmasq, startKea, type Daemon } from "../testing/dhcp.ts";
import { onStage, type Pod, type Stage } from "../testing/stage.ts";

const config = { cniVersion: "1.1.0", name: "mynet", type: "bridge", bridge: "br0", ipam: { type: "dhcp" } };
const quiet = { code: 0, out: "", err: "" };

const call = (stage: Stage, command: string, pod: Pod, more: object = {}) => stage.call({ command, config: { ...config, ...more }, pod });

const timeTest = (title: string, act: (stage: Stage) => Promise<void>): void =>
  test.skipIf(serverLacks !== "")(skipped(title, serverLacks), () => onStage(async (stage) => {
    await layWire(stage);
    await act(stage);
  }), 60_000);

/** A pod with an address, and that. */
async function addPod(stage: Stage, name = "pod1"): Promise<{ pod: Pod; prevResult: JsonObject; address: string }> {
  const pod = await stage.addPod(name);
  const { code, result, out } = await call(stage, "ADD", pod);
  expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('"address"') });
  const ips = find(result, "ips");
  const [first] = Array.isArray(ips) ? ips : [];
  return { pod, prevResult: result, address: isObject(first) ? String(first["address"]) : "" };
}

/** Waits until the daemon has said so that often. */
const says = (daemon: Pick<Daemon, "log">, words: string | RegExp, times = 1): Promise<void> => {
  const many = async (): Promise<boolean> => (await daemon.log()).split(words).length > times;
  return mustBecome(many, async () => `the daemon did not say ${words} ${times} times:\n${await daemon.log()}`);
};
const isUp = async (stage: Stage, pod: string): Promise<boolean> => (await stage.node.run(["ip", "-n", pod, "link", "show", "eth0"])).includes("UP");
/** What kea wrote down last of an address: its lease's end, in seconds since 1970, and whether it has it still. */
const written = async (stage: Stage, address: string): Promise<string[]> =>
  (await stage.node.run(["cat", "/run/kea/leases.csv"])).split("\n").filter((line) => line.startsWith(`${address.replace(/\/.*/, "")},`)).at(-1)?.split(",") ?? [];

/** As if the daemon had been away for so long: its leases are that much older. */
async function away(stage: Stage, daemon: Daemon, seconds: number): Promise<void> {
  await daemon.kill();
  await stage.node.run(["sh", "-c", `cd /run/cni/dhcp && for f in *.json; do jq -c '.lease.since -= ${seconds * 1000}' "$f" >new && mv new "$f"; done`]);
}

timeTest("a lease is renewed again and again, each time by a word to its server alone", async (stage) => {
  await startKea(stage, [1, 30, 60]);
  const daemon = await startDaemon(stage);
  const { pod, prevResult, address } = await addPod(stage);
  const [, , , , before = ""] = await written(stage, address);
  const everybody = await heard(stage, "everybody");
  await says(daemon, "lease renewed", 2);
  expect([await heard(stage, "everybody"), await heard(stage, "server") >= 2]).toEqual([everybody, true]);
  const [, , , , after = ""] = await written(stage, address);
  expect(Number(after)).toBeGreaterThan(Number(before));
  expect(await heard(stage, "unreachable")).toBe(0);
  expect(await call(stage, "CHECK", pod, { prevResult })).toMatchObject(quiet);
  expect(await leasesOf(stage)).toMatchObject([{ address, state: "bound" }]);
  expect(await call(stage, "DEL", pod)).toMatchObject(quiet);
  const [, , , lifetime] = await written(stage, address);
  expect(lifetime).toBe("0"); // given back
});

timeTest("what the kernel refuses at a renewal is asked of it again, and costs no lease", async (stage) => {
  await startKea(stage, [1, 30, 60]);
  const daemon = await startDaemon(stage, { flags: ["--timeout", "1s"] });
  await addPod(stage);
  const mayOpen = (files: number) => stage.node.run(["prlimit", "--pid", String(daemon.pid), `--nofile=${files}:`]);
  await mayOpen(3);
  await says(daemon, "error lease cannot be looked after now network=mynet container=pod1 interface=eth0");
  const renewed = (await daemon.log()).split("lease renewed").length - 1;
  await mayOpen(1024);
  await says(daemon, "lease renewed", renewed + 1);
  expect(await leasesOf(stage)).toHaveLength(1);
});

timeTest("a server that has moved to another address is found again, and the pod keeps its own", async (stage) => {
  const server = await startKea(stage, [20, 30, 60]);
  const first = await startDaemon(stage);
  const { pod, prevResult, address } = await addPod(stage);
  await away(stage, first, 28);
  await server.stop();
  await stage.node.run(["sh", "-c", `ip -n servers addr del ${SERVER}/24 dev sw; ip -n servers addr add 10.5.0.2/24 dev sw; ip -n servers link set sw address 02:00:00:00:00:02`]);
  await startKea(stage, [30, 50, 60]);
  const daemon = await startDaemon(stage);
  await says(daemon, "lease renewed");
  expect(await leasesOf(stage)).toMatchObject([{ address, server: "10.5.0.2", state: "bound" }]);
  expect(await call(stage, "CHECK", pod, { prevResult })).toMatchObject(quiet);
  expect(await call(stage, "DEL", pod)).toMatchObject(quiet);
  const [, , , lifetime] = await written(stage, address);
  expect(lifetime).toBe("0");
});

timeTest("killed and started again, the daemon goes on with every lease, and the pods keep their addresses", async (stage) => {
  await startKea(stage, [2, 6, 60]);
  const first = await startDaemon(stage);
  const [one, two, gone] = [await addPod(stage, "pod1"), await addPod(stage, "pod2"), await addPod(stage, "gone")];
  await first.kill();
  await stage.deletePod(gone.pod);
  await stage.node.run(["ip", "-n", "pod2", "link", "set", "eth0", "address", "02:00:00:00:00:22"]); // as a plugin of the chain may
  const second = await startDaemon(stage);
  await says(second, "lease forgotten, its interface is gone");
  for (const { address } of [one, two]) await says(second, `lease renewed network=mynet container=${address === one.address ? "pod1" : "pod2"} interface=eth0 address=${address}`);
  expect((await leasesOf(stage)).map((lease) => lease["address"]).toSorted()).toEqual([one.address, two.address].toSorted());
  expect(await call(stage, "CHECK", one.pod, { prevResult: one.prevResult })).toMatchObject(quiet);
  await second.stop(); // in order: neither lease nor pod notices
  expect((await leasesOf(stage)).length).toBe(2);
  for (const pod of ["pod1", "pod2"]) expect(await isUp(stage, pod)).toBe(true);
  const third = await startDaemon(stage);
  expect((await third.log()).split("lease adopted").length).toBe(1 + 4);
});

timeTest("DEL while the daemon is away tells the server, and the next daemon knows nothing of it", async (stage) => {
  const server = await startKea(stage, [1, 30, 60]);
  const first = await startDaemon(stage);
  const [one, two] = [await addPod(stage, "pod1"), await addPod(stage, "pod2")];
  await first.kill();
  expect(await call(stage, "DEL", one.pod)).toMatchObject(quiet);
  await stage.deletePod(two.pod);
  const late = await call(stage, "DEL", two.pod); // which nobody can say goodbye for any more
  expect(late).toMatchObject({ code: 0, err: `dhcp: the server was not told that ${two.address} is free: the interface "eth0" is gone\n` });
  await mustBecome(async () => (await server.log()).includes("DHCP4_RELEASE "), () => server.log());
  expect([(await written(stage, one.address))[3], (await written(stage, two.address))[3]]).toEqual(["0", "60"]);
  await startDaemon(stage);
  expect(await leasesOf(stage)).toEqual([]);
});

timeTest("DEL past a daemon that hangs counts: when it goes on, it has nothing more to renew", async (stage) => {
  await startKea(stage, [3, 30, 60]);
  const daemon = await startDaemon(stage);
  const { pod, address } = await addPod(stage);
  await daemon.kill();
  const lease = await stage.node.run(["sh", "-c", "cat /run/cni/dhcp/*.json"]);
  const next = await startDaemon(stage);
  await stage.node.run(["rm", "/run/cni/dhcp/mynet:pod1:eth0.json"]); // what such a DEL leaves
  await says(next, `lease forgotten network=mynet container=pod1 interface=eth0 why="it was given back while the daemon was away"`);
  expect(lease).toContain(address);
  expect(await isUp(stage, "pod1")).toBe(true);
  await call(stage, "DEL", pod);
});

timeTest("where the server forgot everything and says no, the pod has the same address again", async (stage) => {
  const server = await startDnsmasq(stage);
  const first = await startDaemon(stage);
  const { pod, prevResult, address } = await addPod(stage);
  await away(stage, first, 70); // past T1
  await server.stop();
  await stage.node.run(["rm", "/run/dnsmasq.leases"]);
  const again = await startDnsmasq(stage);
  const daemon = await startDaemon(stage);
  await says(daemon, "lease renewed");
  expect(await again.log()).toContain("DHCPNAK");
  expect(await daemon.log()).toContain('warning 10.5.0.1 refused it: "lease not found"');
  expect(await leasesOf(stage)).toMatchObject([{ address, state: "bound" }]);
  expect(await call(stage, "CHECK", pod, { prevResult })).toMatchObject(quiet);
});

timeTest("where the network got other addresses, the pod's interface goes down, and CHECK says why", async (stage) => {
  const server = await startDnsmasq(stage);
  const first = await startDaemon(stage);
  const { pod, prevResult, address } = await addPod(stage);
  await away(stage, first, 70);
  await server.stop();
  await stage.node.run(["sh", "-c", "rm /run/dnsmasq.leases; ip -n servers addr del 10.5.0.1/24 dev sw; ip -n servers addr add 10.6.0.1/24 dev sw; ip -n servers addr add 10.5.0.1/32 dev sw; ip -n servers route add 10.5.0.0/24 dev sw"]);
  await startDnsmasq(stage, "--dhcp-range=10.6.0.50,10.6.0.99,255.255.255.0,2m");
  const daemon = await startDaemon(stage, { flags: ["--timeout", "1s"] });
  await says(daemon, "lease ended, its interface goes down");
  expect(await daemon.log()).toMatch(new RegExp(`error lease ended, .* address=${address} .*refused it: .*; 10\\.6\\.0\\.1 offers 10\\.6\\.0\\.\\d+ instead"`));
  await mustBecome(async () => !(await isUp(stage, "pod1")), () => stage.node.run(["ip", "-n", "pod1", "addr"]));
  expect((await call(stage, "CHECK", pod, { prevResult })).result).toMatchObject({ code: 100, msg: 'dhcp: there is no lease for "eth0" of container "pod1" any more' });
  expect(await leasesOf(stage)).toEqual([]);
  expect(await call(stage, "DEL", pod)).toMatchObject(quiet);
});

timeTest("without a server a lease ends at its time, and the pod's interface goes down; one on another wire lives on", async (stage) => {
  const server = await startKea(stage, [1, 2, 3]);
  const daemon = await startDaemon(stage);
  const { pod } = await addPod(stage);
  await server.stop();
  await says(daemon, 'why="no server renewed it"');
  await mustBecome(async () => !(await isUp(stage, "pod1")), () => stage.node.run(["ip", "-n", "pod1", "addr"]));
  expect(await leasesOf(stage)).toEqual([]);
  expect(await call(stage, "DEL", pod)).toMatchObject(quiet);
  await stage.deletePod(pod);
  await startKea(stage, [30, 40, 60]);
  await addPod(stage); // the same container may come again
});

timeTest("a pod that is gone without a word is forgotten, and its namespace is not held", async (stage) => {
  await startKea(stage, [1, 10, 20]);
  const daemon = await startDaemon(stage);
  const { pod } = await addPod(stage);
  await says(daemon, "lease renewed");
  await stage.deletePod(pod);
  await mustBecome(async () => !(await stage.node.run(["ip", "-o", "link"])).includes("veth"), () => stage.node.run(["ip", "-o", "link"])); // with the namespace its end of the cable goes
  await says(daemon, 'lease forgotten network=mynet container=pod1 interface=eth0 why="the namespace \\"/run/netns/pod1\\" is gone"');
  expect(await leasesOf(stage)).toEqual([]);
});
