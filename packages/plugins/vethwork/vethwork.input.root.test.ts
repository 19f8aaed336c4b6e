/**
 * What people get wrong, row by row: each gives an error object with the specification's code and words that name the
 * value and what was wanted, exit code 1, and nothing left on the node.
 */
import { expect } from "bun:test";
import { find } from "@vethwork/cni";
import { stageTest, type PluginCall } from "../testing/stage.ts";

const good = { cniVersion: "1.1.0", name: "mynet", type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24" };
const { subnet: _subnet, ...withoutSubnet } = good;

interface Row {
  what: string;
  call: Partial<PluginCall>;
  code: number;
  says: RegExp;
}

const configRows: readonly Row[] = [
  { what: "no JSON", call: { config: "{" }, code: 6, says: /unmarshall/ },
  { what: "JSON that is a list", call: { config: "[]" }, code: 6, says: /list|array/ },
  { what: "an empty stdin", call: { config: "" }, code: 6, says: /unmarshall/ },
  { what: "a version that nobody speaks", call: { config: { ...good, cniVersion: "9.9.9" } }, code: 1, says: /incompatible CNI versions/ },
  { what: "a name that is no name", call: { config: { ...good, name: "../etc" } }, code: 7, says: /name/ },
  { what: "no subnet", call: { config: withoutSubnet }, code: 7, says: /missing option "subnet"/ },
  { what: "a subnet of the wrong type", call: { config: { ...good, subnet: 7 } }, code: 7, says: /option "subnet": 7 .*wanted/ },
  { what: "a subnet that is no prefix", call: { config: { ...good, subnet: "10.244.0.0" } }, code: 7, says: /"10\.244\.0\.0"/ },
  { what: "a subnet with bits of a host", call: { config: { ...good, subnet: "10.244.0.1/24" } }, code: 7, says: /10\.244\.0\.1\/24.*10\.244\.0\.0\/24/ },
  { what: "a subnet outside the network", call: { config: { ...good, subnet: "10.99.0.0/24" } }, code: 7, says: /10\.99\.0\.0\/24.*inside the network 10\.244\.0\.0\/16/ },
  { what: "a subnet larger than the network", call: { config: { ...good, subnet: "10.0.0.0/8" } }, code: 7, says: /10\.0\.0\.0\/8.*inside/ },
  { what: "a subnet without room", call: { config: { ...good, subnet: "10.244.0.0/31" } }, code: 7, says: /10\.244\.0\.0\/31.*\/30/ },
  { what: "networks that overlap", call: { config: { ...good, network: ["10.244.0.0/16", "10.244.0.0/24"] } }, code: 7, says: /overlap/ },
  { what: "two subnets of one family", call: { config: { ...good, subnet: ["10.244.0.0/24", "10.244.1.0/24"] } }, code: 7, says: /one IPv4 prefix/ },
  { what: "an MTU of the wrong type", call: { config: { ...good, mtu: "big" } }, code: 7, says: /"mtu": "big" .*integer/ },
  { what: "an MTU that is too large", call: { config: { ...good, mtu: 70000 } }, code: 7, says: /"mtu": 70000/ },
  { what: "an MTU that IPv4 cannot have", call: { config: { ...good, mtu: 60 } }, code: 7, says: /"mtu": 60 .*68/ },
  { what: "an MTU that IPv6 cannot have", call: { config: { ...good, network: "fd00::/48", subnet: "fd00::/64", mtu: 1000 } }, code: 7, says: /1000.*1280/ },
  { what: "a folder that is not absolute", call: { config: { ...good, dataDir: "here" } }, code: 7, says: /"dataDir": "here" .*absolute/ },
];

const callRows: readonly Row[] = [
  { what: "no container id", call: { env: { CNI_CONTAINERID: "" } }, code: 4, says: /CNI_CONTAINERID/ },
  { what: "a container id with a slash", call: { env: { CNI_CONTAINERID: "a/b" } }, code: 4, says: /a\/b|invalid/ },
  { what: "no namespace", call: { env: { CNI_NETNS: "" } }, code: 4, says: /CNI_NETNS/ },
  { what: "a namespace that does not exist", call: { env: { CNI_NETNS: "/run/netns/nobody" } }, code: 3, says: /"\/run\/netns\/nobody".*network namespace is wanted/ },
  { what: "a namespace that is a file", call: { env: { CNI_NETNS: "/etc/passwd" } }, code: 4, says: /"\/etc\/passwd".*network namespace is wanted/ },
  { what: "a namespace that is a folder", call: { env: { CNI_NETNS: "/run" } }, code: 4, says: /"\/run"/ },
  { what: "the host's own namespace", call: { env: { CNI_NETNS: "/proc/1/ns/net" } }, code: 8, says: /should not be the same/ },
  { what: "no interface name", call: { env: { CNI_IFNAME: "" } }, code: 4, says: /CNI_IFNAME/ },
  { what: "an interface name that is too long", call: { env: { CNI_IFNAME: "sixteen-letters!" } }, code: 4, says: /interface name is too long/ },
  { what: "an interface name with a slash", call: { env: { CNI_IFNAME: "a/b" } }, code: 4, says: /interface name/ },
  { what: "an interface name that is taken", call: { env: { CNI_IFNAME: "lo" } }, code: 4, says: /"lo" is taken in the pod/ },
  { what: "a verb that there is not", call: { command: "EAT" }, code: 4, says: /unknown CNI_COMMAND: EAT/ },
];

stageTest("bad input to ADD is named, and leaves nothing", async (stage) => {
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  for (const { what, call, code, says } of [...configRows, ...callRows]) {
    const answer = await stage.call({ command: "ADD", config: good, pod, ...call, program: `${stage.bin}/vethwork` });
    expect({ what, exit: answer.code, code: find(answer.result, "code"), err: answer.err }).toEqual({ what, exit: 1, code, err: "" });
    const words = `${String(find(answer.result, "msg"))} ${String(find(answer.result, "details") ?? "")}`;
    expect(words).toMatch(says);
    expect(words).not.toMatch(/\n|\bat .*\.ts|\bError:/);
  }
  expect(await stage.state()).toEqual(before);
});

stageTest("a second ADD of the same attachment is refused, and the first stays whole", async (stage) => {
  const pod = await stage.addPod("pod1");
  const { result: prevResult } = await stage.call({ command: "ADD", config: good, pod });
  const state = await stage.state();
  const again = await stage.call({ command: "ADD", config: good, pod });
  expect(again.result).toMatchObject({ code: 4 });
  expect(await stage.state()).toEqual(state);
  expect((await stage.call({ command: "CHECK", config: { ...good, prevResult }, pod })).code).toBe(0);
});

stageTest("CHECK, GC and STATUS are refused below the versions that know them", async (stage) => {
  const pod = await stage.addPod("pod1");
  for (const [command, cniVersion] of [["CHECK", "0.3.1"], ["GC", "1.0.0"], ["STATUS", "1.0.0"]] as const) {
    const answer = await stage.call({ command, config: { ...good, cniVersion }, pod });
    expect(answer.result).toMatchObject({ code: 1, msg: expect.stringContaining(`does not allow ${command}`) });
  }
});

stageTest("every version of the specification is answered in its own form", async (stage) => {
  for (const [at, cniVersion] of ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"].entries()) {
    const pod = await stage.addPod(`pod${at}`);
    const { code, result } = await stage.call({ command: "ADD", config: { ...good, cniVersion }, pod });
    expect(code).toBe(0);
    expect(find(result, "cniVersion")).toBe(cniVersion);
    const old = at < 2;
    expect(Object.keys(result)).toEqual(expect.arrayContaining(old ? ["ip4"] : ["interfaces", "ips", "routes"]));
    expect((await stage.call({ command: "DEL", config: { ...good, cniVersion }, pod })).code).toBe(0);
  }
});

stageTest("a subnet that runs out says so with code 11, and leaves nothing behind for the pod that came too late", async (stage) => {
  const tiny = { ...good, subnet: "10.244.0.0/29" }; // .2 to .6
  const pods = [];
  for (let at = 0; at < 6; at++) pods.push(await stage.addPod(`pod${at}`));
  const last = pods.pop();
  for (const pod of pods) expect((await stage.call({ command: "ADD", config: tiny, pod })).code).toBe(0);
  const full = await stage.state();
  const late = await stage.call({ command: "ADD", config: tiny, ...(last && { pod: last }) });
  expect(late.code).toBe(1);
  expect(late.result).toMatchObject({
    code: 11, msg: 'no address left in subnet "10.244.0.0/29": all from 10.244.0.2 to 10.244.0.6 are taken',
  });
  expect(await stage.state()).toEqual(full);
});
