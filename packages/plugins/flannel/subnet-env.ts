/**
 * subnet.env: what flanneld tells of the part of the network that its node has. Lines of KEY=VALUE, as a shell reads them:
 *
 *     FLANNEL_NETWORK=10.244.0.0/16        all pods of the cluster; several networks have commas between them
 *     FLANNEL_SUBNET=10.244.1.1/24         the pods of this node
 *     FLANNEL_IPV6_NETWORK=fd00:10::/48    the same once more: either family is enough
 *     FLANNEL_IPV6_SUBNET=fd00:10:0:1::1/64
 *     FLANNEL_MTU=1450                     what passes between nodes whole: a tunnel takes its share
 *     FLANNEL_IPMASQ=true                  flanneld gives packets to the world the node's address by itself
 *
 * The file appears when flanneld has its lease, and goes with the boot. Keys that are not known are flanneld's own affair.
 */
import { CniError, ErrorCode, messageOf } from "@vethwork/cni";
import { findText, networkOf, parseCidr, sameCidr, type Cidr } from "@vethwork/linux";

/** The node's lease. IPv4 comes before IPv6, as the file's keys have it. */
export interface Lease {
  networks: Cidr[];
  subnets: Cidr[];
  /** In bytes. */
  mtu: number;
  /** flanneld masquerades; otherwise the delegate has to. */
  masquerades: boolean;
}

/** Reads the file. CniError 11 where it is not there yet, 7 where it does not say all that is wanted. */
export function readLease(file: string): Lease {
  const text = findText(file);
  if (text === undefined) throw unusable(ErrorCode.TRY_AGAIN, `there is no "${file}" (flanneld writes it once it has a lease)`);
  try {
    return parseLease(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw unusable(ErrorCode.INVALID_CONFIG, `"${file}" ${error.message}`, error);
  }
}

/** As readLease; undefined where the file cannot be had or read. */
export function findLease(file: string): Lease | undefined {
  try {
    return readLease(file);
  } catch (error) {
    if (error instanceof CniError) return undefined;
    throw error;
  }
}

/** RangeError for what does not read, or is missing; its words follow the file's name. */
export function parseLease(text: string): Lease {
  const values = valuesIn(text);
  const networks = [...cidrsOf(values, "FLANNEL_NETWORK"), ...cidrsOf(values, "FLANNEL_IPV6_NETWORK")];
  const subnets = [...subnetOf(values, "FLANNEL_SUBNET"), ...subnetOf(values, "FLANNEL_IPV6_SUBNET")];
  const mtu = mtuOf(values);
  const masquerades = values.get("FLANNEL_IPMASQ");
  const missing = [
    ...(networks.length > 0 ? [] : ["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"]),
    ...(subnets.length > 0 ? [] : ["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"]),
    ...(mtu === undefined ? ["FLANNEL_MTU"] : []),
    ...(masquerades === undefined ? ["FLANNEL_IPMASQ"] : []),
  ];
  if (mtu === undefined || missing.length > 0) throw new RangeError(`is missing ${missing.join(", ")}`);
  return { networks, subnets, mtu, masquerades: masquerades === "true" };
}

const KEYS = ["FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_IPV6_NETWORK", "FLANNEL_IPV6_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ"] as const;
type Values = ReadonlyMap<string, string>;

/** The known keys; of one that is there twice the last counts. Nothing is unquoted or trimmed: flanneld quotes nothing. */
function valuesIn(text: string): Values {
  const values = new Map<string, string>();
  for (const [at, line] of text.split(/\r?(?:\n|$)/).entries()) {
    const end = line.indexOf("=");
    const key = KEYS.find((one) => one === (end < 0 ? line : line.slice(0, end)));
    if (key === undefined) continue;
    if (end < 0) throw new RangeError(`has ${key} without a value in line ${at + 1} (${key}=VALUE is wanted)`);
    values.set(key, line.slice(end + 1));
  }
  return values;
}

function cidrsOf(values: Values, key: string): Cidr[] {
  const value = values.get(key);
  if (value === undefined) return [];
  const networks = value.split(",").map((text) => networkIn(key, text));
  return networks.filter((one, at) => networks.findIndex((other) => sameCidr(one, other)) === at);
}

function subnetOf(values: Values, key: string): Cidr[] {
  const value = values.get(key);
  return value === undefined ? [] : [networkIn(key, value)];
}

/** flanneld writes the node's own address in its subnet; the subnet is what counts. */
function networkIn(key: string, text: string): Cidr {
  try {
    return networkOf(parseCidr(text));
  } catch (error) {
    throw new RangeError(`has ${key}: ${messageOf(error)}`, { cause: error });
  }
}

function mtuOf(values: Values): number | undefined {
  const value = values.get("FLANNEL_MTU");
  if (value === undefined) return undefined;
  if (/^\d{1,10}$/.test(value) && Number(value) <= 0xffff_ffff) return Number(value);
  throw new RangeError(`has FLANNEL_MTU=${value} (bytes are wanted)`);
}

function unusable(code: number, what: string, cause?: unknown): CniError {
  return new CniError(code, `failed to load flannel 'subnet.env' file: ${what}. Check the flannel pod log for this node`, { cause });
}
