/**
 * What every plugin that connects pods owes them, asked of each in the same words: packets that arrive, a DEL that
 * leaves nothing, a CHECK that misses what is missing, a GC that takes what is nobody's. What is left after any death is asked of all plugins in tests/reliability.
 */
import { expect } from "bun:test";
import { find, isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { address } from "../../../tests/conformance/node/node.ts";
import { settledState, type NetworkState } from "../../../tests/conformance/node/leftovers.ts";
import { stageTest, type Pod, type Stage } from "./stage.ts";

export interface Subject {
  /** The smallest configuration with host-local, both families, and a way out. */
  config: JsonObject & { type: string };
  /** What somebody may break: a name, a command on the node, and what CHECK then says. In the command NEAR is the cable's end on the node, IP4 and IP6 are the pod's addresses. */
  damages: readonly (readonly [what: string, command: string, says: RegExp])[];
}

export const dualIpam = {
  type: "host-local", ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "fd00:1:2::/64" }]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
};

const quiet = { code: 0, out: "", err: "" };
const MINUTES = 60_000;

/** The suite, for one plugin. */
export function interfaceSuite({ config, damages }: Subject): void {
  const { type } = config;
  const call = (stage: Stage, command: string, pod: Pod, more: object = {}) => stage.call({ command, config: { ...config, ...more }, pod });

  stageTest(`${type}: pods reach each other, the gateway and the world, which sees the node's address`, async (stage) => {
    const rules = "table inet seen { set from4 { type ipv4_addr; flags dynamic; }; set from6 { type ipv6_addr; flags dynamic; }; chain in { type filter hook input priority 0; icmp type echo-request add @from4 { ip saddr }; icmpv6 type echo-request add @from6 { ip6 saddr }; }; }";
    await stage.node.run(["ip", "netns", "exec", "world", "nft", rules]);
    const pods = [await stage.addPod("pod1"), await stage.addPod("pod2")];
    for (const pod of pods) expect(await call(stage, "ADD", pod)).toMatchObject({ code: 0, err: "" });
    for (const [pod, other] of [["pod1", 3], ["pod2", 2]] as const) {
      for (const ip of [`10.1.2.${other}`, `fd00:1:2::${other}`, "10.1.2.1", "fd00:1:2::1", address.node4, address.world4, address.world6]) {
        expect({ pod, ip, reached: await reaches(stage, pod, ip) }).toEqual({ pod, ip, reached: true });
      }
    }
    const seen = await stage.node.run(["ip", "netns", "exec", "world", "nft", "list", "ruleset"]);
    expect(seen).toMatch(/elements = \{ 192\.0\.2\.1 \}[\s\S]*elements = \{ 2001:db8::1 \}/);
    for (const ip of ["10.1.2.2", "fd00:1:2::2"]) expect((await stage.node.exec(["ping", "-c1", "-W2", ip])).code).toBe(0);
  });

  stageTest(`${type}: DEL leaves the node as it was, twice, before ADD, without a namespace, and with one that is gone`, async (stage) => {
    await prepare(stage, config);
    const before = await settled(stage);
    const without = { env: { CNI_NETNS: "" } };
    for (const how of ["there", "gone", "unnamed"]) {
      const pod = await stage.addPod("pod1");
      expect(await call(stage, "DEL", pod)).toMatchObject(quiet);
      expect((await call(stage, "ADD", pod)).code).toBe(0);
      if (how === "gone") await stage.deletePod(pod);
      for (let times = 0; times < 2; times++) {
        expect(await stage.call({ command: "DEL", config, pod, ...(how === "unnamed" ? without : {}) })).toMatchObject(quiet);
      }
      if (how !== "gone") await stage.deletePod(pod);
      expect({ how, state: await settled(stage) }).toEqual({ how, state: before });
    }
  });

  stageTest(`${type}: CHECK finds each thing that somebody took away, and says which`, async (stage) => {
    for (const [what, command, says] of damages) {
      const pod = await stage.addPod("pod1");
      const { result: prevResult } = await call(stage, "ADD", pod);
      expect({ what, ...(await call(stage, "CHECK", pod, { prevResult })) }).toMatchObject({ what, ...quiet });
      await stage.node.run(["sh", "-c", inWords(command, prevResult)]);
      const checked = await call(stage, "CHECK", pod, { prevResult });
      expect({ what, code: checked.code, msg: find(checked.result, "msg") }).toEqual({ what, code: 1, msg: expect.stringMatching(says) });
      expect({ what, ...(await call(stage, "DEL", pod, { prevResult })) }).toMatchObject({ what, code: 0 });
      await stage.deletePod(pod);
      await stage.node.exec(["ip", "link", "del", "cni0"]); // broken ones are made anew
    }
  }, 2 * MINUTES);

  stageTest(`${type}: GC takes away what is in no list, and nothing else`, async (stage) => {
    const [keep, gone, lost] = [await stage.addPod("keep"), await stage.addPod("gone"), await stage.addPod("lost")];
    const other = await stage.addPod("other");
    const range = { type: "host-local", subnet: "10.7.0.0/24" };
    expect((await call(stage, "ADD", other, { name: "other", ipam: range, ...(type === "bridge" && { bridge: "other0" }) })).code).toBe(0);
    const { result: prevResult } = await call(stage, "ADD", keep);
    const before = withoutNames(await settled(stage));
    for (const pod of [gone, lost]) await call(stage, "ADD", pod);
    await stage.deletePod(lost);
    expect(await call(stage, "GC", keep, {})).toMatchObject(quiet); // without a list nothing is known to be stale
    expect(await reaches(stage, "gone", "10.1.2.1")).toBe(true);
    expect(await call(stage, "GC", keep, { "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] })).toMatchObject(quiet);
    expect(withoutNames(await settled(stage))).toEqual(before);
    expect(await call(stage, "CHECK", keep, { prevResult })).toMatchObject(quiet);
  });

  stageTest(`${type}: STATUS hears from IPAM, and an ADD that gets no address leaves nothing`, async (stage) => {
    const tiny = { ipam: { type: "host-local", subnet: "10.1.2.0/30" } };
    const [one, two] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
    expect(await call(stage, "STATUS", one, tiny)).toMatchObject(quiet);
    expect((await call(stage, "ADD", one, tiny)).code).toBe(0);
    const before = await settled(stage);
    expect((await call(stage, "ADD", two, tiny)).result).toMatchObject({ code: 11 });
    expect(await settled(stage)).toEqual(before);
    expect((await call(stage, "STATUS", one, tiny)).result).toMatchObject({ code: 50 });
    expect((await call(stage, "ADD", two, { ipam: { type: "no-such-plugin" } })).result).toMatchObject({ code: 4, msg: expect.stringContaining('failed to find plugin "no-such-plugin"') });
    expect(await settled(stage)).toEqual(before);
  });

  stageTest(`${type}: another program of the IPAM plugin's name, first in CNI_PATH, is run instead of our own`, async (stage) => {
    const script = `#!/bin/sh\\ncat > /run/asked; echo $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME >> /run/called\\n[ $CNI_COMMAND = ADD ] && echo \\'{"cniVersion":"1.0.0","ips":[{"address":"10.1.2.99/24","gateway":"10.1.2.1"}]}\\'; true`;
    await stage.node.run(["bash", "-c", `mkdir /run/other && printf '${script.replaceAll("\\'", "'\\''")}' > /run/other/host-local && chmod +x /run/other/host-local`]);
    const pod = await stage.addPod("pod1");
    const env = { CNI_PATH: `/run/other:${stage.bin}` };
    const added = await stage.call({ command: "ADD", config: { ...config, cniVersion: "1.0.0" }, pod, env });
    expect(find(added.result, "ips")).toEqual([expect.objectContaining({ address: "10.1.2.99/24" })]);
    expect(await stage.call({ command: "DEL", config: { ...config, cniVersion: "1.0.0" }, pod, env })).toMatchObject(quiet);
    expect(await stage.node.run(["cat", "/run/called"])).toBe("ADD pod1 eth0\nDEL pod1 eth0\n");
    expect(parseJson(await stage.node.run(["cat", "/run/asked"]))).toMatchObject({ name: config["name"], type });
  });

  stageTest(`${type}: a second interface is an attachment of its own, and the first once more is refused`, async (stage) => {
    const pod = await stage.addPod("pod1");
    const second = { ipam: { type: "host-local", subnet: "10.1.2.0/24" } };
    const { code, result: prevResult } = await call(stage, "ADD", pod);
    expect(code).toBe(0);
    expect((await stage.call({ command: "ADD", config: { ...config, ...second }, pod, ifname: "net1" })).code).toBe(0);
    // The same attachment once more is refused, and the one that is there loses nothing by it.
    expect((await call(stage, "ADD", pod)).code).toBe(1);
    expect(await call(stage, "CHECK", pod, { prevResult })).toMatchObject(quiet);
    expect((await stage.call({ command: "DEL", config: { ...config, ...second }, pod, ifname: "net1" })).code).toBe(0);
    expect(await reaches(stage, "pod1", address.world4)).toBe(true);
    expect(await reaches(stage, "pod1", address.world6)).toBe(true);
  });

  stageTest(`${type}: thirty at once, up and down, and nothing is left`, async (stage) => {
    await prepare(stage, config);
    const before = await settled(stage);
    const pods = await Promise.all(Array.from({ length: 30 }, (_, at) => stage.addPod(`pod${at}`)));
    const added = await Promise.all(pods.map((pod) => call(stage, "ADD", pod)));
    expect(added.map(({ code, out }) => (code === 0 ? "" : out)).join("")).toBe("");
    expect(await reaches(stage, "pod7", address.world4)).toBe(true);
    const ended = await Promise.all(pods.map((pod) => call(stage, "DEL", pod)));
    expect(ended.filter((answer) => answer.code !== 0 || answer.err !== "")).toEqual([]);
    for (const pod of pods) await stage.deletePod(pod);
    expect(await settled(stage)).toEqual(before);
  }, 2 * MINUTES);

}

/** What stays by intention is there before: forwarding, the bridge with its addresses, last_reserved_ip. */
async function prepare(stage: Stage, config: JsonObject): Promise<void> {
  await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  const pod = await stage.addPod("warm");
  for (const command of ["ADD", "DEL"]) await stage.call({ command, config, pod });
  await stage.deletePod(pod);
}

/** The state without the pods' own namespaces. */
const withoutNames = (state: NetworkState): NetworkState => ({ ...state, netns: [], files: state.files.filter((path) => !path.startsWith("/run/netns/")) });

/** The command with the names of this attachment. */
function inWords(command: string, result: JsonObject): string {
  const texts = (key: string, field: string): string[] => {
    const list = find(result, key);
    return Array.isArray(list) ? list.filter(isObject).map((one) => String(find(one, field)).replace(/\/.*/, "")) : [];
  };
  const [ip4 = "", ip6 = ""] = texts("ips", "address");
  const near = texts("interfaces", "name").find((name) => name.startsWith("veth")) ?? "";
  return command.replaceAll("NEAR", near).replaceAll("IP4", ip4).replaceAll("IP6", ip6);
}

const settled = ({ node }: Stage): Promise<NetworkState> => settledState(node);

/** Whether a pod's ping is answered. */
export async function reaches(stage: Stage, pod: string, ip: string): Promise<boolean> {
  return (await stage.node.exec(["ip", "netns", "exec", pod, "ping", "-c", "1", "-W", "2", ip])).code === 0;
}
