/** flannel on a node that has a subnet.env: pods get what flanneld says, by another plugin, and every later verb tells that plugin the same. */
import { expect } from "bun:test";
import { find, isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { address } from "../../../tests/conformance/node/node.ts";
import { reaches } from "../testing/interface-suite.ts";
import { stageTest, type Answer, type Pod, type Stage } from "../testing/stage.ts";

const env = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_IPV6_NETWORK=fd00:10::/48
FLANNEL_IPV6_SUBNET=fd00:10:0:1::1/64
FLANNEL_MTU=1450
FLANNEL_IPMASQ=false
`;
const narrow = env.replaceAll(/^FLANNEL_IPV6.*\n/gm, "");
const quiet = { code: 0, out: "", err: "" };
const conf = { cniVersion: "1.1.0", name: "cbr0", type: "flannel", delegate: { isDefaultGateway: true } };
/** A delegate that leaves nothing on the node by intention, as a bridge does. */
const cable = { delegate: { type: "ptp", ipMasq: false } };
const STASH = "/var/lib/cni/flannel";

interface Call {
  pod: Pod;
  more?: JsonObject;
  ifname?: string;
  program?: string;
  env?: Record<string, string>;
}
const call = (stage: Stage, command: string, { more, ...rest }: Call): Promise<Answer> => stage.call({ command, config: { ...conf, ...more }, ...rest });
const said = ({ result }: Answer): string => `${String(find(result, "msg"))} ${String(find(result, "details") ?? "")}`;
const write = (stage: Stage, path: string, text: string) => stage.node.run(["sh", "-c", 'mkdir -p "${1%/*}" && cat > "$1"', "sh", path], { stdin: text });
/** What flanneld leaves on its node; and forwarding, which a plugin switches on for good. */
const flanneld = async (stage: Stage, text = env) => {
  await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  await write(stage, "/run/flannel/subnet.env", text);
};
const kept = async (stage: Stage): Promise<string[]> => (await stage.node.run(["sh", "-c", `cd ${STASH} 2>/dev/null && ls || true`])).split("\n").filter(Boolean);
const ipsOf = ({ result }: Answer): string[] => {
  const ips = find(result, "ips");
  return Array.isArray(ips) ? ips.filter(isObject).map((ip) => String(find(ip, "address"))) : [];
};

stageTest("pods have addresses of this node's subnets, packets as large as flanneld says, and a way to all pods and the world", async (stage) => {
  await flanneld(stage);
  const pods = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  for (const [at, pod] of pods.entries()) {
    const added = await call(stage, "ADD", { pod });
    expect({ code: added.code, err: added.err, ips: ipsOf(added) }).toEqual({ code: 0, err: "", ips: [`10.244.1.${at + 2}/24`, `fd00:10:0:1::${at + 2}/64`] });
    expect(await call(stage, "CHECK", { pod, more: { prevResult: added.result } })).toMatchObject(quiet);
  }
  for (const ip of ["10.244.1.3", "fd00:10:0:1::3", "10.244.1.1", address.world4, address.world6]) expect({ ip, reached: await reaches(stage, "pod1", ip) }).toEqual({ ip, reached: true });
  const told = await stage.node.run(["sh", "-c", "ip -n pod1 route; ip -n pod1 -6 route; ip -n pod1 link show eth0"]);
  for (const words of ["10.244.0.0/16 via 10.244.1.1 dev eth0", "fd00:10::/48 via fd00:10:0:1::1 dev eth0", "mtu 1450"]) expect(told).toContain(words);
});

stageTest("what the delegate was told lies where the original keeps it, for root alone, and DEL takes it away, twice, and without a namespace", async (stage) => {
  await flanneld(stage);
  const before = await stage.state();
  for (const how of ["there", "gone", "unnamed"]) {
    const pod = await stage.addPod("pod1");
    expect(await call(stage, "DEL", { pod, more: cable })).toMatchObject(quiet);
    expect((await call(stage, "ADD", { pod, more: cable })).code).toBe(0);
    expect(parseJson(await stage.node.run(["cat", `${STASH}/pod1`]))).toEqual({
      cniVersion: "1.1.0", name: "cbr0", type: "ptp", ipMasq: false, mtu: 1450, "vethwork/ifname": "eth0",
      ipam: { type: "host-local", ranges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:10:0:1::/64" }]], routes: [{ dst: "10.244.0.0/16" }, { dst: "fd00:10::/48" }] },
    });
    expect(await stage.node.run(["stat", "-c", "%a %U", STASH, `${STASH}/pod1`])).toBe("700 root\n600 root\n");
    if (how === "gone") await stage.deletePod(pod);
    const without = how === "unnamed" ? { env: { CNI_NETNS: "" } } : {};
    for (let times = 0; times < 2; times++) expect(await call(stage, "DEL", { pod, more: cable, ...without })).toMatchObject(quiet);
    if (how !== "gone") await stage.deletePod(pod);
    expect({ how, state: await stage.state() }).toEqual({ how, state: before });
  }
});

stageTest("DEL asks for what was added, whatever flanneld and the configuration say by now", async (stage) => {
  await flanneld(stage);
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  const { result: prevResult } = await call(stage, "ADD", { pod, more: { ...cable, cniVersion: "0.4.0" } });
  await stage.node.run(["rm", "-r", "/run/flannel"]);
  for (const more of [{ delegate: { type: 7 } }, { subnetFile: 3, prevResult, delegate: { type: "nobody", name: "x" } }]) expect((await call(stage, "DEL", { pod, more })).code).toBe(0);
  await flanneld(stage);
  expect(await stage.state()).toEqual(before);
});

stageTest("any program is a delegate: it gets the configuration without our mark, the runtime's capabilities, and a DEL after an ADD that failed", async (stage) => {
  await flanneld(stage);
  const script = `#!/bin/sh\ncat > /run/asked.$CNI_COMMAND; echo $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_ARGS >> /run/called
[ $CNI_COMMAND != ADD ] || { cat /run/answer; grep -q ips /run/answer; }\n`;
  await write(stage, "/run/other/mine", script);
  await write(stage, "/run/answer", '{"cniVersion":"1.0.0","ips":[{"address":"10.244.1.99/24"}],"dns":{"domain":"x"}}');
  await stage.node.run(["chmod", "+x", "/run/other/mine"]);
  const pod = await stage.addPod("pod1");
  const more = { cniVersion: "1.0.0", delegate: { type: "mine", own: [1] }, runtimeConfig: { mac: "02:00:00:00:00:01" }, capabilities: { mac: true }, dns: { domain: "not handed on" } };
  const at = { pod, more, env: { CNI_PATH: `/run/other:${stage.bin}`, CNI_ARGS: "A=B" } };
  const asked = async (verb: string) => parseJson(await stage.node.run(["cat", `/run/asked.${verb}`]));

  const { result: prevResult } = await call(stage, "ADD", at);
  expect(prevResult).toEqual({ cniVersion: "1.0.0", ips: [{ address: "10.244.1.99/24" }], dns: { domain: "x" } });
  const told = await asked("ADD");
  expect(told).toMatchObject({ cniVersion: "1.0.0", name: "cbr0", type: "mine", own: [1], mtu: 1450, ipMasq: true, runtimeConfig: { mac: "02:00:00:00:00:01" } });
  expect(Object.keys(isObject(told) ? told : {}).toSorted()).toEqual(["cniVersion", "ipMasq", "ipam", "mtu", "name", "own", "runtimeConfig", "type"]);
  expect(await call(stage, "CHECK", { ...at, more: { ...more, prevResult } })).toMatchObject(quiet);
  expect(await asked("CHECK")).toEqual({ ...(isObject(told) ? told : {}), prevResult });
  expect(await call(stage, "DEL", { ...at, more: { ...more, prevResult, delegate: {} } })).toMatchObject(quiet);
  expect(await asked("DEL")).toEqual({ ...(isObject(told) ? told : {}), prevResult });

  await write(stage, "/run/answer", '{"cniVersion":"1.0.0","code":123,"msg":"no more","details":"of it"}');
  expect((await call(stage, "ADD", at)).result).toEqual({ code: 123, msg: "failed to delegate add: no more", details: "of it" });
  expect(await stage.node.run(["cat", "/run/called"])).toBe("ADD pod1 eth0 A=B\nCHECK pod1 eth0 A=B\nDEL pod1 eth0 A=B\nADD pod1 eth0 A=B\nDEL pod1 eth0 A=B\n");
  expect(await kept(stage)).toEqual([]);

  // Not every delegate knows GC: what it holds for those that are gone, it gives back by DEL.
  await write(stage, "/run/answer", '{"cniVersion":"1.0.0","ips":[{"address":"10.244.1.99/24"}]}');
  expect((await call(stage, "ADD", at)).code).toBe(0);
  expect(await call(stage, "GC", { ...at, more: { ...more, cniVersion: "1.1.0", "cni.dev/valid-attachments": [] } })).toMatchObject(quiet);
  expect(await stage.node.run(["tail", "-n", "2", "/run/called"])).toMatch(/^DEL pod1 eth0\nGC/);
  expect(await asked("GC")).toMatchObject({ cniVersion: "1.1.0", name: "cbr0", type: "mine", "cni.dev/valid-attachments": [] });
  expect(await kept(stage)).toEqual([]);
});

stageTest("three interfaces of one container, two in the same network: each DEL takes its own, in any order", async (stage) => {
  await flanneld(stage);
  const attachments = [["eth0", cable], ["net1", cable], ["net2", { name: "other", ...cable, ipam: { dataDir: "/run/other" } }]] as const;
  const before = await stage.state();
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) {
    const pod = await stage.addPod("pod1");
    for (const [ifname, more] of attachments) expect((await call(stage, "ADD", { pod, more, ifname })).code).toBe(0);
    expect(await kept(stage)).toEqual(["pod1", "pod1:net1", "pod1:net2"]);
    expect(said(await call(stage, "ADD", { pod, more: cable, ifname: "net1" }))).toContain('container "pod1" has interface "net1" already (DEL is wanted before another ADD)');
    const left = new Set(attachments.map(([ifname]) => String(ifname)));
    for (const at of order) {
      const [ifname, more] = attachments[at] ?? attachments[0];
      for (let times = 0; times < 2; times++) expect(await call(stage, "DEL", { pod, more, ifname })).toMatchObject(quiet);
      left.delete(ifname);
      const links = await stage.node.run(["ip", "-n", "pod1", "-o", "link"]);
      expect([...left].filter((name) => !links.includes(name))).toEqual([]);
      expect((await kept(stage)).length).toBe(left.size);
    }
    await stage.deletePod(pod);
    expect({ order, state: await stage.state() }).toEqual({ order, state: before });
  }
});

stageTest("CHECK finds what somebody took away, and what flanneld has changed its mind about", async (stage) => {
  for (const [what, command, says] of [
    ["the pod's route", "ip -n pod1 route del 10.244.0.0/16", /lost its route to 10\.244\.0\.0\/16/], ["the stash", `mv ${STASH}/pod1 /run/away`, /nothing is kept of "eth0" of container "pod1" in "\/var\/lib\/cni\/flannel"/],
    ["the stash's end", `cp ${STASH}/pod1 /run/away; truncate -s 20 ${STASH}/pod1`, /nothing is kept of "eth0"/], ["the subnet", "sed -i s/10.244.1.1/10.244.7.1/ /run/flannel/subnet.env", /its subnet 10\.244\.1\.0\/24 is not this node's any more \(10\.244\.7\.0\/24 and fd00:10:0:1::\/64 is\)/],
  ] as const) {
    await flanneld(stage);
    const pod = await stage.addPod("pod1");
    const { result: prevResult } = await call(stage, "ADD", { pod });
    expect({ what, ...(await call(stage, "CHECK", { pod, more: { prevResult } })) }).toMatchObject({ what, ...quiet });
    await stage.node.run(["sh", "-c", command]);
    const checked = await call(stage, "CHECK", { pod, more: { prevResult } });
    expect({ what, code: checked.code, msg: said(checked) }).toEqual({ what, code: 1, msg: expect.stringMatching(says) });
    await stage.node.run(["sh", "-c", `[ ! -e /run/away ] || mv /run/away ${STASH}/pod1`]);
    await call(stage, "DEL", { pod });
    await stage.deletePod(pod);
  }
  await flanneld(stage);
  const pod = await stage.addPod("pod1");
  const { result: prevResult } = await call(stage, "ADD", { pod });
  await stage.node.run(["rm", "/run/flannel/subnet.env"]); // flanneld's affair: the pod is as it was
  expect(await call(stage, "CHECK", { pod, more: { prevResult } })).toMatchObject(quiet);
  expect(said(await call(stage, "CHECK", { pod }))).toContain("Required prevResult missing");
});

stageTest("a stash that was cut short does not keep the address: DEL makes the configuration once more, or lets it be", async (stage) => {
  await flanneld(stage);
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  for (const [text, isFreed] of [["", true], ['{"type":"ptp","na', true], ["[]", true], ["", false]] as const) {
    expect((await call(stage, "ADD", { pod, more: cable })).code).toBe(0);
    await write(stage, `${STASH}/pod1`, text);
    if (!isFreed) await stage.node.run(["mv", "/run/flannel", "/run/flannel.away"]);
    expect({ text, ...(await call(stage, "DEL", { pod, more: cable })) }).toMatchObject({ text, ...quiet });
    if (isFreed) expect({ text, state: await stage.state() }).toEqual({ text, state: before });
  }
  expect(await kept(stage)).toEqual([]);
});

stageTest("GC takes what is in no list, also before flanneld is up, and nothing else", async (stage) => {
  await flanneld(stage);
  const names = ["keep", "gone", "lost"] as const;
  const pods = await Promise.all([...names, "other"].map((name) => stage.addPod(name)));
  const [keep, , lost, other] = pods;
  if (!keep || !lost || !other) throw new TypeError("pods are missing");
  const { result: prevResult } = await call(stage, "ADD", { pod: keep, more: cable });
  await write(stage, "/run/others.env", narrow.replaceAll("10.244", "10.245"));
  expect((await call(stage, "ADD", { pod: other, more: { ...cable, name: "others", subnetFile: "/run/others.env" } })).code).toBe(0);
  const before = await stage.state();
  for (const pod of pods.slice(1, 3)) expect((await call(stage, "ADD", { pod, more: cable })).code).toBe(0);
  const full = await stage.state();
  expect(await call(stage, "GC", { pod: keep, more: cable })).toMatchObject(quiet); // without a list nothing is known to be stale
  expect(await stage.state()).toEqual(full);
  // The original's own: whose interface it is, is not written down. And flanneld may not be up yet.
  await stage.node.run(["sh", "-c", `sed -i 's/,"vethwork.*"}/}/' ${STASH}/gone && ip netns del lost && mv /run/flannel /run/flannel.away`]);
  const list = { "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] };
  expect(await call(stage, "GC", { pod: keep, more: { ...cable, ...list } })).toMatchObject(quiet);
  await stage.node.run(["sh", "-c", "mv /run/flannel.away /run/flannel; ip netns add lost"]);
  expect(await stage.state()).toEqual(before);
  expect(await call(stage, "CHECK", { pod: keep, more: { ...cable, prevResult } })).toMatchObject(quiet);

  // One whose DEL fails is told, and does not hold up the next.
  for (const pod of pods.slice(1, 3)) expect((await call(stage, "ADD", { pod, more: cable })).code).toBe(0);
  await stage.node.run(["sed", "-i", 's/"ptp"/"nobody"/', `${STASH}/gone`]);
  expect(said(await call(stage, "GC", { pod: keep, more: { ...cable, ...list } }))).toContain('failed to find plugin "nobody"');
  expect(await kept(stage)).toEqual(["gone", "keep", "other"]);
});

stageTest("STATUS waits for flanneld, then hears from the delegate and its IPAM", async (stage) => {
  const pod = await stage.addPod("pod1");
  const status = async (more: JsonObject = cable) => (await call(stage, "STATUS", { pod, more })).result;
  expect(await status()).toMatchObject({ code: 50, msg: expect.stringContaining('there is no "/run/flannel/subnet.env"') });
  await flanneld(stage, "FLANNEL_MTU");
  expect(await status()).toMatchObject({ code: 50, msg: expect.stringContaining("FLANNEL_MTU without a value in line 1") });
  await flanneld(stage, env.replace("10.244.1.1/24", "10.244.1.1/30"));
  expect(await status()).toEqual({});
  expect((await call(stage, "ADD", { pod, more: cable })).code).toBe(0);
  expect(await status()).toMatchObject({ code: 50 });
  expect(await status({ delegate: { type: "nobody" } })).toMatchObject({ code: 4, msg: expect.stringContaining('failed to find plugin "nobody"') });
});

stageTest("what is wrong is named, and nothing is made of it", async (stage) => {
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  const missing = await call(stage, "ADD", { pod });
  expect({ code: missing.result["code"], msg: said(missing) }).toEqual({ code: 11, msg: expect.stringContaining("failed to load flannel 'subnet.env' file: ") });
  await write(stage, "/run/elsewhere.env", env.replace("10.244.1.1/24", "10.244.1.1/30"));
  const there = { subnetFile: "/run/elsewhere.env" };
  for (const [more, says] of [
    [{ delegate: { type: "nobody" } }, /^failed to find plugin "nobody"/], [{ delegate: { type: 7 } }, /must have \(string\) 'type' field/], [{ delegate: { type: "flannel" } }, /"delegate\.type": "flannel"/],
    [{ delegate: { ipam: {} } }, /must not have 'ipam' field/], [{ ipam: 3 }, /invalid option "ipam"/],
    [{ delegate: { type: "ptp", mtu: 1_000_000 } }, /failed to delegate add: invalid option "mtu"/], [{ ipam: { routes: [{ dst: "all" }] } }, /failed to delegate add: .*all/],
  ] as const) {
    const refused = await call(stage, "ADD", { pod, more: { ...cable, ...there, ...more } });
    expect({ more, code: refused.code, msg: said(refused) }).toEqual({ more, code: 1, msg: expect.stringMatching(says) });
    const { files, links } = await stage.state();
    expect({ more, files, links }).toEqual({ more, files: [...before.files, "/run/elsewhere.env"].toSorted(), links: before.links });
  }
  // Where the delegate's DEL fails as well, the runtime's comes later, and knows what to ask for.
  const refused = await call(stage, "ADD", { pod, more: { ...cable, ...there, ipam: { type: "nobody" } } });
  expect({ msg: said(refused), err: refused.err }).toEqual({ msg: expect.stringContaining('failed to delegate add: failed to find plugin "nobody"'), err: expect.stringContaining("cannot undo a step of the failed ADD") });
  expect(await kept(stage)).toEqual(["pod1"]);
});
