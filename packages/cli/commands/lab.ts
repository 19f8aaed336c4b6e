/**
 * `vethwork lab`: a cluster on this machine, to look at, to play with, and to break.
 *
 *     lab demo      up, check, down: the whole in one go
 *     lab up   ──▶  lab status   lab check   lab exec pod-1 -- ping 10.244.2.2   ──▶  lab down
 *
 * What a lab is made of stands in packages/lab; here are its words and options, and what Ctrl-C does: whatever was made goes.
 */
import { ignore } from "@vethwork/linux";
import { check } from "@vethwork/lab/check.ts";
import { LabFailure } from "@vethwork/lab/failure.ts";
import { findLab, getLab, startLab, stopLab, type Event, type Lab } from "@vethwork/lab/lab.ts";
import { entering, environment, findMachines, podNetns } from "@vethwork/lab/machine.ts";
import { WORLD, type Links } from "@vethwork/lab/plan.ts";
import { openScene } from "@vethwork/lab/scene.ts";
import { applyServices } from "@vethwork/lab/services.ts";
import { UsageError, readArguments, type Command } from "../usage.ts";
import { eventText, headline, jsonText, reportText, rowPrinter, statusOf, statusText } from "./labtext.ts";

const help = `Usage: vethwork lab demo   [--nodes N] [--pods M] [--families F] [--links L] [--json]
       vethwork lab up     [--nodes N] [--pods M] [--families F] [--links L] [--name NAME]
                           [--json]
       vethwork lab status [--name NAME] [--json]
       vethwork lab check  [--name NAME] [--timeout MS] [--json]
       vethwork lab apply  [--name NAME] FILE
       vethwork lab exec   [--name NAME] WHO [--] [COMMAND…]
       vethwork lab down   [--name NAME]

A cluster of nodes and pods in network namespaces on this machine, attached by the real
plugin. Nothing of it can be seen outside, and nothing is left after "down".

  demo          brings a cluster up, checks its network, and takes it down again
  up            brings a cluster up and leaves it there
  status        who is there, with which addresses
  check         sends real packets from everybody to everybody and says what lacks where
  apply         takes in the Services of a file (- is stdin), with the pods that they select behind
                them: selector {name: pod-1} or {node: node-1}; again after pods came or went
  exec          runs a command as WHO: a pod, a node, or the world; without one, a shell
  down          takes the cluster down

  --nodes N     number of nodes; 2
  --pods M      number of pods in all; 4
  --families F  4, 6, or 4,6 for both; 4
  --links L     l2: one wire for all nodes; l3: a subnet for each, and a router between; l2
  --name NAME   which lab, if there are several; lab
  --timeout MS  how long a packet may take before it counts as lost; 300
  --json        the result as JSON on stdout; progress goes to stderr

Exit code: 0 all is well, 1 it is not, 2 not understood; of exec the command's own.
`;

const OPTIONS = {
  nodes: { type: "string", default: "2" },
  pods: { type: "string", default: "4" },
  families: { type: "string", default: "4" },
  links: { type: "string", default: "l2" },
  name: { type: "string", default: "lab" },
  timeout: { type: "string", default: "300" },
  json: { type: "boolean", default: false },
} as const;

/** Options that a word does not know are refused rather than ignored. */
const TAKES = {
  demo: ["nodes", "pods", "families", "links", "json", "timeout"],
  up: ["nodes", "pods", "families", "links", "name", "json"],
  status: ["name", "json"],
  check: ["name", "json", "timeout"],
  down: ["name"],
} as const satisfies Readonly<Record<string, readonly (keyof typeof OPTIONS)[]>>;
type Word = keyof typeof TAKES;
const isWord = (text: string | undefined): text is Word => text !== undefined && text in TAKES;

export const lab: Command = {
  name: "lab",
  about: "a cluster on this machine, to look at and to play with",
  help,
  words: [...Object.keys(TAKES), "apply", "exec"],
  run: async (args) => {
    const [word, ...rest] = args;
    if (word === "exec") return execute(rest);
    if (word === "apply") return apply(rest);
    if (!isWord(word)) throw new UsageError(`${word === undefined ? "a word is missing" : `there is no "${word}"`} (${lab.words?.join(", ")} are wanted)`);
    const settings = settingsOf(word, rest);
    if (process.getuid?.() !== 0) throw new LabFailure("Cannot make or enter namespaces: this needs root");
    return WORDS[word](settings);
  },
};

interface Settings {
  name: string;
  size: { nodes: number; pods: number; families: (4 | 6)[]; links: Links };
  timeoutMs: number;
  json: boolean;
}

function settingsOf(word: Word, args: readonly string[]): Settings {
  const { values, positionals } = readArguments(args, OPTIONS);
  if (positionals.length > 0) throw new UsageError(`"${positionals[0]}" is not understood (options are wanted)`);
  const taken: readonly string[] = TAKES[word];
  const foreign = args.map((arg) => /^--([a-z]+)/.exec(arg)?.[1]).find((name) => name !== undefined && !taken.includes(name));
  if (foreign !== undefined) throw new UsageError(`"lab ${word}" takes no --${foreign} (${taken.map((name) => `--${name}`).join(", ")})`);
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(values.name)) throw new UsageError(`--name "${values.name}" (small letters, digits and dashes are wanted)`);
  const families = { "4": [4 as const], "6": [6 as const], "4,6": [4 as const, 6 as const] }[values.families];
  if (!families) throw new UsageError(`--families "${values.families}" (4, 6 or 4,6 is wanted)`);
  const links = (["l2", "l3"] as const).find((one) => one === values.links);
  if (!links) throw new UsageError(`--links "${values.links}" (l2 or l3 is wanted)`);
  const size = { nodes: wholeNumber("--nodes", values.nodes), pods: wholeNumber("--pods", values.pods), families, links };
  return { name: values.name, size, timeoutMs: wholeNumber("--timeout", values.timeout), json: values.json };
}

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,6}$/.test(text) && Number(text) > 0) return Number(text);
  throw new UsageError(`${option} "${text}" (a whole number above 0 is wanted)`);
}

/** Progress for a person: on stdout, unless that is kept for JSON. */
const teller = (json: boolean) => (text: string): void => void (json ? process.stderr : process.stdout).write(text);

async function up(settings: Settings): Promise<number> {
  return untilStopped(async (signal) => {
    const made = await start(settings, signal);
    process.stdout.write(settings.json ? jsonText(await statusOf(made)) : `\nTry: vethwork lab check, vethwork lab exec pod-1 -- ping -c 3 203.0.113.1, vethwork lab down\n`);
    return 0;
  });
}

async function start({ name, size, json }: Settings, signal: AbortSignal): Promise<Lab> {
  const tell = teller(json);
  const onEvent = (event: Event): void => tell(event.what === "world" ? headline(size) + eventText(event) : eventText(event));
  return startLab({ name, size, program: builtProgram(), signal, onEvent });
}

/** The lab is this process's own, so that two demonstrations may run at once; what one that was killed left goes first. */
async function demo(settings: Settings): Promise<number> {
  for (const { lab: name } of findMachines()) if (isOrphan(name)) await stopLab(name);
  const name = `demo-${process.pid}`;
  return untilStopped(async (signal) => {
    const begun = performance.now();
    try {
      const made = await start({ ...settings, name }, signal);
      const good = await tellCheck(made, settings, signal);
      teller(settings.json)(`\nTaken down again after ${((performance.now() - begun) / 1000).toFixed(1)} s.\n`);
      return good ? 0 : 1;
    } finally {
      await stopLab(name);
    }
  });
}

function isOrphan(name: string): boolean {
  const pid = /^demo-(\d+)$/.exec(name)?.[1];
  if (pid === undefined) return false;
  try {
    return !process.kill(Number(pid), 0);
  } catch (error) {
    ignore(error, "no such process: its demonstration was killed");
    return true;
  }
}

async function status({ name, json }: Settings): Promise<number> {
  const there = findLab(name);
  if (!there) {
    const others = [...new Set(findMachines().map((machine) => machine.lab))];
    process.stdout.write(json ? jsonText({ up: false }) : `lab "${name}" is down${others.length > 0 ? ` (up: ${others.join(", ")})` : ""}\n`);
    return 1;
  }
  const found = await statusOf(there);
  process.stdout.write(json ? jsonText(found) : statusText(found));
  return 0;
}

async function checkLab(settings: Settings): Promise<number> {
  return untilStopped(async (signal) => ((await tellCheck(getLab(settings.name), settings, signal)) ? 0 : 1));
}

async function tellCheck(made: Lab, { json, timeoutMs }: Settings, signal: AbortSignal): Promise<boolean> {
  using scene = await openScene(made);
  const printer = rowPrinter(scene, teller(json));
  const report = await check(scene, { timeoutMs, signal, onRow: printer });
  process.stdout.write(json ? jsonText({ ...(await statusOf(made)), ...report }) : reportText(report));
  return report.ok;
}

async function down({ name }: Settings): Promise<number> {
  const gone = await stopLab(name);
  process.stdout.write(gone === 0 ? `lab "${name}" was not up\n` : `lab "${name}" is down: ${gone} machines with all that was in them\n`);
  return 0;
}

const WORDS: Readonly<Record<Word, (settings: Settings) => Promise<number>>> = { demo, up, status, check: checkLab, down };

/** Services of a file, beside those that there are. */
async function apply(args: readonly string[]): Promise<number> {
  const { values, positionals: [file, ...more] } = readArguments(args, { name: OPTIONS.name });
  if (file === undefined || more.length > 0) throw new UsageError("one FILE of Services is wanted (- is stdin)");
  const names = await applyServices(getLab(values.name), file === "-" ? await Bun.stdin.text() : await Bun.file(file).text());
  process.stdout.write(`the lab's Services: ${names.join(", ") || "none"}. Try: vethwork lab exec node-1 -- vethwork service\n`);
  return 0;
}

/** Gives the terminal to a command in a machine. Ctrl-C is then the command's, not ours. */
async function execute(args: readonly string[]): Promise<number> {
  const named = args[0] === "--name";
  const [name, rest] = named ? [args[1] ?? "", args.slice(2)] : ["lab", args];
  const [who, ...words] = rest;
  if (who === undefined || who.startsWith("-")) throw new UsageError(`whose command? (a pod, a node or "${WORLD}" is wanted)`);
  const { machine, netns } = place(getLab(name), who);
  const argv = words[0] === "--" ? words.slice(1) : words;
  const command = argv.length > 0 ? argv : ["bash", "--norc"];
  process.on("SIGINT", () => {});
  const child = Bun.spawn(entering(machine, command, netns), {
    stdio: ["inherit", "inherit", "inherit"],
    env: { ...environment(), PS1: `${who}:\\w# ` },
  });
  await child.exited;
  return child.exitCode ?? 128 + 9;
}

function place({ world, nodes }: Lab, who: string) {
  const machine = [world, ...nodes.map((node) => node.machine)].find(({ name }) => name === who);
  if (machine) return { machine, netns: undefined };
  const node = nodes.find(({ pods }) => pods.includes(who));
  if (node) return { machine: node.machine, netns: podNetns(who) };
  throw new LabFailure(`There is no "${who}" in the lab (${[WORLD, ...nodes.flatMap(({ name, pods }) => [name, ...pods])].join(", ")})`);
}

/** Runs work that Ctrl-C ends in order: what was made is taken away before the command ends. */
async function untilStopped(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal);
  try {
    return await work(stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    ignore(error, "whatever was under way was stopped on purpose");
    process.stderr.write("\nstopped; nothing of the lab is left\n");
    return 130;
  } finally {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(name, onSignal);
  }
}

/** The file to link into nodes: this program, which must be the built one; the runtime with a script is no plugin. */
function builtProgram(): string {
  if (Bun.main.startsWith("/$bunfs/") && !process.execPath.startsWith("/run/")) return process.execPath;
  throw new LabFailure(`Cannot make a lab with "${process.execPath}" (the built program, outside /run, is wanted: npm run build)`);
}
