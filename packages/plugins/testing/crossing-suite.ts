/**
 * Between a plugin and the reference plugin of its name: the same configuration leaves the same network, and each takes
 * away what the other made. What is different by intention stands in docs/differences.md, and is left out here by name.
 */
import { expect, test } from "bun:test";
import { find, isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { referenceFolders, referenceLacks } from "./reference.ts";
import { binFolder, onStage, stageLacks, type Stage } from "./stage.ts";

export interface Crossing {
  type: string;
  /** Configurations by what they are about; name, type and version are added. */
  configs: Readonly<Record<string, JsonObject>>;
  /** Folders of the plugin and its delegates, where it is another than the reference suite's. */
  references?: readonly string[];
  /** 1.0.0 unless given. */
  cniVersion?: string;
  /** Puts what the plugin wants to find onto a node. */
  prepare?: (stage: Stage) => Promise<void>;
}

/** The two tests, against each reference that the machine has. */
export function crossingSuite(crossing: Crossing, lacks = stageLacks || referenceLacks): void {
  const { type, references } = crossing;
  const folders = references ?? referenceFolders;
  for (const reference of folders.length > 0 ? folders : ["none"]) {
    const which = references ? "the original" : reference.startsWith("/usr") ? "Debian's own" : "the newest";
    test.skipIf(lacks !== "")(skipped(`${type}: the same network as the reference's, whoever made it (${which})`, lacks), () => sameNetwork(crossing, reference), 240_000);
    test.skipIf(lacks !== "")(skipped(`${type}: each takes away what the other made (${which})`, lacks), () => takenAway(crossing, reference), 240_000);
  }
}

async function sameNetwork(crossing: Crossing, reference: string): Promise<void> {
  for (const [what, options] of Object.entries(crossing.configs)) {
    const seen: unknown[] = [];
    for (const folder of [reference, binFolder]) {
      await onStage(async (stage) => {
        await crossing.prepare?.(stage);
        const added = await run(stage, folder, "ADD", { ...crossing, options });
        const view = await viewOf(stage);
        const checked = await run(stage, folder, "CHECK", { ...crossing, options: { ...options, prevResult: added.result } });
        seen.push({ what, code: added.code, result: withoutNames(added.result), ...view });
        // The older reference's CHECK does not pass some of its own networks.
        if (folder === binFolder) expect({ what, check: checked.code, said: checked.out }).toEqual({ what, check: 0, said: "" });
      });
    }
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[1]).toMatchObject({ what, code: 0 });
  }
}

async function takenAway(crossing: Crossing, reference: string): Promise<void> {
  for (const [what, options] of Object.entries(crossing.configs)) {
    for (const [first, second] of [[reference, binFolder], [binFolder, reference]] as const) {
      await onStage(async (stage) => {
        await crossing.prepare?.(stage);
        await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
        for (const command of ["ADD", "DEL"]) await run(stage, second, command, { ...crossing, options });
        const before = await remainsOf(stage);
        const { result: prevResult, code } = await run(stage, first, "ADD", { ...crossing, options });
        const checked = await run(stage, second, "CHECK", { ...crossing, options: { ...options, prevResult } });
        const deleted = await run(stage, second, "DEL", { ...crossing, options: { ...options, prevResult } });
        const by = second === binFolder ? "ours" : "theirs";
        expect({ what, by, add: code, del: deleted.code, out: deleted.out }).toEqual({ what, by, add: 0, del: 0, out: "" });
        if (second === binFolder) expect({ what, check: checked.code, said: checked.out }).toEqual({ what, check: 0, said: "" });
        expect({ what, by, ...(await remainsOf(stage)) }).toEqual({ what, by, ...before });
      });
    }
  }
}

async function run(stage: Stage, folder: string, command: string, { type, cniVersion = "1.0.0", options }: Crossing & { options: JsonObject }) {
  const pod = { name: "pod1", netns: "/run/netns/pod1" };
  if (command === "ADD") await stage.node.exec(["ip", "netns", "add", "pod1"]);
  const config = { cniVersion, name: "mynet", type, ...options };
  return await stage.call({ command, config, pod, program: `${folder}/${type}`, env: { CNI_PATH: folder } });
}

/** What ADD made, as iproute2 and nft tell it, without names and numbers that are chance. */
async function viewOf(stage: Stage): Promise<JsonObject> {
  const { node } = stage;
  const inPod = (...argv: string[]): Promise<string> => node.run(["ip", "netns", "exec", "pod1", ...argv]);
  const sysctls = ["net.ipv4.conf.eth0.arp_notify", "net.ipv6.conf.eth0.disable_ipv6", "net.ipv6.conf.lo.disable_ipv6"];
  return {
    pod: linksIn(await inPod("ip", "-j", "-d", "addr", "show", "dev", "eth0")),
    node: linksIn(await node.run(["ip", "-j", "-d", "addr"])),
    routes: [...await routesOf(inPod), ...await routesOf((...argv) => node.run(argv))],
    rules: plain(await node.run(["nft", "-s", "list", "ruleset"])).filter((line) => !/^comment|^#|^(?:table|chain|type|\}|$)/.test(line)).toSorted(),
    sysctls: (await inPod("sysctl", "-n", ...sysctls)).trim().split("\n"),
    forwarding: (await node.run(["sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"])).trim().split("\n"),
    ports: plain(await node.run(["bridge", "-d", "link"])).map((line) => line.replace(/^\d+: /, "")),
    files: (await node.run(["sh", "-c", "cd /var/lib/cni/networks/mynet 2>/dev/null && find . -maxdepth 1 -type f | sort; true"])).trim().split("\n"),
  };
}

/**
 * What DEL should have taken: addresses, links, rules, files. The reference leaves empty tables, which are no rules, and
 * looks past the book's entries; one without its address is forgotten when the book is opened next.
 */
async function remainsOf(stage: Stage): Promise<JsonObject> {
  const { links, nft, files } = await stage.state();
  const rules = nft.filter((line) => !/^comment|^#|^(?:table|chain|type|\}|$)|^ip6? daddr (?:224\.0\.0\.0\/4|ff00::\/8)\s+return|^goto masq_checks/.test(line));
  return { links, rules, files: files.filter((path) => !path.includes("/by-attachment/")) };
}

async function routesOf(exec: (...argv: string[]) => Promise<string>): Promise<string[]> {
  const lines = [...plain(await exec("ip", "route")), ...plain(await exec("ip", "-6", "route"))];
  return lines.filter((line) => !line.startsWith("fe80::")).map((line) => line.replace(/ linkdown/, "")).toSorted();
}

/** Links with what a configuration decides: not their numbers, MAC addresses, and what the kernel adds by itself. */
function linksIn(text: string): unknown[] {
  const json = parseJson(text);
  return (Array.isArray(json) ? json.filter(isObject) : []).filter((link) => link["ifname"] !== "lo" && link["link_type"] === "ether").map((link) => {
    const info = isObject(link["linkinfo"]) ? link["linkinfo"] : {};
    const slave = isObject(info["info_slave_data"]) ? info["info_slave_data"] : {};
    const addresses = Array.isArray(link["addr_info"]) ? link["addr_info"].filter(isObject) : [];
    return {
      name: String(link["ifname"]).replace(/^veth.*/, "veth"), mtu: link["mtu"], flags: link["flags"], kind: info["info_kind"], master: link["master"],
      slave: { hairpin: slave["hairpin"], isolated: slave["isolated"], state: slave["state"] },
      addresses: addresses.filter(({ scope, family }) => !(scope === "link" && family === "inet6"))
        .map(({ family, local, prefixlen, scope, broadcast }) => ({ family, local, prefixlen, scope, broadcast })),
    };
  });
}

/** Lines without the names of the node's ends and their MAC addresses, and the digits of a container's own chain. */
const plain = (text: string): string[] => text.split("\n").map((line) => line.trim()
  .replaceAll(/veth[0-9a-f]{8,11}(?:@\S+)?/g, "veth")
  .replaceAll(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g, "MAC")
  .replace(/ counter packets \d+ bytes \d+/, "")
  .replace(/designated_\w+ \S+/g, ""))
  .filter((line) => line !== "");

function withoutNames(result: JsonObject): unknown {
  const interfaces = find(result, "interfaces");
  const { dns, ...rest } = result;
  return {
    ...rest,
    ...(isObject(dns) && Object.keys(dns).length > 0 && { dns }),
    interfaces: Array.isArray(interfaces) ? interfaces.filter(isObject).map(({ name, mac, ...more }) => ({ ...more, name: String(name).replace(/^veth.*/, "veth"), hasMac: typeof mac === "string" })) : [],
  };
}
