/**
 * What is measured: each case is two programs that do the same work, ours and the reference's, and the budget that the
 * ratio of their times is to keep. A case is a row here and no code.
 */
import { join } from "node:path";

export interface Side {
  /** The folder that the plugin is in, and those that it calls. */
  bin: string;
  /** CNI type: the file's name in the folder of plugins. */
  type: string;
  config: object;
}

export interface Case {
  name: string;
  about: string;
  ours: Side;
  peer: Side;
  /** What is taken of it, and the largest ratio that is allowed; null: shown only. */
  takes: Partial<Record<Measure, number | null>>;
}

/**
 * version  a process that answers VERSION: start, read, write, end
 * add      ADD into a fresh namespace; del: the DEL after it
 * adds     a hundred ADDs at once, until the last is done; dels: the DELs likewise
 * memory   the most that the process of an ADD had resident, with what it shares with others
 */
export const measures = ["version", "add", "del", "adds", "dels", "memory"] as const;
export type Measure = (typeof measures)[number];

const root = join(import.meta.dir, "..");
/** Where the reference plugins were unpacked; its file .version says which they are. */
export const reference = join(root, ".cache/reference-plugins");
const REFERENCE = join(reference, "usr/lib/cni");
const OURS = join(root, "dist/cni-bin");

const NETWORK = "10.250.0.0/16";
const vethwork: Side = { bin: OURS, type: "vethwork", config: { cniVersion: "1.0.0", name: "ours", type: "vethwork", network: NETWORK, subnet: NETWORK } };

/** ptp gives each pod a routed cable, host-local an address, ipMasq the way out: the reference's nearest to ours. */
const ptp: Side = {
  bin: REFERENCE,
  type: "ptp",
  config: { cniVersion: "1.0.0", name: "peer", type: "ptp", ipMasq: true, ipam: { type: "host-local", subnet: "10.251.0.0/16" } },
};

export const cases: readonly Case[] = [
  {
    name: "vethwork",
    about: "vethwork beside ptp + host-local + ipMasq",
    ours: vethwork,
    peer: ptp,
    takes: { version: 2, add: 0.5, del: null, adds: 0.6, dels: null, memory: null },
  },
];
