/** A pod with host ports, by way of containerd, which writes their keys with capital letters: they lead to it, then to its successor. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { networkState, remains } from "../node/leftovers.ts";
import { missing, skipped } from "../node/needs.ts";
import { address } from "../node/node.ts";
import { startContainerd } from "./containerd.ts";
import { port, runPod } from "./pod.ts";
import { installed, newest } from "./release.ts";
import { from, seenBy } from "./web.ts";

const dist = join(import.meta.dir, "../../../dist/cni-bin");
const plugins = Object.fromEntries(["vethwork", "portmap", "loopback"].map((name) => [name, join(dist, name)]));
const wish = { hostPorts: { 8081: port } };

describe.each([installed(), newest()])("$name with $cniVersion", (release) => {
  const lacks = release.lacks || missing({ files: { [join(dist, "portmap")]: "npm run build" } });

  test.skipIf(lacks !== "")(skipped("a host port leads to the pod that has it, then to the next; one that is taken is refused, and nothing is left", lacks), async () => {
    const list = {
      cniVersion: release.cniVersion, name: "mynet",
      plugins: [{ type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24" }, { type: "portmap", capabilities: { portMappings: true } }],
    };
    const containerd = await startContainerd({ release, plugins, conf: { "10-mynet.conflist": list } });
    const { node } = containerd;
    try {
      const before = await networkState(node);
      for (const name of ["one", "two"]) {
        const pod = await runPod(containerd, name, wish);
        expect({ name, seen: await seenBy(from(node, "world"), address.node4, 8081) }).toEqual({ name, seen: address.world4 });
        expect({ name, seen: await seenBy(from(node), "127.0.0.1", 8081) }).toEqual({ name, seen: address.node4 });
        let why: unknown;
        await runPod(containerd, "late", wish).catch((error: unknown) => (why = error));
        expect(String(why)).toContain(`Cannot map host port 8081/tcp to 10.244.0`);
        await pod.remove();
        expect(await networkState(node)).toEqual(before);
      }
    } finally {
      await containerd.stop();
    }
    expect(remains(node)).toEqual([]);
  }, 120_000);
});
