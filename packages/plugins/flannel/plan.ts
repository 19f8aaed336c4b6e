/**
 * The configuration that flannel makes for its delegate, from its own and from what flanneld says.
 *
 *     { "type": "flannel",             subnet.env                     { "type": "bridge", "name": "cbr0",
 *       "name": "cbr0",            +   10.244.0.0/16 of them all  ─►    "isGateway": true, "isDefaultGateway": true,
 *       "delegate": {                  10.244.1.0/24 here               "mtu": 1450, "ipMasq": false,
 *         "isDefaultGateway": true     1450 bytes, masqueraded          "ipam": { "type": "host-local",
 *       } }                                                               "ranges": [[{ "subnet": "10.244.1.0/24" }]],
 *                                                                         "routes": [{ "dst": "10.244.0.0/16" }] } }
 *
 * What the configuration says in `delegate` and `ipam` comes first; only ranges are always flanneld's. The routes lead from the
 * pod to the whole pod network, by the gateway of its subnet.
 */
import { CniError, ErrorCode, config, invalidOption, isObject, path, raw, record, type ConfigOf, type JsonObject } from "@vethwork/cni";
import type { Lease } from "./subnet-env.ts";

const anything = record(raw);

export const DEFAULTS = { subnetFile: "/run/flannel/subnet.env", dataDir: "/var/lib/cni/flannel" } as const;

export const options = config({
  subnetFile: [path, DEFAULTS.subnetFile, "The file in which flanneld says which part of the network is this node's."],
  dataDir: [path, DEFAULTS.dataDir, "The folder in which the delegates' configurations are kept until DEL."],
  delegate: [anything, {}, "Options of the plugin that attaches the pod, and its `type`: bridge unless it says otherwise."],
  ipam: [anything, {}, "Options of the delegate's IPAM plugin, and its `type`: host-local unless it says otherwise. Ranges are flanneld's."],
  runtimeConfig: [anything, undefined, "What the runtime supplies for declared capabilities; the delegate gets it as it is."],
});
export type Config = ConfigOf<typeof options>;

/** The configuration of a delegate. */
export type Delegate = JsonObject & { type: string };

/** Makes it. Keys in `delegate` and `ipam` count as they are written here: the reference looks for them in the same way. */
export function delegateFor({ name, cniVersion, delegate, ipam, runtimeConfig }: Config, lease: Lease): Delegate {
  const type = Object.hasOwn(delegate, "type") ? delegate["type"] : "bridge";
  if (typeof type !== "string") throw invalid("'delegate' dictionary, if present, must have (string) 'type' field");
  if (type === "flannel") throw invalid("invalid option \"delegate.type\": \"flannel\" (a plugin that attaches pods is wanted)");
  for (const key of ["name", "ipam"]) {
    if (Object.hasOwn(delegate, key)) throw invalid(`'delegate' dictionary must not have '${key}' field, it'll be set by flannel`);
  }
  return {
    ipMasq: !lease.masquerades,
    mtu: lease.mtu,
    ...(type === "bridge" && { isGateway: true }),
    ...delegate,
    ...(runtimeConfig && { runtimeConfig }),
    ...(cniVersion !== "" && { cniVersion }),
    type,
    name,
    ipam: {
      type: "host-local",
      ...ipam,
      ranges: lease.subnets.map((subnet) => [{ subnet: String(subnet) }]),
      routes: [...routesIn(ipam), ...lease.networks.map((network) => ({ dst: String(network) }))],
    },
  };
}

/** What flanneld says now that is not what the delegate was told when the pod was added, in words. */
export function leaseFaults(kept: Delegate, given: Config, lease: Lease): string[] {
  const { subnets, routes } = toldIn(kept);
  const [then, now] = [kept["mtu"], delegateFor(given, lease)["mtu"]];
  const have = lease.subnets.map(String);
  return [
    ...subnets.filter((one) => !have.some((own) => own === one)).map((one) => `its subnet ${String(one)} is not this node's any more (${have.join(" and ")} is)`),
    ...lease.networks.map(String).filter((network) => !routes.includes(network)).map((network) => `the pod knows no way to the network ${network}`),
    ...(typeof then === "number" && typeof now === "number" && then > now ? [`the pod may send packets of ${then} bytes (${now} pass between nodes)`] : []),
  ];
}

/** Subnets and routes that a delegate was told; by a reference of long ago, a single `subnet`. */
function toldIn({ ipam }: Delegate): { subnets: unknown[]; routes: unknown[] } {
  const { ranges = [[ipam]], routes } = isObject(ipam) ? ipam : {};
  const inEach = (items: unknown, key: string): unknown[] => listIn(items).flatMap((item) => (isObject(item) ? [item[key]] : []));
  return { subnets: listIn(ranges).flatMap((set) => inEach(set, "subnet")), routes: inEach(routes, "dst") };
}

const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function routesIn(ipam: JsonObject): readonly unknown[] {
  const routes = ipam["routes"] ?? [];
  if (!Array.isArray(routes)) throw invalidOption("ipam.routes", routes, "a list of routes");
  return routes;
}

const invalid = (message: string): CniError => new CniError(ErrorCode.INVALID_CONFIG, message);
