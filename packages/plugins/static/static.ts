/**
 * static: gives a pod the addresses that stand in its configuration, or that the runtime names.
 *
 *     ipam.addresses ─┐
 *     CNI_ARGS IP ────┴─ added ──▶ args.cni.ips, if any, instead ──▶ runtimeConfig.ips, if any, instead ──▶ the result
 *
 * It remembers nothing and looks at nothing: two pods with one configuration get one address. For an address that is
 * free take host-local. Same options and results as the reference static plugin; better is that a gateway in CNI_ARGS
 * counts for the configuration's addresses, too, and that CHECK misses an address.
 */
import { CniError, ErrorCode, atLeast, cidr, config, definePlugin, invalidOption, ip, list, object, required, stringList, type ConfigOf } from "@vethwork/cni";
import type { Args, IpConfig } from "@vethwork/cni";
import { contains, parseCidr, parseIp } from "@vethwork/linux";
import { argumentsOf } from "../shared/arguments.ts";
import { CHANGED } from "../shared/complaint.ts";
import { dns, resultFrom, routes } from "../shared/ipam/lease.ts";


const options = config({
  ipam: [object({
    addresses: [list(object({
      address: [cidr, required, "The address, with the length of its subnet's prefix."],
      gateway: [ip, undefined, "The router in that subnet."],
    })), [], "The pod's addresses."],
    routes: [routes, [], "Routes to hand to the pod."],
    dns: [dns, undefined, "Name servers to hand to the pod."],
  }), required, "This plugin's part of the network's configuration."],
  runtimeConfig: [object({ ips: [stringList, [], "Addresses with prefix lengths that take the place of all others (capability `ips`)."] }), {}, "What the runtime supplies for declared capabilities."],
  args: [object({
    cni: [object({ ips: [stringList, [], "Addresses with prefix lengths that take the place of the configuration's."] }), {}, "Arguments by the conventions of CNI."],
  }), {}, "Arguments from the runtime."],
});
type Config = ConfigOf<typeof options>;

export default definePlugin({
  type: "static",
  about: "the addresses that the configuration or the runtime names",
  config: options,

  add({ config: given, args }) {
    const { routes: ways, dns: servers } = given.ipam;
    return resultFrom({ ips: addressesOf(given, args), routes: ways, ...(servers && { dns: servers }) });
  },

  check({ config: given, args, prevResult }) {
    if (!prevResult) throw new CniError(ErrorCode.INVALID_CONFIG, "Required prevResult missing");
    const there = prevResult.ips ?? [];
    for (const { address, gateway } of addressesOf(given, args)) {
      const same = there.find((one) => String(parseCidr(one.address)) === address);
      if (!same || (gateway !== undefined && same.gateway !== gateway)) {
        throw new CniError(CHANGED, `static: Failed to match addr ${address} on interface ${args.ifname}`);
      }
    }
  },

  del() {
    // Nothing was written down, so there is nothing to forget.
  },

  status({ config: given }) {
    addressesOf(given, { cniArgs: "" });
  },
});

function addressesOf({ ipam, args, runtimeConfig, cniVersion }: Config, { cniArgs }: Pick<Args, "cniArgs">): IpConfig[] {
  const { IP = "", GATEWAY = "" } = argumentsOf({ cniArgs }, ["IP", "GATEWAY"]);
  const asked = IP === "" ? [] : IP.split(",").map((text) => addressIn("IP", text));
  const routers = GATEWAY === "" ? [] : GATEWAY.split(",").map(routerIn);
  const own = ipam.addresses.map(({ address, gateway }) => ({ ...addressIn("ipam.addresses", address), ...(gateway && { gateway: String(parseIp(gateway)) }) }));
  const instead = [runtimeConfig.ips, args.cni.ips].find((list) => list.length > 0)?.map((text) => addressIn("ips", text));
  const ips = instead ?? [...own, ...asked].map((one) => {
    const router = routers.findLast((candidate) => contains(parseCidr(one.address), candidate));
    return { ...one, ...(router && { gateway: String(router) }) };
  });
  const families = ips.map(({ address }) => parseCidr(address).family);
  if (new Set(families).size < families.length && !atLeast(cniVersion || "0.1.0", "0.3.0")) {
    throw new CniError(ErrorCode.INVALID_CONFIG, `CNI version ${cniVersion || "0.1.0"} does not support more than 1 address per family`);
  }
  return ips;
}

function addressIn(where: string, text: string): IpConfig {
  return { address: String(parseCidr(cidr.parse(text.trim(), where))) };
}

function routerIn(text: string) {
  try {
    return parseIp(text.trim());
  } catch (error) {
    if (error instanceof RangeError) throw invalidOption("GATEWAY", text, "an IP address, or several with commas between them,");
    throw error;
  }
}
