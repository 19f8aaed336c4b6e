/**
 * Between the plugin and the reference's: by iptables both leave the same rules, and each takes away what the other made. What
 * is different by intention: the reference leaves chains and the rules of bridges behind (docs/differences.md).
 */
import { expect, test } from "bun:test";
import { address } from "../../../tests/conformance/node/node.ts";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { cable, expectReach, firewall, openWorld, world, type Cabled } from "../testing/firewalls.ts";
import { referenceFolders, referenceLacks } from "../testing/reference.ts";
import { binFolder, onStage, stageLacks, type Stage } from "../testing/stage.ts";

const ours = `${binFolder}/firewall`;
const lacks = stageLacks || referenceLacks;
const dump = async (stage: Stage): Promise<string> => await stage.node.run(["sh", "-c", "iptables -S; ip6tables -S"]);
const podRules = async (stage: Stage): Promise<string[]> => (await dump(stage)).split("\n").filter((line) => /^-A CNI-FORWARD .*-[sd] /.test(line));

/** Versions of the reference differ in the comments of policies, and double what another version made. */
const withoutComments = (text: string): string =>
  text.replaceAll(/ -m comment --comment "CNI firewall plugin rules \(ingressPolicy: .*?\)"/g, "").replaceAll(/^(.*\n)\1+/gm, "$1");

async function added(stage: Stage, pod: Cabled, options: object, program: string): Promise<void> {
  const { code, out } = await firewall(stage, "ADD", pod, options, program);
  expect({ program, code, out: code === 0 ? "" : out }).toEqual({ program, code: 0, out: "" });
}

for (const folder of referenceFolders.length > 0 ? referenceFolders : ["none"]) {
  const which = folder.startsWith("/usr") ? "Debian's own" : "the newest";
  const theirs = `${folder}/firewall`;
  const policies = folder.startsWith("/usr") ? ["open", "same-bridge"] : ["open", "same-bridge", "isolated"];
  const crossing = (title: string, act: (stage: Stage) => Promise<void>): void =>
    test.skipIf(lacks !== "")(skipped(`${title} (${which})`, lacks), () => onStage(act), 120_000);

  crossing("iptables: the same rules in the same order as the reference's, whoever comes first", async (stage) => {
    const pods = [await cable(stage, "a1"), await cable(stage, "b1")];
    for (const ingressPolicy of policies) {
      const options = { backend: "iptables", ingressPolicy, iptablesAdminChainName: "MY-ADMIN" };
      const seen: string[] = [];
      for (const [first, second] of [[theirs, theirs], [ours, ours], [ours, theirs], [theirs, ours]] as const) {
        await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -F; $t -X; done; rm -rf /run/vethwork"]);
        for (const [at, program] of [first, second].entries()) {
          const pod = pods[at];
          if (pod) await added(stage, pod, options, program);
        }
        seen.push(await dump(stage));
        if (first === second) continue;
        for (const pod of pods) for (const program of [ours, theirs]) expect(await firewall(stage, "CHECK", pod, options, program)).toMatchObject({ code: 0, out: "" });
      }
      const [wanted, ...others] = seen.map(withoutComments);
      expect(others).toEqual(others.map(() => wanted ?? ""));
      if (!folder.startsWith("/usr")) expect(seen).toEqual(seen.map(() => seen[0] ?? ""));
    }
  });

  crossing("iptables: each takes away what the other made; without being told the backend, too", async (stage) => {
    await openWorld(stage);
    await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -P FORWARD DROP; done"]);
    const [a1, a2] = [await cable(stage, "a1"), await cable(stage, "a2")];
    for (const [first, second] of [[theirs, ours], [ours, theirs]] as const) {
      for (const how of first === theirs ? [{ backend: "iptables" }, {}] : [{ backend: "iptables" }]) {
        const options = { ...how, ingressPolicy: "same-bridge" };
        for (const pod of [a1, a2]) await added(stage, pod, options, first);
        expect(await firewall(stage, "CHECK", a1, options, second)).toMatchObject({ code: 0, out: "" });
        expect(await firewall(stage, "DEL", a1, options, second)).toMatchObject({ code: 0, out: "" });
        await expectReach(stage, [a1, world, false], [a2, world, true]);
        expect(await dump(stage)).toContain("-o brA"); // a2 is still there
        expect(await firewall(stage, "DEL", a2, options, second)).toMatchObject({ code: 0, out: "" });
        expect(await podRules(stage)).toEqual([]);
        if (second === ours) expect(await dump(stage)).toBe("-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n".repeat(2));
        // Whatever ours still has written down of a pod that theirs took away, the next pod with its address is not kept by it.
        const next = { ...a1, name: "a9" };
        await added(stage, next, options, ours);
        expect(await firewall(stage, "DEL", next, options)).toMatchObject({ code: 0, out: "" });
        expect(await podRules(stage)).toEqual([]);
        await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -F; $t -X; done; rm -rf /run/vethwork"]);
      }
    }
  });

  crossing("what another's DNAT sends to a pod is begun by others, too: neither lets it through a node that drops", async (stage) => {
    await openWorld(stage);
    await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -P FORWARD DROP; done"]);
    const pod = await cable(stage, "a1");
    await stage.node.run(["nft", `table inet ports { chain in { type nat hook prerouting priority dstnat; iifname eth0 meta l4proto { icmp, ipv6-icmp } dnat ip to ${pod.ip4}; }; }`]);
    const mapped = { name: "node", ip4: address.node4, ip6: address.node4 };
    for (const [program, options] of [[theirs, { backend: "iptables" }], [ours, { backend: "iptables" }], [ours, {}]] as const) {
      await added(stage, pod, options, program);
      await expectReach(stage, [world, mapped, false], [pod, world, true]);
      await firewall(stage, "DEL", pod, options, program);
    }
    await stage.node.run(["iptables", "-P", "FORWARD", "ACCEPT"]);
    await expectReach(stage, [world, mapped, true]);
  });

  crossing("iptables: pods of both on one node: the last one takes the bridge's rules along, and not before", async (stage) => {
    const [a1, a2] = [await cable(stage, "a1"), await cable(stage, "a2")];
    const options = { backend: "iptables", ingressPolicy: "same-bridge" };
    await added(stage, a1, options, ours);
    await added(stage, a2, options, theirs);
    await firewall(stage, "DEL", a1, options);
    expect(await firewall(stage, "CHECK", a2, options)).toMatchObject({ code: 0, out: "" });
    expect(await dump(stage)).toContain("-A CNI-ISOLATION-STAGE-2 -o brA");
    await firewall(stage, "DEL", a2, options);
    expect(await dump(stage)).not.toContain("CNI");
  });
}
