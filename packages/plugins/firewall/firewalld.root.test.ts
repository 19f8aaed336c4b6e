/**
 * A real firewalld on a system bus of its own: pods land in its zone, are missed there after a reload, and leave it again,
 * whoever put them there.
 */
import { expect, test } from "bun:test";
import { find } from "@vethwork/cni";
import type { Daemon } from "../../../tests/conformance/node/daemon.ts";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { cable, expectReach, firewall, firewalldLacks, openWorld, rulesOf, sourcesIn, startFirewalld, world, type Cabled } from "../testing/firewalls.ts";
import { referenceFolders, referenceLacks } from "../testing/reference.ts";
import { binFolder, faultyBinFolder, onStage, stageLacks, type Stage } from "../testing/stage.ts";

const quiet = { code: 0, out: "", err: "" };
const lacks = stageLacks || firewalldLacks;

function firewalldTest(title: string, act: (stage: Stage, daemon: Daemon) => Promise<void>, alsoLacks = ""): void {
  test.skipIf((lacks || alsoLacks) !== "")(skipped(title, lacks || alsoLacks), () => onStage(async (stage) => {
    await openWorld(stage);
    await act(stage, await startFirewalld(stage));
  }), 120_000);
}

const own = ({ ip4, ip6 }: Cabled): string[] => [`${ip4}/32`, `${ip6}/128`];

async function added(stage: Stage, pod: Cabled, options: object = {}, program?: string): Promise<void> {
  const { code, out } = await firewall(stage, "ADD", pod, options, program);
  expect({ code, out: code === 0 ? "" : out }).toEqual({ code: 0, out: "" });
}

/** What is ours on the node beside sources: tables, rules, files. */
async function leftovers(stage: Stage): Promise<string[]> {
  const { nft, files } = await rulesOf(stage);
  return [...nft.filter((line) => line.includes("vethwork")), ...files];
}

firewalldTest("a pod gets out by the trusted zone, answers come back, what others begin is rejected, and DEL takes the pod out of the zone", async (stage) => {
  const [pod, other] = [await cable(stage, "a1"), await cable(stage, "b1")];
  await expectReach(stage, [pod, world, false], [pod, other, false]);
  await added(stage, pod, { backend: "" }); // as podman writes it
  await added(stage, other);
  expect(sourcesIn(stage, "trusted")).toEqual([...own(pod), ...own(other)].toSorted());
  await expectReach(stage, [pod, world, true], [pod, other, true], [world, pod, false]);
  expect(await firewall(stage, "CHECK", pod)).toMatchObject(quiet);
  for (const how of [{}, { prevResult: undefined }]) expect(await firewall(stage, "DEL", pod, how)).toMatchObject(quiet);
  expect(await firewall(stage, "DEL", { ...other, netns: "" }, { prevResult: undefined })).toMatchObject(quiet);
  expect(sourcesIn(stage, "trusted")).toEqual([]);
  await expectReach(stage, [pod, world, false]);
  expect(await leftovers(stage)).toEqual([]);
});

firewalldTest("a reload drops the pods: CHECK says so, another ADD helps, and DEL is quiet whether the pod is there or not", async (stage) => {
  const pod = await cable(stage, "a1");
  await added(stage, pod);
  await stage.node.run(["firewall-cmd", "--reload"]);
  const { code, result } = await firewall(stage, "CHECK", pod);
  expect({ code, error: find(result, "code"), msg: find(result, "msg") }).toEqual({
    code: 1, error: 100,
    msg: `container "a1" is not as it was added: ${own(pod).map((source) => `${source} is no source of zone "trusted" of firewalld`).join("; ")}`,
  });
  await added(stage, pod);
  expect(await firewall(stage, "CHECK", pod)).toMatchObject(quiet);
  await stage.node.run(["firewall-cmd", "--reload"]);
  expect(await firewall(stage, "DEL", pod)).toMatchObject(quiet);
  expect(await leftovers(stage)).toEqual([]);
});

firewalldTest("without firewalld nothing of it is left, and the next pod gets nftables' rules", async (stage, daemon) => {
  const [pod, next] = [await cable(stage, "a1"), await cable(stage, "a2")];
  await added(stage, pod);
  expect(await firewall(stage, "STATUS", pod, { cniVersion: "1.1.0", backend: "firewalld" })).toMatchObject(quiet);
  await daemon.kill();
  expect((await firewall(stage, "STATUS", pod, { cniVersion: "1.1.0", backend: "firewalld" })).result).toMatchObject({ code: 50, msg: "firewalld does not run" });
  expect((await firewall(stage, "CHECK", pod)).result).toMatchObject({ msg: 'container "a1" is not as it was added: firewalld does not run any more' });
  expect(await firewall(stage, "DEL", pod)).toMatchObject(quiet);
  expect(await leftovers(stage)).toEqual([]);
  await added(stage, next);
  expect(await leftovers(stage)).toContain("table inet vethwork-firewall {");
});

firewalldTest("an ingress policy holds behind firewalld, which knows none; and the bus may be elsewhere", async (stage) => {
  const [a1, a2, b1] = [await cable(stage, "a1"), await cable(stage, "a2"), await cable(stage, "b1")];
  for (const pod of [a1, a2]) await added(stage, pod, { ingressPolicy: "isolated" });
  await added(stage, b1, { ingressPolicy: "same-bridge" });
  await expectReach(stage, [a1, a2, false], [a1, b1, false], [b1, a1, false], [a1, world, true], [b1, world, true]);
  for (const pod of [a1, a2]) expect(await firewall(stage, "CHECK", pod, { ingressPolicy: "isolated" })).toMatchObject(quiet);
  expect(await stage.node.run(["nft", "list", "table", "inet", "firewalld"])).not.toContain("vethwork"); // its chains are its own
  await stage.node.run(["nft", "flush", "set", "inet", "vethwork-firewall", "bridges"]);
  expect((await firewall(stage, "CHECK", a1, { ingressPolicy: "isolated" })).result).toMatchObject({ code: 100 });
  for (const pod of [a1, a2, b1]) expect(await firewall(stage, "DEL", pod, { prevResult: undefined })).toMatchObject(quiet);
  expect([await leftovers(stage), sourcesIn(stage, "trusted")]).toEqual([[], []]);

  const elsewhere = { cniVersion: "1.1.0", name: "neta", type: "firewall", backend: "firewalld" };
  const status = (address: string) => stage.call({ command: "STATUS", config: elsewhere, env: { DBUS_SYSTEM_BUS_ADDRESS: address } });
  expect([(await status("unix:path=/run/dbus/system_bus_socket")).code, (await status("unix:path=/run/nobody")).code]).toEqual([0, 1]);
});

firewalldTest("zones: another one, one that there is not, and one that has the address already", async (stage) => {
  const [pod, other] = [await cable(stage, "a1"), await cable(stage, "a2")];
  await added(stage, pod, { firewalldZone: "home" });
  expect([sourcesIn(stage, "home"), sourcesIn(stage, "trusted")]).toEqual([own(pod), []]);
  const conflict = await firewall(stage, "ADD", { ...other, prevResult: pod.prevResult }, { backend: "firewalld" });
  expect(conflict.result).toMatchObject({ code: 999, msg: `Cannot add ${pod.ip4}/32 to zone "trusted" of firewalld: ZONE_CONFLICT: '${pod.ip4}/32' already bound to a zone` });
  const none = await firewall(stage, "ADD", other, { firewalldZone: "nowhere" });
  expect(none.result).toMatchObject({ code: 7, msg: 'invalid option "firewalldZone": "nowhere" (a zone of firewalld\'s is wanted)' });
  expect(sourcesIn(stage, "home")).toEqual(own(pod));

  // The address goes over to the next pod, and stays with it; the zone is the one of ADD, whatever the configuration says now.
  await added(stage, { ...other, prevResult: pod.prevResult }, { firewalldZone: "home" });
  expect(await firewall(stage, "DEL", pod)).toMatchObject(quiet);
  expect(sourcesIn(stage, "home")).toEqual(own(pod));
  expect(await stage.call({ command: "GC", config: { cniVersion: "1.1.0", name: "neta", type: "firewall", "cni.dev/valid-attachments": [] } })).toMatchObject(quiet);
  expect([sourcesIn(stage, "home"), await leftovers(stage)]).toEqual([[], []]);
});

firewalldTest("killed at any call of ADD or DEL, then DEL: nothing is left; and whichever call fails, ADD takes back what it made", async (stage) => {
  const [pod, other] = [await cable(stage, "a1"), await cable(stage, "a2")];
  await added(stage, other);
  const state = async () => ({ sources: sourcesIn(stage, "trusted"), left: await leftovers(stage) });
  const before = await state();
  const options = { backend: "firewalld" };
  const faulty = (command: string, fault: string) => stage.call({
    command, pod, program: `${faultyBinFolder}/firewall`, env: { VETHWORK_FAULT: fault },
    config: { cniVersion: "1.0.0", name: "neta", type: "firewall", prevResult: pod.prevResult, ...options },
  });
  const del = () => firewall(stage, "DEL", pod, { prevResult: undefined });
  for (const command of ["ADD", "DEL"]) {
    if (command === "DEL") await added(stage, pod, options);
    const calls = (await faulty(command, "count")).err.trim().split("\n");
    await del();
    expect(calls.join("\n")).toContain(`${command === "ADD" ? "addSource" : "removeSource"} of "org.fedoraproject.FirewallD1"`);
    for (let at = 1; at <= calls.length; at++) {
      if (command === "DEL") await added(stage, pod, options);
      expect({ at, killed: (await faulty(command, `kill:${at}`)).code > 128 }).toEqual({ at, killed: true });
      expect({ at, ...(await del()) }).toMatchObject({ at, ...quiet });
      expect({ at, call: calls[at - 1], ...(await state()) }).toEqual({ at, call: calls[at - 1], ...before });
    }
    if (command === "DEL") continue;
    for (let at = 1; at <= calls.length; at++) {
      // What it can do without does not stop it, and CHECK is content then; and of a result that could not be told a runtime sends DEL.
      const { code, err } = await faulty(command, `fail:${at}:ENOMEM`);
      const checked = code === 0 ? await firewall(stage, "CHECK", pod, options) : { code: 0 };
      if (code === 0 || calls[at - 1]?.endsWith("write stdout")) await del();
      expect({ call: calls[at - 1], isAnswered: code <= 1, err, checked: checked.code, ...(await state()) }).toEqual({ call: calls[at - 1], isAnswered: true, err: "", checked: 0, ...before });
    }
  }
});

for (const folder of referenceFolders.length > 0 ? referenceFolders : ["none"]) {
  const [ours, theirs] = [`${binFolder}/firewall`, `${folder}/firewall`];
  firewalldTest(`each takes away what the other made (${folder.startsWith("/usr") ? "Debian's own" : "the newest"})`, async (stage) => {
    const pod = await cable(stage, "a1");
    for (const [first, second] of [[theirs, ours], [ours, theirs]] as const) {
      for (const options of [{}, { backend: "firewalld", ingressPolicy: "same-bridge" }]) {
        await added(stage, pod, options, first);
        expect(sourcesIn(stage, "trusted")).toEqual(own(pod));
        expect(await firewall(stage, "CHECK", pod, options, second)).toMatchObject({ code: 0, out: "" });
        expect(await firewall(stage, "DEL", pod, options, second)).toMatchObject({ code: 0, out: "" });
        expect(sourcesIn(stage, "trusted")).toEqual([]);
        await firewall(stage, "DEL", pod, options, ours);
      }
    }
    expect(await leftovers(stage)).toEqual([]);
  }, referenceLacks);
}
