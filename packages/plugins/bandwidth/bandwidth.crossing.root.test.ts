/** Between bandwidth and the reference plugin of its name: the same result, qdiscs, filters and ifb, and each takes away the other's. */
import { expect, test } from "bun:test";
import { find, isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { referenceFolders, referenceLacks } from "../testing/reference.ts";
import { onStage, stageLacks, type Stage } from "../testing/stage.ts";
import { addDevice, call, limits, type How } from "./testing/devices.ts";

const lacks = stageLacks || referenceLacks;
const none = { ingressRate: undefined, ingressBurst: undefined, egressRate: undefined, egressBurst: undefined };
const configs: Readonly<Record<string, JsonObject>> = {
  "both directions": {},
  "from the runtime": { ...none, runtimeConfig: { bandWidth: { ...limits, ingressRate: 123_456_789 } } },
  "towards the pod": { ...none, ingressRate: 1_000_001, ingressBurst: 987_654_321 },
  "from the pod, faster than 32 bits": { ...none, egressRate: 400_000_000_000, egressBurst: 8_000_000_000 },
  "no limit": { ...none, egressRate: 0 },
};

for (const reference of referenceFolders.length > 0 ? referenceFolders : ["none"]) {
  const theirs: How = { program: `${reference}/bandwidth` };
  const which = reference.startsWith("/usr") ? "Debian's own" : "the newest";

  test.skipIf(lacks !== "")(skipped(`the same as the reference, and each checks and takes away the other's (${which})`, lacks), () => onStage(async (stage) => {
    for (const [what, options] of Object.entries(configs)) {
      const told: unknown[] = [];
      for (const [adds, then] of [[theirs, {}], [{}, theirs]] as const) {
        await addDevice(stage, "cable");
        const { code, result } = await call(stage, "ADD", options, adds);
        told.push({ what, code, result: comparable(result), ...(await viewOf(stage)) });
        expect({ what, ...(await call(stage, "CHECK", { ...options, prevResult: result }, then)) }).toMatchObject({ what, code: 0, out: "" });
        expect({ what, ...(await call(stage, "DEL", { ...options, prevResult: result }, then)) }).toMatchObject({ what, code: 0, out: "" });
        expect({ what, ifbs: await stage.node.run(["ip", "-br", "link", "show", "type", "ifb"]) }).toEqual({ what, ifbs: "" });
      }
      expect(told[1]).toEqual(told[0]);
    }
  }), 60_000);

  test.skipIf(lacks !== "")(skipped(`beside an ifb of the reference's another interface of the container has one of its own, and each goes with its own DEL (${which})`, lacks), () => onStage(async (stage) => {
    await addDevice(stage, "cable");
    await stage.node.run(["sh", "-c", "ip link add near1 type veth peer name net1 netns pod1; ip link set near1 up"]);
    expect((await call(stage, "ADD", {}, theirs)).code).toBe(0);
    expect((await call(stage, "ADD", {}, { ifname: "net1" })).code).toBe(0);
    for (const ifname of ["eth0", "net1"]) expect({ ifname, ...(await call(stage, "CHECK", {}, { ifname })) }).toMatchObject({ ifname, code: 0, out: "" });
    expect((await call(stage, "DEL", {}, { ifname: "net1", env: { CNI_NETNS: "" } })).code).toBe(0);
    expect(await stage.node.run(["ip", "-br", "link", "show", "type", "ifb"])).toMatch(/^bwp70a29d9dc18b [^\n]*\n$/);
    expect((await call(stage, "DEL", {}, { env: { CNI_NETNS: "" } })).code).toBe(0);
    expect(await stage.node.run(["ip", "-br", "link", "show", "type", "ifb"])).toBe("");
  }));
}

/** The older ones print empty name servers; MAC addresses are chance. */
function comparable({ dns: _dns, ...result }: JsonObject): JsonObject {
  const interfaces = find(result, "interfaces");
  return { ...result, interfaces: Array.isArray(interfaces) ? interfaces.filter(isObject).map(({ mac, ...rest }) => ({ ...rest, hasMac: mac !== undefined })) : interfaces };
}

/** What tc and ip tell, without numbers that are chance; of the reference's filter without the second action, which no packet comes to. */
async function viewOf(stage: Stage): Promise<JsonObject> {
  const told = async (...argv: string[]): Promise<JsonObject[]> => {
    const list = parseJson((await stage.node.run(argv)).trim() || "[]");
    return Array.isArray(list) ? list.filter(isObject) : [];
  };
  const filters = await told("tc", "-j", "-d", "filter", "show", "dev", "near", "parent", "ffff:");
  return {
    qdiscs: await told("tc", "-j", "-d", "qdisc", "show"),
    filters: filters.map(({ options, ...rest }) => {
      const { actions, ...more } = isObject(options) ? options : {};
      return { ...rest, ...more, actions: Array.isArray(actions) ? actions.filter(isObject).slice(0, 1).map(({ index: _index, ...action }) => action) : [] };
    }),
    ifbs: (await told("ip", "-j", "-d", "link", "show", "type", "ifb")).map(({ ifindex: _ifindex, address: _address, ifalias: _ifalias, ...rest }) => rest),
  };
}
