/**
 * Plays a row on a stage of its own (stage.sh), with one program or with two: who adds need not be who deletes.
 *
 *     theirs   ADD ── CHECK ── DEL      by the reference          over   ADD by the reference, the rest by ours
 *     ours     ADD ── CHECK ── DEL      by ours                   back   ADD by ours, the rest by the reference
 */
import { join } from "node:path";
import { cleanEnv } from "../node/node.ts";
import { RigFailure } from "../node/failure.ts";
import { chainOf, programsOf, type Row, type Table } from "./table.ts";

const stage = join(import.meta.dir, "stage.sh");

export interface Cast {
  /** CNI_PATH of the plugins that ADD is played by. */
  adder: string;
  /** The same, for every other verb. */
  other: string;
}

/** A piece of what a play tells: a line "@@ ip node" and the text below it. */
export interface Piece {
  head: readonly string[];
  text: string;
}

/** Plays it, and gives what was told. Throws RigFailure where the stage itself fails. */
export async function play(table: Table, row: Row, { adder, other }: Cast): Promise<Piece[]> {
  // Where both are the same, every step is looked at; where not, what is left at the end.
  const script = scriptOf(table, row, { adder, other, seen: adder === other ? steps : "DEL" });
  const child = Bun.spawn(["unshare", "--net", "--mount", "--propagation", "private", "bash", stage], {
    stdin: new Blob([script]), stdout: "pipe", stderr: "pipe", env: cleanEnv, timeout: 60_000, killSignal: "SIGKILL",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (err !== "" || child.exitCode !== 0) throw new RigFailure(`Cannot play the row: exit code ${child.exitCode}: ${err.trim()}`);
  return piecesOf(out);
}

/** What is looked at: on an emulated processor not twice what CHECK should leave alone, and of kernel parameters those that plugins set. */
export const isEmulated = process.env["VETHWORK_VM"] !== undefined;
export const steps = isEmulated ? "ADD DEL STATUS" : "ADD CHECK DEL STATUS";
const parameters = isEmulated
  ? ["ip_forward", "forwarding", "arp_notify", "route_localnet", "accept_ra", "accept_dad", "enhanced_dad", "disable_ipv6", "keep_addr_on_down", "ndisc_notify", "mtu"]
  : [];

/** The play as shell text, which stage.sh reads. */
export function scriptOf(table: Table, row: Row, { adder, other, seen }: Cast & { seen: string }): string {
  const chain = chainOf(table, row);
  return [
    `adder=${quoted(adder)} other=${quoted(other)} seen=${quoted(seen)}`,
    `types=(${programsOf(table, row).map(quoted).join(" ")})`,
    `configs=(${chain.map((config) => quoted(JSON.stringify(config))).join(" ")})`,
    `first=${quoted(row.prevResult === undefined ? "" : JSON.stringify({ cniVersion: row.version ?? "1.0.0", ...row.prevResult }))}`,
    `parameters=(${parameters.join(" ")})`,
    `IFNAME=${quoted(row.ifname ?? "eth0")} ARGS=${quoted(row.args ?? "")}`,
    row.before ?? "",
    row.play ?? (row.refused === undefined ? "ADD; CHECK; DEL" : "ADD; DEL"),
    "true", // how the last verb ended is told in its piece
  ].join("\n");
}

export function piecesOf(out: string): Piece[] {
  const pieces = out.split(/^@@ /m).slice(1);
  return pieces.map((piece) => {
    const end = piece.indexOf("\n");
    return { head: piece.slice(0, end).split(" "), text: piece.slice(end + 1) };
  });
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
