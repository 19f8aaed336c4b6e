/** `vethwork node` on a real kernel: what it makes, that it makes it once, and what it says to a wrong list. */
import { expect } from "bun:test";
import { join } from "node:path";
import { binFolder, stageTest, type Stage } from "@vethwork/plugins/testing/stage.ts";
import type { Output } from "../../../tests/conformance/node/node.ts";

const program = join(binFolder, "vethwork");
const self = { name: "node-1", addresses: ["192.0.2.1", "2001:db8::1"], podSubnets: ["10.244.1.0/24", "fd00:0:0:1::/64"] };
const other = { name: "node-2", addresses: ["192.0.2.2", "2001:db8::2"], podSubnets: ["10.244.2.0/24", "fd00:0:0:2::/64"] };
const third = { name: "node-3", addresses: ["192.0.2.3"], podSubnets: ["10.244.3.0/24"] };

stageTest("routes follow the list, and a second run has nothing to do", async (stage) => {
  await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  const before = await stage.state();
  expect(await node(stage, [self, other], "--dry-run")).toMatchObject({ code: 0, out: expect.stringContaining("would add route to 10.244.2.0/24 via 192.0.2.2") });
  expect(await stage.state()).toEqual(before);
  expect(await node(stage, [self, other])).toMatchObject({
    code: 0, out: "add route to 10.244.2.0/24 via 192.0.2.2\nadd route to fd00:0:0:2::/64 via 2001:db8::2\n",
  });
  expect(await stage.node.run(["ip", "route", "show", "10.244.2.0/24"])).toBe("10.244.2.0/24 via 192.0.2.2 dev eth0 proto 119 \n");
  expect((await stage.state()).nft).toContain("elements = { 192.0.2.1, 192.0.2.2 }");
  expect(await node(stage, [self, other])).toMatchObject({ code: 0, out: "nothing to change\n" });

  // One node comes, another goes.
  const changes = JSON.parse((await node(stage, [self, third], "--json")).out);
  expect(changes).toEqual([
    { verb: "delete", what: "route to 10.244.2.0/24 via 192.0.2.2" }, { verb: "delete", what: "route to fd00:0:0:2::/64 via 2001:db8::2" },
    { verb: "add", what: "route to 10.244.3.0/24 via 192.0.2.3" },
  ]);
  expect((await stage.node.exec([program, "node", "--clear"])).code).toBe(0);
  expect(await stage.state()).toEqual(before);
});

stageTest("a node that is on no link of ours, or a list without us, is refused before anything is changed", async (stage) => {
  const before = await stage.state();
  const far = { ...other, addresses: ["198.51.100.7"], podSubnets: ["10.244.2.0/24"] };
  expect(await node(stage, [self, far])).toMatchObject({ code: 1, err: expect.stringMatching(/Cannot reach node "node-2".*198\.51\.100\.7 is on a link/) });
  expect(await node(stage, [other])).toMatchObject({ code: 1, err: expect.stringContaining("Cannot tell which node this is") });
  expect(await stage.node.exec([program, "node", "--peers", "/nowhere"])).toMatchObject({ code: 1, err: expect.stringContaining("/nowhere") });
  expect(await stage.node.exec([program, "node"])).toMatchObject({ code: 2, err: expect.stringContaining("--peers FILE and --clear") });
  expect(await stage.state()).toEqual(before);
});

const node = (stage: Stage, nodes: readonly object[], ...options: string[]): Promise<Output> =>
  stage.node.exec([program, "node", "--peers", "-", ...options], { stdin: JSON.stringify({ nodes }) });
