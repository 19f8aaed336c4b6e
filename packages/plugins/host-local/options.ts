/** host-local's options, each with its sentence. The plugin reads the whole network's configuration; its own part is `ipam`. */
import { boolean, cidr, config, ip, list, object, path, required, stringList, type ConfigOf } from "@vethwork/cni";
import { routes } from "../shared/ipam/lease.ts";

const range = object({
  subnet: [cidr, required, "The subnet, without bits of a host: its prefix length goes into the pod's address."],
  rangeStart: [ip, undefined, "The first address to give; absent: the one after the subnet's own."],
  rangeEnd: [ip, undefined, "The last one; absent: the subnet's last, in IPv4 the one before the broadcast address."],
  gateway: [ip, undefined, "The pod's gateway, never given to a pod; absent: the first address of the subnet."],
});
const rangeSets = list(list(range));

export const options = config({
  ipam: [object({
    ranges: [rangeSets, [], "Sets of ranges: each set gives the pod one address, out of any of its ranges."],
    subnet: [cidr, undefined, "A single range, in the way of long ago; with the three options after it. It is the first set."],
    rangeStart: [ip, undefined, "As in `ranges`."],
    rangeEnd: [ip, undefined, "As in `ranges`."],
    gateway: [ip, undefined, "As in `ranges`."],
    routes: [routes, [], "Routes to hand to the pod."],
    resolvConf: [path, "", "A file in the form of /etc/resolv.conf, whose name servers are handed to the pod."],
    dataDir: [path, "/var/lib/cni/networks", "The folder of the books, one folder in it for each network."],
    keepOverBoots: [boolean, false, "Keep what was taken before the machine was started last. Otherwise a reboot frees it, since no pod outlives one."],
  }), required, "This plugin's part of the network's configuration."],
  runtimeConfig: [object({
    ipRanges: [rangeSets, [], "Sets of ranges from the runtime, before those of `ipam` (capability `ipRanges`)."],
    ips: [stringList, [], "Addresses that the pod must get (capability `ips`); a prefix length after one is ignored."],
  }), {}, "What the runtime supplies for declared capabilities."],
  args: [object({
    cni: [object({ ips: [stringList, [], "As `runtimeConfig.ips`."] }), {}, "Arguments by the conventions of CNI."],
  }), {}, "Arguments from the runtime."],
});

export type Config = ConfigOf<typeof options>;
export type Range = Config["ipam"]["ranges"][number][number];
