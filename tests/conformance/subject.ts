/**
 * Whom the real runtimes are made to call: our plugin, by default, with the one configuration file that a user has to
 * write. With VETHWORK_CONFORMANCE_PLUGIN=ptp the same tests run over the reference plugin of that name, to see whether a
 * failure is the plugin's or the rig's; VETHWORK_CONFORMANCE_BIN then names the folder of the reference plugins.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { missing } from "./node/needs.ts";

export interface Subject {
  /** CNI type. */
  type: string;
  /** The runtime's bin folder: name there, program. */
  plugins: Record<string, string>;
  /** The configuration of a node whose pods get addresses of `subnet`. */
  conf(cniVersion: string, subnet: string): object;
  /** Whether a host outside sees the node's address instead of the pod's. */
  masquerades: boolean;
  /** Whether its GC finds what the runtime no longer knows. */
  collects: boolean;
  /** What ADD says when the subnet has no free address. */
  exhausted: RegExp;
  /** What the machine lacks to run it; "" when nothing. */
  lacks: string;
}

const dist = join(import.meta.dir, "../../dist/cni-bin");
const reference = process.env["VETHWORK_CONFORMANCE_BIN"] ?? "/usr/lib/cni";
// containerd brings every pod's lo up through a plugin of this type, which no configuration file names.
const loopback = existsSync(join(dist, "loopback")) ? join(dist, "loopback") : join(reference, "loopback");

const vethwork: Subject = {
  type: "vethwork",
  plugins: { vethwork: join(dist, "vethwork"), loopback },
  conf: (cniVersion, subnet) => ({ cniVersion, name: "mynet", type: "vethwork", network: "10.244.0.0/16", subnet }),
  masquerades: true,
  collects: true,
  exhausted: /10\.244\.0\.0\/30/,
  lacks: missing({ files: { [join(dist, "vethwork")]: "npm run build", [loopback]: "containernetworking-plugins" } }),
};

const ptp: Subject = {
  type: "ptp",
  plugins: Object.fromEntries(["ptp", "host-local", "loopback"].map((name) => [name, join(reference, name)])),
  conf: (cniVersion, subnet) => ({
    cniVersion,
    name: "mynet",
    type: "ptp",
    ipam: { type: "host-local", subnet, routes: [{ dst: "0.0.0.0/0" }] },
  }),
  masquerades: false,
  collects: false,
  exhausted: /no IP addresses available in range set/,
  lacks: missing({ files: { [join(reference, "ptp")]: "containernetworking-plugins" } }),
};

/** The plugin under test. */
export const subject: Subject = process.env["VETHWORK_CONFORMANCE_PLUGIN"] === "ptp" ? ptp : vethwork;

/** The plugin under test as the only one of a configuration list, which is what libcni and podman read. */
export function listOf(cniVersion: string, subnet: string): { cniVersion: string; name: string; plugins: object[] } {
  const plugin = Object.fromEntries(
    Object.entries(subject.conf(cniVersion, subnet)).filter(([key]) => key !== "cniVersion" && key !== "name"),
  );
  return { cniVersion, name: "mynet", plugins: [plugin] };
}
