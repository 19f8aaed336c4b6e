/**
 * portmap and the reference portmap: by iptables the same rules, letter for letter, and each checks and takes away what the
 * other made. By nftables the rules are others (docs/decisions says why); ours checks and takes away the reference's.
 */
import { expect, test } from "bun:test";
import { find } from "@vethwork/cni";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { heardFrom } from "../testing/calls.ts";
import { connectPod, type PortMapping } from "../testing/port-chain.ts";
import { referenceFolders, referenceLacks } from "../testing/reference.ts";
import { binFolder, onStage, stageLacks, type Stage } from "../testing/stage.ts";

const lacks = stageLacks || referenceLacks || missing({ programs: ["iptables", "ip6tables"] });
const tcp = (hostPort: number, more: Partial<PortMapping> = {}): PortMapping => ({ hostPort, containerPort: 80, protocol: "tcp", ...more });
const configs: Readonly<Record<string, { options?: object; ports: readonly PortMapping[] }>> = {
  "a port": { ports: [tcp(8080)] },
  "three protocols": { ports: [tcp(8080), tcp(8080, { protocol: "udp", containerPort: 53 }), tcp(8081, { protocol: "sctp" })] },
  "addresses of the node": { ports: [tcp(8080, { hostIP: "192.0.2.1" }), tcp(8081, { hostIP: "2001:db8::1" }), tcp(8082, { hostIP: "0.0.0.0" }), tcp(8083, { hostIP: "::" })] },
  "more ports than a rule holds": { ports: Array.from({ length: 33 }, (_, at) => tcp(8000 + at)) },
  "no snat": { options: { snat: false }, ports: [tcp(8080)] },
  "masqAll": { options: { masqAll: true }, ports: [tcp(8080)] },
  "a mark of its own": { options: { markMasqBit: 31 }, ports: [tcp(8080)] },
  "conditions": { options: { conditionsV4: ["!", "-s", "10.0.0.0/8"], conditionsV6: ["-s", "2001:db8::/32", "-m", "comment", "--comment", "from there"] }, ports: [tcp(8080)] },
  "another's mark": { options: { externalSetMarkChain: "KUBE-MARK-MASQ" }, ports: [tcp(8080)] },
};

/** Those that each has to find again. */
const CROSSED = ["three protocols", "addresses of the node", "more ports than a rule holds", "conditions"];

const DATES = /^#.*$|\[\d+:\d+\]/gm;
const rulesOf = async (stage: Stage): Promise<string> => (await stage.node.run(["sh", "-c", "iptables-save -t nat; ip6tables-save -t nat"])).replaceAll(DATES, "");

for (const folder of referenceFolders.length > 0 ? referenceFolders : ["none"]) {
  const [which, theirs] = [folder.startsWith("/usr") ? "Debian's own" : "the newest", `${folder}/portmap`];
  const isOld = folder.startsWith("/usr"); // before it had a backend to choose, and masqAll
  const asked = (options: object) => ({ ...options, ...(!isOld && { backend: "iptables" }) });
  const cases = Object.entries(configs).filter(([what]) => !isOld || what !== "masqAll");

  test.skipIf(lacks !== "")(skipped(`iptables: the rules are those of the reference (${which})`, lacks), () => onStage(async (stage) => {
    for (const tool of ["iptables", "ip6tables"]) await stage.node.run([tool, "-t", "nat", "-N", "KUBE-MARK-MASQ"]);
    const pod = await connectPod(stage, { name: "pod1" });
    for (const [what, { options = {}, ports }] of cases) {
      const seen: unknown[] = [];
      for (const [who, program] of [["reference", theirs], ["ours", `${binFolder}/portmap`]] as const) {
        const more = { cniVersion: "1.0.0", prevResult: { ...pod.before, cniVersion: "1.0.0" }, ...(who === "ours" ? { ...options, backend: "iptables" } : asked(options)), runtimeConfig: { portMappings: ports } };
        const { code, result } = await pod.portmap("ADD", more, { program });
        seen.push({ what, code, ips: find(result, "ips"), rules: await rulesOf(stage), localnet: await stage.node.run(["sysctl", "-n", "net.ipv4.conf.cni0.route_localnet"]) });
        await pod.portmap("DEL", more);
        await stage.node.run(["sh", "-c", "for tool in iptables ip6tables; do $tool -t nat -F; for chain in $($tool -t nat -S | sed -n 's/^-N \\(CNI-.*\\)/\\1/p'); do $tool -t nat -X $chain; done; done; sysctl -qw net.ipv4.conf.cni0.route_localnet=0"]);
      }
      expect(seen[1]).toEqual(seen[0]);
      expect(seen[1]).toMatchObject({ what, code: 0 });
    }
  }), 120_000);

  test.skipIf(lacks !== "")(skipped(`iptables: each checks and takes away what the other made (${which})`, lacks), () => onStage(async (stage) => {
    for (const tool of ["iptables", "ip6tables"]) await stage.node.run([tool, "-t", "nat", "-N", "KUBE-MARK-MASQ"]);
    const pod = await connectPod(stage, { name: "pod1" });
    const ours = `${binFolder}/portmap`;
    for (const [what, { options = {}, ports }] of cases.filter(([name]) => CROSSED.includes(name))) {
      const call = (command: string, program: string, backend: object) => pod.portmap(command, { cniVersion: "1.0.0", prevResult: { ...pod.before, cniVersion: "1.0.0" }, ...options, ...backend, runtimeConfig: { portMappings: ports } }, { program });
      for (const [first, second] of [[theirs, ours], [ours, theirs]] as const) {
        const by = second === ours ? "ours" : "theirs";
        const backend = isOld && second === theirs ? {} : { backend: "iptables" };
        await call("ADD", second, backend);
        await call("DEL", second, backend);
        const before = await rulesOf(stage); // the shared chains are there
        expect({ what, by, code: (await call("ADD", first, first === ours ? { backend: "iptables" } : asked({}))).code }).toEqual({ what, by, code: 0 });
        // The older reference's CHECK looks for IPv4 rules among those of IPv6.
        if (!isOld || by === "ours") expect({ what, by, ...(await call("CHECK", second, backend)) }).toMatchObject({ what, by, code: 0 });
        if (by === "ours" && Object.keys(options).length === 0) expect({ what, ...(await call("CHECK", ours, { backend: "nftables" })) }).toMatchObject({ what, code: 0 });
        expect({ what, by, ...(await call("DEL", second, by === "ours" ? { ...backend, runtimeConfig: {} } : backend)) }).toMatchObject({ what, by, code: 0 });
        expect({ what, by, rules: await rulesOf(stage) }).toEqual({ what, by, rules: before });
        await call("DEL", ours, {});
      }
    }
  }), 120_000);

  if (isOld) continue; // it has no nftables
  test.skipIf(lacks !== "")(skipped(`nftables: ours checks and takes away what the reference made, flows and all, and leaves another container's (${which})`, lacks), () => onStage(async (stage) => {
    const ports = [tcp(8080), tcp(8053, { protocol: "udp", containerPort: 53 }), tcp(8081, { hostIP: "192.0.2.1" }), tcp(8082, { protocol: "sctp", hostIP: "::" })];
    const one = await connectPod(stage, { name: "pod1", options: { backend: "nftables" }, ports });
    const two = await connectPod(stage, { name: "pod2", options: { backend: "nftables" }, ports: [tcp(9000)] });
    for (const pod of [one, two]) expect((await pod.portmap("ADD", {}, { program: theirs })).code).toBe(0);
    expect(heardFrom(stage, { from: "world", to: "pod1", protocol: "udp", address: "192.0.2.1", port: 8053, listening: 53 })).toBe("192.0.2.254");
    for (const pod of [one, two]) expect(await pod.portmap("CHECK")).toMatchObject({ code: 0, out: "", err: "" });
    expect((await one.portmap("CHECK", { runtimeConfig: { portMappings: [tcp(8088)] } })).result).toMatchObject({ code: 100, msg: expect.stringContaining("host port 8088/tcp leads nowhere") });

    expect(await one.portmap("DEL", { runtimeConfig: {}, prevResult: undefined })).toMatchObject({ code: 0, out: "", err: "" });
    expect(await stage.node.run(["sh", "-c", "nft list ruleset; conntrack -L -p udp --orig-port-dst 8053"])).not.toMatch(/pod1|8053/);
    expect(await two.portmap("CHECK")).toMatchObject({ code: 0, out: "", err: "" });
    expect(heardFrom(stage, { from: "world", to: "pod2", protocol: "tcp", address: "192.0.2.1", port: 9000, listening: 80 })).toBe("192.0.2.254");
    expect(await two.portmap("DEL")).toMatchObject({ code: 0, out: "", err: "" });
    expect(await stage.node.run(["nft", "list", "tables"])).toBe("");
  }), 60_000);
}
