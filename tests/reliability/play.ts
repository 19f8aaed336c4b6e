/**
 * One row, played inside a node: every call of ADD and of DEL fails, or is the last that the plugin makes, and what is left is looked at.
 *
 *     bun play.ts ROW short|whole        as a program of the node (./run.ts starts it); prints a line of JSON, a Played
 *
 *     ADD, call n fails ──► nothing is left at once; or it went on, and CHECK says that all is there
 *     ADD, killed at n  ──► DEL, as a runtime sends it, and DEL without a namespace ──► nothing is left
 *     DEL, call n fails ──► nothing is left; or it said so, and DEL again leaves nothing
 *     DEL, killed at n  ──► DEL, DEL ──► nothing is left
 *
 * The runtime is our libcni with plugins as processes: what it remembers between ADD and DEL is part of the play. `short` kills only
 * where something has changed since the last place, fails each call once by the same name (what is read after a change is another one
 * each time), and by one errno, another one each time; `whole` leaves nothing out.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createCni, injected, isObject, messageOf, networkConfFromBytes, type Exec, type NetworkList, type RuntimeConf } from "@vethwork/cni";
import { Netns } from "@vethwork/linux";
import { errnosOf, isAnswer, onlyReads } from "./errnos.ts";
import { pod, rows, type Row } from "./rows.ts";
import { leftovers, lookAt, type State } from "./state.ts";

/** What came of a row. */
export interface Played {
  name: string;
  /** Why it cannot be played here: what the kernel lacks. */
  lacks: string;
  calls: { ADD: number; DEL: number };
  /** ADDs that failed and left nothing; that went on and were right; deaths that DEL cleared away. Of DEL: that went on, that said so. */
  outcomes: { undone: number; wentOn: number; cleared: number; deleted: number; repeated: number };
  /** What was not as promised. */
  wrong: string[];
}

type Verb = "ADD" | "DEL";

const bin = join(import.meta.dir, "../../dist/test/cni-bin");
const shell = (script: string): string => {
  const done = Bun.spawnSync(["sh", "-c", script], { env: { ...process.env, BIN: bin }, stdin: "ignore" });
  return done.stdout.toString();
};

/** What the next calls of a verb are told, and what they said. */
let order: { verb: Verb; fault: string } | undefined;
let said: { type: string; code: number; signal: string; out: string; err: string }[] = [];

/** As processExec, with the fault for the verb whose turn it is. */
const exec: Exec = (request) => {
  const verb = request.env["CNI_COMMAND"];
  const env = { ...request.env, PATH: process.env["PATH"] ?? "", ...(order && verb === order.verb && { VETHWORK_FAULT: order.fault }) };
  const done = Bun.spawnSync([request.path], { env, stdin: Buffer.from(request.stdin) });
  const [stdout, err, signal] = [done.stdout.toString(), done.stderr.toString(), done.signalCode ?? ""];
  said.push({ type: request.path.slice(request.path.lastIndexOf("/") + 1), code: done.exitCode, signal: String(signal), out: stdout, err });
  return Promise.resolve({ status: done.signalCode ?? done.exitCode, stdout, stderr: "" });
};
const cni = createCni({ path: [bin], exec, env: {}, onStderr: () => undefined });

/** One row's stage: what is called, and what is looked at. */
function stageOf(row: Row) {
  const listOf = (plugins: Row["plugins"]): NetworkList => networkConfFromBytes(JSON.stringify({ cniVersion: "1.0.0", name: "mynet", plugins }));
  const list = listOf([...(row.under ? [row.under] : []), ...row.plugins]);
  const first: NetworkList = { ...list, plugins: list.plugins.map((plugin, at) => (at === 0 && row.prevResult ? injected(plugin, { prevResult: row.prevResult }) : plugin)) };
  const runtime: RuntimeConf = { containerId: pod.name, netns: pod.netns, ifname: row.ifname ?? "eth0", ...(row.capabilities && { capabilityArgs: row.capabilities }) };
  const outcomeOf = async (work: Promise<unknown>): Promise<string> => await work.then(() => "", (error: unknown) => messageOf(error) || "it failed");
  const call = async (verb: Verb | "CHECK", { fault = "", netns = pod.netns }: { fault?: string; netns?: string } = {}): Promise<string> => {
    order = fault === "" || verb === "CHECK" ? undefined : { verb, fault };
    said = [];
    if (verb === "ADD") return await outcomeOf(cni.addNetworkList(first, { ...runtime, netns }));
    if (verb === "DEL") return await outcomeOf(cni.delNetworkList(list, { ...runtime, netns }));
    return row.isUnchecked ? "" : await outcomeOf(cni.checkNetworkList(list, runtime));
  };
  const also = row.also ?? "";
  return {
    row,
    call,
    /** Calls only the plugin before. */
    callUnder: async (verb: Verb): Promise<void> => {
      order = undefined;
      const under = listOf(row.under ? [row.under] : []);
      await (verb === "ADD" ? cni.addNetworkList(under, runtime) : cni.delNetworkList(under, runtime));
    },
    look: (): State => lookAt(pod.netns, also === "" ? undefined : () => shell(also).split("\n").filter((line) => line !== "")),
    /** As nobody has ever been here: folders, the switch and forwarding are made by ADD again. */
    renew: (): void => {
      if (!row.isWarm) freshen();
      if (row.again !== undefined) shell(row.again);
    },
    build: (): void => void shell(`ip netns del ${pod.name} 2>/dev/null; ip netns add ${pod.name}; ${row.setup ?? ""}`),
  };
}

function freshen(): void {
  for (const folder of ["/run/vethwork", "/run/cni", "/var/lib/cni/networks", "/var/lib/cni/flannel"]) rmSync(folder, { recursive: true, force: true });
  using node = Netns.host();
  if (node.links.find("cni0")) node.links.delete("cni0");
  for (const name of ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]) if (node.sysctl.find(name) === "1") node.sysctl.set(name, "0");
}

type Stage = ReturnType<typeof stageOf>;

/** A call that a verb makes: in which plugin, which number, and its name. */
interface Place {
  type: string;
  at: number;
  call: string;
  /** True where the world is another one than at the place before. */
  isNew: boolean;
  /** True where the verb has made this call before, to no other end. */
  isAgain: boolean;
}

/** The calls of a verb, of all plugins of the chain. */
function placesIn({ under }: Row): Place[] {
  return said.filter(({ type }) => type !== under?.type).flatMap(({ type, err }) => {
    const calls = err.split("\n").map((line) => /^\d+ (.*)$/.exec(line)?.[1]).filter((line) => line !== undefined);
    const seen = new Set<string>();
    return calls.map((call, index) => {
      const isNew = index === 0 || !onlyReads(calls[index - 1] ?? "");
      const name = isAnswer(call) ? `${call} ${isNew ? index : ""}` : call;
      const isAgain = seen.has(name) && onlyReads(call);
      seen.add(name);
      return { type, at: index + 1, call, isNew, isAgain };
    });
  });
}

interface Ways {
  stage: Stage;
  before: State;
  /** After the plugin before alone. */
  half: State;
  stays: State;
  played: Played;
}

/** What is left, when the kernel has done what it does in its own time. */
async function leftIn({ stage, before, stays }: Ways, isMeant: (line: string) => boolean = () => true): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const left = leftovers(stage.look(), { before, stays }).filter(isMeant);
    if (left.length === 0 || tries === 40) return left;
    await Bun.sleep(25);
  }
}

async function expectNothing(ways: Ways, what: string, mayStay = /^$/): Promise<boolean> {
  const left = await leftIn(ways, (line) => !mayStay.test(line));
  if (ways.stage.row.mayStay) ways.stage.build();
  if (left.length === 0) return true;
  ways.played.wrong.push(...left.slice(0, 5).map((line) => `${what}: ${line}`));
  for (const netns of [pod.netns, ""]) await ways.stage.call("DEL", { netns });
  ways.stage.build(); // what comes next is not to suffer from it
  return false;
}

/** DEL as a runtime sends it, and again with the namespace gone. */
async function deleteTwice({ stage, played }: Ways, what: string): Promise<void> {
  for (const netns of [pod.netns, ""]) {
    const problem = await stage.call("DEL", { netns });
    const spoken = said.map(({ err }) => err).join("");
    if (problem !== "") played.wrong.push(`${what}: DEL then says ${problem}`);
    else if (spoken !== "") played.wrong.push(`${what}: DEL then says on stderr ${spoken}`);
  }
}

async function killAt(ways: Ways, verb: Verb, { type, at, call }: Place): Promise<void> {
  const what = `${verb} killed at "${call}" (${type} ${at})`;
  ways.stage.renew();
  if (verb === "DEL") await ways.stage.call("ADD");
  await ways.stage.call(verb, { fault: `kill:${at}@${type}` });
  if (!said.some(({ signal }) => signal === "SIGKILL")) return void ways.played.wrong.push(`${what}: nobody was killed`);
  await deleteTwice(ways, what);
  if (await expectNothing(ways, what)) ways.played.outcomes.cleared += 1;
}

async function failAdd(ways: Ways, { type, at, call }: Place, errno: string): Promise<void> {
  const { stage, played: { outcomes, wrong } } = ways;
  const what = `ADD with ${errno} at "${call}" (${type} ${at})`;
  stage.renew();
  const problem = await stage.call("ADD", { fault: `fail:${at}:${errno}@${type}` });
  const [last] = said.slice(-1);
  if (last && (last.signal !== "" || last.code > 1)) wrong.push(`${what}: the plugin ended with ${last.signal || last.code}: ${last.err}`);
  if (problem === "") {
    const missed = await stage.call("CHECK");
    if (missed !== "" && !/no CHECK|does not allow CHECK/.test(missed)) wrong.push(`${what}: went on, and CHECK says ${missed}`);
    await deleteTwice(ways, what);
    if (await expectNothing(ways, what)) outcomes.wentOn += 1;
    return;
  }
  // A lost answer is one to a thing that is done and that nobody knows of; in a chain those before are the runtime's: DEL.
  const isAlone = said.length === (stage.row.under ? 2 : 1) && !isAnswer(call);
  const left = isAlone ? await leftIn({ ...ways, before: ways.half }, (line) => !stage.row.under || line.startsWith("left: ")) : [];
  const isUndone = left.length === 0;
  wrong.push(...left.slice(0, 3).map((line) => `${what}, which said ${problem}: ${line}`));
  if (!isAlone || !isUndone || stage.row.under) await deleteTwice(ways, what);
  if (await expectNothing(ways, what) && isUndone) outcomes.undone += 1;
}

async function failDel(ways: Ways, { type, at, call }: Place, errno: string): Promise<void> {
  const { stage, played: { outcomes } } = ways;
  const what = `DEL with ${errno} at "${call}" (${type} ${at})`;
  stage.renew();
  await stage.call("ADD");
  const problem = await stage.call("DEL", { fault: `fail:${at}:${errno}@${type}` });
  if (problem !== "") await deleteTwice(ways, what);
  if (await expectNothing(ways, problem === "" ? `${what}, which said that all is well` : what, stage.row.mayStay)) outcomes[problem === "" ? "deleted" : "repeated"] += 1;
}

/** Plays a row. */
async function play(row: Row, isWhole: boolean): Promise<Played> {
  const played: Played = { name: row.name, lacks: "", calls: { ADD: 0, DEL: 0 }, outcomes: { undone: 0, wentOn: 0, cleared: 0, deleted: 0, repeated: 0 }, wrong: [] };
  const stage = stageOf(row);
  stage.build();
  stage.renew();
  for (let times = 0; times < 2; times++) { // after the first time there is what is never taken away, as modules and shared chains are
    if (times === 1) stage.renew();
    const problem = await stage.call("ADD");
    if (/EOPNOTSUPP/.test(problem)) return { ...played, lacks: problem };
    const all = [problem, await stage.call("CHECK"), await stage.call("DEL"), await stage.call("DEL", { netns: "" })].filter((one) => one !== "");
    if (all.length > 0) return { ...played, wrong: [`in peace: ${all.join("; ")}`] };
  }
  const stays = stage.look();
  stage.renew();
  const before = stage.look();
  if (row.under) await stage.callUnder("ADD");
  const ways: Ways = { stage, before, half: row.under ? stage.look() : before, stays, played };
  if (row.under) await stage.callUnder("DEL");
  stage.renew();
  await stage.call("ADD", { fault: "count" });
  const adding = placesIn(row);
  await stage.call("DEL", { fault: "count" });
  const deleting = placesIn(row);
  played.calls = { ADD: adding.length, DEL: deleting.length };
  for (const [verb, places] of [["ADD", adding], ["DEL", deleting]] as const) {
    for (const [index, place] of places.entries()) {
      if (isWhole || place.isNew) await killAt(ways, verb, place);
      if (!isWhole && (place.isAgain || (row.plugins.length > 1 && onlyReads(place.call)))) continue; // of a chain, each plugin has a row of its own
      const errnos = errnosOf(place.call);
      const some = isWhole ? errnos : errnos.slice(index % errnos.length).slice(0, 1);
      for (const errno of some) await (verb === "ADD" ? failAdd(ways, place, errno) : failDel(ways, place, errno));
      if (played.wrong.length > 60) return played;
    }
  }
  return played;
}

const [name, length] = process.argv.slice(2);
const row = rows.find((one) => one.name === name);
if (!row) throw new RangeError(`Cannot play ${JSON.stringify(name)} (one of ${rows.map((one) => JSON.stringify(one.name)).join(", ")} is wanted)`);
const played: unknown = await play(row, length === "whole");
if (isObject(played)) console.log(JSON.stringify(played));
