/**
 * podman's own kind of network, with our plugins in the reference's place: a bridge, ports of the host (`podman run -p`), a
 * firewall and tuning. podman holds each host port itself, too, by a socket of conmon's, and the rules come before it.
 */
import { expect, test } from "bun:test";
import { heardFrom } from "../../../packages/plugins/testing/calls.ts";
import { binFolder, stageLacks } from "../../../packages/plugins/testing/stage.ts";
import { settledState, remains } from "../node/leftovers.ts";
import { skipped } from "../node/needs.ts";
import { address } from "../node/node.ts";
import { from, seenBy } from "../containerd/web.ts";
import { inside, inspect, podmanLacks, runContainer, startPodman } from "./podman.ts";

const plugins = Object.fromEntries(["bridge", "host-local", "portmap", "firewall", "tuning"].map((type) => [type, `${binFolder}/${type}`]));
const lacks = podmanLacks() || stageLacks;

/** What `podman network create` writes. */
const network = {
  cniVersion: "0.4.0", name: "podman",
  plugins: [
    {
      type: "bridge", bridge: "cni-podman0", isGateway: true, ipMasq: true, hairpinMode: true,
      ipam: { type: "host-local", routes: [{ dst: "0.0.0.0/0" }], ranges: [[{ subnet: "10.88.0.0/16", gateway: "10.88.0.1" }]] },
    },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "firewall", backend: "" },
    { type: "tuning" },
  ],
};

test.skipIf(lacks !== "")(skipped("podman run -p: the host, others, another container and the container itself reach it; nothing is left when it is removed", lacks), async () => {
  const podman = await startPodman({ plugins, network });
  const { node } = podman;
  try {
    await runContainer(podman, "warm");
    await podman.run("rm", "--force", "--time", "0", "warm");
    const before = await settledState(node);

    await runContainer(podman, "a", "-p", "8081:8080", "-p", "5300:53/udp");
    await runContainer(podman, "b", "-p", "8082:8080", "-p", "127.0.0.1:8083:8080");
    const gateway = "10.88.0.1";
    for (const [who, ask, host, port, seen] of [
      ["the world", from(node, "world"), address.node4, 8081, address.world4], ["the world", from(node, "world"), address.node4, 8082, address.world4],
      ["the host", from(node), "127.0.0.1", 8081, gateway], ["the host", from(node), address.node4, 8082, address.node4], ["the host", from(node), "127.0.0.1", 8083, gateway],
      ["the other", inside(podman, "b"), address.node4, 8081, gateway], ["the other", inside(podman, "a"), gateway, 8082, gateway],
      ["itself", inside(podman, "a"), address.node4, 8081, gateway],
    ] as const) expect({ who, host, port, seen: await seenBy(ask, host, port) }).toEqual({ who, host, port, seen });
    const netns = (await inspect(podman, "a", "{{.NetworkSettings.SandboxKey}}")).replace("/run/netns/", "");
    for (const [asker, seen] of [["world", address.world4], ["node", address.node4], [netns, gateway]] as const) {
      expect({ asker, seen: heardFrom({ node }, { from: asker, to: netns, protocol: "udp", address: address.node4, port: 5300, listening: 53 }) }).toEqual({ asker, seen });
    }

    await podman.run("rm", "--force", "--time", "0", "a", "b");
    expect(await settledState(node)).toEqual(before);
    // A port that was given back is there for the next.
    await runContainer(podman, "c", "-p", "8081:8080");
    expect(await seenBy(from(node, "world"), address.node4, 8081)).toBe(address.world4);
    await podman.run("rm", "--force", "--time", "0", "c");
    expect(await settledState(node)).toEqual(before);
  } finally {
    await podman.stop();
  }
  expect(remains(node)).toEqual([]);
}, 120_000);
