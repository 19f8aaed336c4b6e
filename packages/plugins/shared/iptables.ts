/**
 * iptables, where a configuration asks for it or another program has used it.
 *
 *     tools.list(4)                              iptables -w 30 -t nat -S            a line for each chain and rule
 *     tools.restore(4, ["-A POSTROUTING …"])     iptables-restore --noflush -w 30    all of a change, or nothing of it
 *
 * Whether the rules become nftables' or those of long ago is decided by the program that is installed under the name, so it
 * is called; it takes the lock of iptables' own.
 */
import { CniError, ErrorCode, oneLine } from "@vethwork/cni";
import { findText, ignore, kernelCall, type Family, type Netns } from "@vethwork/linux";
import { hasTable } from "./nftables.ts";

const TOOLS = { 4: "iptables", 6: "ip6tables" } as const;
const NAMES = { 4: "ip_tables_names", 6: "ip6_tables_names" } as const;
const WAIT_SECONDS = "30"; // for the lock: kubelet waits two minutes for a pod's network
const RESOURCE_PROBLEM = 4; // xtables.h: the lock is held by another, or memory is short
const TRIES = 10;
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** What the tools are called for. */
export interface Purpose {
  table: "nat" | "filter";
  /** For the error, as in "Cannot masquerade by iptables". */
  verb: string;
  /** What does the same without iptables. */
  instead: string;
}

export interface Iptables {
  /** The table as `iptables -S` writes it. CniError 50 where there is no tool, 11 where another holds the lock for long. */
  list(family: Family): string[];
  /** As list; undefined where the tool is not there or cannot list: then nobody made anything with it. */
  find(family: Family): string[] | undefined;
  /** Makes changes, each a line as `iptables -S` writes them or with another verb. */
  restore(family: Family, lines: readonly string[]): void;
  /** Decides on what is listed, and changes; again where another changed the table meanwhile, so that the change no longer fits. */
  update(family: Family, decide: (listed: readonly string[]) => readonly string[], listed?: readonly string[]): void;
  /** True where the kernel has such a table of the kind of long ago, which nftables does not show. */
  isLegacy(): boolean;
  /** Whether there is such a chain: seen in the kernel, without a process. Of the kind of long ago none is seen. */
  has(host: Netns, chain: string): boolean;
  /** Whether there may be one: of the kind of long ago it is enough that there is the table. */
  mayHave(host: Netns, chain: string): boolean;
}

export function iptables(purpose: Purpose): Iptables {
  const { table } = purpose;
  const list = (family: Family): string[] => run(purpose, TOOLS[family], { argv: ["-w", WAIT_SECONDS, "-t", table, "-S"] }).trim().split("\n");
  const isLegacy = (): boolean => ([4, 6] as const).some((family) => (findText(`/proc/net/${NAMES[family]}`) ?? "").split("\n").includes(table));
  const has = (host: Netns, name: string): boolean =>
    (["ip", "ip6"] as const).some((family) => hasTable(host, { family, name: table }) && host.nft.findChain({ table: { family, name: table }, name }) !== undefined);
  const restore = (family: Family, lines: readonly string[]): void => {
    if (lines.length === 0) return;
    const broken = lines.find((line) => /[\n\r\0]/.test(line)); // the rest of it would be a command of its own
    if (broken !== undefined) throw new CniError(ErrorCode.INVALID_CONFIG, `Cannot ${purpose.verb} by iptables: ${JSON.stringify(broken)} is no rule (one line is wanted)`);
    const stdin = `*${table}\n${lines.join("\n")}\nCOMMIT\n`;
    run(purpose, `${TOOLS[family]}-restore`, { argv: ["--noflush", "-w", WAIT_SECONDS], stdin });
  };
  return {
    list,
    restore,
    find: (family) => {
      if (findTool(TOOLS[family]) === undefined) return undefined;
      try {
        return list(family);
      } catch (error) {
        // Another holds iptables' lock: that is no answer.
        if (!(error instanceof CniError) || error.code === ErrorCode.TRY_AGAIN) throw error;
        ignore(error, "a tool that cannot list the rules has made none");
        return undefined;
      }
    },
    update: (family, decide, first = list(family)) => {
      for (let listed = first, left = TRIES; ; left--) {
        try {
          return restore(family, decide(listed));
        } catch (error) {
          const now = list(family);
          if (left === 0 || now.join("\n") === listed.join("\n")) throw error;
          listed = now;
        }
      }
    },
    isLegacy,
    has,
    mayHave: (host, chain) => has(host, chain) || isLegacy(),
  };
}

/** A text as an argument in such a line. */
export const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

/** True where the program called `iptables` is there, and makes rules of the kind of long ago. */
export function isLegacyTool(): boolean {
  const tool = findTool(TOOLS[4]);
  if (tool === undefined) return false;
  kernelCall(`run ${TOOLS[4]}`);
  return !Bun.spawnSync([tool, "--version"], { env: process.env }).stdout.toString().includes("nf_tables");
}

const findTool = (name: string): string | undefined => Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:${PATH}` }) ?? undefined;

/** Runs a tool and gives what it printed. CniError 50 where it is not installed, 999 with its own words where it fails. */
function run({ verb, instead }: Purpose, name: string, { argv, stdin = "" }: { argv: readonly string[]; stdin?: string }): string {
  const tool = findTool(name);
  if (tool === undefined) throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, `Cannot ${verb} by iptables: "${name}" is not installed (or ${instead} is wanted)`);
  kernelCall(`run ${name}`);
  const { exitCode, stdout, stderr } = Bun.spawnSync([tool, ...argv], { stdin: Buffer.from(stdin), env: process.env });
  if (exitCode === 0) return stdout.toString();
  const code = exitCode === RESOURCE_PROBLEM ? ErrorCode.TRY_AGAIN : ErrorCode.INTERNAL;
  throw new CniError(code, `Cannot ${verb} by iptables: ${name} ended with ${exitCode}`, { details: oneLine(stderr.toString()) });
}
