/**
 * The agent: brings together what the cluster is, what the kernel has, and what the runtime needs.
 *
 *     source ──▶ nodes ──▶ data path ──▶ the kernel            a pass, whenever something may be different (./loop.ts)
 *                              │
 *                              ├──▶ CNI configuration           once there is a way for this node's pods (./cni.ts)
 *                              ├──▶ services, which have the nodes' pods behind them (./services/services.ts)
 *                              └──▶ source: what this node tells the others
 *
 * It waits for what is not there yet (no API server, no Node, no pod subnet) and says for what. Nothing of the data path needs it
 * to be running: what it made is the kernel's.
 */
import { messageOf } from "@vethwork/cni";
import type { Cidr, Netns } from "@vethwork/linux";
import type { Changed } from "@vethwork/linux/monitor.ts";
import type { Clock } from "@vethwork/plugins/shared/clock.ts";
import type { Log } from "@vethwork/plugins/shared/log.ts";
import { createCardTests } from "./card-tests.ts";
import type { CniSetUp } from "./cni.ts";
import type { ClusterNode } from "./cluster.ts";
import type { Datapath, DatapathOptions, OpenDatapath, Pass } from "./datapath/datapath.ts";
import { createLoop } from "./loop.ts";
import { createRegistry } from "./metrics.ts";
import { nodes } from "./readers/node.ts";
import type { HealthDoors } from "./services/health.ts";
import { openServices, type ServicesOptions, type ServicesPass } from "./services/services.ts";
import type { Source, SourceStatus } from "./sources/source.ts";

export interface AgentOptions {
  version: string;
  host: Netns;
  source: Source;
  openDatapath: OpenDatapath;
  /** Without what may become different while the agent runs. */
  datapath: Omit<DatapathOptions, "nonMasqueradeSubnets">;
  services: ServicesOptions;
  /** Where load balancers ask; undefined: nowhere. */
  healthDoors: HealthDoors | undefined;
  /** Destinations towards which pods keep their address; asked before each pass. */
  kept: () => { subnets: readonly Cidr[]; problem: string | undefined };
  /** undefined: somebody else sees to it. */
  cni: CniSetUp | undefined;
  fullMs: number;
  /** A rehearsal: nobody is told anything, and no packet is sent. */
  dryRun?: boolean;
  clock: Clock;
  log: Log;
  chance: () => number;
}

/** How an agent is; what `vethwork status --json` prints. */
export interface AgentStatus {
  version: string;
  node: string;
  pid: number;
  /** ISO 8601. */
  startedAt: string;
  /** Pods can be added, and what they need is there. */
  isReady: boolean;
  /** What is waited for, in words; "" where nothing is. */
  waitingFor: string;
  source: SourceStatus;
  /** How many nodes there are. */
  nodes: number;
  podSubnets: readonly Cidr[];
  podMtu: number;
  peers: Pass["peers"];
  /** Of each device that packets are wrapped in, whether the card's checksums are right; and whether that is being tested now. */
  offload: Pass["offload"];
  isTesting: boolean;
  services: Pick<ServicesPass, "isOn" | "because" | "services" | "frontends"> & { healthChecks: ServicesPass["healthChecks"] };
  problems: readonly string[];
  lastPass: { at: string; ms: number; why: readonly string[] } | undefined;
  /** What was written last, in lines. */
  lastChange: { at: string; why: readonly string[]; lines: readonly string[] } | undefined;
  passes: { done: number; failedInARow: number };
}

/** Why there is a pass: the source has told of something. */
export const SOURCE_IS_NEW = "the source has something new";

export interface Agent extends AsyncDisposable {
  start(): void;
  /** One pass now, and whatever it is to be followed by; gives what was changed. */
  passOnce(): Promise<string[]>;
  /** News from the kernel. */
  heard(what: readonly Changed[]): void;
  /** Something else may be different. */
  poke(why: string): void;
  status(): AgentStatus;
  /** Whether passes are still being made. */
  isAlive(): boolean;
  /** Whether the node is being taken away. */
  isLeaving(): boolean;
  metrics(): string;
}

/** So many lines of one pass go into the log: the first one of a large cluster writes thousands. */
const LOGGED = 20;
/** A thing that was told and has not come back from the source for so long is told again. */
const TOLD_AGAIN_MS = 60_000;
/** What was refused is not told again for so long. */
const REFUSED_MS = 5_000;

export function createAgent(options: AgentOptions): Agent {
  const { version, source, cni, clock, log, chance, fullMs, healthDoors, datapath: { self } } = options;
  const registry = createRegistry();
  const startedAt = new Date();
  const followed = source.follow(nodes);
  const datapathOf = keepDatapath(options);
  const services = openServices(options.host, source, options.services);
  let last: Pass | undefined;
  let lastServices: ServicesPass | undefined;
  let fullAt: number | undefined;
  let isLeaving = false;
  let lastPass: AgentStatus["lastPass"];
  let lastChange: AgentStatus["lastChange"];
  let waitingFor = "";
  let podSubnets: readonly Cidr[] = [];
  let problems: readonly string[] = [];
  let isReady = false;
  let done = 0;
  const telling = createTelling(options, (why) => loop.poke(why));
  const cards = createCardTests({ clock, log, chance, onResult: () => loop.poke("network cards were tested") });

  const wait = (what: string): void => {
    if (waitingFor !== what) log(what === "" ? "info" : "warning", what === "" ? "nothing is waited for any more" : "waiting", what === "" ? {} : { for: what });
    waitingFor = what;
  };

  const complain = (now: readonly string[]): void => {
    for (const problem of now.filter((one) => !problems.includes(one))) log("warning", "problem", { what: problem });
    for (const gone of problems.filter((one) => !now.includes(one))) log("info", "problem is gone", { what: gone });
    problems = now;
  };

  /** Services, once all of them are known; whatever comes of it, pods reach each other. */
  const compareServices = (own: ClusterNode): ServicesPass => {
    const isFull = fullAt === undefined || clock.now() - fullAt >= fullMs;
    if (isFull) fullAt = clock.now();
    const now = services.reconcile(own, isFull);
    registry.add("elements", now.written);
    registry.add("forgotten", now.forgotten);
    if (now.because !== "" && now.because !== lastServices?.because) log("info", now.isOn ? "services wait" : "services are off", { [now.isOn ? "for" : "why"]: now.because });
    return (lastServices = now);
  };

  /** Compares and changes; gives what was changed, in lines. */
  const compare = (): string[] => {
    const known = followed.all();
    if (!known) return wait(`the ${source.status().name}`), [];
    const own = known.find(({ name }) => name === self);
    if (!own) return wait(`the Node "${self}", which is not among the ${known.length} of the ${source.status().name}`), [];
    const { datapath, problem } = datapathOf();
    const pass = datapath.reconcile(known);
    last = pass;
    podSubnets = own.podSubnets;
    const way = own.podSubnets.length === 0 ? `the pod subnets of this node (spec.podCIDRs of Node "${self}")` : "";
    const setUp = way === "" && cni ? cni.ensure({ podSubnets, mtu: pass.podMtu }) : [];
    if (way === "" && !isReady) log("info", "ready for pods", { node: self, subnets: podSubnets.join(","), mtu: pass.podMtu });
    isReady = way === "";
    wait(way);
    const ofServices = compareServices(own);
    isLeaving = own.leaving ?? false;
    complain([...pass.problems, ...(problem === undefined ? [] : [problem]), ...ofServices.problems, ...(healthDoors?.keep(ofServices) ?? [])]);
    if (!options.dryRun) {
      telling.tell(own, pass, isReady);
      cards.consider(datapath, pass.offload);
    }
    return [...pass.changes, ...setUp, ...ofServices.changes];
  };

  const pass = (why: ReadonlySet<string>): string[] => {
    const begun = performance.now();
    try {
      const changes = compare();
      const ms = performance.now() - begun;
      done += 1;
      lastPass = { at: new Date().toISOString(), ms, why: [...why] };
      if (changes.length > 0) lastChange = { at: lastPass.at, why: lastPass.why, lines: changes };
      registry.add("passes", 1, "done");
      registry.add("changes", changes.length);
      for (const change of changes.slice(0, LOGGED)) log("info", "changed", { what: change });
      if (changes.length > LOGGED) log("info", "changed, and more of the kind", { more: changes.length - LOGGED });
      log("debug", "pass", { why: [...why].join(", "), changes: changes.length, ms: Math.round(ms * 10) / 10 });
      return changes;
    } catch (error) {
      registry.add("passes", 1, "failed");
      throw error;
    } finally {
      registry.observe("duration", (performance.now() - begun) / 1000);
      registry.set("lastPass", Date.now() / 1000);
    }
  };

  const loop = createLoop({ pass: (why) => void pass(why), clock, log, chance, fullMs });

  const gauges = (): void => {
    const { memory, cpu } = usage();
    registry.set("info", 1, version);
    registry.set("ready", Number(isReady));
    registry.set("synced", Number(source.status().isSynced));
    registry.set("troubled", source.status().problems.length);
    registry.set("nodes", followed.all()?.length ?? 0);
    registry.set("problems", problems.length);
    registry.set("mtu", last?.podMtu ?? 0);
    registry.reset("peers");
    for (const [way, some] of Map.groupBy(last?.peers ?? [], (peer) => peer.way)) registry.set("peers", some.length, way);
    registry.reset("tunnels");
    for (const [state, some] of Map.groupBy(last?.offload ?? [], (one) => one.state)) registry.set("tunnels", some.length, state);
    registry.set("services", lastServices?.services ?? 0);
    registry.set("frontends", lastServices?.frontends ?? 0);
    registry.set("memory", memory);
    registry.set("cpu", cpu);
    registry.set("started", startedAt.getTime() / 1000);
  };

  return {
    start: () => {
      loop.poke("the agent was started");
      source.start(() => loop.poke(SOURCE_IS_NEW));
    },
    passOnce: async () => {
      const changes = pass(new Set(["asked for"]));
      if (!cards.isTesting()) return changes;
      await cards.ended();
      return [...changes, ...pass(new Set(["network cards were tested"]))];
    },
    heard: (what) => {
      for (const kind of what) registry.add("events", 1, kind);
      loop.poke(what.join(", "));
    },
    poke: loop.poke,
    status: () => ({
      version, node: self, pid: process.pid, startedAt: startedAt.toISOString(), isReady, waitingFor, source: source.status(), nodes: followed.all()?.length ?? 0,
      podSubnets, podMtu: last?.podMtu ?? 0, peers: last?.peers ?? [], offload: last?.offload ?? [], isTesting: cards.isTesting(), services: servicesStatus(lastServices), problems, lastPass, lastChange, passes: { done, failedInARow: loop.failures() },
    }),
    isLeaving: () => isLeaving,
    isAlive: () => clock.now() - (loop.lastAt() ?? clock.now()) < fullMs * 3,
    metrics: () => {
      gauges();
      return registry.text();
    },
    [Symbol.asyncDispose]: async () => {
      loop[Symbol.dispose]();
      healthDoors?.[Symbol.dispose]();
      await source[Symbol.asyncDispose]();
    },
  };
}

const servicesStatus = ({ isOn, because, services, frontends, healthChecks }: Partial<ServicesPass> = {}): AgentStatus["services"] =>
  ({ isOn: isOn ?? false, because: because ?? "nothing has been looked at yet", services: services ?? 0, frontends: frontends ?? 0, healthChecks: healthChecks ?? [] });

/** The data path is opened anew where its options have become different. */
function keepDatapath({ host, openDatapath, datapath: options, kept }: AgentOptions): () => { datapath: Datapath; problem: string | undefined } {
  let opened: Datapath | undefined;
  let openedWith = "";
  return () => {
    const { subnets, problem } = kept();
    const wanted = subnets.join();
    if (!opened || wanted !== openedWith) opened = openDatapath(host, { ...options, nonMasqueradeSubnets: subnets });
    openedWith = wanted;
    return { datapath: opened, problem };
  };
}

interface Telling {
  tell(own: ClusterNode, pass: Pass, isReady: boolean): void;
}

/** What this node has to tell, where the source does not know it yet. One thing at a time; what fails is told with the next pass. */
function createTelling({ source, clock, log }: AgentOptions, poke: (why: string) => void): Telling {
  const told = new Map<string, number>();
  let isBusy = false;
  const once = async (what: string, work: () => Promise<void>): Promise<void> => {
    if (isBusy || clock.now() - (told.get(what) ?? -Infinity) < TOLD_AGAIN_MS) return;
    isBusy = true;
    try {
      await work();
      told.clear();
      told.set(what, clock.now());
      log("info", "told the source", { what });
      poke("the source was told something");
    } catch (error) {
      told.set(what, clock.now() - TOLD_AGAIN_MS + REFUSED_MS);
      log("warning", "cannot tell the source", { what, why: messageOf(error) });
    } finally {
      isBusy = false;
    }
  };
  return {
    tell: ({ name, published, unavailable = false }, pass, isReady) => {
      const facts = JSON.stringify(pass.publish);
      if (JSON.stringify(published) !== facts) void once(`what it publishes: ${facts}`, () => source.publish(name, pass.publish));
      else if (isReady && unavailable) void once("its network is available", () => source.setAvailable(name));
    },
  };
}

function usage(): { memory: number; cpu: number } {
  const { user, system } = process.cpuUsage();
  return { memory: process.memoryUsage.rss(), cpu: (user + system) / 1e6 };
}
