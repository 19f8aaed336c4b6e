/**
 * A network as `podman network create` writes it, with a firewall whose backend is the empty text, on a node that forwards
 * nothing by default: a container gets out, and removing it leaves the node as it was.
 */
import { expect, test } from "bun:test";
import { binFolder, stageLacks } from "../../../packages/plugins/testing/stage.ts";
import { from, pings } from "../containerd/web.ts";
import { remains, settledState } from "../node/leftovers.ts";
import { skipped } from "../node/needs.ts";
import { address } from "../node/node.ts";
import { addressOf, inside, podmanLacks, runContainer, startPodman } from "./podman.ts";

const lacks = podmanLacks() || stageLacks;
const ipam = { type: "host-local", routes: [{ dst: "0.0.0.0/0" }], ranges: [[{ subnet: "10.89.0.0/24", gateway: "10.89.0.1" }]] };
const network = {
  cniVersion: "0.4.0", name: "mynet", plugins: [
    { type: "bridge", bridge: "cni-podman1", isGateway: true, ipMasq: true, hairpinMode: true, ipam },
    { type: "firewall", backend: "" },
    { type: "tuning" },
  ],
};

test.skipIf(lacks !== "")(skipped("a container of podman's gets through a node that drops, and leaves nothing", lacks), async () => {
  const plugins = Object.fromEntries(["bridge", "host-local", "firewall", "tuning"].map((type) => [type, `${binFolder}/${type}`]));
  const podman = await startPodman({ plugins, network });
  try {
    await podman.node.run(["sh", "-c", "sysctl -qw net.ipv4.ip_forward=1; iptables -P FORWARD DROP; ip link add cni-podman1 type bridge; ip addr add 10.89.0.1/24 dev cni-podman1; ip link set cni-podman1 up"]);
    const before = await settledState(podman.node);
    await runContainer(podman, "a");
    expect(await pings(inside(podman, "a"), address.world4)).toBeTrue();
    expect(await pings(from(podman.node), await addressOf(podman, "a"))).toBeTrue();
    await podman.run("rm", "--force", "--time", "0", "a");
    expect(await settledState(podman.node)).toEqual(before);
  } finally {
    await podman.stop();
  }
  expect(remains(podman.node)).toEqual([]);
}, 120_000);
