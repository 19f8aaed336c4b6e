#!/usr/bin/env bun
/**
 * attach: what a container runtime does with CNI, in one program.
 *
 *     bun attach.ts NETWORK NETNS            attaches the namespace, and prints its addresses
 *     bun attach.ts --detach NETWORK NETNS   takes it off again
 *
 * Networks are looked for in NETCONFPATH, plugins in CNI_PATH, as by every runtime.
 */
import { CniError, createCni, loadNetworkConf, splitPath } from "@vethwork/cni";

const words = process.argv.slice(2).filter((word) => word !== "--detach");
const [name, netns] = words;
if (name === undefined || netns === undefined) {
  console.error("usage: attach.ts [--detach] NETWORK NETNS");
  process.exit(2);
}

const cni = createCni({ path: splitPath(process.env["CNI_PATH"] || "/opt/cni/bin"), cacheDir: process.env["CACHE_DIR"] || "/var/lib/cni" });
const runtime = { containerId: `example-${netns.replaceAll("/", "-")}`, netns, ifname: "eth0" };
try {
  const network = loadNetworkConf(process.env["NETCONFPATH"] || "/etc/cni/net.d", name);
  if (process.argv.includes("--detach")) {
    await cni.delNetworkList(network, runtime);
  } else {
    const { ips = [] } = await cni.addNetworkList(network, runtime);
    console.log(ips.map(({ address }) => address).join("\n"));
  }
} catch (error) {
  if (!(error instanceof CniError)) throw error;
  console.error(`attach: ${error.message}`);
  process.exitCode = 1;
}
