/**
 * The agent's figures for Prometheus, in its text form (exposition format 0.0.4): base units, counters that end in `_total`.
 *
 *     # HELP vethwork_peers Other nodes, by the way that their pods are reached.
 *     # TYPE vethwork_peers gauge
 *     vethwork_peers{way="direct"} 2
 *
 * All that there is stands in one table: the text, and the documentation, are made of it.
 */

export interface Metric {
  name: string;
  type: "gauge" | "counter" | "histogram";
  help: string;
  /** The label's name, of those that have one. */
  label?: string;
}

/** Seconds: a pass that has nothing to do, one of a small change, a first one of a large cluster. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const table = {
  info: { name: "vethwork_build_info", type: "gauge", help: "1, with the version as its label.", label: "version" },
  ready: { name: "vethwork_ready", type: "gauge", help: "1 where the node's data path is ready for pods, else 0." },
  synced: { name: "vethwork_source_synced", type: "gauge", help: "1 once all of the cluster has been seen, else 0." },
  troubled: { name: "vethwork_source_problems", type: "gauge", help: "What is wrong with the source now: it does not answer, files that do not read." },
  nodes: { name: "vethwork_nodes", type: "gauge", help: "Nodes that are known, this one among them." },
  peers: { name: "vethwork_peers", type: "gauge", help: "Other nodes, by the way that their pods are reached.", label: "way" },
  problems: { name: "vethwork_datapath_problems", type: "gauge", help: "What is wrong with the data path and stays so; traffic that needs it does not flow." },
  tunnels: { name: "vethwork_tunnels", type: "gauge", help: "Devices that packets are wrapped in, by whether the network card's checksums inside are right: works, off (the kernel does it), untested.", label: "checksums" },
  mtu: { name: "vethwork_pod_mtu_bytes", type: "gauge", help: "Largest packet of a pod." },
  services: { name: "vethwork_services", type: "gauge", help: "Services that have an address." },
  frontends: { name: "vethwork_service_frontends", type: "gauge", help: "Addresses and ports that services are reached at on this node." },
  elements: { name: "vethwork_service_writes_total", type: "counter", help: "Elements and chains of services that were written into the kernel." },
  forgotten: { name: "vethwork_service_forgotten_total", type: "counter", help: "Flows of UDP and remembered clients that led to an endpoint that is gone, and were forgotten." },
  passes: { name: "vethwork_passes_total", type: "counter", help: "Comparisons of what is with what should be.", label: "result" },
  changes: { name: "vethwork_changes_total", type: "counter", help: "What passes found to write into the kernel." },
  duration: { name: "vethwork_pass_duration_seconds", type: "histogram", help: "How long a pass took." },
  lastPass: { name: "vethwork_last_pass_timestamp_seconds", type: "gauge", help: "When the last pass ended, since 1970." },
  events: { name: "vethwork_kernel_events_total", type: "counter", help: "News from the kernel, by what changed; lost: there was more than could be kept.", label: "kind" },
  memory: { name: "process_resident_memory_bytes", type: "gauge", help: "Resident memory of the agent." },
  cpu: { name: "process_cpu_seconds_total", type: "counter", help: "Processor time of the agent." },
  started: { name: "process_start_time_seconds", type: "gauge", help: "When the agent was started, since 1970." },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof table;
export const metrics: readonly Metric[] = Object.values(table);

export interface Registry {
  /** Adds to a counter, by one unless told; `label` is the value of its label. */
  add(name: MetricName, by?: number, label?: string): void;
  set(name: MetricName, value: number, label?: string): void;
  /** Takes all values of a gauge away, before those that there are now are set. */
  reset(name: MetricName): void;
  observe(name: MetricName, value: number): void;
  /** All of it, as Prometheus reads it. */
  text(): string;
}

export function createRegistry(): Registry {
  const values = new Map<MetricName, Map<string, number>>();
  const observed = new Map<MetricName, { counts: number[]; sum: number; count: number }>();
  const valuesOf = (name: MetricName): Map<string, number> => {
    const there = values.get(name) ?? new Map<string, number>();
    values.set(name, there);
    return there;
  };
  const linesOf = (key: MetricName): string[] => {
    const { name, type, help, ...more }: Metric = table[key];
    const { label } = more;
    const samples = type === "histogram" ? bucketsOf(name, observed.get(key)) : [...valuesOf(key)].map(([value, number]) => `${name}${label === undefined ? "" : `{${label}="${escaped(value)}"}`} ${number}`);
    return samples.length === 0 ? [] : [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples];
  };
  return {
    add: (name, by = 1, label = "") => void valuesOf(name).set(label, (valuesOf(name).get(label) ?? 0) + by),
    set: (name, value, label = "") => void valuesOf(name).set(label, value),
    reset: (name) => valuesOf(name).clear(),
    observe: (name, value) => {
      const there = observed.get(name) ?? { counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
      observed.set(name, { counts: there.counts.map((count, at) => count + Number(value <= (BUCKETS[at] ?? Infinity))), sum: there.sum + value, count: there.count + 1 });
    },
    text: () => `${names.flatMap(linesOf).join("\n")}\n`,
  };
}

const isName = (name: string): name is MetricName => Object.hasOwn(table, name);
const names = Object.keys(table).filter(isName);

function bucketsOf(name: string, observed: { counts: number[]; sum: number; count: number } | undefined): string[] {
  if (!observed) return [];
  const { counts, sum, count } = observed;
  return [...BUCKETS.map((limit, at) => `${name}_bucket{le="${limit}"} ${counts[at]}`), `${name}_bucket{le="+Inf"} ${count}`, `${name}_sum ${sum}`, `${name}_count ${count}`];
}

const escaped = (value: string): string => value.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"").replaceAll("\n", "\\n");
