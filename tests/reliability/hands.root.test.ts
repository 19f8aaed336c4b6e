/**
 * Someone else's hands: between ADD and DEL others edit, delete, mount over and rename what is ours; a machine is switched off. DEL is
 * quiet whatever became of it, CHECK says what is missing, the next ADD works or says why not, and nothing is left in the end.
 */
import { expect } from "bun:test";
import { find, isObject, type JsonObject } from "@vethwork/cni";
import { binFolder, stageTest, type Answer, type Pod, type Stage } from "../../packages/plugins/testing/stage.ts";
import { settledState } from "../conformance/node/leftovers.ts";
import { rows } from "./rows.ts";

const BOOK = "/var/lib/cni/networks/mynet";
const RESULTS = "/var/lib/cni/results";
const quiet = { code: 0, out: "", err: "" };
const [bridge] = rows.find(({ name }) => name === "bridge")?.plugins ?? [];
const config = { cniVersion: "1.1.0", name: "mynet", type: "bridge", ...bridge };
const call = (stage: Stage, command: string, pod: Pod, more: object = {}): Promise<Answer> => stage.call({ command, config: { ...config, ...more }, pod });
const said = ({ result }: Answer): string => `${String(find(result, "msg") ?? "")} ${String(find(result, "details") ?? "")}`.trim();
const shell = (stage: Stage, script: string): Promise<string> => stage.node.run(["sh", "-c", script]);
const addressesIn = (result: JsonObject): unknown[] => {
  const ips = find(result, "ips");
  return Array.isArray(ips) ? ips.filter(isObject).map((ip) => ip["address"]) : [];
};

interface Deed {
  what: string;
  /** Done after pod1 was added. */
  deed: string;
  /** What CHECK of pod1 then says; without it nothing is wrong. */
  check?: RegExp;
  /** What ADD of pod2 says; without it pod2 is added. */
  add?: RegExp;
  /** What DEL of pod1 says, until it is undone. */
  del?: RegExp;
  /** How it is undone, before the end. */
  undone?: string;
  /** Files that whoever did it has left. */
  stays?: RegExp;
}

const deeds: readonly Deed[] = [
  { what: "the book's files are truncated", deed: `for file in ${BOOK}/1* ${BOOK}/f* ${BOOK}/last* ${BOOK}/by-attachment/*; do : > "$file"; done`, check: /not reserved|by container pod1/, stays: /10\.1\.2\.3$|fd00:1:2::3$/ }, // empty, they are nobody's, and the next search takes them
  { what: "an entry of the book is cut in its first line", deed: `for file in ${BOOK}/by-attachment/*; do truncate -s 6 "$file"; done` },
  { what: "an entry of the book is cut in its last line", deed: `for file in ${BOOK}/by-attachment/*; do truncate -s -4 "$file"; done` },
  { what: "the book is gone", deed: `rm -r ${BOOK}`, check: /not reserved|by container pod1/ },
  {
    what: "there are strange files in the book",
    deed: `cd ${BOOK}; touch README .hidden 'a b' 10.1.2.300 by-attachment/strange; mkdir 10.1.2.3; ln -s nowhere 10.1.2.4; ln -s 10.1.2.5 10.1.2.5; mkfifo 10.1.2.6`,
    stays: /README|hidden|a b|10\.1\.2\.(?:300|[3456])$|strange/,
  },
  { what: "the book is on a disk that is read-only", deed: `mount --bind ${BOOK} ${BOOK}; mount -o remount,ro,bind ${BOOK}`, check: /EROFS/, add: /EROFS/, del: /EROFS/, undone: `umount ${BOOK}` },
  {
    what: "the disk is full",
    deed: `mkdir /run/old; cp -a ${BOOK}/. /run/old; mount -t tmpfs -o size=32k tmpfs ${BOOK}; cp -a /run/old/. ${BOOK}; rm -r /run/old; cat /dev/zero > ${BOOK}/filling 2>/dev/null || true`,
    add: /ENOSPC/, undone: `cd ${BOOK}; umount -l ${BOOK}; rm -rf ${BOOK}/[1f]* ${BOOK}/by-attachment`,
  },
  { what: "the bridge is gone", deed: "ip link del cni0", check: /bridge "cni0" is gone/ },
  { what: "the bridge is another one now", deed: "ip link del cni0; ip link add cni0 type bridge; ip link set cni0 up", check: /no port of "cni0"/ },
  { what: "all rules are flushed", deed: "nft flush ruleset", check: /is missing|not as it should be/ },
  { what: "a link is renamed in the pod", deed: "ip -n pod1 link set eth0 down; ip -n pod1 link set eth0 name other", check: /no interface "eth0"/ },
  { what: "the node's end is renamed", deed: "near=$(ip -o link show master cni0 | sed 's/^[0-9]*: //; s/@.*//'); ip link set $near down; ip link set $near name mine0", check: /is down|gone|no link|there is no/ },
  { what: "the pod's namespace is a plain file", deed: "ip netns del pod1; touch /run/netns/pod1", check: /namespace/, undone: "rm /run/netns/pod1" },
  { what: "its path is a loop of links", deed: "ip netns del pod1; ln -s pod1 /run/netns/pod1", check: /namespace|ELOOP/, undone: "rm /run/netns/pod1" },
  { what: "its path is a fifo", deed: "ip netns del pod1; mkfifo /run/netns/pod1", check: /namespace/, undone: "rm /run/netns/pod1" },
];

for (const { what, deed, check, add, del, undone, stays } of deeds) {
  stageTest(`${what}: CHECK sees it, the next ADD and DEL do what they can, and nothing is left`, async (stage) => {
    const [pod, next] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
    for (const command of ["ADD", "DEL"]) expect((await call(stage, command, next)).code).toBe(0); // what stays is there
    const before = await settledState(stage.node);
    const { result: prevResult } = await call(stage, "ADD", pod);
    await shell(stage, deed);
    const checked = await call(stage, "CHECK", pod, { prevResult });
    expect({ what, code: checked.code, says: said(checked) }).toEqual({ what, code: check ? 1 : 0, says: check ? expect.stringMatching(check) : "" });
    const added = await call(stage, "ADD", next);
    expect({ what, code: added.code, says: said(added) }).toEqual({ what, code: add ? 1 : 0, says: add ? expect.stringMatching(add) : "" });
    if (!add) expect(await call(stage, "CHECK", next, { prevResult: added.result })).toMatchObject(quiet);
    if (del) expect(said(await call(stage, "DEL", pod, { prevResult }))).toMatch(del);
    if (undone !== undefined) await shell(stage, undone);
    for (let times = 0; times < 2; times++) {
      for (const one of [pod, next]) expect({ what, pod: one.name, ...(await call(stage, "DEL", one, times === 0 ? { prevResult } : {})) }).toMatchObject({ what, ...quiet });
    }
    const after = await settledState(stage.node);
    const kept = (files: string[]): string[] => files.filter((file) => file !== "/run/netns/pod1" && !(stays?.test(file) ?? false));
    expect({ what, files: kept(after.files), nft: after.nft, links: after.links.filter((link) => link !== "cni0") })
      .toEqual({ what, files: kept(before.files), nft: what.includes("flushed") ? after.nft.filter((line) => !/pod|10\.1\./.test(line)) : before.nft, links: before.links.filter((link) => link !== "cni0") });
  });
}

stageTest("the runtime's memory of an attachment is half written: DEL of the chain works, and forgets it", async (stage) => {
  const pod = await stage.addPod("pod1");
  await shell(stage, "mkdir -p /run/node/net.d");
  await stage.node.run(["sh", "-c", "cat > /run/node/net.d/10-mynet.conflist"], { stdin: JSON.stringify({ cniVersion: "1.0.0", name: "mynet", plugins: [bridge, { type: "tuning", mtu: 1400 }] }) });
  const cni = (verb: string) => stage.node.exec([`${binFolder}/../vethwork`, "cni", verb, "mynet", pod.name], { env: { NETCONFPATH: "/run/node/net.d", CNI_PATH: binFolder } });
  for (const deed of ["truncate -s 40", "truncate -s 0", "sh -c 'head -c 200 /dev/urandom > $0'"]) {
    expect((await cni("add")).code).toBe(0);
    await shell(stage, `${deed} ${RESULTS}/mynet-*`);
    const ended = await cni("del");
    expect({ deed, code: ended.code, files: await shell(stage, `ls ${RESULTS} ${BOOK} | grep -c pod1 || true`) }).toEqual({ deed, code: 0, files: "0\n" });
    expect(await shell(stage, "ip -n pod1 -br link | wc -l")).toBe("1\n");
  }
});

stageTest("after a reboot the folders are what they were: old addresses are free, and nothing of the former boot confuses CHECK, GC or DEL", async (stage) => {
  const tiny = { ipam: { type: "host-local", subnet: "10.1.2.0/30" } }; // one address
  const [old, fresh] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  const { code, result: prevResult } = await call(stage, "ADD", old, tiny);
  expect({ code, addresses: addressesIn(prevResult) }).toEqual({ code: 0, addresses: ["10.1.2.2/30"] });
  // The kernel forgets everything, tmpfs is empty, and the boot has another name.
  await stage.deletePod(old);
  await shell(stage, `ip link del cni0; nft flush ruleset; sysctl -qw net.ipv4.ip_forward=0; rm -rf /run/vethwork /run/cni
    echo 11111111-2222-3333-4444-555555555555 > /run/node/boot_id && mount --bind /run/node/boot_id /proc/sys/kernel/random/boot_id`);
  const added = await call(stage, "ADD", fresh, tiny);
  expect({ code: added.code, addresses: addressesIn(added.result) }).toEqual({ code: 0, addresses: ["10.1.2.2/30"] });
  expect(await call(stage, "CHECK", fresh, { ...tiny, prevResult: added.result })).toMatchObject(quiet);
  expect((await call(stage, "CHECK", { ...old, netns: fresh.netns }, { ...tiny, prevResult })).code).toBe(1);
  expect(await call(stage, "DEL", old, { ...tiny, prevResult })).toMatchObject(quiet); // a runtime tidies up what it remembers
  expect(await call(stage, "GC", fresh, { ...tiny, "cni.dev/valid-attachments": [{ containerID: fresh.name, ifname: "eth0" }] })).toMatchObject(quiet);
  expect(await call(stage, "CHECK", fresh, { ...tiny, prevResult: added.result })).toMatchObject(quiet);
  expect(await call(stage, "DEL", fresh, tiny)).toMatchObject(quiet);
});

/** Rows whose DEL asks nobody else. */
const anywhere = rows.filter(({ name, plugins }) => plugins.length === 1 && name !== "dhcp");
stageTest("whatever is at the namespace's path, DEL of every plugin is quiet and does not wait", async (stage) => {
  await shell(stage, "cd /run/node; touch plain; mkfifo fifo; ln -s loop loop; mkdir folder; ln -s /proc/1/ns/pid other");
  for (const { plugins: [plugin], prevResult, ifname = "eth0", capabilities } of anywhere) {
    for (const path of ["plain", "fifo", "loop", "folder", "absent", "folder/below", "plain/below"]) {
      const request = { cniVersion: "1.0.0", name: "mynet", type: "", ...plugin, ...(prevResult && { prevResult }), ...(capabilities && { runtimeConfig: capabilities }) };
      const how = { config: request, pod: { name: "pod1", netns: `/run/node/${path}` }, ifname, timeoutMs: 5_000 };
      const deleted = await stage.call({ command: "DEL", ...how });
      expect({ type: request.type, path, code: deleted.code, out: deleted.out, err: deleted.err }).toEqual({ type: request.type, path, ...quiet });
    }
  }
});
