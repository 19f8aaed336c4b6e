/**
 * A crowd, inside a node: so many pods at once as when a node comes back, with the plugins of a folder, ours or the reference's.
 *
 *     bun crowd.ts FOLDER COUNT chain|one        prints a line of JSON, a Crowd
 *
 * `chain` is bridge, portmap, firewall, and in the middle of the ADDs a GC that knows all pods; `one` is ptp, which has no bridge's limit
 * of 1,023 ports. All ADDs are begun at once, each a process after the other as a runtime calls them; all DELs likewise.
 */
import { createCni, messageOf, networkConfFromBytes, type Result, type RuntimeConf } from "@vethwork/cni";
import { Netns } from "@vethwork/linux";

export interface Crowd {
  count: number;
  addMs: number;
  delMs: number;
  /** What failed, each with its words. */
  failures: string[];
  /** Addresses that two pods have. */
  duplicates: string[];
  /** Pods whose gateway does not answer, of some that were asked. */
  silent: string[];
  /** Links, rules and addresses in books after all DELs. */
  left: string[];
}

const [folder = "", number = "", kind = "chain"] = process.argv.slice(2);
const count = Number(number);
const AT_ONCE = 300; // a runtime has no more in its hands; those who come later wait for their turn

const ipam = { type: "host-local", subnet: "10.64.0.0/16", routes: [{ dst: "0.0.0.0/0" }] };
const chain = [{ type: "bridge", bridge: "crowd0", isGateway: true, ipam }, { type: "portmap", capabilities: { portMappings: true } }, { type: "firewall" }];
const list = networkConfFromBytes(JSON.stringify({ cniVersion: "1.0.0", name: "crowd", plugins: kind === "chain" ? chain : [{ type: "ptp", ipam }] }));
const shell = (script: string): string => Bun.spawnSync(["sh", "-c", script], { stdin: "ignore" }).stdout.toString();
const cni = createCni({ path: [folder], onStderr: () => undefined });

const names = Array.from({ length: count }, (_, at) => `crowd${at}`);
const runtimeOf = (name: string, at: number): RuntimeConf =>
  ({ containerId: name, netns: `/run/netns/${name}`, ifname: "eth0", capabilityArgs: { portMappings: [{ hostPort: 20_000 + at, containerPort: 80, protocol: "tcp" }] } });

const lines = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
/** What an attachment of the crowd is made of on the node. */
function seen(): string[] {
  using node = Netns.host();
  const links = node.links.list().map(({ name }) => name).filter((name) => name !== "crowd0");
  return [...links, ...lines(shell("nft -s list ruleset 2>/dev/null | grep -E 'crowd|10[.]64' ; iptables-save 2>/dev/null | grep -E 'crowd|10[.]64'; ls /var/lib/cni/networks/crowd 2>/dev/null | grep '^10[.]'"))];
}

/** Does it to all, so many at once; gives what each gave, or what it says is wrong. */
async function all<T>(work: (runtime: RuntimeConf) => Promise<T>, failures: string[]): Promise<T[]> {
  const waiting = names.map(runtimeOf);
  const done: T[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const one = next;
      await work(one).then((result) => done.push(result), (error: unknown) => failures.push(`${one.containerId}: ${messageOf(error)}`));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return done;
}

function addressesOf(result: Result): string[] {
  return (result.ips ?? []).map(({ address }) => address);
}

const crowd: Crowd = { count, addMs: 0, delMs: 0, failures: [], duplicates: [], silent: [], left: [] };
for (const name of names) shell(`ip netns add ${name}`);
const before = seen();
const begun = performance.now();
const adding = all((runtime) => cni.addNetworkList(list, runtime), crowd.failures);
// In the middle of it somebody collects garbage, and knows of all.
const valid = names.map((containerID) => ({ containerID, ifname: "eth0" }));
if (kind === "chain") await cni.gcNetworkList({ ...list, cniVersion: "1.1.0" }, valid).catch((error: unknown) => void (folder.includes("reference") || crowd.failures.push(`GC: ${messageOf(error)}`)));
const added = await adding;
crowd.addMs = performance.now() - begun;
const addresses = added.flatMap(addressesOf);
crowd.duplicates = addresses.filter((address, at) => addresses.indexOf(address) !== at);
for (const name of names.filter((_, at) => at % 50 === 7)) if (shell(`ip netns exec ${name} ping -c1 -W2 10.64.0.1 >/dev/null && echo yes`) === "") crowd.silent.push(name);
const ending = performance.now();
await all((runtime) => cni.delNetworkList(list, runtime), crowd.failures);
crowd.delMs = performance.now() - ending;
const after = seen();
crowd.left = after.filter((line) => !before.includes(line));
console.log(JSON.stringify(crowd));
