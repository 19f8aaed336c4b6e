/** dhcp beside the reference's plugin and daemon, before one server: the same configuration, the same question, the same result. */
import { expect, test } from "bun:test";
import { isObject, type JsonObject } from "@vethwork/cni";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { SERVER, layWire, mustBecome, serverLacks, startDaemon, startDnsmasq } from "../testing/dhcp.ts";
import { referenceFolders } from "../testing/reference.ts";
import { binFolder, onStage, type Stage } from "../testing/stage.ts";

const THEIRS = "/run/theirs.sock";
/** By what they are about: the plugin's options, and the server's. */
const rows: Readonly<Record<string, readonly [ipam: JsonObject, server: readonly string[]]>> = {
  "nothing more": [{}, [`--dhcp-option=3,${SERVER}`]],
  "a metric": [{ priority: 77 }, [`--dhcp-option=3,${SERVER},10.5.0.9`]],
  "no router": [{}, ["--dhcp-option=3"]],
  "classless routes": [{ request: [{ option: "121" }] }, [`--dhcp-option=3,${SERVER}`, "--dhcp-option=121,10.99.0.0/16,10.5.0.9,10.98.0.0/16,0.0.0.0"]],
  "routes of old": [{ request: [{ option: "33" }], priority: 3 }, [`--dhcp-option=3,${SERVER}`, "--dhcp-option=33,172.16.0.0,10.5.0.9,192.168.7.0,10.5.0.8"]],
  "what is told": [{ provide: [{ option: "host-name", fromArg: "K8S_POD_NAME" }, { option: "user-class", value: "u" }, { option: "60", value: "v" }] }, [`--dhcp-option=3,${SERVER}`]],
  "no more than asked for": [{ request: [{ option: "subnet-mask", skipDefault: true }] }, [`--dhcp-option=3,${SERVER}`]],
};

/** The older one that Debian packages knows no metric, and loses routers. */
const newest = referenceFolders.find((folder) => !folder.startsWith("/usr"));
const lacks = serverLacks || (newest === undefined ? "scripts/setup.sh reference" : "");

test.skipIf(lacks !== "")(skipped("the same question and the same result as the reference's", lacks), () => onStage(async (stage) => {
  await layWire(stage);
  await startDaemon(stage);
  await stage.node.run(["sh", "-c", `${newest}/dhcp daemon -socketpath ${THEIRS} >/run/theirs.log 2>&1 </dev/null &`]);
  await mustBecome(async () => (await stage.node.exec(["test", "-S", THEIRS])).code === 0, () => stage.node.run(["cat", "/run/theirs.log"]));
  for (const [what, [ipam, options]] of Object.entries(rows)) {
    const server = await startDnsmasq(stage, ...options);
    const [theirs, ours] = [await obtained(stage, newest ?? "", { ...ipam, daemonSocketPath: THEIRS }), await obtained(stage, binFolder, ipam)];
    expect({ what, ...ours }).toEqual({ what, ...theirs });
    expect({ what, ...ours }).toMatchObject({ what, code: 0, result: { ips: [{ address: "10.5.0.x/24" }] } });
    await server.stop();
  }
}), 60_000);

/** What one of them gave, and what the server understood of it; without what is chance, and the name servers, which only ours has. */
async function obtained(stage: Stage, folder: string, ipam: JsonObject): Promise<JsonObject & { code: number }> {
  const pod = await stage.addPod("pod1");
  await stage.node.run(["sh", "-c", "ip link add cable type veth peer name eth0 netns pod1; ip link set cable master br0 up; ip -n pod1 link set eth0 up"]);
  const told = (): Promise<string> => stage.node.run(["bridge", "link", "show", "dev", "cable"]);
  await mustBecome(async () => (await told()).includes("state forwarding"), told); // the reference waits ten seconds where its first question is lost
  const config = { cniVersion: "1.0.0", name: "mynet", type: "bridge", ipam: { type: "dhcp", ...ipam } };
  const call = (command: string) => stage.call({ command, config, pod, program: `${folder}/dhcp`, env: { CNI_ARGS: "odd;K8S_POD_NAME=web" } });
  const { code, result } = await call("ADD");
  const said = (await stage.node.run(["sh", "-c", "grep -hE 'vendor class|user class|client provides' /run/dnsmasq.log | sort -u"])).replaceAll(/^.*\d+ (?=vendor|user|client)/gm, "");
  const [lease = ""] = (await stage.node.run(["cat", "/run/dnsmasq.leases"])).trim().split("\n");
  expect((await call("DEL")).code).toBe(0);
  await stage.node.run(["sh", "-c", "ip link del cable; : >/run/dnsmasq.log"]);
  await stage.deletePod(pod);
  const { dns: _dns, ips, ...rest } = result;
  const [first] = Array.isArray(ips) ? ips.filter(isObject) : [];
  return { code, said, client: lease.split(" ").slice(3), result: { ...rest, ips: [{ ...first, address: String(first?.["address"]).replace(/\.\d+\//, ".x/") }] } };
}
