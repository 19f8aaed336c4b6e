/** An interface that the reference's bandwidth limits, and another that ours does. The same of one interface is in the differential table. */
import { expect, test } from "bun:test";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { referenceFolders, referenceLacks } from "../testing/reference.ts";
import { onStage, stageLacks } from "../testing/stage.ts";
import { addDevice, call, type How } from "./testing/devices.ts";

const lacks = stageLacks || referenceLacks;

for (const reference of referenceFolders.length > 0 ? referenceFolders : ["none"]) {
  const theirs: How = { program: `${reference}/bandwidth` };
  const which = reference.startsWith("/usr") ? "Debian's own" : "the newest";
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
