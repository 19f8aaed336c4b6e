/**
 * `vethwork agent`: makes a node part of the pod network, and keeps it so.
 *
 *     lock ──▶ source, data path, CNI set-up ──▶ monitor, doors ──▶ passes … SIGTERM ──▶ all of it closed; the data path stays
 *
 * One agent for each node: the lock is the kernel's, and goes with the process however that ends.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Netns, addressesAsText, lockFile, type Cidr } from "@vethwork/linux";
import { openMonitor } from "@vethwork/linux/monitor.ts";
import { rehearsing } from "@vethwork/linux/rehearsal.ts";
import { bootClock, type Clock } from "@vethwork/plugins/shared/clock.ts";
import type { Log } from "@vethwork/plugins/shared/log.ts";
import { createAgent, type Agent, type AgentOptions } from "./agent.ts";
import { createCniSetUp, type CniSetUp, type CniSettings } from "./cni.ts";
import { openDatapath } from "./datapath/open.ts";
import type { DatapathOptions } from "./datapath/datapath.ts";
import { createHealthDoors, type HealthDoors } from "./services/health.ts";
import { openServices, type ServicesOptions } from "./services/services.ts";
import { openMasqueradeFile, type MasqueradeFile } from "./masquerade-file.ts";
import { lockIn, readyFileIn, socketIn } from "./place.ts";
import { servePrivate, servePublic, type Page, type Pages } from "./server.ts";
import { createFolderSource } from "./sources/folder.ts";
import { createKubernetesSource } from "./sources/kubernetes.ts";
import type { Source } from "./sources/source.ts";

export interface Settings {
  version: string;
  /** A folder of YAML, or an API server. */
  source: { folder: string } | { kubeconfig?: string | undefined; server?: string | undefined };
  datapath: DatapathOptions;
  services: Omit<ServicesOptions, "self">;
  /** `host:port` where load balancers ask whether this node hands on; "" for nowhere. */
  servicesHealth: string;
  /** Path of a file of ip-masq-agent's kind. */
  masqueradeFile: string | undefined;
  cni: Omit<CniSettings, "readyFile" | "clusterSubnets" | "dryRun"> | undefined;
  /** Lock, socket and mark; in memory. */
  runFolder: string;
  /** Where /proc/sys is that may be written; undefined: where it always is. */
  sysctlFolder: string | undefined;
  /** `host:port` for health and metrics; "" for none. */
  listen: string;
  fullMs: number;
  log: Log;
}

/** Runs until `ended` is there. */
export async function runAgent(settings: Settings, ended: Promise<string>): Promise<void> {
  const { log, runFolder, listen, datapath: { self } } = settings;
  using _lock = lock(runFolder);
  using host = Netns.host({ sysctls: settings.sysctlFolder });
  using kept = openKept(settings, () => agent.poke("the file of masquerade is different"));
  const healthDoors = createHealthDoors({ listen: settings.servicesHealth, isAlive: () => agent.isAlive(), isLeaving: () => agent.isLeaving() });
  await using agent = createAgent(optionsOf(settings, { host, kept, healthDoors }));
  using _monitor = openMonitor(host, { onChange: agent.heard });
  using _private = servePrivate(socketIn(runFolder), privatePages(agent), log);
  using _public = listen === "" ? undefined : servePublic(listen, publicPages(agent));
  log("info", "started", { node: self, version: settings.version, pid: process.pid, source: agent.status().source.name, listen });
  agent.start();
  log("info", "ending, and the data path stays", { signal: await ended });
}

/** A source that has said nothing by then says nothing. */
const PATIENCE_MS = 30_000;

export interface Outcome {
  changes: string[];
  /** What is wrong, and what was waited for in vain. */
  problems: string[];
}

/** One pass. In a rehearsal nothing is changed, and an agent that is there does not mind. */
export async function runOnce(settings: Settings, { dryRun }: { dryRun: boolean }): Promise<Outcome> {
  // A daemon waits for a folder that is not there; who runs this once wants to know.
  if ("folder" in settings.source && !existsSync(settings.source.folder)) throw new RangeError(`there is no folder "${settings.source.folder}"`);
  using _lock = dryRun ? undefined : lock(settings.runFolder);
  using host = Netns.host({ sysctls: settings.sysctlFolder, ...(dryRun && { through: rehearsing }) });
  using kept = openKept(settings, () => {});
  using keys = dryRun ? otherStateFolder(settings.datapath) : undefined;
  const options = optionsOf({ ...settings, datapath: { ...settings.datapath, ...(keys && { stateFolder: keys.path }) } }, { host, kept, dryRun });
  await using agent = createAgent(options);
  await synced(options.source, options.clock);
  const changes = await agent.passOnce();
  const { waitingFor, problems, source } = agent.status();
  return { changes, problems: [...source.problems, ...problems, ...(waitingFor === "" ? [] : [`there is no way for pods yet: what is missing is ${waitingFor}`])] };
}

/** A key that would be made is made elsewhere; one that is there is read. */
function otherStateFolder({ encrypt, stateFolder }: DatapathOptions): (Disposable & { path: string }) | undefined {
  if (encrypt === "none" || (existsSync(stateFolder) && readdirSync(stateFolder).length > 0)) return undefined;
  const path = mkdtempSync(join(tmpdir(), "vethwork-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

async function synced(source: Source, clock: Clock): Promise<void> {
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  using _timer = clock.after(PATIENCE_MS, resolve);
  source.start(() => source.status().isSynced && resolve());
  if (!source.status().isSynced) await seen;
  const { isSynced, name, problems } = source.status();
  if (!isSynced) throw new RangeError(`Cannot see the cluster: ${problems.join("; ") || `the ${name} says nothing`} (waited ${PATIENCE_MS / 1000} s)`);
}

/** Takes away everything that an agent ever made on this node; gives what. */
export function clearAgent(settings: Settings): string[] {
  const gone: string[] = [];
  {
    using _lock = lock(settings.runFolder);
    using host = Netns.host({ sysctls: settings.sysctlFolder });
    const services = openServices(host, sourceOf(settings), { ...settings.services, self: settings.datapath.self });
    gone.push(...(cniOf(settings)?.clear() ?? []), ...services.clear(), ...openDatapath(host, settings.datapath).clear());
  }
  return gone;
}

interface Means {
  host: Netns;
  kept: Kept;
  healthDoors?: HealthDoors;
  dryRun?: boolean;
}

function optionsOf(settings: Settings, { host, kept, healthDoors, dryRun = false }: Means): AgentOptions {
  const { version, log, fullMs, datapath } = settings;
  const services = { ...settings.services, self: datapath.self };
  return { version, host, source: sourceOf(settings), openDatapath, datapath, services, healthDoors, kept: kept.now, cni: cniOf(settings, dryRun), fullMs, dryRun, clock: bootClock, log, chance: Math.random };
}

function sourceOf({ source, log }: Settings): Source {
  if ("folder" in source) return createFolderSource({ folder: source.folder, clock: bootClock, log });
  return createKubernetesSource({ ...source, clock: bootClock, log, chance: Math.random });
}

const cniOf = ({ cni, runFolder, datapath }: Settings, dryRun = false): CniSetUp | undefined =>
  cni && createCniSetUp({ ...cni, readyFile: readyFileIn(runFolder), clusterSubnets: datapath.clusterSubnets, dryRun });

interface Kept extends Disposable {
  now: AgentOptions["kept"];
}

/** What stands on the command line, and what stands in the file. */
function openKept({ masqueradeFile, datapath: { nonMasqueradeSubnets } }: Settings, onChange: () => void): Kept {
  const file: MasqueradeFile | undefined = masqueradeFile === undefined ? undefined : openMasqueradeFile(masqueradeFile, onChange);
  return {
    now: () => {
      const { subnets, problem }: { subnets: readonly Cidr[]; problem: string | undefined } = file?.read() ?? { subnets: [], problem: undefined };
      return { subnets: [...nonMasqueradeSubnets, ...subnets], problem };
    },
    [Symbol.dispose]: () => file?.[Symbol.dispose](),
  };
}

/** One that has just been killed holds the lock until the kernel is done with it. */
const DYING_MS = 2_000;

/** RangeError names the process of the agent that there is. */
function lock(runFolder: string): Disposable {
  try {
    return lockFile({ path: lockIn(runFolder), timeoutMs: DYING_MS });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(`Cannot be this node's agent: there is one already, ${/process .*?(?= holds)/.exec(error.message)?.[0] ?? "which cannot be seen from here"}`, { cause: error });
  }
}

const words = (status: number, body: string): Page => ({ status, type: "text/plain; charset=utf-8", body: `${body}\n` });

function publicPages(agent: Agent): Pages {
  const pages: Readonly<Record<string, () => Page>> = {
    "/healthz": () => (agent.isAlive() ? words(200, "ok") : words(503, "no pass has been made for long")),
    "/readyz": () => {
      const { isReady, waitingFor, passes } = agent.status();
      if (passes.failedInARow > 0) return words(503, `the last ${passes.failedInARow} passes failed`);
      return isReady ? words(200, "ok") : words(503, `waiting for ${waitingFor || "the first pass"}`);
    },
    "/metrics": () => ({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: agent.metrics() }),
  };
  return (path) => (Object.hasOwn(pages, path) ? pages[path]?.() : undefined);
}

const privatePages = (agent: Agent): Pages => (path) => (path === "/status" ? { status: 200, type: "application/json", body: `${JSON.stringify(agent.status(), addressesAsText)}\n` } : publicPages(agent)(path));
