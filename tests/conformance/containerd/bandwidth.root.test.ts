/** A pod's annotations for bandwidth, by way of containerd: the plugin behind ours limits it, and nothing is left of that. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { isObject, parseJson } from "@vethwork/cni";
import { networkState, remains } from "../node/leftovers.ts";
import { missing, skipped } from "../node/needs.ts";
import { startContainerd } from "./containerd.ts";
import { runPod } from "./pod.ts";
import { installed, newest } from "./release.ts";

const dist = join(import.meta.dir, "../../../dist/cni-bin");
const plugins = Object.fromEntries(["vethwork", "bandwidth", "loopback"].map((name) => [name, join(dist, name)]));
const annotations = { "kubernetes.io/ingress-bandwidth": "20M", "kubernetes.io/egress-bandwidth": "10M" };

describe.each([installed(), newest()])("$name with $cniVersion", (release) => {
  const lacks = release.lacks || missing({ files: { [join(dist, "bandwidth")]: "npm run build" } });

  test.skipIf(lacks !== "")(skipped("a pod with annotations for bandwidth is limited, one without is not, and nothing is left", lacks), async () => {
    const list = {
      cniVersion: release.cniVersion, name: "mynet",
      plugins: [{ type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24" }, { type: "bandwidth", capabilities: { bandwidth: true } }],
    };
    const containerd = await startContainerd({ release, plugins, conf: { "10-mynet.conflist": list } });
    const { node } = containerd;
    try {
      const before = await networkState(node);
      const free = await runPod(containerd, "free");
      const slow = await runPod(containerd, "slow", { annotations });
      const told = parseJson(await node.run(["tc", "-j", "qdisc", "show"]));
      const buckets = (Array.isArray(told) ? told.filter(isObject) : []).filter(({ kind }) => kind === "tbf");
      // The burst that containerd writes is 2^32-1 bits: not the queue's length (plugins/bandwidth/bucket.ts).
      expect(buckets.map(({ dev, options }) => [String(dev).slice(0, 3), options])).toEqual([
        ["vet", expect.objectContaining({ rate: 2_500_000, limit: 62_500 + 2 ** 18 })], ["bwp", expect.objectContaining({ rate: 1_250_000, limit: 31_250 + 2 ** 18 })],
      ]);
      for (const pod of [free, slow]) await pod.remove();
      expect(await networkState(node)).toEqual(before);
    } finally {
      await containerd.stop();
    }
    expect(remains(node)).toEqual([]);
  }, 120_000);
});
