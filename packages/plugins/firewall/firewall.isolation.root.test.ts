/**
 * Who reaches whom: pods on one bridge, on two, on an isolated one, on one without a policy, and the world; asked with
 * packets, and compared with what the reference plugin's rules leave. Bridged packets are seen by the reference's rules only
 * where the kernel hands them to iptables (br_netfilter, net.bridge.bridge-nf-call-iptables).
 */
import { expect, test } from "bun:test";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { cable, expectReach, firewall, openWorld, world, type Cabled, type Row } from "../testing/firewalls.ts";
import { referenceFolders } from "../testing/reference.ts";
import { binFolder, onStage, stageLacks, stageTest, type Stage } from "../testing/stage.ts";

const POLICIES: Readonly<Record<string, string>> = { a: "isolated", b: "same-bridge", o: "open" };
const SWITCHES = "/proc/sys/net/bridge/bridge-nf-call-iptables";

interface Scene {
  program: string;
  options: object;
  /** Of the node's chain FORWARD. */
  policy: "ACCEPT" | "DROP";
  /** Whether iptables' and nftables' rules see what is bridged. */
  bridged: boolean;
}

/** Five pods under three policies, and who reaches whom. */
async function play(stage: Stage, { program, options, policy, bridged }: Scene): Promise<void> {
  await openWorld(stage);
  await stage.node.run(["sh", "-c", `iptables -P FORWARD ${policy}; ip6tables -P FORWARD ${policy}
    [ ! -e ${SWITCHES} ] || sysctl -qw net.bridge.bridge-nf-call-iptables=${Number(bridged)} net.bridge.bridge-nf-call-ip6tables=${Number(bridged)}`]);
  const pods: Cabled[] = [];
  for (const name of ["a1", "a2", "b1", "b2", "o1"]) pods.push(await cable(stage, name));
  for (const pod of pods) {
    const { code, out } = await firewall(stage, "ADD", pod, { ...options, ingressPolicy: POLICIES[pod.name.slice(0, 1)] }, program);
    expect({ pod: pod.name, code, out: code === 0 ? "" : out }).toEqual({ pod: pod.name, code: 0, out: "" });
  }
  const places = [...pods, world];
  const pairs = places.flatMap((from) => places.filter((to) => to.name !== from.name).map((to) => [from, to] as const));
  await expectReach(stage, ...pairs.map(([from, to]): Row => [from, to, isLet(from.name, to.name, policy)]));
}

/** Isolated: by nobody with a policy. Same-bridge: by those on the bridge alone. What has no policy, and is none's: by the node's own. */
function isLet(from: string, to: string, policy: Scene["policy"]): boolean {
  if (from === "world") return policy === "ACCEPT";
  if (to === "world" || from.startsWith("o") || to.startsWith("o")) return true;
  return from.startsWith("b") && to.startsWith("b");
}

const played = (scene: Scene): Promise<void> => onStage((stage) => play(stage, scene));

const ours = `${binFolder}/firewall`;
/** Debian's own has no policy "isolated". */
const newest = referenceFolders.find((folder) => !folder.startsWith("/usr"));
const newestLacks = newest === undefined ? "scripts/setup.sh reference" : "";
const seesBridged = missing({ files: { [SWITCHES]: "CONFIG_BRIDGE_NETFILTER" } });

for (const policy of ["DROP", "ACCEPT"] as const) {
  for (const backend of ["nftables", "iptables"] as const) {
    const lacks = stageLacks || (backend === "iptables" ? seesBridged : "");
    test.skipIf(lacks !== "")(skipped(`the forward policy ${policy}, by ${backend}: pods reach whom their policies let them`, lacks), async () => {
      await played({ program: ours, options: { backend }, policy, bridged: true });
    }, 60_000);
  }
  const lacks = stageLacks || newestLacks || seesBridged;
  test.skipIf(lacks !== "")(skipped(`the forward policy ${policy}, by the reference plugin: pods reach the same`, lacks), async () => {
    await played({ program: `${newest}/firewall`, options: { backend: "iptables" }, policy, bridged: true });
  }, 60_000);
}

test.skipIf(stageLacks !== "")(skipped("isolated pods of one bridge are kept apart also where no rule sees what is bridged, by either backend", stageLacks), async () => {
  for (const backend of ["nftables", "iptables"]) {
    await played({ program: ours, options: { backend }, policy: "DROP", bridged: false });
  }
}, 60_000);

stageTest("an isolated pod does not get around its port by way of the gateway, and a pod of a same-bridge network may", async (stage) => {
  await openWorld(stage);
  for (const [backend, policy, passes] of [["nftables", "isolated", false], ["iptables", "isolated", false], ["nftables", "same-bridge", true]] as const) {
    const [one, two] = [await cable(stage, `a1${backend}${passes}`), await cable(stage, `a2${backend}${passes}`)];
    await stage.node.run(["sh", "-c", `ip -n ${one.name} route add ${two.ip4} via 10.1.1.1; ip -n ${one.name} route add ${two.ip6} via fd00:1:1::1
      ip -n ${two.name} route add ${one.ip4} via 10.1.1.1; ip -n ${two.name} route add ${one.ip6} via fd00:1:1::1`]);
    for (const pod of [one, two]) expect((await firewall(stage, "ADD", pod, { backend, ingressPolicy: policy })).code).toBe(0);
    await expectReach(stage, [one, two, passes], [two, one, passes], [one, world, true]);
    for (const pod of [one, two]) await firewall(stage, "DEL", pod);
  }
});
