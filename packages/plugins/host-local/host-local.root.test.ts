/** host-local as a process on a node: what it writes, gives, refuses, and how it stands many at once and a reboot. */
import { expect } from "bun:test";
import { find, isObject } from "@vethwork/cni";
import { address } from "../../../tests/conformance/node/node.ts";
import { binFolder, stageTest, type Stage } from "../testing/stage.ts";

const DATA = "/var/lib/cni/networks/mynet";
const config = { cniVersion: "1.1.0", name: "mynet", type: "bridge", ipam: { type: "host-local", subnet: "10.1.2.0/24" } };
const dual = { ...config, ipam: { type: "host-local", ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "fd00:1:2::/64" }]], routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0", gw: "fd00:1:2::1", mtu: 1400 }] } };
const program = `${binFolder}/host-local`;
const quiet = { code: 0, out: "", err: "" };

const pod = (name: string) => ({ name, netns: `/run/netns/${name}` });
const call = (stage: Stage, command: string, name: string, conf: object = config, env: Record<string, string> = {}) =>
  stage.call({ command, config: conf, pod: pod(name), program, env });
const ipsOf = async (stage: Stage, name: string, conf: object = config, env: Record<string, string> = {}): Promise<unknown> => {
  const { result } = await call(stage, "ADD", name, conf, env);
  const ips = find(result, "ips");
  return Array.isArray(ips) ? ips.map((one: unknown) => isObject(one) && find(one, "address")) : find(result, "msg");
};
const filesOf = async (stage: Stage): Promise<string[]> => (await stage.node.run(["ls", DATA])).trim().split("\n");

stageTest("ADD gives an address of each set, with its subnet's prefix length, gateway, routes and name servers", async (stage) => {
  await stage.node.run(["sh", "-c", "echo nameserver 192.0.2.53 > /run/resolv.conf"]);
  const conf = { ...dual, ipam: { ...dual.ipam, resolvConf: "/run/resolv.conf" } };
  const { code, result } = await call(stage, "ADD", "pod1", conf);
  expect(code).toBe(0);
  expect(result).toEqual({
    cniVersion: "1.1.0",
    ips: [{ address: "10.1.2.2/24", gateway: "10.1.2.1" }, { address: "fd00:1:2::2/64", gateway: "fd00:1:2::1" }],
    routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0", gw: "fd00:1:2::1", mtu: 1400 }],
    dns: { nameservers: ["192.0.2.53"] },
  });
  expect(await filesOf(stage)).toEqual(["10.1.2.2", "by-attachment", "fd00:1:2::2", "last_reserved_ip.0", "last_reserved_ip.1", "lock"]);
  expect(await stage.node.run(["cat", `${DATA}/fd00:1:2::2`])).toBe("pod1\r\neth0");
  expect(await stage.node.run(["stat", "-c", "%a", DATA])).toBe("755\n");
});

stageTest("DEL gives everything back, is quiet twice and before ADD, and needs no namespace and no valid configuration", async (stage) => {
  expect(await call(stage, "DEL", "pod1")).toMatchObject(quiet);
  expect((await stage.node.exec(["ls", DATA])).code).not.toBe(0);
  await call(stage, "ADD", "pod1", dual);
  await call(stage, "ADD", "pod2", dual);
  for (let times = 0; times < 2; times++) expect(await call(stage, "DEL", "pod1", dual, { CNI_NETNS: "" })).toMatchObject(quiet);
  expect(await call(stage, "DEL", "pod2", { ...dual, ipam: { type: "host-local", ranges: "none" } })).toMatchObject({ code: 0, out: "" });
  expect((await filesOf(stage)).filter((name) => /^(10|fd)/.test(name))).toEqual([]);
  expect(await ipsOf(stage, "pod3")).toEqual(["10.1.2.4/24"]);
});

stageTest("an address that is asked for is given, in each of the three ways, and only once", async (stage) => {
  const asked = [
    [{ ...config, runtimeConfig: { ips: ["10.1.2.77/24"] } }, {}],
    [{ ...config, args: { cni: { ips: ["10.1.2.78"] } } }, {}],
    [config, { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.1.2.79" }],
  ] as const;
  for (const [at, [conf, env]] of asked.entries()) expect(await ipsOf(stage, `pod${at}`, conf, env)).toEqual([`10.1.2.${77 + at}/24`]);
  expect(await ipsOf(stage, "late", asked[0][0])).toBe("failed to allocate for range 0: requested IP address 10.1.2.77 is not available in range set 10.1.2.1-10.1.2.254");
  expect(await ipsOf(stage, "next")).toEqual(["10.1.2.80/24"]);
  expect(await ipsOf(stage, "next")).toBe("failed to allocate for range 0: 10.1.2.80 has been allocated to next, duplicate allocation is not allowed");
});

stageTest("a full set is told apart by ADD (11) and STATUS (50), and an ADD that failed leaves nothing", async (stage) => {
  const tiny = { ...dual, ipam: { type: "host-local", ranges: [[{ subnet: "fd00:1:2::/64" }], [{ subnet: "10.1.2.0/30" }]] } };
  expect(await stage.call({ command: "STATUS", config: tiny, program })).toMatchObject(quiet);
  expect(await ipsOf(stage, "pod1", tiny)).toEqual(["fd00:1:2::2/64", "10.1.2.2/30"]);
  const before = await stage.state();
  expect((await call(stage, "ADD", "pod2", tiny)).result).toMatchObject({ code: 11, msg: "failed to allocate for range 1: no IP addresses available in range set: 10.1.2.1-10.1.2.2" });
  expect(await stage.state()).toEqual(before);
  expect((await stage.call({ command: "STATUS", config: tiny, program })).result).toMatchObject({ code: 50, msg: "no IP addresses available in range set: 10.1.2.1-10.1.2.2" });
});

stageTest("CHECK holds the result against the book", async (stage) => {
  const { result: prevResult } = await call(stage, "ADD", "pod1", dual);
  const conf = { ...dual, prevResult };
  expect(await call(stage, "CHECK", "pod1", conf)).toMatchObject(quiet);
  expect((await call(stage, "CHECK", "other", dual)).result).toMatchObject({ code: 100, msg: "host-local: Failed to find address added by container other" });
  await stage.node.run(["rm", `${DATA}/fd00:1:2::2`]);
  expect((await call(stage, "CHECK", "pod1", conf)).result).toMatchObject({ code: 100, msg: "host-local: fd00:1:2::2 is not reserved for container pod1" });
});

stageTest("GC takes what no valid attachment has; a file of long ago lives as long as its container", async (stage) => {
  for (const name of ["keep", "gone"]) await call(stage, "ADD", name);
  for (const [file, owner] of [["10.1.2.50", "keep"], ["10.1.2.51", "gone"]]) await stage.node.run(["sh", "-c", `printf ${owner} > ${DATA}/${file}`]);
  const gc = (more: object) => stage.call({ command: "GC", config: { ...config, ...more }, program });
  expect(await gc({})).toMatchObject(quiet);
  expect((await filesOf(stage)).filter((name) => name.startsWith("10."))).toHaveLength(4);
  expect(await gc({ "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] })).toMatchObject(quiet);
  expect((await filesOf(stage)).filter((name) => name.startsWith("10."))).toEqual(["10.1.2.2", "10.1.2.50"]);
  expect(await gc({ "cni.dev/valid-attachments": [] })).toMatchObject(quiet);
  expect(await filesOf(stage)).toEqual(["by-attachment", "last_reserved_ip.0", "lock"]);
});

stageTest("after a reboot everything is free again, unless it is to be kept", async (stage) => {
  const kept = { ...config, name: "kept", ipam: { ...config.ipam, keepOverBoots: true } };
  const tiny = { ...config, ipam: { type: "host-local", subnet: "10.1.2.0/30" } };
  for (const conf of [tiny, kept]) await call(stage, "ADD", "pod1", conf);
  await stage.node.run(["sh", "-c", "echo 11111111-2222-3333-4444-555555555555 > /run/boot_id && mount --bind /run/boot_id /proc/sys/kernel/random/boot_id"]);
  expect(await ipsOf(stage, "pod2", tiny)).toEqual(["10.1.2.2/30"]);
  expect(await call(stage, "DEL", "pod1", tiny)).toMatchObject(quiet); // what the boot before had
  expect(await stage.node.run(["cat", `${DATA}/10.1.2.2`])).toBe("pod2\r\neth0");
  expect(await call(stage, "CHECK", "pod1", kept)).toMatchObject(quiet);
  expect(await ipsOf(stage, "pod2", kept)).toEqual(["10.1.2.3/24"]);
});

stageTest("fifty at once get fifty addresses, and give them all back", async (stage) => {
  const names = Array.from({ length: 50 }, (_, at) => `pod${at}`);
  const given = await Promise.all(names.map((name) => ipsOf(stage, name, dual)));
  expect(new Set(given.flat()).size).toBe(100);
  const ended = await Promise.all(names.map((name) => call(stage, "DEL", name, dual)));
  expect(ended.every(({ code }) => code === 0)).toBe(true);
  expect(await filesOf(stage)).toEqual(["by-attachment", "last_reserved_ip.0", "last_reserved_ip.1", "lock"]);
});

stageTest("ADD and DEL make as many calls with two thousand addresses taken as with none", async (stage) => {
  const faulty = `${binFolder}/../test/cni-bin/host-local`;
  const wide = { ...config, ipam: { type: "host-local", subnet: "10.1.0.0/16" } };
  const count = async (command: string): Promise<number> => {
    const { err } = await stage.call({ command, config: wide, pod: pod("pod1"), program: faulty, env: { VETHWORK_FAULT: "count" } });
    return err.trim().split("\n").length;
  };
  for (const command of ["ADD", "DEL"]) await call(stage, command, "warm", wide);
  const few = [await count("ADD"), await count("DEL")];
  // As the reference writes them, so that the first call after it has to read them all.
  const fill = `cd ${DATA} && for i in $(seq 0 7); do for j in $(seq 1 250); do printf 'c%s-%s\\r\\neth0' $i $j > 10.1.$((i+1)).$j; done; done; printf 10.1.8.250 > last_reserved_ip.0`;
  await stage.node.run(["bash", "-c", fill]);
  expect(await ipsOf(stage, "next", wide)).toEqual(["10.1.8.251/16"]);
  expect([await count("ADD"), await count("DEL")]).toEqual(few);
  expect(await call(stage, "DEL", "c3-77", wide)).toMatchObject(quiet);
  expect(await filesOf(stage)).not.toContain("10.1.4.77");
});

stageTest("with the network's folder on a node whose world answers, nothing but files was touched", async (stage) => {
  const before = await stage.state();
  await call(stage, "ADD", "pod1", dual);
  const after = await stage.state();
  expect({ ...after, files: [] }).toEqual({ ...before, files: [] });
  expect((await stage.node.exec(["ping", "-c", "1", "-W", "2", address.world4])).code).toBe(0);
});
