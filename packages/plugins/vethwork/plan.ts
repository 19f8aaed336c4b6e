/**
 * From a configuration to a plan: prefixes checked against each other before anything is touched.
 *
 *     network  10.244.0.0/16   all pods of the cluster: inside it, nobody's address is changed
 *     subnet   10.244.1.0/24   this node's pods; each gets one address of each subnet
 */
import { CniError, boolean, cidrs, config, integer, invalidOption, path, required, type ConfigOf } from "@vethwork/cni";
import { contains, networkOf, overlaps, parseCidr, sameCidr, type Cidr } from "@vethwork/linux";
import { poolOf, type Pool } from "../shared/ipam/pool.ts";

export const options = config({
  network: [cidrs, required, "Addresses of all pods of the cluster: a prefix, or a list with one IPv4 and one IPv6 prefix."],
  subnet: [cidrs, required, "Addresses of this node's pods, inside `network`: a prefix, or a list with one for each family."],
  mtu: [integer({ min: 0, max: 65535 }), 0, "Largest packet in bytes, of both ends of the pod's cable; 0 takes that of the node's default route."],
  ipMasq: [boolean, true, "Give packets that leave `network` the node's address, since the world has no route back to a pod's."],
  sourceCheck: [boolean, true, "Drop what a pod sends with an address that is not its own. A pod that forwards for others, a VPN say, needs false."],
  readyFile: [path, "", "A file of the node's agent, in memory: until it is there, STATUS says that the plugin is not ready."],
  dataDir: [path, "/run/vethwork", "Folder for the book of addresses. On a tmpfs, so that a reboot frees them."],
});
export type Config = ConfigOf<typeof options>;

export interface Plan {
  networks: Cidr[];
  /** One for each family at the most, IPv4 first. */
  pools: Pool[];
  /** Folder of this network's book. */
  folder: string;
}

const SMALLEST_MTU_OF_IPV6 = 1280; // RFC 8200 section 5

/** CniError 7 names the option, its value and what was wanted. */
export function planOf(config: Config): Plan {
  const networks = prefixes("network", config.network);
  const subnets = prefixes("subnet", config.subnet);
  for (const [at, subnet] of subnets.entries()) {
    if (!networks.some((network) => contains(network, subnet))) {
      throw invalid("subnet", subnet, `a prefix inside the network ${networks.join(", ")}`);
    }
    const other = subnets.find((one, index) => index !== at && one.family === subnet.family);
    if (other) throw invalid("subnet", config.subnet, `one IPv${subnet.family} prefix and not both ${subnet} and ${other}`);
  }
  const { mtu } = config;
  if (mtu !== 0 && mtu < 68) throw invalid("mtu", mtu, "68 or more (RFC 791), or 0");
  if (mtu !== 0 && mtu < SMALLEST_MTU_OF_IPV6 && subnets.some(({ family }) => family === 6)) {
    throw invalid("mtu", mtu, `${SMALLEST_MTU_OF_IPV6} or more with IPv6 (RFC 8200)`);
  }
  const inOrder = subnets.toSorted((a, b) => a.family - b.family);
  return { networks, pools: inOrder.map(poolIn), folder: `${config.dataDir}/${config.name}` };
}

/** The folder alone, for DEL: it must work with prefixes that are no longer right. */
export const folderOf = ({ dataDir, name }: Config): string => `${dataDir}/${name}`;

function prefixes(option: string, texts: readonly string[]): Cidr[] {
  if (texts.length === 0) throw invalid(option, texts, "at least one prefix");
  const all = texts.map((text) => {
    const cidr = parseCidr(text);
    const network = networkOf(cidr);
    if (!sameCidr(cidr, network)) throw invalid(option, text, `${network}, without bits of a host,`);
    return cidr;
  });
  for (const [at, one] of all.entries()) {
    const other = all.slice(0, at).find((earlier) => overlaps(earlier, one));
    if (other) throw invalid(option, texts, `prefixes that do not overlap, as ${other} and ${one} do,`);
  }
  return all;
}

function poolIn(subnet: Cidr): Pool {
  try {
    return poolOf(subnet);
  } catch (error) {
    if (error instanceof RangeError) throw invalid("subnet", subnet, `a prefix with room for a pod, /${subnet.family === 4 ? 30 : 126} or larger,`);
    throw error;
  }
}

const invalid = (option: string, value: Cidr | readonly string[] | string | number, wanted: string): CniError =>
  invalidOption(option, typeof value === "object" && "ip" in value ? String(value) : value, wanted);
