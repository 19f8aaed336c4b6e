/**
 * Services on this node: a pass takes in what has become different in the cluster, and makes the kernel so.
 *
 *     source ──► what is different (./facts.ts) ──► planner ──► keeper ──► table inet vethwork-services
 *                                                                 └──► flows and clients that lead nowhere (./flows.ts)
 *
 * What the kernel has is read once, and again where somebody else has changed rules since: at once if our table is gone, else with the
 * next pass that is made because time has passed.
 */
import { contains, type Cidr, type Ip, type Netns } from "@vethwork/linux";
import type { ClusterNode, ClusterService } from "../cluster.ts";
import { endpointSlices } from "../readers/endpoint-slice.ts";
import { serviceCidrs } from "../readers/service-cidr.ts";
import { services as serviceKind } from "../readers/service.ts";
import type { Source } from "../sources/source.ts";
import { createFacts } from "./facts.ts";
import { forget, type Forgotten } from "./flows.ts";
import { createKeeper, deleteTable } from "./keeper.ts";
import { createPlanner, type Surroundings } from "./planner.ts";
import { rivalOn } from "./rival.ts";
import { TABLE } from "./table.ts";

export interface ServicesOptions {
  self: string;
  /** auto: on, unless a kube-proxy's rules are there. */
  mode: "auto" | "on" | "off";
  /** On which of this node's addresses NodePorts are; none: on those that the Node object tells. */
  nodePortSubnets: readonly Cidr[];
  masqueradeAll: boolean;
}

/** A service that wants to be asked about at a port of this node. */
export interface HealthCheck {
  port: number;
  namespace: string;
  name: string;
  /** Ready endpoints on this node. */
  localEndpoints: number;
}

export interface ServicesPass {
  isOn: boolean;
  /** Why it is off, or what is waited for; "" where nothing is. */
  because: string;
  /** Those that have an address, and addresses with ports. */
  services: number;
  frontends: number;
  /** Elements and chains written, flows and clients forgotten. */
  written: number;
  forgotten: number;
  changes: readonly string[];
  problems: readonly string[];
  healthChecks: readonly HealthCheck[];
}

export interface Services {
  /** `isFull`: time has passed, and all is looked at. */
  reconcile(own: ClusterNode, isFull: boolean): ServicesPass;
  /** Takes everything away; gives what there was. */
  clear(): string[];
}

const NOTHING: ServicesPass = { isOn: false, because: "", services: 0, frontends: 0, written: 0, forgotten: 0, changes: [], problems: [], healthChecks: [] };
const CLEARED = "delete services' table";

/** To be opened before the source is started. */
export function openServices(host: Netns, source: Source, options: ServicesOptions): Services {
  const told = (isGone: boolean): string[] => (isGone ? [CLEARED] : []);
  if (options.mode === "off") {
    const clear = (): string[] => told(deleteTable(host.nft));
    return { reconcile: () => ({ ...NOTHING, because: "it is switched off", changes: clear() }), clear };
  }
  const followed = { services: source.follow(serviceKind), slices: source.follow(endpointSlices), cidrs: source.follow(serviceCidrs) };
  const facts = createFacts();
  const planner = createPlanner();
  const keeper = createKeeper(host.nft, planner);
  const trust = createTrust(host);
  const checks = new Map<string, HealthCheck>();
  let surroundings = "";

  const put = (id: string): void => {
    const about = facts.of(id);
    planner.put(id, about);
    if (about && about.service.healthCheckPort > 0) checks.set(id, { port: about.service.healthCheckPort, ...healthOf(about.service, about.slices, options.self) });
    else checks.delete(id);
  };

  /** Takes in what is different. */
  const takeIn = (own: ClusterNode): void => {
    const touched = facts.take(followed.services.take(), followed.slices.take());
    const now: Surroundings = {
      node: { self: own.name, zone: own.zone, addresses: nodePortAddresses(host, own, options.nodePortSubnets), masqueradeAll: options.masqueradeAll },
      podSubnets: own.podSubnets,
      serviceSubnets: (followed.cidrs.all() ?? []).flatMap(({ subnets }) => subnets),
    };
    const text = textOf(now);
    if (text !== surroundings) planner.place(now);
    for (const id of text === surroundings ? touched : [...facts.ids(), ...touched]) put(id);
    surroundings = text;
  };

  /** Makes the kernel so; gives how much was written, and what was forgotten. */
  const settle = (isFull: boolean): Forgotten & { written: number } => {
    if (!trust.isGood(isFull)) keeper.distrust();
    const keys = planner.take();
    const written = keeper.settle(keys);
    trust.note();
    return { written, ...forget(host, planner, isFull ? "all" : keys.frontends) };
  };

  return {
    reconcile: (own, isFull) => {
      const rival = rivalOn(host);
      if (rival !== undefined && options.mode === "auto") {
        return { ...NOTHING, because: `a kube-proxy has been here (${rival}), and two cannot do it (kube-proxy --cleanup takes it away)`, changes: told(keeper.clear()) };
      }
      if (Object.values(followed).some((one) => !one.isSynced())) return { ...NOTHING, isOn: true, because: `the ${source.status().name}` };
      takeIn(own);
      const { written, flows, clients } = settle(isFull);
      return {
        isOn: true, because: "", written, forgotten: flows + clients, ...planner.counts(),
        changes: [[written, "write", "elements and chains of services"], [flows, "forget", "flows of UDP to endpoints that are gone"], [clients, "forget", "clients of endpoints that are gone"]].flatMap(([count, verb, what]) => (count === 0 ? [] : [`${verb} ${count} ${what}`])),
        problems: [...planner.problems(), ...(rival === undefined ? [] : [`a kube-proxy's rules are there, too (${rival}): connections to services may fail (kube-proxy --cleanup takes them away)`])],
        healthChecks: [...checks.values()],
      };
    },
    clear: () => told(keeper.clear()),
  };
}

/**
 * Whether the kernel still has what was written: where others have changed rules, ours may be among them. Reading all of it takes a
 * second where there are ten thousand, so that is done for a hundredth of the time at the most.
 */
function createTrust({ nft }: Netns): { isGood(isFull: boolean): boolean; note(): void } {
  let generation: number | undefined;
  let isDoubtful = false;
  let readFrom: number | undefined;
  let restUntil = 0;
  const read = (): false => {
    isDoubtful = false;
    readFrom = performance.now();
    return false;
  };
  return {
    isGood: (isFull) => {
      isDoubtful ||= generation !== undefined && nft.generation() !== generation;
      if (!isDoubtful) return true;
      if (!nft.findChain({ table: TABLE, name: "services" })) return read();
      return isFull && performance.now() >= restUntil ? read() : true;
    },
    note: () => {
      generation = nft.generation();
      if (readFrom !== undefined) restUntil = performance.now() + (performance.now() - readFrom) * 99;
      readFrom = undefined;
    },
  };
}

/** Of loopback's addresses none: nothing from outside gets there, and what is sent from there cannot leave. */
function nodePortAddresses({ addrs }: Netns, own: ClusterNode, subnets: readonly Cidr[]): readonly Ip[] {
  if (subnets.length === 0) return own.addresses;
  const GLOBAL = 0;
  const here = addrs.list().filter(({ scope, tentative, duplicate }) => scope === GLOBAL && !tentative && !duplicate).map(({ address }) => address.ip);
  const found = new Map(here.filter((ip) => subnets.some((subnet) => contains(subnet, ip))).map((ip) => [String(ip), ip]));
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, ip]) => ip);
}

const textOf = ({ node: { self, zone, addresses, masqueradeAll }, podSubnets, serviceSubnets }: Surroundings): string => [self, zone, addresses.join(), masqueradeAll, podSubnets.join(), serviceSubnets.join()].join(" ");

function healthOf({ namespace, name }: ClusterService, slices: readonly { endpoints: readonly { ip: Ip; node: string; pod: string; isReady: boolean }[] }[], self: string): Omit<HealthCheck, "port"> {
  const here = slices.flatMap(({ endpoints }) => endpoints.filter(({ node, isReady }) => isReady && node === self));
  return { namespace, name, localEndpoints: new Set(here.map(({ ip, pod }) => pod || String(ip))).size };
}
