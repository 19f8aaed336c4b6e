/**
 * A cluster to play with: up in some seconds, with its network, and there until one leaves the shell or presses Ctrl-C.
 *
 *   npm run cluster [-- --nodes N] [-- --unready]
 *
 * The shell has a command for each machine (`node-1 ip route`, `node-1` alone for a shell there) and a kubectl with all
 * rights. With --unready nobody configures the plugin. Without a terminal it waits for a signal.
 */
import { parseArgs } from "node:util";
import { RigFailure } from "../../conformance/node/failure.ts";
import { startCluster } from "./cluster.ts";
import { installNetwork } from "./network.ts";
import { lacks, versions } from "./programs.ts";
import { writeTools } from "./tools.ts";

process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof RangeError || error instanceof RigFailure)) throw error;
  console.error(`cluster: ${error.message}`);
  return 1;
});

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { nodes: { type: "string", default: "2" }, unready: { type: "boolean", default: false } } });
  if (lacks !== "") throw new RigFailure(`this machine lacks ${lacks}`);
  const begun = performance.now();
  await using cluster = await startCluster({ nodes: Number(values.nodes) });
  if (!values.unready) await installNetwork(cluster);
  const tools = writeTools(cluster);
  const machines = [["control", cluster.control] as const, ...cluster.workers.map(({ name, node }) => [name, node] as const)];
  console.log(`${versions().trim().replaceAll("\n", ", ")}
up after ${((performance.now() - begun) / 1000).toFixed(1)} s; each machine's files and logs:
${machines.map(([name, { dir }]) => `  ${name.padEnd(8)} ${dir}`).join("\n")}
In any terminal of root's: PATH=${tools}:$PATH
  kubectl get pods -A     with all rights
  node-1 ip route         a command on a machine; without one a shell`);
  if (process.stdin.isTTY) {
    console.log("The cluster ends with this shell.");
    const env = { ...process.env, PATH: `${tools}:${process.env["PATH"] ?? ""}` };
    await Bun.spawn(["bash"], { stdio: ["inherit", "inherit", "inherit"], env }).exited;
    return 0;
  }
  console.log("The cluster ends with Ctrl-C.");
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
  await promise;
  return 0;
}
