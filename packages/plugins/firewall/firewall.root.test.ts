/**
 * firewall on nodes that forward nothing by default, whoever has set that; what is left of it afterwards; and what it says when
 * something is missing or wrong. Who may reach whom by an ingress policy is firewall.isolation.root.test.ts.
 */
import { expect } from "bun:test";
import { find } from "@vethwork/cni";
import { until } from "../../../tests/conformance/node/until.ts";
import { cable, expectReach, firewall, openWorld, rulesOf, world, type Cabled } from "../testing/firewalls.ts";
import { stageTest, type Stage } from "../testing/stage.ts";

const quiet = { code: 0, out: "", err: "" };
const BACKENDS = ["nftables", "iptables"] as const;

async function added(stage: Stage, pod: Cabled, options: object = {}): Promise<void> {
  expect(await firewall(stage, "ADD", pod, options)).toMatchObject({ code: 0, err: "" });
}

const droppers: readonly (readonly [who: string, command: string])[] = [
  ["an nft chain with the policy drop", "nft 'table inet guard { chain through { type filter hook forward priority -10; policy drop; }; }'"],
  ["an nft chain whose last rule rejects the rest", "nft 'table inet guard { chain through { type filter hook forward priority 0; ct state invalid drop; counter reject with icmpx admin-prohibited; }; }'"],
  ["iptables with the policy DROP", "for t in iptables ip6tables; do $t-nft -P FORWARD DROP; $t-nft -A FORWARD -i lo -j ACCEPT; done"],
  ["iptables with a last rule that rejects the rest", "for t in iptables ip6tables; do $t-nft -A FORWARD -i lo -j ACCEPT; $t-nft -A FORWARD -m comment --comment 'no more' -j REJECT; done"],
];

for (const [who, command] of droppers) {
  stageTest(`${who}: pods get out and answers come back, what others begin does not get in, and after DEL nothing passes again`, async (stage) => {
    await openWorld(stage);
    await stage.node.run(["sh", "-c", command]);
    const [a1, b1] = [await cable(stage, "a1"), await cable(stage, "b1")];
    const before = await rulesOf(stage);
    await expectReach(stage, [a1, world, false], [a1, b1, false], [world, a1, false]);
    for (const pod of [a1, b1]) await added(stage, pod);
    await expectReach(stage, [a1, world, true], [a1, b1, true], [world, a1, false]);
    for (const pod of [a1, b1]) expect(await firewall(stage, "CHECK", pod)).toMatchObject(quiet);
    for (const pod of [a1, b1]) expect(await firewall(stage, "DEL", pod)).toMatchObject(quiet);
    await expectReach(stage, [a1, world, false], [a1, b1, false]);
    expect(await rulesOf(stage)).toEqual(before);
  });
}

stageTest("who sets the mark's bit before is not believed, and who looks afterwards does not see it", async (stage) => {
  await openWorld(stage);
  await stage.node.run(["nft", `table inet guard {
    chain before { type filter hook prerouting priority -150; meta mark set meta mark or 0x1003; };
    chain through { type filter hook forward priority 0; policy drop; };
    chain after { type filter hook postrouting priority 0; meta mark and 0x1003 == 0x0003 counter comment "kept"; meta mark and 0x1000 == 0x1000 counter comment "seen"; };
  }`]);
  const pod = await cable(stage, "a1");
  await added(stage, pod);
  await expectReach(stage, [world, pod, false]);
  await expectReach(stage, [pod, world, true]);
  const chain = await stage.node.run(["nft", "list", "chain", "inet", "guard", "after"]);
  expect(chain).toMatch(/counter packets [1-9]\d* bytes \d+ comment "kept"/);
  expect(chain).toMatch(/counter packets 0 bytes 0 comment "seen"/);
});

stageTest("iptables reads, saves and restores a chain with our rule in it, and pods pass before and after", async (stage) => {
  await openWorld(stage);
  await stage.node.run(["iptables-nft", "-P", "FORWARD", "DROP"]);
  await stage.node.run(["ip6tables-nft", "-P", "FORWARD", "DROP"]);
  const pod = await cable(stage, "a1");
  await added(stage, pod);
  const listed = await stage.node.run(["iptables-nft", "-S", "FORWARD"]);
  expect(listed).toContain('-A FORWARD -m mark --mark 0x1000/0x1000 -m comment --comment "vethwork firewall: what pods send, and answers to them" -j ACCEPT');
  await stage.node.run(["sh", "-c", "iptables-nft-save | iptables-nft-restore"]);
  expect(await stage.node.run(["iptables-nft", "-S", "FORWARD"])).toBe(listed);
  await expectReach(stage, [pod, world, true]);
});

stageTest("a table that has an owner cannot be helped, and does not keep a pod from being added", async (stage) => {
  const { node } = stage;
  const owned = "table inet owned { flags owner; chain through { type filter hook forward priority 0; policy drop; }; }";
  await node.run(["sh", "-c", `mkfifo ${node.dir}/words; nft -i <${node.dir}/words >/dev/null 2>&1 & (echo '${owned}'; exec sleep 600) >${node.dir}/words 2>&1 &`]);
  await until(async () => (await node.run(["nft", "list", "ruleset"])).includes("policy drop"));
  const pod = await cable(stage, "a1");
  await added(stage, pod);
  expect(await firewall(stage, "CHECK", pod)).toMatchObject(quiet);
  expect(await firewall(stage, "DEL", pod)).toMatchObject(quiet);
});

stageTest("an administrator's own drop counts: in a chain of nft's, and in CNI-ADMIN, which is kept as long as it says something", async (stage) => {
  await openWorld(stage);
  await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -P FORWARD DROP; $t -N CNI-ADMIN; done; iptables -A CNI-ADMIN -d 192.0.2.0/24 -j DROP; ip6tables -A CNI-ADMIN -d 2001:db8::/64 -j DROP"]);
  const pod = await cable(stage, "a1");
  await added(stage, pod, { backend: "iptables" });
  await expectReach(stage, [pod, world, false]);
  await firewall(stage, "DEL", pod);
  expect(await stage.node.run(["iptables", "-S"])).toMatch(/-A FORWARD .*-j CNI-FORWARD\n[\s\S]*-j CNI-ADMIN\n/);

  await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -F CNI-ADMIN; done"]);
  await added(stage, pod);
  await expectReach(stage, [pod, world, true]);
  await stage.node.run(["nft", "table inet mine { chain through { type filter hook forward priority 50; oifname eth0 drop; }; }"]);
  await expectReach(stage, [pod, world, false]);
});

for (const backend of BACKENDS) {
  stageTest(`${backend}: DEL leaves the node as it was, twice, before ADD, without a result, without a namespace, and with one that is gone`, async (stage) => {
    await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -P FORWARD DROP; done"]);
    const before = await rulesOf(stage);
    for (const [at, how] of ["with a result", "without", "without a namespace", "gone"].entries()) {
      const pod = await cable(stage, `a${at}`);
      const less = how === "with a result" ? {} : { prevResult: undefined };
      const env = how === "without a namespace" ? { CNI_NETNS: "" } : {};
      const del = () => stage.call({ command: "DEL", pod, env, config: { cniVersion: "1.0.0", name: "neta", type: "firewall", backend, ingressPolicy: "isolated", prevResult: pod.prevResult, ...less } });
      expect(await del()).toMatchObject(quiet);
      await added(stage, pod, { backend, ingressPolicy: "isolated" });
      expect((await rulesOf(stage)).nft.length).toBeGreaterThan(before.nft.length);
      if (how === "gone") await stage.deletePod(pod);
      for (let times = 0; times < 2; times++) expect({ how, ...(await del()) }).toMatchObject({ how, ...quiet });
      expect({ how, ...(await rulesOf(stage)) }).toEqual({ how, ...before });
    }
  });

  stageTest(`${backend}: an address that was given to the next pod stays with it when the one before is deleted late`, async (stage) => {
    await openWorld(stage);
    await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -P FORWARD DROP; done"]);
    const pod = await cable(stage, "a1");
    const before = { ...pod, name: "a0" };
    await added(stage, before, { backend });
    await added(stage, pod, { backend });
    expect(await firewall(stage, "DEL", before, { backend })).toMatchObject(quiet);
    await expectReach(stage, [pod, world, true]);
    expect(await firewall(stage, "CHECK", pod, { backend })).toMatchObject(quiet);
    await firewall(stage, "DEL", pod, { backend });
    await expectReach(stage, [pod, world, false]);
  });

  stageTest(`${backend}: a bridge loses its ingress policy with its last pod, and the stricter of two counts as long as it is there`, async (stage) => {
    await openWorld(stage);
    const pods = [await cable(stage, "a1"), await cable(stage, "a2"), await cable(stage, "a3"), await cable(stage, "b1")];
    const [a1, a2, a3, b1] = pods;
    if (!a1 || !a2 || !a3 || !b1) return;
    await added(stage, b1, { backend, ingressPolicy: "same-bridge" });
    for (const pod of [a1, a2]) await added(stage, pod, { backend, ingressPolicy: "same-bridge" });
    await added(stage, a3, { backend, ingressPolicy: "isolated" });
    await expectReach(stage, [a1, a2, false], [a1, b1, false]);
    await firewall(stage, "DEL", a3, { backend, ingressPolicy: "isolated" });
    await expectReach(stage, [a1, a2, true], [a1, b1, false]);
    for (const pod of [a1, a2]) await firewall(stage, "DEL", pod, { backend, prevResult: undefined });
    await expectReach(stage, [a1, b1, true]);
    expect(await firewall(stage, "CHECK", b1, { backend, ingressPolicy: "same-bridge" })).toMatchObject(quiet);
    await firewall(stage, "DEL", b1, { backend });
    expect((await rulesOf(stage)).nft.filter((line) => line.includes("br") || line.includes("CNI"))).toEqual([]);
  });

  stageTest(`${backend}: GC takes what is in no list, and leaves other networks theirs`, async (stage) => {
    await openWorld(stage);
    await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -P FORWARD DROP; done"]);
    const [keep, gone, other] = [await cable(stage, "a1"), await cable(stage, "a2"), await cable(stage, "b1")];
    for (const pod of [keep, other]) await added(stage, pod, { backend, ingressPolicy: "same-bridge" });
    const before = await rulesOf(stage);
    await added(stage, gone, { backend, ingressPolicy: "isolated" });
    const gc = (valid: object) => stage.call({ command: "GC", config: { cniVersion: "1.1.0", name: "neta", type: "firewall", backend, ...valid } });
    expect(await gc({})).toMatchObject(quiet); // without a list nothing is known to be stale
    await expectReach(stage, [gone, world, true]);
    expect(await gc({ "cni.dev/valid-attachments": [{ containerID: "a1", ifname: "eth0" }] })).toMatchObject(quiet);
    expect(await rulesOf(stage)).toEqual(before);
    await expectReach(stage, [gone, world, false], [keep, world, true], [other, world, true]);
    expect(await gc({ "cni.dev/valid-attachments": [] })).toMatchObject(quiet);
    await expectReach(stage, [keep, world, false], [other, world, true]);
  });
}

const damages: Readonly<Record<(typeof BACKENDS)[number], readonly (readonly [what: string, command: string, says: RegExp])[]>> = {
  nftables: [
    ["an address", "nft delete element inet vethwork-firewall pods4 { 10.1.1.2 }", /10\.1\.1\.2 is not among the addresses of "pods4"/],
    ["a rule", "nft flush chain inet vethwork-firewall isolate", /chain "isolate" of table "vethwork-firewall" is not as it should be/],
    ["a bridge", "nft delete element inet vethwork-firewall bridges { brA }", /are not what the pods' policies ask for/],
    ["a verdict", "nft delete element inet vethwork-firewall within { brA . brA }; nft add element inet vethwork-firewall within { brA . brA : accept }", /are not what the pods' policies ask for/],
    ["everything", "nft delete table inet vethwork-firewall", /10\.1\.1\.2 is not.*fd00:1:1::2 is not.*chain "forward"/],
    ["the rule in another's chain", "nft flush chain inet guard through", /chain "through" of table "guard" drops what "vethwork firewall: .*" should accept/],
    ["that another began to drop", "iptables -P FORWARD DROP", /chain "FORWARD" of table "filter" drops what/],
    ["the port's isolation", "bridge link set dev NEAR isolated off", /"veth\w+" is no isolated port of "brA"/],
  ],
  iptables: [
    ["a pod's rule", "iptables -D CNI-FORWARD -s 10.1.1.2/32 -j ACCEPT", /rule "-A CNI-FORWARD -s 10\.1\.1\.2\/32 -j ACCEPT" is missing in iptables$/],
    ["the way in", "ip6tables -D FORWARD -m comment --comment 'CNI firewall plugin rules' -j CNI-FORWARD", /rule "-A FORWARD .*-j CNI-FORWARD" is missing in ip6tables$/],
    ["the administrator's", "iptables -D CNI-FORWARD -m comment --comment 'CNI firewall plugin admin overrides' -j CNI-ADMIN", /-j CNI-ADMIN" is missing/],
    ["a bridge's rule", "iptables -D CNI-ISOLATION-STAGE-2 1", /rule "-A CNI-ISOLATION-STAGE-2 -o brA .*-j DROP" is missing/],
    ["everything", "iptables -F; ip6tables -F", /CNI-FORWARD.*CNI-ISOLATION-STAGE-1.*ip6tables/],
  ],
};

for (const backend of BACKENDS) {
  stageTest(`${backend}: CHECK finds each thing that somebody took away, and says which; another ADD makes it whole`, async (stage) => {
    await stage.node.run(["nft", "table inet guard { chain through { type filter hook forward priority 0; policy drop; }; }"]);
    const pod = await cable(stage, "a1");
    const near = /veth\w+/.exec(JSON.stringify(pod.prevResult))?.[0] ?? "";
    const options = { backend, ingressPolicy: "isolated" };
    for (const [what, command, says] of damages[backend]) {
      await added(stage, pod, options);
      expect({ what, ...(await firewall(stage, "CHECK", pod, options)) }).toMatchObject({ what, ...quiet });
      await stage.node.run(["sh", "-c", command.replaceAll("NEAR", near)]);
      const { code, result } = await firewall(stage, "CHECK", pod, options);
      expect({ what, code, error: find(result, "code"), msg: find(result, "msg") }).toEqual({ what, code: 1, error: 100, msg: expect.stringMatching(says) });
    }
    await added(stage, pod, options);
    expect(await firewall(stage, "CHECK", pod, options)).toMatchObject(quiet);
    expect(await firewall(stage, "DEL", pod, options)).toMatchObject(quiet);
  });
}

stageTest("a hundred pods have the rules of one, and a comment each", async (stage) => {
  const [one] = [await cable(stage, "a1")];
  const lines = async () => (await stage.node.run(["nft", "list", "table", "inet", "vethwork-firewall"])).split("\n");
  const rules = (all: readonly string[]) => all.filter((line) => !/^\s*(?:elements = \{ )?\d+\.\d+\.\d+\.\d+ comment/.test(line));
  const result = (at: number) => ({ cniVersion: "1.0.0", interfaces: [{ name: "brA" }], ips: [{ address: `10.1.1.${at}/24` }] });
  const add = (at: number) => firewall(stage, "ADD", { ...one, name: `pod${at}`, prevResult: result(at) }, { ingressPolicy: "same-bridge" });
  expect((await add(100)).code).toBe(0);
  const few = await lines();
  const answers = await Promise.all(Array.from({ length: 99 }, (_, at) => add(101 + at)));
  expect(answers.map(({ code }) => code)).toEqual(answers.map(() => 0));
  const many = await lines();
  expect(rules(many)).toEqual(rules(few));
  expect(many.join("\n").match(/10\.1\.1\.\d+ comment "net[a-z]\/pod\d+\/eth0 same-bridge brA"/g)).toHaveLength(100);
  expect(many.length).toBeLessThan(110);
});

stageTest("IPv4 alone needs no ip6tables, and an address of IPv6 says what it needs", async (stage) => {
  await openWorld(stage);
  const folder = `${stage.node.dir}/alternatives`;
  await stage.node.run(["sh", "-c", `cp -a /etc/alternatives ${folder}; rm -f ${folder}/ip6tables*; mount --bind ${folder} /etc/alternatives; iptables -P FORWARD DROP`]);
  const pod = await cable(stage, "a1");
  const before = await rulesOf(stage);
  const only4 = { backend: "iptables", prevResult: { ...pod.prevResult, ips: [{ address: `${pod.ip4}/24` }] } };
  expect(await firewall(stage, "STATUS", pod, { ...only4, cniVersion: "1.1.0" })).toMatchObject(quiet);
  expect(await firewall(stage, "ADD", pod, only4)).toMatchObject({ code: 0, err: "" });
  await expectReach(stage, [pod, { ...world, ip6: world.ip4 }, true]);
  expect(await firewall(stage, "CHECK", pod, only4)).toMatchObject(quiet);
  expect(await firewall(stage, "DEL", pod, only4)).toMatchObject(quiet);
  const { code, result } = await firewall(stage, "ADD", pod, { backend: "iptables" });
  expect({ code, result }).toMatchObject({ code: 1, result: { code: 50, msg: 'Cannot let pods through by iptables: "ip6tables" is not installed (or "backend": "nftables" is wanted)' } });
  expect((await rulesOf(stage)).nft.filter((line) => line.includes("CNI"))).toEqual([]);
  expect((await rulesOf(stage)).files).toEqual(before.files);
});

stageTest("a node that goes by iptables' rules of long ago gets such rules without being asked", async (stage) => {
  await openWorld(stage);
  const folder = `${stage.node.dir}/alternatives`;
  await stage.node.run(["sh", "-c", `cp -a /etc/alternatives ${folder}; for t in iptables ip6tables; do for s in "" -save -restore; do ln -sf /usr/sbin/$t-legacy$s ${folder}/$t$s; done; done
    mount --bind ${folder} /etc/alternatives; for t in iptables ip6tables; do $t -P FORWARD DROP; done`]);
  const pod = await cable(stage, "a1");
  await expectReach(stage, [pod, world, false]);
  await added(stage, pod, { backend: "" });
  await expectReach(stage, [pod, world, true], [world, pod, false]);
  expect(await firewall(stage, "CHECK", pod)).toMatchObject(quiet);
  expect(await firewall(stage, "DEL", pod, { prevResult: undefined })).toMatchObject(quiet);
  expect(await stage.node.run(["iptables", "-S"])).toBe("-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n");
});

stageTest("what is wrong is said before anything is touched", async (stage) => {
  const pod = await cable(stage, "a1");
  const before = await stage.state();
  const rows: readonly (readonly [options: object, code: number, says: string | RegExp])[] = [
    [{ prevResult: undefined }, 7, "Required prevResult missing (a chained plugin is wanted behind another)"],
    [{ backend: "nft" }, 7, 'invalid option "backend": "nft" (one of "nftables", "iptables", "firewalld" is wanted)'],
    [{ ingressPolicy: "closed" }, 7, 'invalid option "ingressPolicy": "closed" (one of "open", "same-bridge", "isolated" is wanted)'],
    [{ iptablesAdminChainName: "MY CHAIN" }, 7, /^invalid option "iptablesAdminChainName": "MY CHAIN"/],
    [{ iptablesAdminChainName: "A".repeat(29) }, 7, /^invalid option "iptablesAdminChainName"/],
    [{ firewalldZone: 7 }, 7, /^invalid option "firewalldZone": 7 \(a string is wanted\)/],
    [{ ingressPolicy: "isolated", prevResult: { cniVersion: "1.0.0", ips: [{ address: "10.1.1.2/24" }] } }, 7, /^interface needs to be set for ingress policy "isolated", make sure to chain "firewall" plugin with "bridge"$/],
    [{ ingressPolicy: "isolated", prevResult: { cniVersion: "1.0.0", interfaces: [{ name: "" }], ips: [{ address: "10.1.1.2/24" }] } }, 7, /^the plugin before names "" as its first interface/],
    [{ backend: "firewalld" }, 50, 'Cannot add addresses to zone "trusted": firewalld does not run (or "backend": "nftables" is wanted)'],
  ];
  for (const [options, code, says] of rows) {
    const { result } = await firewall(stage, "ADD", pod, options);
    expect({ options, ...result }).toMatchObject({ options, code, msg: typeof says === "string" ? says : expect.stringMatching(says) });
  }
  expect(await stage.state()).toEqual(before);
  expect((await firewall(stage, "DEL", pod, { backend: "nft", ingressPolicy: 7, prevResult: undefined })).code).toBe(0);
  expect((await firewall(stage, "CHECK", pod)).result).toMatchObject({ code: 100 });
  expect((await firewall(stage, "STATUS", pod, { cniVersion: "1.1.0", backend: "firewalld" })).result).toMatchObject({ code: 50, msg: "firewalld does not run" });
  for (const backend of ["", "nftables", "iptables"]) expect(await firewall(stage, "STATUS", pod, { cniVersion: "1.1.0", backend })).toMatchObject(quiet);
});
