/**
 * What a table of the differential tests is: for one plugin type, configurations by what they are about. A row is data; how
 * it is played is play.ts's business, and what is held against what is compare.ts's.
 */
import type { JsonObject } from "@vethwork/cni";
import type { KernelOption } from "../node/kernel.ts";
import type { DifferenceName } from "./differences.ts";

/** A plugin's configuration; of `cniVersion`, `name` and `type` what is not given is added. */
export type Config = JsonObject;

export interface Row {
  /** The plugin's options, or those of a chain of plugins, each with its `type`. The result of one is handed to the next. */
  config: Config | readonly Config[];
  /** Version of the specification; 1.0.0 unless given. */
  version?: string;
  /** CNI_ARGS. */
  args?: string;
  /** CNI_IFNAME; eth0 unless given. */
  ifname?: string;
  /** What the runtime has for the capabilities that a plugin of the chain declares. */
  runtime?: JsonObject;
  /** The result that the first plugin's ADD is handed, as if there were one before it; the row's version is added. */
  prevResult?: JsonObject;
  /** Shell lines that prepare the stage (stage.sh says what there is); pod1 is there already. */
  before?: string;
  /** Shell lines in which ADD, CHECK, DEL and STATUS are the verbs; "ADD; CHECK; DEL" unless given, and "ADD; DEL" where ADD is refused. */
  play?: string;
  /** The error code with which our ADD, or whatever verb comes first, refuses. The reference has to refuse, too. */
  refused?: number;
  /** Why only one of the two refuses, as a difference by name; nothing else is compared then. */
  refusedBy?: { who: "reference" | "ours"; difference: DifferenceName };
  /** Differences that are meant, by their names in docs/differences.md. Each has to be seen. */
  differences?: readonly DifferenceName[];
  /** Why one program cannot go on with what the other began, where it cannot. */
  noCrossing?: string;
  /** What Debian's own, older plugin does not know yet, so that it cannot begin what ours ends. */
  newer?: string;
  /** What the kernel must have been built with, instead of what the table says: nothing where the row is refused before. */
  needs?: readonly KernelOption[];
}

export interface Table {
  /** The CNI type: the program that is called. */
  type: string;
  /** Differences that may be seen in any row; each has to be seen in one. */
  differences?: readonly DifferenceName[];
  /** Where the reference's plugin is, if not among the others, and what the machine lacks for it. */
  reference?: { folder: string; lacks: string };
  /** What its rows need of the kernel. */
  needs?: readonly KernelOption[];
  /** Options that no row gives, and why. */
  without?: Readonly<Record<string, string>>;
  rows: Readonly<Record<string, Row>>;
}

/** The plugins' configurations as a runtime hands them over, in the order of the chain. */
export function chainOf({ type }: Table, { config, version = "1.0.0", runtime = {} }: Row): JsonObject[] {
  const chain = Array.isArray(config) ? config : [config];
  return chain.map((one: Config) => ({ cniVersion: version, name: "mynet", type, ...one, ...runtimeConfigOf(one, runtime) }));
}

/** The programs that are called, in the order of the chain. */
export function programsOf(table: Table, row: Row): string[] {
  const chain = chainOf(table, row);
  return chain.length === 1 ? [table.type] : chain.map(({ type }) => String(type));
}

/** A runtime hands over what a plugin declares to be capable of, and nothing else. */
function runtimeConfigOf({ capabilities }: Config, runtime: JsonObject): JsonObject {
  const declared = Object.entries(Object(capabilities)).filter(([key, on]) => on === true && key in runtime).map(([key]) => key);
  return declared.length === 0 ? {} : { runtimeConfig: Object.fromEntries(declared.map((key) => [key, runtime[key]])) };
}

/** What the kernel must have for a row. */
export const needsOf = (table: Table, row: Row): readonly KernelOption[] => row.needs ?? table.needs ?? [];
