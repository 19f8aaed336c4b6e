/** sample on a stage: a node of namespaces with the built binary in it, and ptp as the plugin before. To be copied with the plugin. */
import { expect } from "bun:test";
import { find, isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { reaches } from "../testing/interface-suite.ts";
import { stageTest, type Answer, type Pod, type Stage } from "../testing/stage.ts";

const quiet = { code: 0, out: "", err: "" };
const conf = { cniVersion: "1.1.0", name: "mynet", type: "sample", anotherAwesomeArg: "blue", ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "fd09::/64" }]] } };

interface Call {
  pod: Pod;
  prevResult?: JsonObject;
  /** Options beside those of `conf`, or instead. */
  more?: JsonObject;
  program?: string;
  env?: Record<string, string>;
}
const call = (stage: Stage, command: string, { prevResult, more, ...rest }: Call): Promise<Answer> =>
  stage.call({ command, config: { ...conf, ...(prevResult && { prevResult }), ...more }, ...rest });
const said = ({ result }: Answer): string => `${String(find(result, "msg"))} ${String(find(result, "details") ?? "")}`;

/** A pod with the interface that a plugin before has made, and that plugin's result. */
async function addPod(stage: Stage, name = "pod1"): Promise<{ pod: Pod; prevResult: JsonObject }> {
  const pod = await stage.addPod(name);
  const config = { cniVersion: "1.1.0", name: "mynet", type: "ptp", ipam: { type: "static", addresses: [{ address: "10.1.0.5/24", gateway: "10.1.0.1" }, { address: "fd01::5/64", gateway: "fd01::1" }] } };
  const { result } = await stage.call({ command: "ADD", config, pod });
  await stage.node.run(["ip", "-n", name, "link", "set", "eth0", "alias", "as it was"]);
  return { pod, prevResult: result };
}

/** The interface as `ip` tells it. */
async function seen(stage: Stage, name = "pod1"): Promise<{ label: unknown; addresses: string[] }> {
  const told = parseJson(await stage.node.run(["ip", "-n", name, "-j", "-d", "addr", "show", "dev", "eth0"]));
  const [link] = Array.isArray(told) ? told.filter(isObject) : [];
  const info = link?.["addr_info"];
  const addresses = (Array.isArray(info) ? info.filter(isObject) : []).filter(({ scope }) => scope === "global");
  return { label: link?.["ifalias"], addresses: addresses.map(({ local, prefixlen }) => `${String(local)}/${String(prefixlen)}`).toSorted() };
}

stageTest("sample: the interface has its label and more addresses, which are reached; DEL brings the label back, twice, and without a namespace", async (stage) => {
  const { pod, prevResult } = await addPod(stage);
  const clean = await stage.state();
  const { code, err, result } = await call(stage, "ADD", { pod, prevResult, more: { runtimeConfig: { aliases: ["web", "db"] } } });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(await seen(stage)).toEqual({ label: "blue: web, db", addresses: ["10.1.0.5/24", "10.9.0.2/24", "fd01::5/64", "fd09::2/64"] });
  expect(result).toEqual({ ...prevResult, ips: expect.arrayContaining([{ address: "10.9.0.2/24", gateway: "10.9.0.1", interface: 1 }, { address: "fd09::2/64", gateway: "fd09::1", interface: 1 }]) });
  await stage.node.run(["ip", "route", "add", "10.9.0.0/24", "via", "10.1.0.5"]);
  expect((await stage.node.exec(["ping", "-c1", "-W5", "10.9.0.2"])).code).toBe(0);
  expect(await reaches(stage, "pod1", "10.1.0.1")).toBe(true);
  await stage.node.run(["ip", "route", "del", "10.9.0.0/24"]);

  expect(await call(stage, "DEL", { pod, prevResult: result })).toMatchObject(quiet);
  expect((await seen(stage)).label).toBe("as it was");
  for (const CNI_NETNS of [pod.netns, "", "/run/netns/gone"]) expect(await call(stage, "DEL", { pod, env: { CNI_NETNS } })).toMatchObject(quiet);
  expect(await stage.state()).toEqual(clean);
});

stageTest("sample: CHECK finds what somebody changed, and says which", async (stage) => {
  const { pod, prevResult } = await addPod(stage);
  const { result } = await call(stage, "ADD", { pod, prevResult });
  for (const [command, says] of [
    ["addr del 10.9.0.2/24 dev eth0", /"eth0" has lost its address 10\.9\.0\.2\/24/], ["link set eth0 alias other", /"eth0" has the label "other" instead of "blue"/],
    ["link set eth0 down", /"eth0" is down/], ["link del eth0", /no interface "eth0"/],
  ] as const) {
    expect({ command, ...(await call(stage, "CHECK", { pod, prevResult: result })) }).toMatchObject({ command, ...quiet });
    await stage.node.run(["ip", "-n", "pod1", ...command.split(" ")]);
    const checked = await call(stage, "CHECK", { pod, prevResult: result });
    expect({ command, code: checked.code, msg: said(checked) }).toEqual({ command, code: 1, msg: expect.stringMatching(says) });
    if (command === "link del eth0") break;
    await stage.node.run(["sh", "-c", "ip -n pod1 link set eth0 up alias blue; ip -n pod1 addr replace 10.9.0.2/24 dev eth0; ip -n pod1 route replace 10.1.0.1 dev eth0; ip -n pod1 route replace 10.1.0.0/24 via 10.1.0.1; ip -n pod1 addr replace fd01::5/64 dev eth0 nodad; ip -n pod1 addr replace fd09::2/64 dev eth0 nodad"]);
  }
});

stageTest("sample: GC takes what is in no list, and STATUS hears from IPAM", async (stage) => {
  const [keep, gone] = [await addPod(stage, "keep"), await addPod(stage, "gone")];
  const other = await call(stage, "ADD", { ...gone, more: { name: "other", ipam: undefined } });
  const { result } = await call(stage, "ADD", keep);
  const clean = await stage.state();
  const tiny = { ipam: { type: "host-local", subnet: "10.9.1.0/30" } };
  expect(await call(stage, "STATUS", { pod: gone.pod, more: { ...tiny, name: "tiny" } })).toMatchObject(quiet);
  await call(stage, "ADD", { ...gone, prevResult: other.result });
  expect(await call(stage, "GC", keep)).toMatchObject(quiet); // without a list nothing is known to be stale
  expect((await stage.state()).files.length).toBeGreaterThan(clean.files.length);
  expect(await call(stage, "GC", { ...keep, more: { "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] } })).toMatchObject(quiet);
  expect(await stage.state()).toEqual(clean);
  expect(await call(stage, "CHECK", { ...keep, prevResult: result })).toMatchObject(quiet);

  expect((await call(stage, "ADD", { ...gone, more: { ...tiny, name: "tiny" } })).code).toBe(0);
  expect((await call(stage, "STATUS", { pod: gone.pod, more: { ...tiny, name: "tiny" } })).result).toMatchObject({ code: 50 });
});

stageTest("sample: what is wrong is named, and everything is as before", async (stage) => {
  const { pod, prevResult } = await addPod(stage);
  const clean = { seen: await seen(stage), state: await stage.state() };
  for (const [more, says] of [
    [{ anotherAwesomeArg: undefined }, /missing option "anotherAwesomeArg" \(a text of one line is wanted\)/], [{ anotherAwesomeArg: "two\nlines" }, /a text of one line is wanted/],
    [{ anotherAwesomeArg: "x".repeat(255) }, /at most 254 bytes/], [{ prevResult: undefined }, /Required prevResult missing/], [{ ipam: { type: "nobody" } }, /failed to find plugin "nobody"/],
    [{ ipam: { type: "static", addresses: [{ address: "10.1.0.5/24" }] } }, /Cannot add address 10\.1\.0\.5\/24 to "eth0": EEXIST/],
  ] as const) {
    const refused = await call(stage, "ADD", { pod, prevResult, more });
    expect({ more, code: refused.code, msg: said(refused) }).toEqual({ more, code: 1, msg: expect.stringMatching(says) });
    expect({ more, seen: await seen(stage), state: await stage.state() }).toEqual({ more, ...clean });
  }
  const { result } = await call(stage, "ADD", { pod, prevResult, more: { anotherAwesomeArg: "x".repeat(254) } });
  expect(said(await call(stage, "ADD", { pod, prevResult }))).toContain('container "pod1" has a label on "eth0" already (DEL is wanted before another ADD)');
  expect(await call(stage, "CHECK", { pod, prevResult: result, more: { anotherAwesomeArg: "x".repeat(254) } })).toMatchObject(quiet);
});
