/**
 * Our plugin as the type of a podman network: containers reach each other, and removing them leaves the node as it was.
 * podman 4 drives the plugin through Go's libcni, in a list, with a VERSION before each ADD and DEL.
 */
import { expect, test } from "bun:test";
import { networkState, remains } from "../node/leftovers.ts";
import { skipped } from "../node/needs.ts";
import { listOf, subject } from "../subject.ts";
import { from, pings, seenBy } from "../containerd/web.ts";
import { addressOf, inside, podmanLacks, runContainer, startPodman } from "./podman.ts";

const lacks = podmanLacks() || subject.lacks;

test.skipIf(lacks !== "")(skipped("two containers of podman reach each other and leave nothing", lacks), async () => {
  const podman = await startPodman({ plugins: subject.plugins, network: listOf("1.0.0", "10.244.0.0/24") });
  try {
    const before = await networkState(podman.node);
    await runContainer(podman, "a");
    await runContainer(podman, "b");
    const [ipA, ipB] = [await addressOf(podman, "a"), await addressOf(podman, "b")];
    expect(ipA).toMatch(/^10\.244\.0\.\d+$/);
    expect(ipB).toMatch(/^10\.244\.0\.\d+$/);
    expect(ipA).not.toBe(ipB);

    expect(await pings(inside(podman, "a"), ipB)).toBeTrue();
    expect(await seenBy(inside(podman, "a"), ipB)).toBe(ipA);
    expect(await seenBy(inside(podman, "b"), ipA)).toBe(ipB);
    expect(await pings(from(podman.node), ipA)).toBeTrue();

    await podman.run("rm", "--force", "--time", "0", "a", "b");
    expect(await networkState(podman.node)).toEqual(before);
  } finally {
    await podman.stop();
  }
  expect(remains(podman.node)).toEqual([]);
}, 120_000);
