/**
 * Calls every plugin with one value after another that nobody means well with, in each place where a value goes in: the
 * variables, the network's name, every option of the plugin's table, the previous result. Run in a node, under strace:
 *
 *     bun hostile.ts NETNS CNI_PATH TYPE…      prints a JSON line for each answer that is not as it should be, and their number at last
 *
 * Plugins are called in this process, since some thousand starts would take minutes; the frame is the same.
 */
import { find, isObject, parseJson, respond, schemaOf, type JsonObject, type Plugin } from "@vethwork/cni";
import { findPlugin } from "../registry.ts";

const LONG = 10_000;
const hostile: readonly string[] = [
  "../../x", "/../../run/x", "a/b", "..", "-x", "$(touch x); touch x", "x\n-A FORWARD -j ACCEPT", "x\0y", '"', "x\" accept; #", "\\",
  "日本語日本", "\ud800", `x${"é".repeat(100)}`, "x".repeat(200), "x".repeat(LONG), "all", "__proto__",
];

/** What the plugin cannot do without. A type that is not here has no such option. */
const needed: Readonly<Record<string, object>> = {
  "host-local": { ipam: { type: "host-local", subnet: "10.9.0.0/24" } }, static: { ipam: { type: "static", addresses: [{ address: "10.9.0.2/24" }] } },
  dhcp: { ipam: { type: "dhcp" } }, ptp: { ipam: { type: "static", addresses: [{ address: "10.9.0.2/24", gateway: "10.9.0.1" }] } },
  vethwork: { network: ["10.244.0.0/16", "fd00:10:244::/48"], subnet: ["10.244.0.0/24", "fd00:10:244::/64"] },
  vlan: { master: "eth0", vlanId: 7 }, vrf: { vrfname: "red" }, macvlan: { master: "eth0" }, ipvlan: { master: "eth0" }, "host-device": { device: "spare" },
  portmap: { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] } }, bridge: { macspoofchk: true },
  tuning: { mac: "02:00:00:00:00:07", sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } }, bandwidth: { ingressRate: 8000, ingressBurst: 8000, egressRate: 8000, egressBurst: 8000 },
  firewall: { backend: "nftables" },
};

type Place = readonly (string | number)[];

interface Call {
  type: string;
  where: string;
  value: string;
  env: Record<string, string>;
  config: unknown;
}

const [netns = "", path = "", ...types] = process.argv.slice(2);
const ID = "pod1";
const previous = { interfaces: [{ name: "eth0", mac: "02:00:00:00:00:01", sandbox: netns }], ips: [{ address: "10.9.0.2/24", gateway: "10.9.0.1", interface: 0 }] };
const variables = { CNI_CONTAINERID: ID, CNI_NETNS: netns, CNI_IFNAME: "eth0", CNI_PATH: path };

/** The places of texts in a JSON Schema: of lists the first item, of maps a key and its value. */
function placesIn(schema: JsonObject): Place[] {
  const inside = (key: string | number, part: unknown): Place[] => (isObject(part) ? placesIn(part).map((place) => [key, ...place]) : []);
  if (schema["type"] === "string" || Object.keys(schema).length === 0) return [[]];
  if (Array.isArray(schema["anyOf"])) return schema["anyOf"].flatMap((one) => (isObject(one) ? placesIn(one) : []));
  if (schema["type"] === "array") return inside(0, schema["items"]);
  const own = isObject(schema["properties"]) ? Object.entries(schema["properties"]).flatMap(([key, part]) => inside(key, part)) : [];
  return schema["additionalProperties"] === undefined ? own : [...own, [KEY], ...inside("x", schema["additionalProperties"])];
}
const KEY = "\u0001key"; // the value is a key here

function put(into: unknown, [first, ...rest]: Place, value: string): unknown {
  if (first === undefined) return value;
  if (first === KEY) return { ...(isObject(into) ? into : {}), [value]: value };
  if (typeof first === "number") return [put(Array.isArray(into) ? into[0] : undefined, rest, value)];
  const object = isObject(into) ? into : {};
  return { ...object, [first]: put(object[first], rest, value) };
}

function* callsOf(type: string, plugin: Plugin): Generator<Call> {
  const base = { cniVersion: "1.1.0", name: "mynet", type, prevResult: previous, ...needed[type] };
  for (const value of hostile) {
    const call = (where: string, env: Record<string, string>, config: unknown): Call => ({ type, where, value, env: { ...variables, ...env }, config });
    if (!/\0|[\ud800-\udfff]/.test(value)) { // no variable can hold one
      for (const name of ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_ARGS"]) yield call(name, { [name]: value }, base);
      yield call("CNI_ARGS", { CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAME=${value};${value}=x` }, base);
      yield call("CNI_ARGS", { CNI_ARGS: `MAC=${value};IP=${value};mac=${value}` }, base);
    }
    yield call("name", {}, { ...base, name: value });
    for (const place of placesIn(schemaOf(plugin.config))) yield call(place.join("."), {}, put(base, place, value));
    for (const place of [["interfaces", 0, "name"], ["interfaces", 0, "mac"], ["interfaces", 0, "sandbox"], ["ips", 0, "address"], ["ips", 0, "gateway"], ["dns", "domain"]]) {
      yield call(`prevResult.${place.join(".")}`, {}, { ...base, prevResult: put(previous, place, value) });
    }
  }
}

/** What is wrong with an answer; "" where it is one of the specification's. */
function faultOf(plugin: Plugin, { env, config }: Call, command: string): string {
  const { exitCode, stdout, stderr } = respond(plugin, { env: { ...env, CNI_COMMAND: command }, stdin: () => JSON.stringify(config) });
  if (/\n\s+at /.test(stdout + stderr)) return "a stack";
  if (exitCode === 0) return "";
  const error = parseJson(stdout);
  const message = String(isObject(error) && find(error, "msg"));
  if (/undefined|is not a function|is not an object|\[object/.test(message)) return `the error's words are a programmer's: ${message}`;
  return /[\n\r]/.test(message) ? `the error has several lines: ${message}` : "";
}

let count = 0;
for (const type of types) {
  const plugin = findPlugin(type);
  if (!plugin) continue;
  for (const call of callsOf(type, plugin)) {
    for (const command of ["ADD", "CHECK", "DEL"]) {
      count++;
      const fault = faultOf(plugin, call, command);
      if (fault !== "") process.stdout.write(`${JSON.stringify({ type, command, where: call.where, value: call.value.slice(0, 40), fault: fault.slice(0, 300) })}\n`);
    }
  }
}
process.stdout.write(`${JSON.stringify({ count })}\n`);
