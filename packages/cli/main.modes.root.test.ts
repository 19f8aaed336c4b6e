/**
 * Who may read and write what the program leaves on a disk: each file and folder, whatever mask whoever started it had. The table is
 * the documentation's own (docs/reliability-trust.md), so that neither changes without the other.
 */
import { expect } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeObject } from "@vethwork/agent/testing/nodes.ts";
import { binFolder, stageTest, type Stage } from "@vethwork/plugins/testing/stage.ts";
import { startDaemon } from "../../tests/conformance/node/daemon.ts";

const program = join(binFolder, "vethwork");

interface Row {
  pattern: RegExp;
  kind: string;
  mode: number;
}

/** Rows such as "| `/run/cni/dhcp/*` | file | 0600 |": a star is a name, two are names and slashes. */
const rows: Row[] = readFileSync(join(import.meta.dir, "../../docs/reliability-trust.md"), "utf8").split("\n").flatMap((line) => {
  const [, path, kind = "", mode = ""] = /^\| `(\/[^`]*)` \| (file|folder|socket|link) \| 0?([0-7]{3,4}) \|/.exec(line) ?? [];
  if (path === undefined) return [];
  const text = path.split(/(\*\*|\*)/).map((part) => (part === "**" ? ".+" : part === "*" ? "[^/]+" : RegExp.escape(part))).join("");
  return [{ pattern: new RegExp(`^${text}$`), kind, mode: Number.parseInt(mode, 8) }];
});

const base = { cniVersion: "1.1.0" };
const networks: readonly object[] = [
  { ...base, name: "routed", plugins: [{ type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24" }] },
  { ...base, name: "switched", plugins: [
    { type: "bridge", bridge: "br1", isGateway: true, ipMasq: true, ipam: { type: "host-local", subnet: "10.9.0.0/24" } },
    { type: "tuning", mac: "02:00:00:00:00:07" }, { type: "firewall", backend: "iptables" }, { type: "sample", anotherAwesomeArg: "blue", ipam: { type: "host-local", ranges: [[{ subnet: "10.10.0.0/24" }]] } },
  ] },
  { ...base, name: "flat", plugins: [{ type: "flannel" }] },
];

for (const umask of ["000", "022", "077"]) {
  stageTest(`what is written can be read and written by whom the table says, and by nobody else, with umask ${umask}`, async (stage) => {
    await writeAll(stage, umask);
    const found = await stage.node.exec(["sh", "-c", `find /run/vethwork /run/cni ${WRITTEN}/cni/* ${WRITTEN}/vethwork/* ${ASIDE}/*/* -printf "%y %m %U %G %p\\n"`]);
    const seen = new Set<Row>();
    const wrong = found.out.trim().split("\n").flatMap((line) => {
      const [type = "", mode = "", user, group, place = ""] = line.split(" ");
      const path = place.replace(ASIDE, "").replace(WRITTEN, "/var/lib");
      const row = rows.find(({ pattern, kind }) => kind === KINDS[type] && pattern.test(path));
      if (row) seen.add(row);
      const wanted = (row?.mode ?? 0) & ~(KEEPS_ITS_MODE.test(path) || type === "l" ? 0 : Number.parseInt(umask, 8));
      return wanted === Number.parseInt(mode, 8) && user === "0" && group === "0" ? [] : [`${line} (${row ? wanted.toString(8) : "a row"} is wanted)`];
    });
    expect(wrong).toEqual([]);
    expect(rows.filter((row) => !seen.has(row) && !String(row.pattern).includes("wireguard")).map(({ pattern }) => pattern)).toEqual([]);
  }, 120_000);
}

/** What was written below /var/lib in the node (tests/conformance/node/init.sh); and a folder for what goes into the machine's /etc and /opt. */
const WRITTEN = "/run/node/var-lib";
const ASIDE = "/run/aside";
const KINDS: Readonly<Record<string, string>> = { f: "file", d: "folder", s: "socket", l: "link" };
/** These are set and not only made: runtimes start the binary as whoever they are. */
const KEEPS_ITS_MODE = /^\/opt\/cni\/bin\/vethwork$/;

async function writeAll(stage: Stage, umask: string): Promise<void> {
  const { node } = stage;
  const [conf, cluster] = [join(node.dir, "net.d"), join(node.dir, "cluster")];
  for (const folder of [conf, cluster]) mkdirSync(folder);
  for (const [at, network] of networks.entries()) writeFileSync(join(conf, `${at}.conflist`), JSON.stringify(network));
  writeFileSync(join(cluster, "nodes.yaml"), JSON.stringify(nodeObject({ name: "node-1", addresses: ["192.0.2.1"], podCIDRs: ["10.245.1.0/24"] })));
  await node.run(["sh", "-c", "mkdir -p /run/flannel && printf 'FLANNEL_NETWORK=10.246.0.0/16\\nFLANNEL_SUBNET=10.246.1.1/24\\nFLANNEL_MTU=1450\\nFLANNEL_IPMASQ=true\\n' > /run/flannel/subnet.env"]);
  const masked = (...argv: string[]): string[] => ["sh", "-c", `umask ${umask}; exec "$@"`, "sh", ...argv];
  for (const [at, name] of ["routed", "switched", "flat"].entries()) {
    const pod = await stage.addPod(`pod${at}`);
    await node.run(masked(program, "cni", "add", name, pod.name), { env: { NETCONFPATH: conf, CNI_PATH: binFolder } });
  }
  const folders = ["--cni-conf-dir", `${ASIDE}/etc/cni/net.d`, "--cni-bin-dir", `${ASIDE}/opt/cni/bin`];
  const isThere = (path: string) => async (): Promise<boolean> => (await node.exec(["test", "-e", path])).code === 0;
  await startDaemon(node, { name: "agent", argv: masked(program, "agent", "--source", cluster, "--node", "node-1", ...folders), answers: isThere("/run/vethwork/.agent/ready") });
  await startDaemon(node, { name: "dhcp", argv: masked(program, "dhcp", "daemon"), answers: isThere("/run/cni/dhcp.sock") });
}
